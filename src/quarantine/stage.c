#include "quarantine/stage.h"

#include "base/text.h"
#include "core/set_listing.h"

#include <stdarg.h>

static const char *const stage_names[STAGES + 1] = {
        "",           "source_policy", "format_gate",     "integrity_check",
        "provenance", "static_scan",   "behavioral_test", "diffusion_scan"};
static const char *const statuses[STAGE_STATUS_MAX] = {"not_run", "pass", "fail", "not_applicable"};

const char *stage_name(unsigned number) {
        return number <= STAGES ? stage_names[number] : "";
}

const char *stage_status_name(enum stage_status s) {
        return statuses[s];
}

void member_names_done(struct member_names *m) {
        for (size_t i = 0; i < m->n; i++)
                free(m->list[i]);
        free(m->list);
        *m = (struct member_names){0};
}

int member_names_add(struct member_names *m, struct view path, uint32_t *ret_member) {
        char *copy;

        if (m->n == SET_MEMBERS_MAX)
                return -E2BIG;
        if ((m->n & (m->n - 1)) == 0) { /* capacity is the next power of two */
                char **more = reallocarray(m->list, m->n ? 2 * m->n : 1, sizeof *more);

                if (!more)
                        return -ENOMEM;
                m->list = more;
        }
        copy = view_dup(path);
        if (!copy)
                return -ENOMEM;
        m->list[m->n++] = copy;
        *ret_member = (uint32_t)m->n;
        return 0;
}

struct view member_name(const struct member_names *m, uint32_t member) {
        return member > 0 && member <= m->n ? view_of(m->list[member - 1]) : VIEW_NULL;
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

static void write_path(struct json_writer *w, struct view path) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(8 * (size_t)SET_PATH_MAX);

        json_key(w, "file");
        if (!path.p)
                json_put_null(w);
        else if (buf_append_escaped(&shown, path, SET_PATH_MAX) >= 0)
                json_put_view(w, buf_view(&shown));
        else
                w->error = -ENOMEM;
}

static void write_finding(struct json_writer *w, const struct finding *f, const struct member_names *names) {
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
        write_path(w, member_name(names, f->member));
        json_object_end(w);
}

void stage_write(struct json_writer *w, unsigned number, const struct stage *s,
                 const struct member_names *names) {
        json_object_begin(w);
        json_member_u64(w, "stage", number);
        json_member_string(w, "name", stage_name(number));
        json_member_string(w, "status", stage_status_name(s->status));
        json_member_u64(w, "bytes", s->bytes);
        json_member_u64(w, "ms", s->msec);
        json_key(w, "findings");
        json_array_begin(w);
        for (size_t i = 0; i < s->n; i++)
                write_finding(w, &s->findings[i], names);
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

/* A verdict's findings name few members: those of one file mostly follow each other. */
static int read_path(const struct json *o, struct member_names *names, uint32_t *ret) {
        struct view path = json_get_view(o, "file", VIEW_NULL);

        *ret = 0;
        if (!path.p)
                return 0;
        for (size_t i = names->n; i > 0; i--)
                if (view_eq_str(path, names->list[i - 1])) {
                        *ret = (uint32_t)i;
                        return 0;
                }
        return member_names_add(names, path, ret);
}

static int read_finding(const struct json *o, unsigned number, struct member_names *names,
                        struct finding *f) {
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
        return read_path(o, names, &f->member);
}

int stage_read(const struct json *o, unsigned number, struct member_names *names, struct stage *ret) {
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

                r = read_finding(c, number, names, &f);
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
