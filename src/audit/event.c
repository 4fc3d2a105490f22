#include "audit/event.h"

#include "audit/limits.h"

void event_done(struct event *e) {
        buf_done(&e->subject);
        buf_done(&e->detail);
}

static int refuse(struct fault *f, const char *text) {
        return fault_set(f, -EINVAL, "AUDIT-E01", 0, "%s", text);
}

/* The log's own records are made by the log alone. */
static bool is_own_event(struct view event) {
        return view_eq_str(event, AUDIT_EVENT_CHECKPOINT) || view_starts(event, VIEW("log_"));
}

static bool rule_is_valid(struct view rule) {
        if (rule.n == 0 || rule.n > AUDIT_RULE_MAX)
                return false;
        for (size_t i = 0; i < rule.n; i++) {
                char c = rule.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.' || c == ':'))
                        return false;
        }
        return true;
}

static int put_text(struct json_writer *w, struct view text) {
        _cleanup_(buf_donep) struct buf safe = BUF_INIT(16 * AUDIT_DETAIL_TEXT_MAX);
        int r = buf_append_escaped(&safe, text, AUDIT_DETAIL_TEXT_MAX);

        if (r >= 0)
                json_put_view(w, buf_view(&safe));
        return r;
}

static int put_key(struct json_writer *w, struct view key) {
        _cleanup_(buf_donep) struct buf safe = BUF_INIT(16 * AUDIT_RULE_MAX);
        int r = buf_append_escaped(&safe, key, AUDIT_RULE_MAX);

        if (r >= 0)
                json_key_view(w, buf_view(&safe));
        return r;
}

/* Copies a value with its texts escaped and cut. Recursion is bounded by `depth`. */
static int put_value(struct json_writer *w, const struct json *v, unsigned depth) {
        bool object = v->type == JSON_OBJECT;
        int r = 0;

        if (v->type == JSON_STRING)
                return put_text(w, v->text);
        if (!object && v->type != JSON_ARRAY) {
                json_put_value(w, v);
                return 0;
        }
        if (depth == 0)
                return -E2BIG;
        if (object)
                json_object_begin(w);
        else
                json_array_begin(w);
        for (const struct json *c = v->child; c && r >= 0; c = c->next) {
                if (object)
                        r = put_key(w, c->key);
                if (r >= 0)
                        r = put_value(w, c, depth - 1);
        }
        if (object)
                json_object_end(w);
        else
                json_array_end(w);
        return r;
}

static int read_detail(const struct json *detail, struct event *e, struct fault *f) {
        struct json_writer w = JSON_WRITER(&e->detail);
        int r;

        if (!detail)
                return 0;
        if (detail->type != JSON_OBJECT)
                return refuse(f, "\"detail\" must be an object");
        r = put_value(&w, detail, AUDIT_DETAIL_DEPTH);
        if (r >= 0)
                r = json_write_end(&w);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || e->detail.n > AUDIT_DETAIL_MAX)
                return refuse(f, "\"detail\" is too large or too deep; records hold codes and digests");
        e->entry.detail = buf_view(&e->detail);
        return 0;
}

static int read_subject(const struct json *subject, struct event *e, struct fault *f) {
        int r;

        if (!subject)
                return 0;
        if (subject->type != JSON_STRING)
                return refuse(f, "\"subject\" must be a string");
        r = buf_append_escaped(&e->subject, subject->text, AUDIT_SUBJECT_MAX);
        if (r == -EFBIG)
                return refuse(f, "\"subject\" is too large when escaped");
        e->entry.subject = buf_view(&e->subject);
        return r;
}

static int read_codes(const struct json *body, struct event *e, struct fault *f) {
        const struct json *rule = json_get(body, "rule");

        e->entry.event = json_get_view(body, "event", VIEW_NULL);
        e->entry.decision = json_get_view(body, "decision", VIEW_NULL);
        if (!audit_event_is_valid(e->entry.event))
                return refuse(f, "\"event\" must be snake_case, at most 64 characters");
        if (is_own_event(e->entry.event))
                return refuse(f, "\"event\" is one that only the log itself records");
        if (!audit_decision_is_valid(e->entry.decision))
                return refuse(f, "\"decision\" must be allow, deny, ask, info or error");
        if (!rule || rule->type == JSON_NULL)
                return 0;
        if (rule->type != JSON_STRING || !rule_is_valid(rule->text))
                return refuse(f,
                              "\"rule\" must be an id of at most 64 letters, digits, '-', '_', '.' or ':'");
        e->entry.rule = rule->text;
        return 0;
}

int event_read(const struct json *body, struct view caller, struct event *ret, struct fault *reterr) {
        static const char *const names[] = {"event", "decision", "rule", "subject", "detail", NULL};
        int r;

        if (json_unknown_member(body, names))
                return refuse(reterr,
                              "a record has \"event\", \"decision\", \"rule\", \"subject\" and \"detail\", "
                              "nothing else");
        ret->entry = (struct audit_entry){.caller = caller, .subject = VIEW("")};
        r = read_codes(body, ret, reterr);
        if (r >= 0)
                r = read_subject(json_get(body, "subject"), ret, reterr);
        return r < 0 ? r : read_detail(json_get(body, "detail"), ret, reterr);
}
