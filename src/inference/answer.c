#include "inference/answer.h"

#include "base/clock.h"
#include "inference/limits.h"
#include "inference/relay.h"

enum phase { WAITING, STREAMING, WRITING, OVER };

struct answer {
        struct worker *worker;
        struct worker_use use;
        struct buf request; /* for the worker; kept for one second try */
        struct http_incoming *in;
        struct sse_reader sse;
        struct buf event, data;
        struct relay relay;
        struct answer_deadlines deadlines;
        enum phase phase;
        bool tried_again;
        uint64_t started, last_byte, bytes;
        struct buf whole; /* the object, when it is not a stream */
        size_t sent;
};

const struct answer_deadlines answer_default_deadlines = {ANSWER_FIRST_USEC, ANSWER_SILENCE_USEC,
                                                          ANSWER_TOTAL_USEC};

struct answer *answer_free(struct answer *a) {
        if (!a)
                return NULL;
        a->in = http_incoming_free(a->in); /* before the client that it belongs to */
        worker_release(&a->use);
        relay_done(&a->relay);
        buf_done(&a->request);
        buf_done(&a->sse.pending);
        buf_done(&a->event);
        buf_done(&a->data);
        buf_done(&a->whole);
        free(a);
        return NULL;
}

static int send_request(struct answer *a) {
        return http_begin(a->use.client, "POST", "/v1/chat/completions", "application/json",
                          buf_view(&a->request), &a->in);
}

static int start(struct answer *a, const struct chat_request *request, struct refusal *why) {
        int r = relay_init(&a->relay, request->stream, view_of(a->use.sha256));

        if (r == 0)
                r = chat_request_write(request, a->use.context, &a->request);
        if (r == 0)
                r = send_request(a);
        return r < 0 ? refusal_set(why, r, 503, "worker_failed", "The worker can't be reached. Try again.")
                     : 0;
}

int answer_new(struct worker *w, const struct chat_request *request, const char *sha256,
               const struct answer_deadlines *deadlines, struct answer **ret, struct refusal *ret_why) {
        _cleanup_(answer_freep) struct answer *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return refusal_set(ret_why, -ENOMEM, 503, "out_of_memory", "Out of memory.");
        a->worker = w;
        a->deadlines = *deadlines;
        a->request = BUF_INIT(2 * CHAT_BODY_MAX);
        a->sse.pending = BUF_INIT(2 * ANSWER_EVENT_MAX);
        a->event = BUF_INIT(ANSWER_EVENT_MAX);
        a->data = BUF_INIT(ANSWER_EVENT_MAX);
        a->whole = BUF_INIT(8 * ANSWER_TEXT_MAX);
        r = worker_acquire(w, sha256, LOAD_WAIT_USEC, &a->use, ret_why);
        if (r == 0)
                r = start(a, request, ret_why);
        if (r < 0)
                return r;
        a->started = a->last_byte = clock_monotonic_usec();
        *ret = TAKE_PTR(a);
        return 0;
}

/* --- what can go wrong --- */

static int died(struct refusal *why) {
        return refusal_set(why, -ECONNRESET, 502, "worker_died",
                           "The model's worker ended in the middle of the answer; it is being started again. "
                           "Ask again.");
}

static int broken(struct refusal *why, int error, const char *what) {
        return refusal_set(why, error, 502, "worker_answer_invalid",
                           "The worker's answer was not usable (%s), so it was cut off. If this happens "
                           "again, the model "
                           "may be harmful: unload it.",
                           what);
}

/* Until the next deadline; 0 when one has passed. */
static uint64_t time_left(const struct answer *a) {
        uint64_t now = clock_monotonic_usec();
        uint64_t quiet = a->bytes == 0 ? a->deadlines.first_usec : a->deadlines.silence_usec;
        uint64_t end = MIN_OF(a->last_byte + quiet, a->started + a->deadlines.total_usec);

        return end > now ? end - now : 0;
}

static int check_time(const struct answer *a, struct refusal *why) {
        if (time_left(a) > 0)
                return 0;
        return refusal_set(why, -ETIMEDOUT, 504, "worker_timeout",
                           "The model took too long to %s. Try a shorter conversation or a smaller model.",
                           a->bytes == 0 ? "begin its answer" : "go on with its answer");
}

/* A refusal by the worker: {"error":{"code","message","type"}}. */
static int refused(struct answer *a, unsigned status, struct refusal *why) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf body = BUF_INIT(ANSWER_ERROR_MAX), text = BUF_INIT(512);
        const struct json *error = NULL;
        int r;

        do
                r = http_incoming_read(a->in, HEALTH_CALL_USEC, &body);
        while (r == 1);
        if (r == 0 && json_parse(buf_view(&body), NULL, &d, NULL) == 0)
                error = json_get(json_root(d), "error");
        if (view_eq_str(json_get_view(error, "type", VIEW_NULL), "exceed_context_size_error"))
                return refusal_set(why, -E2BIG, 400, "context_exceeded",
                                   "The conversation is longer than the %u tokens that fit. Leave out "
                                   "earlier messages, or "
                                   "raise inference.context in appliance.yaml.",
                                   a->use.context);
        if (buf_append_escaped(&text, json_get_view(error, "message", VIEW("no reason given")), 160) < 0)
                buf_clear(&text);
        if (status >= 400 && status < 500)
                return refusal_set(why, -EINVAL, 400, "refused_by_model",
                                   "The model's worker refused the request: %s", buf_str(&text));
        return refusal_set(why, -EPROTO, 502, "worker_failed", "The model's worker failed: %s",
                           buf_str(&text));
}

/* --- steps --- */

/* The worker has died before it said a word (perhaps before this request, unnoticed): once more with a new one. */
static int try_again(struct answer *a, struct refusal *why) {
        char sha256[65];

        if (a->tried_again || a->relay.text_bytes > 0 || worker_is_stopping(a->worker))
                return died(why);
        a->tried_again = true;
        a->phase = WAITING;
        a->bytes = 0;
        buf_clear(&a->sse.pending);
        memcpy(sha256, a->use.sha256, sizeof(sha256));
        a->in = http_incoming_free(a->in);
        worker_release(&a->use);
        worker_await_end(a->worker, WORKER_END_USEC);
        if (worker_acquire(a->worker, sha256, LOAD_WAIT_USEC, &a->use, why) < 0)
                return -ECONNRESET;
        a->started = a->last_byte = clock_monotonic_usec();
        return send_request(a) < 0 ? died(why) : 1;
}

static int step_waiting(struct answer *a, uint64_t wait_usec, struct refusal *why) {
        unsigned status;
        int r = http_incoming_status(a->in, MIN_OF(wait_usec, time_left(a)), &status);

        if (r == -ETIMEDOUT)
                return check_time(a, why) < 0 ? -ETIMEDOUT : -EAGAIN;
        if (r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET)
                return try_again(a, why);
        if (r < 0)
                return broken(why, r, "bad HTTP headers");
        if (status != 200)
                return refused(a, status, why);
        a->phase = STREAMING;
        return 1;
}

static int step_read(struct answer *a, uint64_t wait_usec, struct refusal *why) {
        size_t before = a->sse.pending.n;
        int r = http_incoming_read(a->in, MIN_OF(wait_usec, time_left(a)), &a->sse.pending);

        if (r == -ETIMEDOUT)
                return check_time(a, why) < 0 ? -ETIMEDOUT : -EAGAIN;
        if (r == -EFBIG)
                return broken(why, r, "too large");
        if (r <= 0)
                return try_again(a, why); /* also an end without [DONE] */
        a->last_byte = clock_monotonic_usec();
        a->bytes += a->sse.pending.n - before;
        if (a->bytes > ANSWER_BYTES_MAX)
                return broken(why, -EFBIG, "too large");
        return check_time(a, why) < 0 ? -ETIMEDOUT : 1;
}

static int end_stream(struct answer *a, struct refusal *why) {
        a->in = http_incoming_free(a->in);
        worker_release(&a->use); /* a switch need not wait for a slow client */
        if (a->relay.stream) {
                a->phase = OVER;
                return 0;
        }
        a->phase = WRITING;
        return relay_write(&a->relay, &a->whole) < 0 ? broken(why, -EFBIG, "too large") : 1;
}

/* All events that are here, as far as `out` should hold them. 1: some or none were taken, 0: complete. */
static int step_events(struct answer *a, struct buf *out, struct refusal *why) {
        struct fault fault = FAULT_NONE;
        int r = 1;

        while (out->n < ANSWER_WRITE_MAX) {
                r = sse_next(&a->sse, &a->event, &a->data);
                if (r < 0)
                        return broken(why, r, "not an event stream");
                if (r == 0)
                        return 1;
                if (a->event.n > 0 && !view_eq_str(buf_view(&a->event), "message"))
                        continue;
                r = relay_event(&a->relay, buf_view(&a->data), out, &fault);
                if (r < 0)
                        return broken(why, r, fault.text);
                if (r == 0)
                        return end_stream(a, why);
        }
        return 1;
}

static int step_streaming(struct answer *a, uint64_t wait_usec, struct buf *out, struct refusal *why) {
        size_t before = out->n;
        int r = step_events(a, out, why);

        if (r <= 0 || out->n > before || a->phase != STREAMING)
                return r;
        r = step_read(a, wait_usec, why);
        return r < 0 ? r : step_events(a, out, why);
}

static int step_writing(struct answer *a, struct buf *out) {
        struct view piece = view_sub(buf_view(&a->whole), a->sent, ANSWER_WRITE_MAX);

        if (buf_append_view(out, piece) < 0)
                return -ENOMEM;
        a->sent += piece.n;
        if (a->sent < a->whole.n)
                return 1;
        a->phase = OVER;
        return 0;
}

int answer_step(struct answer *a, uint64_t wait_usec, struct buf *out, struct refusal *ret_why) {
        if (worker_is_stopping(a->worker))
                return refusal_set(ret_why, -ESHUTDOWN, 503, "stopping",
                                   "The service is being stopped. Ask again in a moment.");
        switch (a->phase) {
        case WAITING:
                return step_waiting(a, wait_usec, ret_why);
        case STREAMING:
                return step_streaming(a, wait_usec, out, ret_why);
        case WRITING:
                return step_writing(a, out);
        case OVER:
        default:
                return 0;
        }
}
