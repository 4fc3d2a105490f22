#include "quarantine/llama_session.h"

#include "base/clock.h"
#include "quarantine/limits.h"

#include <poll.h>

#define STEP_USEC        (UINT64_C(50) * USEC_PER_MSEC)
#define READ_STEP_USEC   (UINT64_C(500) * USEC_PER_MSEC)
#define EVENT_BYTES_MAX  ((size_t)256 << 10)
#define STREAM_BYTES_MAX ((size_t)4 << 20) /* of one answer, framing included */

static bool go_on(bool (*ask)(void *), void *userdata) {
        return !ask || ask(userdata);
}

static int spawn(const struct llama_start *start, struct llama_session *s) {
        struct launcher_request q = {
                .kind = LAUNCHER_LLAMA_SERVER,
                .fds = {start->model_fd},
                .n_fds = start->n_parts > 0 ? start->n_parts : 1,
                .threads = start->threads,
                .context = start->context,
                .slots = 1,
                /* address space: the mapped model, as much again for its buffers, and room for libraries and stacks */
                .memory_bytes = 2 * start->model_size + BEHAVIOUR_MEMORY_SPARE * 8,
        };
        int r;

        if (start->n_parts > LAUNCHER_FDS_MAX)
                return -E2BIG;
        if (start->n_parts > 0)
                memcpy(q.fds, start->part_fds, start->n_parts * sizeof q.fds[0]);
        r = launcher_spawn(start->launcher, &q, &s->worker);
        if (r < 0)
                return r;
        s->launcher = start->launcher;
        s->running = true;
        return http_client_new(s->worker.socket_path, 0, VIEW_NULL, &s->client);
}

bool llama_session_is_alive(struct llama_session *s) {
        struct pollfd p = {.fd = s->worker.pid_fd, .events = POLLIN};

        return s->running && poll(&p, 1, 0) == 0;
}

static bool is_healthy(struct llama_session *s) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        if (access(s->worker.socket_path, F_OK) < 0)
                return false;
        return http_call(s->client, "GET", "/health", NULL, VIEW_NULL, 2 * USEC_PER_SEC, 4096, &a) == 0 &&
               a.status == 200;
}

static void pause_usec(uint64_t usec) {
        (void)poll(NULL, 0, (int)(usec / USEC_PER_MSEC));
}

static int wait_until_ready(const struct llama_start *start, struct llama_session *s, int *ret_status) {
        uint64_t deadline = clock_monotonic_usec() + start->timeout_usec;

        for (;;) {
                if (!llama_session_is_alive(s)) {
                        s->running = false;
                        (void)launcher_kill(s->launcher, s->worker.id, ret_status);
                        return -ECHILD;
                }
                if (is_healthy(s))
                        return 0;
                if (!go_on(start->go_on, start->userdata))
                        return -ECANCELED;
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
                pause_usec(STEP_USEC);
        }
}

int llama_session_start(const struct llama_start *start, struct llama_session *ret, int *ret_status) {
        _cleanup_(llama_session_donep) struct llama_session s = {.worker.pid_fd = -EBADF};
        int r;

        r = spawn(start, &s);
        if (r >= 0)
                r = wait_until_ready(start, &s, ret_status);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct llama_session){.worker.pid_fd = -EBADF};
        return 0;
}

void llama_session_done(struct llama_session *s) {
        s->client = http_client_free(s->client);
        if (s->running)
                (void)launcher_kill(s->launcher, s->worker.id, NULL);
        s->running = false;
        s->worker.pid_fd = close_fd(s->worker.pid_fd);
}

static void put_message(struct json_writer *w, const char *role, struct view content) {
        json_object_begin(w);
        json_member_string(w, "role", role);
        json_member_view(w, "content", content);
        json_object_end(w);
}

static int write_request(const struct llama_question *q, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_key(&w, "messages");
        json_array_begin(&w);
        if (q->system.p)
                put_message(&w, "system", q->system);
        put_message(&w, "user", q->prompt);
        json_array_end(&w);
        json_member_bool(&w, "stream", true);
        json_member_u64(&w, "temperature", 0);
        json_member_u64(&w, "seed", 1);
        json_member_u64(&w, "max_tokens", q->tokens);
        json_member_bool(&w, "cache_prompt", false); /* no answer hangs on what was asked before */
        json_key(&w, "chat_template_kwargs");
        json_object_begin(&w);
        json_member_bool(&w, "enable_thinking", false);
        json_object_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}

/* 1 = last event, 0 = go on, -EBADMSG = not what a chat answers. */
static int take_event(struct view data, struct llama_answer *a) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        const struct json *choices, *delta;
        struct view text;

        if (view_eq(data, VIEW("[DONE]")))
                return 1;
        if (data.n == 0)
                return 0;
        if (json_parse(data, NULL, &doc, NULL) < 0)
                return -EBADMSG;
        choices = json_get_typed(json_root(doc), "choices", JSON_ARRAY);
        if (!choices)
                return -EBADMSG;
        delta = json_get_typed(choices->child, "delta", JSON_OBJECT);
        text = json_get_view(delta, "content", VIEW_NULL);
        a->thought |= json_get_view(delta, "reasoning_content", VIEW_NULL).n > 0;
        a->pieces += delta != NULL;
        if (json_get_typed(delta, "tool_calls", JSON_ARRAY))
                text = VIEW(
                        "<tool_call>"); /* the server took it out of the text; the judge wants to see it */
        if (text.n > 0 && buf_append_view(&a->text, text) < 0)
                return 1; /* enough to judge */
        return 0;
}

struct reading {
        struct sse_reader events;
        struct buf event, data;
        uint64_t total;
};

static void reading_donep(struct reading *r) {
        buf_done(&r->events.pending);
        buf_done(&r->event);
        buf_done(&r->data);
}

static int take_events(struct reading *rd, struct llama_answer *a) {
        for (;;) {
                int r = sse_next(&rd->events, &rd->event, &rd->data);

                if (r <= 0)
                        return r;
                r = take_event(buf_view(&rd->data), a);
                if (r != 0)
                        return r;
        }
}

/* Reads until the end of the answer: 0 with answer->end set, or -ECANCELED. */
static int read_answer(struct llama_session *s, struct http_incoming *in, const struct llama_question *q,
                       struct llama_answer *a) {
        _cleanup_(reading_donep) struct reading rd = {.events.pending = BUF_INIT(EVENT_BYTES_MAX),
                                                      .event = BUF_INIT(EVENT_BYTES_MAX),
                                                      .data = BUF_INIT(EVENT_BYTES_MAX)};
        uint64_t now = clock_monotonic_usec(), deadline = now + q->timeout_usec, quiet = now + q->quiet_usec;

        for (;;) {
                size_t before = rd.events.pending.n;
                int r = http_incoming_read(in, READ_STEP_USEC, &rd.events.pending);

                if (!go_on(q->go_on, q->userdata))
                        return -ECANCELED;
                now = clock_monotonic_usec();
                if (r == 1) {
                        rd.total += rd.events.pending.n - MIN_OF(before, rd.events.pending.n);
                        quiet = now + q->quiet_usec;
                        r = rd.total > STREAM_BYTES_MAX ? -EFBIG : take_events(&rd, a);
                        if (r == 0 && now < deadline)
                                continue;
                        a->end = r == 1 ? LLAMA_COMPLETE : r < 0 ? LLAMA_BROKEN : LLAMA_TIMED_OUT;
                        return 0;
                }
                if (r == -ETIMEDOUT && now < deadline && now < quiet)
                        continue;
                a->end = r == 0 ? LLAMA_COMPLETE : r == -ETIMEDOUT ? LLAMA_TIMED_OUT : LLAMA_BROKEN;
                return 0;
        }
}

int llama_session_ask(struct llama_session *s, const struct llama_question *q, struct llama_answer *a) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(4 * PROMPT_BYTES_MAX + 4096);
        _cleanup_(http_incoming_freep) struct http_incoming *in = NULL;
        unsigned status = 0;
        int r;

        r = write_request(q, &body);
        if (r < 0)
                return r;
        a->end = LLAMA_BROKEN;
        r = http_open(s->client, "POST", "/v1/chat/completions", "application/json", buf_view(&body),
                      q->timeout_usec, &in, &status);
        if (r == -ENOMEM)
                return r;
        if (r == -ETIMEDOUT)
                a->end = LLAMA_TIMED_OUT;
        else if (r >= 0 && status == 200) {
                r = read_answer(s, in, q, a);
                if (r < 0)
                        return r;
        }
        if (a->end == LLAMA_BROKEN)
                pause_usec(
                        STEP_USEC); /* a process that died is reaped a moment later than its socket closes */
        if (!llama_session_is_alive(s))
                a->end = LLAMA_DIED;
        return 0;
}
