#include "inference/relay.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "inference/limits.h"
#include "wire/http_server.h"

#define NUMBERS_TEXT_MAX ((size_t)4096)

int relay_init(struct relay *r, bool stream, struct view model) {
        uint8_t random[8];
        char hex[17] = "";
        int k = random_bytes(random, sizeof(random));

        if (k < 0)
                return k;
        hex_encode(random, sizeof(random), hex);
        *r = (struct relay){
                .stream = stream,
                .created = clock_real_usec() / USEC_PER_SEC,
                .text = BUF_INIT(ANSWER_TEXT_MAX),
                .reasoning = BUF_INIT(ANSWER_TEXT_MAX),
                .usage = BUF_INIT(NUMBERS_TEXT_MAX),
                .timings = BUF_INIT(NUMBERS_TEXT_MAX),
        };
        (void)snprintf(r->id, sizeof(r->id), "chatcmpl-%s", hex);
        (void)snprintf(r->model, sizeof(r->model), "%.*s", VIEW_ARG(model));
        return 0;
}

void relay_done(struct relay *r) {
        r->document = json_document_free(r->document);
        buf_done(&r->text);
        buf_done(&r->reasoning);
        buf_done(&r->usage);
        buf_done(&r->timings);
}

static int odd(struct fault *f, const char *rule, const struct json *v, const char *what) {
        return fault_set(f, -EBADMSG, rule, v ? v->at : 0, "%s", what);
}

/* --- numbers: known names only --- */

static const char *const usage_names[] = {"prompt_tokens", "completion_tokens", "total_tokens", NULL};
static const char *const timing_names[] = {
        "cache_n",
        "prompt_n",
        "prompt_ms",
        "prompt_per_token_ms",
        "prompt_per_second",
        "predicted_n",
        "predicted_ms",
        "predicted_per_token_ms",
        "predicted_per_second",
        NULL,
};

/* The copy is of the value, not of its text: a number can be spelt in many ways. */
static void put_number(struct json_writer *w, const struct json *object, const char *name) {
        uint64_t n;
        double d;

        if (json_get_u64(object, name, &n) == 0) {
                json_member_u64(w, name, n);
        } else if (json_get_double(object, name, &d) == 0) {
                json_key(w, name);
                json_put_double(w, d);
        }
}

static int take_numbers(const struct json *object, const char *const *names, struct buf *out,
                        struct fault *reterr) {
        struct json_writer w = JSON_WRITER(out);

        if (!object || object->type == JSON_NULL)
                return 0;
        if (object->type != JSON_OBJECT)
                return odd(reterr, "ANSWER-005", object, "usage and timings must be objects");
        buf_clear(out);
        json_object_begin(&w);
        for (; *names; names++)
                put_number(&w, object, *names);
        json_object_end(&w);
        return json_write_end(&w);
}

/* --- the choice --- */

struct piece {
        struct view text, reasoning; /* p == NULL: not there */
        bool role;
        const char *finish_reason;
};

static int take_text(const struct json *delta, const char *name, struct view *ret, struct fault *reterr) {
        const struct json *v = json_get(delta, name);

        if (!v || v->type == JSON_NULL)
                return 0;
        if (v->type != JSON_STRING)
                return odd(reterr, "ANSWER-004", v, "a piece of the answer must be text");
        *ret = v->text.p ? v->text : VIEW("");
        return 0;
}

static int take_reason(const struct json *choice, struct piece *p, struct fault *reterr) {
        static const char *const reasons[] = {"stop", "length"};
        const struct json *v = json_get(choice, "finish_reason");

        if (!v || v->type == JSON_NULL)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
                if (v->type == JSON_STRING && view_eq_str(v->text, reasons[i]))
                        p->finish_reason = reasons[i];
        return p->finish_reason ? 0 : odd(reterr, "ANSWER-004", v, "unknown finish_reason");
}

static int take_choice(const struct json *choice, struct piece *ret, struct fault *reterr) {
        const struct json *delta = json_get_typed(choice, "delta", JSON_OBJECT);
        int r;

        if (!delta)
                return odd(reterr, "ANSWER-003", choice, "a choice must have a delta");
        ret->role = json_get(delta, "role") != NULL;
        r = take_text(delta, "content", &ret->text, reterr);
        if (r == 0)
                r = take_text(delta, "reasoning_content", &ret->reasoning, reterr);
        return r < 0 ? r : take_reason(choice, ret, reterr);
}

static int count_text(struct relay *r, const struct piece *p, struct fault *reterr) {
        r->text_bytes += p->text.n + p->reasoning.n;
        if (r->text_bytes > ANSWER_TEXT_MAX)
                return fault_set(reterr, -EFBIG, "ANSWER-006", 0, "the answer is longer than %zu bytes",
                                 ANSWER_TEXT_MAX);
        return 0;
}

/* --- output --- */

static void write_head(struct json_writer *w, const struct relay *r, const char *object) {
        json_member_string(w, "id", r->id);
        json_member_string(w, "object", object);
        json_member_u64(w, "created", r->created);
        json_member_string(w, "model", r->model);
}

static void write_numbers(struct json_writer *w, const char *name, const struct buf *text) {
        if (text->n == 0)
                return;
        json_key(w, name);
        json_put_raw(w, buf_view(text));
}

static void write_delta(struct json_writer *w, const struct piece *p) {
        json_key(w, "delta");
        json_object_begin(w);
        if (p->role)
                json_member_string(w, "role", "assistant");
        if (p->reasoning.p)
                json_member_view(w, "reasoning_content", p->reasoning);
        if (p->text.p)
                json_member_view(w, "content", p->text);
        json_object_end(w);
}

static int write_chunk(struct relay *r, const struct piece *p, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(2 * ANSWER_EVENT_MAX);
        struct json_writer w = JSON_WRITER(&text);
        int k;

        json_object_begin(&w);
        write_head(&w, r, "chat.completion.chunk");
        json_key(&w, "choices");
        json_array_begin(&w);
        if (p) {
                json_object_begin(&w);
                json_member_u64(&w, "index", 0);
                write_delta(&w, p);
                json_member_string(&w, "finish_reason", p->finish_reason);
                json_object_end(&w);
        }
        json_array_end(&w);
        write_numbers(&w, "usage", &r->usage);
        write_numbers(&w, "timings", &r->timings);
        json_object_end(&w);
        k = json_write_end(&w);
        return k < 0 ? k : sse_append(out, NULL, buf_view(&text));
}

static int keep_text(struct relay *r, const struct piece *p) {
        int k = buf_append_view(&r->text, p->text);

        return k < 0 ? k : buf_append_view(&r->reasoning, p->reasoning);
}

/* --- one event --- */

static int worker_error(const struct json *error, struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(512);

        if (buf_append_escaped(&text, json_get_view(error, "message", VIEW("no reason given")), 100) < 0)
                buf_clear(&text);
        return fault_set(reterr, -EREMOTEIO, "ANSWER-007", 0, "the worker reports: %s", buf_str(&text));
}

static int take_chunk(struct relay *r, const struct json *root, struct buf *out, struct fault *reterr) {
        const struct json *choices = json_get_typed(root, "choices", JSON_ARRAY);
        struct piece p = {0};
        int k;

        if (json_get(root, "error"))
                return worker_error(json_get(root, "error"), reterr);
        if (!choices || choices->count > 1)
                return odd(reterr, "ANSWER-003", root, "an event must have a list of at most one choice");
        k = choices->count > 0 ? take_choice(choices->child, &p, reterr) : 0;
        if (k == 0)
                k = take_numbers(json_get(root, "usage"), usage_names, &r->usage, reterr);
        if (k == 0)
                k = take_numbers(json_get(root, "timings"), timing_names, &r->timings, reterr);
        if (k == 0)
                k = count_text(r, &p, reterr);
        if (k < 0)
                return k;
        if (p.finish_reason) {
                r->ended = true;
                r->finish_reason = p.finish_reason;
        }
        k = r->stream ? write_chunk(r, choices->count > 0 ? &p : NULL, out) : keep_text(r, &p);
        return k < 0 ? fault_set(reterr, k, "ANSWER-006", 0, "an event of the answer is too large") : 1;
}

static int finish(const struct relay *r, struct buf *out, struct fault *reterr) {
        int k;

        if (!r->ended)
                return odd(reterr, "ANSWER-003", NULL, "the answer ended without a finish_reason");
        k = r->stream ? sse_append(out, NULL, VIEW("[DONE]")) : 0;
        return k < 0 ? fault_set(reterr, k, "ANSWER-006", 0, "no room for the end of the answer") : 0;
}

int relay_event(struct relay *r, struct view data, struct buf *out, struct fault *reterr) {
        struct fault why = FAULT_NONE;
        int k;

        if (data.n > ANSWER_EVENT_MAX || ++r->events > ANSWER_EVENTS_MAX)
                return fault_set(reterr, -EFBIG, "ANSWER-001", data.n,
                                 "an event is too large, or there are too many");
        if (view_eq_str(data, "[DONE]"))
                return finish(r, out, reterr);
        k = json_parse_reuse(data, NULL, &r->document, &why);
        if (k == -ENOMEM)
                return fault_set(reterr, k, "ANSWER-002", 0, "out of memory");
        if (k < 0)
                return fault_set(reterr, -EBADMSG, "ANSWER-002", why.at, "an event is not strict JSON: %s",
                                 why.text);
        return take_chunk(r, json_root(r->document), out, reterr);
}

int relay_write(const struct relay *r, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        write_head(&w, r, "chat.completion");
        json_key(&w, "choices");
        json_array_begin(&w);
        json_object_begin(&w);
        json_member_u64(&w, "index", 0);
        json_key(&w, "message");
        json_object_begin(&w);
        json_member_string(&w, "role", "assistant");
        json_member_view(&w, "content", buf_view(&r->text));
        if (r->reasoning.n > 0)
                json_member_view(&w, "reasoning_content", buf_view(&r->reasoning));
        json_object_end(&w);
        json_member_string(&w, "finish_reason", r->finish_reason);
        json_object_end(&w);
        json_array_end(&w);
        write_numbers(&w, "usage", &r->usage);
        write_numbers(&w, "timings", &r->timings);
        json_object_end(&w);
        return json_write_end(&w);
}
