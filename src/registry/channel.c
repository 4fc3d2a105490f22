#include "registry/channel.h"

#include <poll.h>

#include "base/text.h"
#include "registry/handover.h"
#include "registry/limits.h"

/* What one client holds: leases and what was handed in end with the connection, however it ends. */
struct session {
        struct sha256 leased[REGISTRY_LEASES_MAX];
        size_t n;
        struct handover *handed; /* NULL: nothing yet */
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

static int answer_ok(int sock) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(64);
        int r = buf_append_str(&text, "{\"ok\":true}");

        return r < 0 ? r : answer(sock, &text, -EBADF);
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

static struct session *get_session(void **session) {
        if (!*session)
                *session = calloc(1, sizeof(struct session));
        return *session;
}

static struct handover *get_handover(void **session, struct channel_context *c) {
        struct session *s = get_session(session);

        if (s && !s->handed && handover_new(c->catalog, &s->handed) < 0)
                return NULL;
        return s ? s->handed : NULL;
}

static int take_member(int sock, const struct json *m, int *fd, void **session, struct channel_context *c) {
        static const char *const names[] = {"op", "sha256", "size", NULL};
        struct handover *h = get_handover(session, c);
        struct refusal f = {0};
        struct sha256 digest;
        uint64_t size;

        if (!h)
                return -ENOMEM;
        if (*fd < 0 || json_unknown_member(m, names) ||
            sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &digest) < 0 ||
            json_get_u64(m, "size", &size) < 0 || size > INT64_MAX)
                return answer_bad_request(
                        sock,
                        "member needs sha256 (64 lower-case digits), size and a descriptor, nothing else");
        return handover_member(h, fd, size, &digest, &f) < 0 ? answer_refusal(sock, &f) : answer_ok(sock);
}

static int take_document(int sock, const struct json *m, int *fd, void **session, struct channel_context *c) {
        static const char *const names[] = {"op", "name", "sha256", NULL};
        struct handover *h = get_handover(session, c);
        enum document_kind kind = document_kind_from(json_get_view(m, "name", VIEW_NULL));
        struct refusal f = {0};
        struct sha256 digest;

        if (!h)
                return -ENOMEM;
        if (*fd < 0 || json_unknown_member(m, names) || kind == DOCUMENT_KIND_MAX ||
            sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &digest) < 0)
                return answer_bad_request(
                        sock, "document needs name (tensors, statement, bom or behaviour), sha256 "
                              "and a descriptor, nothing else");
        return handover_document(h, *fd, kind, &digest, &f) < 0 ? answer_refusal(sock, &f) : answer_ok(sock);
}

/* The listening socket outlives this service: a request may have waited in its queue for days, and whoever made it is gone
 * and may have judged otherwise since. Those who are still there ask again. */
static bool asker_is_gone(int sock) {
        struct pollfd p = {.fd = sock, .events = POLLRDHUP};

        return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static int promote(int sock, const struct json *m, int *fd, void **session, struct channel_context *c) {
        _cleanup_(buf_donep) struct buf evidence = BUF_INIT(FD_MESSAGE_MAX), signature = BUF_INIT(4096);
        const struct session *s = *session;
        struct promotion p = {.fd = *fd, .handed = s ? s->handed : NULL};
        struct refusal f = {0};
        struct sha256 digest;
        bool duplicate;
        int r;

        if (*fd < 0)
                return answer_bad_request(sock, "promote needs a descriptor");
        if (asker_is_gone(sock))
                return -EPIPE;
        if (!read_promotion(m, &p, &evidence, &signature))
                return answer_bad_request(
                        sock, "promote needs job, name, evidence and signature (base64), nothing else");
        r = catalog_promote(c->catalog, &p, &digest, &duplicate, &f);
        if (p.handed && (r >= 0 || f.final))
                handover_clear(p.handed);
        return r < 0 ? answer_refusal(sock, &f) : answer_promoted(sock, &digest, duplicate);
}

static int answer_opened(int sock, int fd, uint64_t size, struct view name, struct view kind) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8192);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        json_object_begin(&w);
        json_member_bool(&w, "ok", true);
        json_member_u64(&w, "size", size);
        if (kind.n) {
                json_member_view(&w, "name", name);
                json_member_view(&w, "kind", kind);
        }
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : answer(sock, &text, fd);
}

static void catalog_model_donep(struct catalog_model *m) {
        buf_done(&m->name);
        buf_done(&m->kind);
}

static int open_model(int sock, const struct json *m, int *fd, void **session, struct channel_context *c) {
        static const char *const names[] = {"op", "sha256", NULL};
        _cleanup_(catalog_model_donep) struct catalog_model model = {.name = BUF_INIT(4096),
                                                                     .kind = BUF_INIT(4096)};
        _cleanup_(closep) int opened = -EBADF;
        struct session *s = get_session(session);
        struct refusal f = {0};
        struct sha256 digest;

        if (!s)
                return -ENOMEM;
        if (json_unknown_member(m, names) ||
            sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &digest) < 0)
                return answer_bad_request(sock, "open needs sha256 (64 lower-case digits), nothing else");
        if (s->n == REGISTRY_LEASES_MAX)
                return answer_bad_request(sock, "this channel holds its most of open models; close it");
        opened = catalog_open(c->catalog, &digest, &model, &f);
        if (opened < 0)
                return answer_refusal(sock, &f);
        s->leased[s->n++] = digest;
        return answer_opened(sock, opened, model.size, buf_view(&model.name), buf_view(&model.kind));
}

static bool has_leased(const struct session *s, const struct sha256 *digest) {
        for (size_t i = 0; s && i < s->n; i++)
                if (memcmp(s->leased[i].b, digest->b, SHA256_SIZE) == 0)
                        return true;
        return false;
}

static int open_member(int sock, const struct json *m, int *fd, void **session, struct channel_context *c) {
        static const char *const names[] = {"op", "sha256", "path", NULL};
        struct view path = json_get_view(m, "path", VIEW_NULL);
        _cleanup_(closep) int opened = -EBADF;
        struct refusal f = {0};
        struct sha256 digest;
        uint64_t size;

        if (json_unknown_member(m, names) ||
            sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &digest) < 0 || !set_path_is_valid(path))
                return answer_bad_request(sock, "open_member needs sha256 of the set and path, nothing else");
        if (!has_leased(*session, &digest))
                return answer_bad_request(sock, "open the set on this channel first");
        opened = catalog_open_member(c->catalog, &digest, path, &size, &f);
        return opened < 0 ? answer_refusal(sock, &f)
                          : answer_opened(sock, opened, size, VIEW_NULL, VIEW_NULL);
}

static bool may(struct channel_context *c, struct view caller, const char *permission) {
        return service_may(c->service, caller, permission);
}

static const struct {
        const char *name, *permission;
        int (*act)(int sock, const struct json *m, int *fd, void **session, struct channel_context *c);
} operations[] = {
        {"member", "registry.promote", take_member},   {"document", "registry.promote", take_document},
        {"promote", "registry.promote", promote},      {"open", "registry.open", open_model},
        {"open_member", "registry.open", open_member},
};

static int on_message(int sock, struct view caller, const struct json *message, int *fd, void **session,
                      void *userdata) {
        struct channel_context *c = userdata;
        struct view op = json_get_view(message, "op", VIEW_NULL);
        struct refusal f = {
                .code = "forbidden", .final = true, .text = "service-acl.yaml does not allow you this"};
        size_t i = 0;

        while (i < ARRAY_SIZE(operations) && !view_eq_str(op, operations[i].name))
                i++;
        if (i == ARRAY_SIZE(operations))
                return answer_bad_request(sock, "the registry knows \"member\", \"document\", \"promote\", "
                                                "\"open\" and \"open_member\"");
        if (!may(c, caller, operations[i].permission))
                return answer_refusal(sock, &f);
        return operations[i].act(sock, message, fd, session, c);
}

static void on_closed(void *session, void *userdata) {
        struct channel_context *c = userdata;
        struct session *s = session;

        for (size_t i = 0; s && i < s->n; i++)
                catalog_release(c->catalog, &s->leased[i]);
        if (s)
                s->handed = handover_free(s->handed);
        free(s);
}

int channel_serve(struct channel_context *context, int listen_fd, struct fd_channel_server **ret) {
        static const struct fd_channel_handlers handlers = {.message = on_message, .closed = on_closed};

        return fd_channel_serve(context->service, listen_fd, &handlers, REGISTRY_CHANNELS, context, ret);
}
