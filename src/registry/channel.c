#include "registry/channel.h"

#include <poll.h>

#include "base/text.h"
#include "registry/limits.h"

/* What one client holds: leases end with the connection, however it ends. */
struct session {
        struct sha256 leased[REGISTRY_LEASES_MAX];
        size_t n;
};

static int answer(int sock, struct buf *text, int fd) {
        return fd_channel_send(sock, buf_view(text), fd, REGISTRY_ANSWER_USEC);
}

static int answer_refusal(int sock, const struct refusal *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        json_object_begin(&w);
        json_member_bool(&w, "ok", false);
        json_member_string(&w, "code", f->code);
        json_member_string(&w, "message", f->text);
        json_member_bool(&w, "final", f->final);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : answer(sock, &text, -EBADF);
}

static int answer_bad_request(int sock, const char *what) {
        struct refusal f = {.code = "bad_request", .final = true};

        (void)snprintf(f.text, sizeof f.text, "%s", what);
        return answer_refusal(sock, &f);
}

static int answer_promoted(int sock, const struct sha256 *digest, bool duplicate) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(256);
        char hex[SHA256_HEX_SIZE];
        int r;

        sha256_hex(digest, hex);
        r = buf_printf(&text, "{\"ok\":true,\"sha256\":\"%s\",\"duplicate\":%s}", hex,
                       duplicate ? "true" : "false");
        return r < 0 ? r : answer(sock, &text, -EBADF);
}

static bool read_promotion(const struct json *m, struct promotion *p, struct buf *evidence,
                           struct buf *signature) {
        static const char *const names[] = {"op", "job", "name", "evidence", "signature", NULL};

        p->job = json_get_view(m, "job", VIEW_NULL);
        p->name = json_get_view(m, "name", VIEW_NULL);
        if (json_unknown_member(m, names) || !evidence_id_is_valid(p->job) || p->name.n == 0 ||
            p->name.n > REGISTRY_WANTED_NAME_MAX ||
            base64_decode(json_get_view(m, "evidence", VIEW_NULL), evidence) < 0 ||
            base64_decode(json_get_view(m, "signature", VIEW_NULL), signature) < 0)
                return false;
        p->evidence = buf_view(evidence);
        p->signature = buf_view(signature);
        return true;
}

/* The listening socket outlives this service: a request may have waited in its queue for days, and whoever made it is gone
 * and may have judged otherwise since. Those who are still there ask again. */
static bool asker_is_gone(int sock) {
        struct pollfd p = {.fd = sock, .events = POLLRDHUP};

        return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static int promote(int sock, const struct json *m, int fd, struct channel_context *c) {
        _cleanup_(buf_donep) struct buf evidence = BUF_INIT(FD_MESSAGE_MAX), signature = BUF_INIT(4096);
        struct promotion p = {.fd = fd};
        struct refusal f = {0};
        struct sha256 digest;
        bool duplicate;

        if (fd < 0)
                return answer_bad_request(sock, "promote needs a descriptor");
        if (asker_is_gone(sock))
                return -EPIPE;
        if (!read_promotion(m, &p, &evidence, &signature))
                return answer_bad_request(
                        sock, "promote needs job, name, evidence and signature (base64), nothing else");
        if (catalog_promote(c->catalog, &p, &digest, &duplicate, &f) < 0)
                return answer_refusal(sock, &f);
        return answer_promoted(sock, &digest, duplicate);
}

static int answer_opened(int sock, int fd, uint64_t size, struct view name) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8192);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        json_object_begin(&w);
        json_member_bool(&w, "ok", true);
        json_member_u64(&w, "size", size);
        json_member_view(&w, "name", name);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : answer(sock, &text, fd);
}

static struct session *get_session(void **session) {
        if (!*session)
                *session = calloc(1, sizeof(struct session));
        return *session;
}

static int open_model(int sock, const struct json *m, void **session, struct channel_context *c) {
        static const char *const names[] = {"op", "sha256", NULL};
        _cleanup_(buf_donep) struct buf name = BUF_INIT(4096);
        _cleanup_(closep) int fd = -EBADF;
        struct session *s = get_session(session);
        struct refusal f = {0};
        struct sha256 digest;
        uint64_t size;

        if (!s)
                return -ENOMEM;
        if (json_unknown_member(m, names) ||
            sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &digest) < 0)
                return answer_bad_request(sock, "open needs sha256 (64 lower-case digits), nothing else");
        if (s->n == REGISTRY_LEASES_MAX)
                return answer_bad_request(sock, "this channel holds its most of open models; close it");
        fd = catalog_open(c->catalog, &digest, &size, &name, &f);
        if (fd < 0)
                return answer_refusal(sock, &f);
        s->leased[s->n++] = digest;
        return answer_opened(sock, fd, size, buf_view(&name));
}

static bool may(struct channel_context *c, struct view caller, const char *permission) {
        return service_may(c->service, caller, permission);
}

static int on_message(int sock, struct view caller, const struct json *message, int *fd, void **session,
                      void *userdata) {
        struct channel_context *c = userdata;
        struct view op = json_get_view(message, "op", VIEW_NULL);
        bool is_promote = view_eq_str(op, "promote");
        struct refusal f = {
                .code = "forbidden", .final = true, .text = "service-acl.yaml does not allow you this"};

        if (!is_promote && !view_eq_str(op, "open"))
                return answer_bad_request(sock, "the registry knows \"promote\" and \"open\"");
        if (!may(c, caller, is_promote ? "registry.promote" : "registry.open"))
                return answer_refusal(sock, &f);
        return is_promote ? promote(sock, message, *fd, c) : open_model(sock, message, session, c);
}

static void on_closed(void *session, void *userdata) {
        struct channel_context *c = userdata;
        struct session *s = session;

        for (size_t i = 0; s && i < s->n; i++)
                catalog_release(c->catalog, &s->leased[i]);
        free(s);
}

int channel_serve(struct channel_context *context, int listen_fd, struct fd_channel_server **ret) {
        static const struct fd_channel_handlers handlers = {.message = on_message, .closed = on_closed};

        return fd_channel_serve(context->service, listen_fd, &handlers, REGISTRY_CHANNELS, context, ret);
}
