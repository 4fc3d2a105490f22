#include "inference/chat_request.h"

#include "inference/limits.h"

static uint64_t place(const struct json *v) {
        return v ? v->at : 0;
}

/* --- members that are one value --- */

struct number_rule {
        const char *name;
        double least, most;
        bool integer;
};
static const struct number_rule numbers[] = {
        {"temperature", 0, 5, false},
        {"top_p", 0, 1, false},
        {"top_k", 0, 100000, true},
        {"min_p", 0, 1, false},
        {"max_tokens", 1, CHAT_TOKENS_MAX, true},
        {"max_completion_tokens", 1, CHAT_TOKENS_MAX, true},
        {"seed", 0, UINT32_MAX, true},
        {"frequency_penalty", -2, 2, false},
        {"presence_penalty", -2, 2, false},
        {"repeat_penalty", 0, 5, false},
};

static bool is_null(const struct json *v) {
        return !v || v->type == JSON_NULL; /* clients write null for "not set" */
}

static int check_number(const struct json *body, const struct number_rule *rule, struct fault *reterr) {
        const struct json *v = json_get(body, rule->name);
        double d;

        if (is_null(v))
                return 0;
        if (json_get_double(body, rule->name, &d) < 0 || d < rule->least || d > rule->most ||
            (rule->integer && !v->is_integer))
                return fault_set(reterr, -EBADMSG, "CHAT-003", v->at, "\"%s\" must be %s from %g to %g",
                                 rule->name, rule->integer ? "a whole number" : "a number", rule->least,
                                 rule->most);
        return 0;
}

static int check_numbers(const struct json *body, struct fault *reterr) {
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                int r = check_number(body, &numbers[i], reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_stream(const struct json *body, struct chat_request *c, struct fault *reterr) {
        static const char *const names[] = {"include_usage", NULL};
        const struct json *stream = json_get(body, "stream"), *options = json_get(body, "stream_options");
        const struct json *usage = json_get(options, "include_usage");

        if (!is_null(stream) && stream->type != JSON_BOOL)
                return fault_set(reterr, -EBADMSG, "CHAT-004", place(stream), "\"%s\" must be true or false",
                                 "stream");
        c->stream = !is_null(stream) && stream->boolean;
        if (is_null(options))
                return 0;
        if (options->type != JSON_OBJECT || json_unknown_member(options, names) ||
            (usage && usage->type != JSON_BOOL))
                return fault_set(reterr, -EBADMSG, "CHAT-004", place(options),
                                 "\"%s\" may hold \"include_usage\": true or false only", "stream_options");
        return 0;
}

static int check_model(const struct json *body, struct chat_request *c, struct fault *reterr) {
        const struct json *model = json_get(body, "model");

        if (is_null(model))
                return 0;
        if (model->type != JSON_STRING || model->text.n > MODEL_NAME_MAX)
                return fault_set(reterr, -EBADMSG, "CHAT-005", place(model),
                                 "\"%s\" must be the SHA-256 or the name of a model", "model");
        c->model = model->text;
        return 0;
}

/* --- messages --- */

static bool is_role(struct view v) {
        return view_eq_str(v, "system") || view_eq_str(v, "user") || view_eq_str(v, "assistant");
}

static int check_message(const struct json *m, struct fault *reterr) {
        static const char *const names[] = {"role", "content", NULL};
        const struct json *role = json_get(m, "role"), *content = json_get(m, "content");

        if (m->type != JSON_OBJECT)
                return fault_set(reterr, -EBADMSG, "CHAT-006", place(m), "each of \"%s\" must be an object",
                                 "messages");
        if (json_unknown_member(m, names))
                return fault_set(reterr, -EBADMSG, "CHAT-006", place(m),
                                 "a message has \"role\" and \"content\" only");
        if (!role || role->type != JSON_STRING || !is_role(role->text))
                return fault_set(reterr, -EBADMSG, "CHAT-006", place(m),
                                 "\"%s\" must be \"system\", \"user\" or \"assistant\"", "role");
        if (!content || content->type != JSON_STRING)
                return fault_set(reterr, -EBADMSG, "CHAT-006", place(m), "\"%s\" of a message must be text",
                                 "content");
        return 0;
}

static int check_messages(const struct json *body, struct fault *reterr) {
        const struct json *messages = json_get(body, "messages");

        if (!messages || messages->type != JSON_ARRAY || messages->count == 0)
                return fault_set(reterr, -EBADMSG, "CHAT-002", place(messages),
                                 "\"%s\" must be a list of at least one message", "messages");
        if (messages->count > CHAT_MESSAGES_MAX)
                return fault_set(reterr, -EBADMSG, "CHAT-002", messages->at, "at most %u messages",
                                 CHAT_MESSAGES_MAX);
        for (const struct json *m = messages->child; m; m = m->next) {
                int r = check_message(m, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- stop, response_format --- */

static bool is_stop(const struct json *v) {
        return v->type == JSON_STRING && v->text.n > 0 && v->text.n <= CHAT_STOP_MAX;
}

static int check_stop(const struct json *body, struct fault *reterr) {
        const struct json *stop = json_get(body, "stop");
        bool good;

        if (is_null(stop))
                return 0;
        good = is_stop(stop) || (stop->type == JSON_ARRAY && stop->count <= CHAT_STOPS_MAX);
        for (const struct json *s = stop->type == JSON_ARRAY ? stop->child : NULL; s; s = s->next)
                good = good && is_stop(s);
        if (!good)
                return fault_set(reterr, -EBADMSG, "CHAT-007", stop->at,
                                 "\"stop\" must be a text or a list of at most %u texts of 1 to %zu bytes",
                                 CHAT_STOPS_MAX, CHAT_STOP_MAX);
        return 0;
}

static int check_schema_size(const struct json *schema, struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(CHAT_SCHEMA_MAX);
        struct json_writer w = JSON_WRITER(&text);

        json_put_value(&w, schema);
        if (json_write_end(&w) < 0)
                return fault_set(reterr, -EBADMSG, "CHAT-008", schema->at,
                                 "a schema may have at most %zu bytes", CHAT_SCHEMA_MAX);
        return 0;
}

static int check_format(const struct json *body, struct fault *reterr) {
        static const char *const names[] = {"type", "json_schema", NULL};
        static const char *const schema_names[] = {"name", "description", "strict", "schema", NULL};
        const struct json *format = json_get(body, "response_format");
        const struct json *outer = json_get(format, "json_schema");
        struct view type = json_get_view(format, "type", VIEW_NULL);

        if (is_null(format))
                return 0;
        if (format->type != JSON_OBJECT || json_unknown_member(format, names))
                return fault_set(reterr, -EBADMSG, "CHAT-008", place(format),
                                 "\"%s\" has \"type\" and \"json_schema\" only", "response_format");
        if ((view_eq_str(type, "text") || view_eq_str(type, "json_object")) && !outer)
                return 0;
        if (!view_eq_str(type, "json_schema") || json_unknown_member(outer, schema_names) ||
            !json_get_typed(outer, "schema", JSON_OBJECT))
                return fault_set(
                        reterr, -EBADMSG, "CHAT-008", place(format),
                        "\"%s\" must be of type \"text\", \"json_object\" or \"json_schema\" with a schema",
                        "response_format");
        return check_schema_size(json_get(outer, "schema"), reterr);
}

/* --- all of it --- */

static uint32_t read_max_tokens(const struct json *body) {
        uint64_t n;

        if (json_get_u64(body, "max_completion_tokens", &n) < 0 && json_get_u64(body, "max_tokens", &n) < 0)
                return 0;
        return (uint32_t)MIN_OF(n, (uint64_t)CHAT_TOKENS_MAX);
}

int chat_request_read(const struct json *body, struct chat_request *ret, struct fault *reterr) {
        static const char *const names[] = {
                "model",
                "messages",
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "max_tokens",
                "max_completion_tokens",
                "seed",
                "stop",
                "stream",
                "stream_options",
                "frequency_penalty",
                "presence_penalty",
                "repeat_penalty",
                "response_format",
                NULL,
        };
        struct chat_request c = {.body = body};
        const struct json *unknown = json_unknown_member(body, names);
        _cleanup_(buf_donep) struct buf name = BUF_INIT(256);
        int r;

        if (unknown) {
                if (buf_append_escaped(&name, unknown->key, 40) < 0)
                        buf_clear(&name);
                return fault_set(reterr, -EBADMSG, "CHAT-001", unknown->at,
                                 "\"%s\" is not a setting that is passed on to a model; leave it out",
                                 buf_str(&name));
        }
        r = check_messages(body, reterr);
        if (r == 0)
                r = check_numbers(body, reterr);
        if (r == 0)
                r = check_stream(body, &c, reterr);
        if (r == 0)
                r = check_model(body, &c, reterr);
        if (r == 0)
                r = check_stop(body, reterr);
        if (r == 0)
                r = check_format(body, reterr);
        if (r < 0)
                return r;
        c.max_tokens = read_max_tokens(body);
        *ret = c;
        return 0;
}

static void write_messages(struct json_writer *w, const struct json *messages) {
        json_key(w, "messages");
        json_array_begin(w);
        for (const struct json *m = messages->child; m; m = m->next) {
                json_object_begin(w);
                json_member_view(w, "role", json_get_view(m, "role", VIEW_NULL));
                json_member_view(w, "content", json_get_view(m, "content", VIEW_NULL));
                json_object_end(w);
        }
        json_array_end(w);
}

static void write_member(struct json_writer *w, const struct json *body, const char *name) {
        const struct json *v = json_get(body, name);

        if (is_null(v))
                return;
        json_key(w, name);
        json_put_value(w, v);
}

static void write_numbers(struct json_writer *w, const struct json *body) {
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (strcmp(numbers[i].name, "max_tokens") != 0 &&
                    strcmp(numbers[i].name, "max_completion_tokens") != 0)
                        write_member(w, body, numbers[i].name);
}

int chat_request_write(const struct chat_request *c, uint32_t context, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        uint32_t tokens = c->max_tokens > 0 ? MIN_OF(c->max_tokens, context) : context;

        json_object_begin(&w);
        write_messages(&w, json_get(c->body, "messages"));
        write_numbers(&w, c->body);
        write_member(&w, c->body, "stop");
        write_member(&w, c->body, "response_format");
        json_member_u64(&w, "max_tokens", tokens);
        json_member_bool(&w, "stream", true);
        json_key(&w, "stream_options");
        json_object_begin(&w);
        json_member_bool(&w, "include_usage", true);
        json_object_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}
