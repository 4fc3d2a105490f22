#include "securectl/link.h"

#include "base/file.h"
#include "core/fd_channel.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

struct link {
        const struct layout *layout;
        const char *service; /* static text of the command */
        struct http_client *client;
};

int link_find_token(struct view tokens_json, const char *service, struct secret *ret) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        const struct json *list;
        int r = json_parse(tokens_json, NULL, &doc, NULL);

        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        list = json_get_typed(json_root(doc), "outbound", JSON_ARRAY);
        for (const struct json *o = list ? list->child : NULL; o; o = o->next) {
                struct view token = json_get_view(o, "token", VIEW_NULL);

                if (view_eq_str(json_get_view(o, "target", VIEW_NULL), service) && token.n > 0)
                        return secret_copy(token, ret);
        }
        return -ENOENT;
}

/* The one thing that people need when nothing answers. */
int link_explain_down(const struct layout *l) {
        if (l->is_appliance)
                complain("the system is not up (nothing answers in %s)\n"
                         "  see what happened: systemctl status 'secure-ai-*'",
                         l->places.run);
        else
                complain("the system is not up (nothing answers in %s)\n"
                         "  start it: securectl up%s%s   (in a source tree: make run)",
                         l->places.run, l->is_elsewhere ? " --state-root " : "",
                         l->is_elsewhere ? l->places.state_root : "");
        return -ECONNREFUSED;
}

static int read_token(const struct layout *l, const char *service, struct secret *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);
        char path[PLACE_MAX];
        int r = place_join(path, l->places.run, "credentials/securectl/tokens.json");

        if (r >= 0)
                r = read_file(path, TOKENS_FILE_MAX, &text);
        if (r >= 0)
                r = link_find_token(buf_view(&text), service, ret);
        if (text.p)
                wipe(text.p, text.n);
        return r;
}

static int explain_token(const struct layout *l, const char *service, int r) {
        if (r == -ENOENT && access(l->places.run, F_OK) != 0)
                return link_explain_down(l);
        if (r == -EACCES)
                complain("the tokens in %s/credentials/securectl can't be read: only the account that "
                         "started the "
                         "system may use this command",
                         l->places.run);
        else if (r == -ENOENT)
                return link_explain_down(l);
        else
                complain("the token for %s in %s/credentials/securectl/tokens.json can't be read: %s",
                         service, l->places.run, strerrordesc_np(-r));
        return r;
}

int link_new(const struct layout *l, const char *service, struct link **ret) {
        _cleanup_(secret_donep) struct secret token = SECRET_INIT;
        char name[64], path[PLACE_MAX];
        struct link *k;
        int r = read_token(l, service, &token);

        if (r < 0)
                return explain_token(l, service, r);
        k = calloc(1, sizeof *k);
        if (!k)
                return complain("out of memory"), -ENOMEM;
        k->layout = l;
        k->service = service;
        (void)snprintf(name, sizeof name, "%s.sock", service);
        r = place_join(path, l->places.run, name);
        if (r >= 0)
                r = http_client_new(path, 0, secret_view(&token), &k->client);
        if (r < 0) {
                r = link_explain(k, r);
                link_free(k);
                return r;
        }
        *ret = k;
        return 0;
}

struct link *link_free(struct link *k) {
        if (k) {
                http_client_free(k->client);
                free(k);
        }
        return NULL;
}

struct http_client *link_client(const struct link *k) {
        return k->client;
}

int link_explain(const struct link *k, int r) {
        if (r == -ECONNREFUSED || r == -ENOENT)
                return link_explain_down(k->layout);
        if (r == -ETIMEDOUT)
                complain("%s did not answer in time; `securectl status` shows whether it is well",
                         k->service);
        else
                complain("the exchange with %s failed: %s", k->service, strerrordesc_np(-r));
        return r;
}

int link_explain_answer(const struct link *k, unsigned status, struct view body) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);
        const struct json *error = NULL;
        int r = json_parse(body, NULL, &doc, NULL);

        if (r >= 0)
                error = json_get_typed(json_root(doc), "error", JSON_OBJECT);
        r = show_member(&text, error, "message", "it gave no reason");
        if (r >= 0)
                r = buf_append_str(&text, " (");
        if (r >= 0)
                r = show_member(&text, error, "code", "no code");
        complain("%s: %s%s", k->service, r < 0 ? "error" : buf_str(&text), r < 0 ? "" : ")");
        return status == 404 ? -ENOENT : -EREMOTEIO;
}

static int take_answer(const struct link *k, const struct http_answer *answer, struct json_document **ret) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;

        if (answer->status < 200 || answer->status > 299)
                return link_explain_answer(k, answer->status, buf_view(&answer->body));
        if (answer->body.n > 0 && json_parse(buf_view(&answer->body), NULL, &doc, NULL) < 0)
                return link_explain(k, -EPROTO);
        if (ret)
                *ret = TAKE_PTR(doc);
        return 0;
}

int link_call(const struct link *k, const char *method, const char *path, struct view body,
              struct json_document **ret) {
        _cleanup_(http_answer_donep) struct http_answer answer = {0};
        int r = http_call(k->client, method, path, body.n ? "application/json" : NULL, body,
                          CALL_TIMEOUT_USEC, ANSWER_MAX, &answer);

        return r < 0 ? link_explain(k, r) : take_answer(k, &answer, ret);
}

int link_get_patiently(const struct link *k, const char *path, struct json_document **ret) {
        _cleanup_(http_answer_donep) struct http_answer answer = {0};
        int r = -EIO;

        for (int tries = 0; tries < PATIENCE_TRIES; tries++) {
                r = http_call(k->client, "GET", path, NULL, VIEW_NULL, CALL_TIMEOUT_USEC, ANSWER_MAX,
                              &answer);
                if (r >= 0)
                        return take_answer(k, &answer, ret);
                terminal_sleep(POLL_USEC);
        }
        return link_explain(k, r);
}

int link_open_channel(const struct layout *l, const char *service) {
        _cleanup_(secret_donep) struct secret token = SECRET_INIT;
        char name[64], path[PLACE_MAX];
        int r = read_token(l, service, &token);

        if (r < 0)
                return explain_token(l, service, r);
        (void)snprintf(name, sizeof name, "%s.fd.sock", service);
        r = place_join(path, l->places.run, name);
        if (r >= 0)
                r = fd_channel_connect(path, secret_view(&token), CALL_TIMEOUT_USEC);
        if (r == -ECONNREFUSED || r == -ENOENT)
                return link_explain_down(l);
        if (r < 0)
                complain("the connection to %s failed: %s", service, strerrordesc_np(-r));
        return r;
}
