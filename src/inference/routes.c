#include "inference/routes.h"

#include "base/clock.h"
#include "inference/catalog.h"
#include "inference/limits.h"

#define STATUS_TEXT_MAX ((size_t)4096)
#define LIST_TEXT_MAX   ((size_t)8 << 20)

/* userdata of the server is the context itself: authorize and /health get what is theirs. */
static int authorize(struct http_request *q, const struct http_route *route, void *userdata) {
        struct routes_context *c = userdata;

        return c->authorize(q, route, c->userdata);
}

static int health(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;

        return c->health(q, c->userdata);
}

static int reply_refusal(struct http_request *q, const struct refusal *why) {
        if (why->status == 503 && http_add_header(q, "Retry-After", "2") < 0)
                return -ENOMEM;
        return http_reply_error(q, why->status, why->code, why->detail[0] ? why->detail : NULL, "%s",
                                why->text);
}

/* --- status and models --- */

static int reply_status(struct http_request *q, struct worker *w) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(STATUS_TEXT_MAX);
        struct json_writer out = JSON_WRITER(&text);
        struct worker_status s;
        int r;

        worker_get_status(w, &s);
        json_object_begin(&out);
        json_member_string(&out, "state", worker_state_name(s.state));
        json_member_string(&out, "model", s.model[0] ? s.model : NULL);
        json_member_u64(&out, "worker_pid", (uint64_t)s.pid);
        json_member_u64(&out, "restarts", s.restarts);
        json_member_u64(&out, "threads", s.threads);
        json_member_u64(&out, "context", s.context);
        json_member_u64(&out, "memory_limit", s.memory_limit);
        json_member_u64(&out, "busy", s.busy);
        json_member_string(&out, "backend", "cpu");
        json_member_string(&out, "reason", s.reason[0] ? s.reason : NULL);
        json_object_end(&out);
        r = json_write_end(&out);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&text));
}

static int get_status(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;

        return reply_status(q, c->worker);
}

static int get_models(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(LIST_TEXT_MAX);
        struct routes_context *c = userdata;
        struct worker_status s;
        struct refusal why;

        worker_get_status(c->worker, &s);
        if (catalog_list(c->registry, s.state == WORKER_READY ? s.model : "", &text, &why) < 0)
                return reply_refusal(q, &why);
        return http_reply_json(q, 200, buf_view(&text));
}

/* --- control --- */

static int read_context(const struct json *body, uint32_t *ret) {
        uint64_t n = 0;
        int r = json_get_u64(body, "context", &n);

        if (r == -ENOENT)
                return 0;
        if (r < 0 || n < CONTEXT_LEAST || n > CONTEXT_MOST)
                return -EBADMSG;
        *ret = (uint32_t)n;
        return 0;
}

static int post_load(struct http_request *q, void *userdata) {
        static const char *const names[] = {"model", "context", NULL};
        struct routes_context *c = userdata;
        const struct json *body, *model;
        char sha256[65];
        uint32_t context = 0;
        struct refusal why;

        if (http_body_json(q, &body) < 0)
                return 0;
        model = json_get_typed(body, "model", JSON_STRING);
        if (json_unknown_member(body, names) || !model || model->text.n == 0 ||
            model->text.n > MODEL_NAME_MAX)
                return http_reply_error(q, 400, "bad_request", NULL,
                                        "Expected {\"model\": \"<SHA-256 or name>\", \"context\": <tokens, "
                                        "may be left out>}.");
        if (read_context(body, &context) < 0)
                return http_reply_error(q, 400, "bad_request", NULL,
                                        "\"context\" must be a whole number from %u to %u.", CONTEXT_LEAST,
                                        CONTEXT_MOST);
        if (catalog_resolve(c->registry, model->text, sha256, &why) < 0 ||
            worker_load(c->worker, sha256, context, LOAD_CONTROL_WAIT_USEC, &why) < 0)
                return reply_refusal(q, &why);
        return reply_status(q, c->worker);
}

static int post_unload(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        const struct json *body;
        struct refusal why;

        if (http_body(q).n > 0) {
                if (http_body_json(q, &body) < 0)
                        return 0;
                if (body->count > 0)
                        return http_reply_error(q, 400, "bad_request", NULL,
                                                "This request takes no members.");
        }
        if (worker_unload(c->worker, BUSY_WAIT_USEC, &why) < 0)
                return reply_refusal(q, &why);
        return reply_status(q, c->worker);
}

/* --- chat --- */

struct chat {
        struct answer *answer;
        struct buf first; /* what was there before the client got its headers */
        bool stream, over;
};

static void chat_destroy(void *userdata) {
        struct chat *c = userdata;

        c->answer = answer_free(c->answer);
        buf_done(&c->first);
        free(c);
}

static int put_error_event(struct buf *out, const struct refusal *why) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(STATUS_TEXT_MAX);
        struct json_writer w = JSON_WRITER(&text);

        json_object_begin(&w);
        json_key(&w, "error");
        json_object_begin(&w);
        json_member_string(&w, "code", why->code);
        json_member_string(&w, "message", why->text);
        json_key(&w, "detail");
        json_object_begin(&w);
        json_object_end(&w);
        json_object_end(&w);
        json_object_end(&w);
        return json_write_end(&w) < 0 ? -ENOMEM : sse_append(out, NULL, buf_view(&text));
}

/* Something for the connection to carry, so that a client that has gone is noticed: an event stream may hold comments,
 * and a JSON text may start with spaces. */
static int put_beat(struct buf *out, bool stream) {
        return buf_append_str(out, stream ? ": keep-alive\n\n" : " ");
}

static int chat_next(void *userdata, struct buf *out) {
        struct chat *c = userdata;
        uint64_t deadline = clock_monotonic_usec() + ANSWER_BEAT_USEC, now;
        struct refusal why;
        int r = 1;

        if (c->first.n > 0) {
                r = buf_append_view(out, buf_view(&c->first));
                buf_clear(&c->first);
                return r < 0 ? r : c->over ? 0 : 1;
        }
        while (r > 0 && out->n == 0) {
                now = clock_monotonic_usec();
                if (now >= deadline)
                        return put_beat(out, c->stream) < 0 ? -ENOMEM : 1;
                r = answer_step(c->answer, deadline - now, out, &why);
        }
        if (r >= 0)
                return r;
        if (r == -EAGAIN)
                return put_beat(out, c->stream) < 0 ? -ENOMEM : 1;
        if (!c->stream)
                return r; /* the connection is cut: better no object than half of one */
        return put_error_event(out, &why) < 0 ? -ENOMEM : 0;
}

/* Waits a moment for the beginning (a stream) or all of it, so that what fails at once has its own status.
 * 1: begun, 0: all of it is in c->first, -EAGAIN: it takes longer, other negative and *why. */
static int chat_begin(struct chat *c, struct refusal *why) {
        uint64_t deadline = clock_monotonic_usec() + ANSWER_START_USEC, now;
        int r = 1;

        while (r > 0 && c->first.n == 0) {
                now = clock_monotonic_usec();
                if (now >= deadline)
                        return -EAGAIN;
                r = answer_step(c->answer, deadline - now, &c->first, why);
        }
        return r;
}

static int chat_reply(struct http_request *q, struct chat *c) {
        const struct http_stream stream = {
                .content_type = c->stream ? "text/event-stream" : "application/json",
                .next = chat_next,
                .destroy = chat_destroy,
                .userdata = c,
        };
        struct refusal why;
        int r = chat_begin(c, &why);

        if (r == 0 && !c->stream) {
                r = http_reply_json(q, 200, buf_view(&c->first));
                chat_destroy(c);
                return r;
        }
        if (r < 0 && r != -EAGAIN && (!c->stream || c->first.n == 0)) {
                chat_destroy(c);
                return reply_refusal(q, &why);
        }
        c->over = r == 0;
        if (r < 0 && r != -EAGAIN) { /* broken right behind its first words, which the client shall have */
                c->over = true;
                r = put_error_event(&c->first, &why);
        }
        if (r == -ENOMEM || http_add_header(q, "Cache-Control", "no-store") < 0) {
                chat_destroy(c);
                return -ENOMEM;
        }
        return http_reply_stream(q, 200, &stream);
}

static int chat_start(struct http_request *q, struct routes_context *x, const struct chat_request *request,
                      const char *sha256) {
        struct chat *c = calloc(1, sizeof(*c));
        struct refusal why;

        if (!c)
                return -ENOMEM;
        c->stream = request->stream;
        c->first = BUF_INIT(2 * ANSWER_WRITE_MAX);
        if (answer_new(x->worker, request, sha256, &x->deadlines, &c->answer, &why) < 0) {
                chat_destroy(c);
                return reply_refusal(q, &why);
        }
        return chat_reply(q, c);
}

static int post_chat(struct http_request *q, void *userdata) {
        struct routes_context *x = userdata;
        struct chat_request request;
        const struct json *body;
        struct fault fault;
        struct refusal why;
        char sha256[65];

        if (http_body_json(q, &body) < 0)
                return 0;
        if (chat_request_read(body, &request, &fault) < 0) {
                char detail[96];

                (void)snprintf(detail, sizeof(detail), "{\"rule\":\"%s\",\"at\":%llu}", fault.rule,
                               (unsigned long long)fault.at);
                return http_reply_error(q, 400, "bad_request", detail, "%s", fault.text);
        }
        if (catalog_resolve(x->registry, request.model, sha256, &why) < 0)
                return reply_refusal(q, &why);
        return chat_start(q, x, &request, sha256);
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = health},
        {.method = "POST",
         .path = "/v1/chat/completions",
         .handler = post_chat,
         .body_bytes = CHAT_BODY_MAX,
         .permission = "inference.chat"},
        {.method = "GET", .path = "/v1/models", .handler = get_models, .permission = "inference.read"},
        {.method = "GET", .path = "/v1/status", .handler = get_status, .permission = "inference.read"},
        {.method = "POST",
         .path = "/v1/load",
         .handler = post_load,
         .body_bytes = CONTROL_BODY_MAX,
         .permission = "inference.control"},
        {.method = "POST",
         .path = "/v1/unload",
         .handler = post_unload,
         .body_bytes = CONTROL_BODY_MAX,
         .permission = "inference.control"},
        {0},
};

int routes_serve(struct routes_context *context, const int *listen_fds, size_t n_fds,
                 struct http_server **ret) {
        const struct http_server_config config = {
                .name = "inference",
                .routes = routes,
                .limits = {.connections = 2 * CHATS_AT_ONCE_MAX},
                .authorize = authorize,
                .userdata = context,
        };

        return http_server_new(&config, listen_fds, n_fds, ret);
}
