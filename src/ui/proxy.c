#include "ui/proxy.h"

#include "base/clock.h"
#include "ui/limits.h"

#define KEEP_ALIVE ": keep-alive\n\n"
#define EVENTS     "text/event-stream"
#define PIECE_MAX  ((size_t)64 << 10)
#define UNKNOWN_BODY                                                                                         \
        VIEW("{\"error\":{\"code\":\"upstream_refused\",\"message\":\"The service gave an answer that "      \
             "can't be passed on; its log says more.\",\"detail\":{}}}")

int proxy_reply_failure(struct http_request *q, const char *name, int error) {
        char detail[64];

        (void)snprintf(detail, sizeof(detail), "{\"service\":\"%s\"}", name);
        if (error == -EFBIG)
                return http_reply_error(q, 502, "answer_too_large", detail,
                                        "The %s service gave too long an answer.", name);
        if (error == -ENOMEM)
                return error;
        return http_reply_error(
                q, 503, "service_down", detail,
                "The %s service does not answer now. It is restarted by itself; try again in a few "
                "seconds. If it stays away, `securectl status` says why.",
                name);
}

/* Our own credentials being refused is no fault of the browser. */
static unsigned status_for_browser(unsigned status) {
        return status == 401 || status == 403 ? 502 : status;
}

static int pass_on(struct http_request *q, const struct http_answer *a) {
        if (a->status == 204)
                return http_reply(q, 204, NULL, VIEW_NULL);
        if (!view_starts(view_of(a->content_type), VIEW("application/json")))
                return http_reply_json(q, 502, UNKNOWN_BODY);
        return http_reply_json(q, status_for_browser(a->status), buf_view(&a->body));
}

int proxy_call(struct http_request *q, struct http_client *target, const char *name, const char *method,
               const char *path, struct view body, uint64_t timeout_usec) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        int r = http_call(target, method, path, body.n > 0 ? "application/json" : NULL, body, timeout_usec,
                          UI_ANSWER_MAX, &a);

        return r < 0 ? proxy_reply_failure(q, name, r) : pass_on(q, &a);
}

int proxy_require(struct http_request *q, struct http_client *target, const char *name) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        int r = http_call(target, "GET", "/health", NULL, VIEW_NULL, UI_PROBE_USEC, PIECE_MAX, &a);

        if (r == 0 && a.status == 200)
                return 0;
        r = proxy_reply_failure(q, name, r < 0 ? r : -EPROTO);
        return r < 0 ? r : -EACCES;
}

/* --- streams --- */

struct relay {
        struct http_incoming *in;
        bool (*check)(void *userdata);
        void (*destroy)(void *userdata);
        void *userdata;
        uint64_t last_usec; /* when something was last sent */
        bool is_events;
        bool between; /* the last bytes ended an event, so that a comment may follow */
};

static const char *type_of(const struct proxy_stream *s) {
        return s->content_type ? s->content_type : EVENTS;
}

static void relay_free(void *userdata) {
        struct relay *r = userdata;

        http_incoming_free(r->in);
        if (r->destroy)
                r->destroy(r->userdata);
        free(r);
}

static int quiet_moment(struct relay *relay, struct buf *out) {
        uint64_t now = clock_monotonic_usec();

        if (!relay->between || now - relay->last_usec < UI_KEEP_ALIVE_USEC)
                return 1;
        relay->last_usec = now;
        return buf_append_str(out, KEEP_ALIVE) < 0 ? -ENOMEM : 1;
}

static int relay_next(void *userdata, struct buf *out) {
        struct relay *relay = userdata;
        int r;

        if (relay->check && !relay->check(relay->userdata))
                return 0;
        r = http_incoming_read(relay->in, UI_STREAM_SLICE_USEC, out);
        if (r == -ETIMEDOUT)
                return quiet_moment(relay, out);
        if (r <= 0)
                return r;
        relay->between = relay->is_events && view_ends(buf_view(out), VIEW("\n\n"));
        relay->last_usec = clock_monotonic_usec();
        return 1;
}

static int reply_relay(struct http_request *q, const struct proxy_stream *s, struct http_incoming *in) {
        struct relay *relay = calloc(1, sizeof(*relay));
        const struct http_stream stream = {type_of(s), relay_next, relay_free, relay};
        int r;

        if (!relay) {
                http_incoming_free(in);
                if (s->destroy)
                        s->destroy(s->userdata);
                return -ENOMEM;
        }
        *relay = (struct relay){in,
                                s->check,
                                s->destroy,
                                s->userdata,
                                clock_monotonic_usec(),
                                !s->content_type,
                                !s->content_type};
        r = http_reply_stream(q, 200, &stream);
        /* cppcheck-suppress memleak ; the stream owns it, also when that failed */
        return r;
}

/* An answer that is no stream: errors of the service, mostly. */
static int reply_whole(struct http_request *q, const char *name, struct http_incoming *in, unsigned status) {
        struct http_answer a = {.status = status, .body = BUF_INIT(UI_ANSWER_MAX)};
        uint64_t deadline = clock_monotonic_usec() + UI_QUICK_USEC;
        int r = 1;

        (void)snprintf(a.content_type, sizeof(a.content_type), "%s", http_incoming_content_type(in));
        while (r > 0 && clock_monotonic_usec() < deadline)
                r = http_incoming_read(in, UI_QUICK_USEC, &a.body);
        r = r != 0 ? proxy_reply_failure(q, name, r < 0 ? r : -ETIMEDOUT) : pass_on(q, &a);
        http_answer_done(&a);
        return r;
}

/* Waits for the headers as long as somebody waits for us: a browser that gives up ends the work behind it, too. */
static int wait_for_status(struct http_request *q, struct http_incoming *in, uint64_t timeout_usec,
                           unsigned *ret) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        int r = -ETIMEDOUT;

        while (r == -ETIMEDOUT && clock_monotonic_usec() < deadline) {
                if (http_is_abandoned(q))
                        return -ECANCELED;
                r = http_incoming_status(in, UI_WAIT_SLICE_USEC, ret);
        }
        return r;
}

int proxy_stream(struct http_request *q, const struct proxy_stream *s) {
        struct http_incoming *in = NULL;
        unsigned status = 0;
        int r = http_begin(s->target, s->method, s->path, s->body.n > 0 ? "application/json" : NULL, s->body,
                           &in);

        if (r == 0)
                r = wait_for_status(q, in, s->timeout_usec, &status);
        if (r == 0 && status == 200 &&
            view_starts(view_of(http_incoming_content_type(in)), view_of(type_of(s))))
                return reply_relay(q, s, in);
        r = r < 0 ? proxy_reply_failure(q, s->name, r) : reply_whole(q, s->name, in, status);
        http_incoming_free(in);
        if (s->destroy)
                s->destroy(s->userdata);
        return r;
}
