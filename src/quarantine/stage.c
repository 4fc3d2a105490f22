#include "quarantine/stage.h"

#include "base/text.h"

#include <stdarg.h>

static const char *const names[STAGES + 1] = {
        "",           "source_policy", "format_gate",     "integrity_check",
        "provenance", "static_scan",   "behavioral_test", "diffusion_scan"};
static const char *const statuses[STAGE_STATUS_MAX] = {"not_run", "pass", "fail", "not_applicable"};

const char *stage_name(unsigned number) {
        return number <= STAGES ? names[number] : "";
}

const char *stage_status_name(enum stage_status s) {
        return statuses[s];
}

void stage_done(struct stage *s) {
        free(s->findings);
        *s = (struct stage){0};
}

int stage_put(struct stage *s, const struct finding *f) {
        if (s->n == FINDINGS_STORED_MAX) {
                size_t at;

                for (at = 0; at < s->n && s->findings[at].severity >= f->severity; at++)
                        ;
                if (at == s->n)
                        return 0;
                s->findings[at] = *f;
                return 0;
        }
        if ((s->n & (s->n - 1)) == 0) { /* capacity is the next power of two */
                struct finding *more = reallocarray(s->findings, s->n ? 2 * s->n : 1, sizeof *more);

                if (!more)
                        return -ENOMEM;
                s->findings = more;
        }
        s->findings[s->n++] = *f;
        return 0;
}

/* A text that was cut to fit must not end in half a character. */
static void cut_to_whole_characters(char *text) {
        size_t fault = utf8_first_fault(view_of(text));

        if (fault != SIZE_MAX)
                text[fault] = '\0';
}

int stage_say(struct stage *s, unsigned number, enum finding_severity severity, const char *rule,
              const char *format, ...) {
        struct finding f = {.stage = number, .severity = severity, .at = UINT64_MAX};
        va_list ap;

        (void)snprintf(f.rule, sizeof f.rule, "%s", rule);
        va_start(ap, format);
        (void)vsnprintf(f.message, sizeof f.message, format, ap);
        va_end(ap);
        cut_to_whole_characters(f.message);
        return stage_put(s, &f);
}

void stage_settle(struct stage *s) {
        s->status = STAGE_PASS;
        for (size_t i = 0; i < s->n; i++)
                if (s->findings[i].severity == FINDING_REJECT)
                        s->status = STAGE_FAIL;
}

static void write_finding(struct json_writer *w, const struct finding *f) {
        json_object_begin(w);
        json_member_string(w, "rule", f->rule);
        json_member_string(w, "severity", finding_severity_name(f->severity));
        json_member_string(w, "message", f->message);
        json_key(w, "at");
        if (f->at == UINT64_MAX)
                json_put_null(w);
        else
                json_put_u64(w, f->at);
        json_member_string(w, "tensor", f->tensor);
        json_object_end(w);
}

void stage_write(struct json_writer *w, unsigned number, const struct stage *s) {
        json_object_begin(w);
        json_member_u64(w, "stage", number);
        json_member_string(w, "name", stage_name(number));
        json_member_string(w, "status", stage_status_name(s->status));
        json_member_u64(w, "bytes", s->bytes);
        json_member_u64(w, "ms", s->msec);
        json_key(w, "findings");
        json_array_begin(w);
        for (size_t i = 0; i < s->n; i++)
                write_finding(w, &s->findings[i]);
        json_array_end(w);
        json_object_end(w);
}

static int find_name(struct view v, const char *const *list, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (view_eq_str(v, list[i]))
                        return (int)i;
        return -EBADMSG;
}

static int read_severity(struct view v, enum finding_severity *ret) {
        for (int s = FINDING_INFO; s < FINDING_SEVERITY_MAX; s++)
                if (view_eq_str(v, finding_severity_name((enum finding_severity)s))) {
                        *ret = (enum finding_severity)s;
                        return 0;
                }
        return -EBADMSG;
}

static void copy_text(char *out, size_t n, struct view v) {
        (void)snprintf(out, n, "%.*s", (int)MIN_OF(v.n, n - 1), v.p ? v.p : "");
}

static int read_finding(const struct json *o, unsigned number, struct finding *f) {
        const struct json *at = json_get(o, "at");
        int r;

        *f = (struct finding){.stage = number, .at = UINT64_MAX};
        r = read_severity(json_get_view(o, "severity", VIEW_NULL), &f->severity);
        if (r < 0 || !at)
                return -EBADMSG;
        if (at->type == JSON_NUMBER && at->is_integer)
                f->at = at->integer;
        copy_text(f->rule, sizeof f->rule, json_get_view(o, "rule", VIEW_NULL));
        copy_text(f->message, sizeof f->message, json_get_view(o, "message", VIEW_NULL));
        copy_text(f->tensor, sizeof f->tensor, json_get_view(o, "tensor", VIEW_NULL));
        return 0;
}

int stage_read(const struct json *o, unsigned number, struct stage *ret) {
        const struct json *list = json_get_typed(o, "findings", JSON_ARRAY);
        int status = find_name(json_get_view(o, "status", VIEW_NULL), statuses, STAGE_STATUS_MAX), r = 0;
        struct stage s = {0};
        uint64_t n;

        if (status < 0 || !list || json_get_u64(o, "stage", &n) < 0 || n != number ||
            json_get_u64(o, "bytes", &s.bytes) < 0 || json_get_u64(o, "ms", &s.msec) < 0)
                return -EBADMSG;
        s.status = (enum stage_status)status;
        for (const struct json *c = list->child; c && r >= 0; c = c->next) {
                struct finding f;

                r = read_finding(c, number, &f);
                if (r >= 0)
                        r = stage_put(&s, &f);
        }
        if (r < 0) {
                stage_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}
