#include "model/report.h"

#include <stdarg.h>

#include "base/buf.h"
#include "base/text.h"
#include "model/limits.h"

/* Cuts a string at `n` bytes or less, never inside a code point. */
static size_t cut_at(const char *text, size_t n) {
        size_t good = 0;
        uint32_t c;

        for (;;) {
                size_t step = utf8_decode(view_make(text + good, n - good), &c);

                if (step == 0)
                        return good;
                good += step;
        }
}

void report_escape(char *out, size_t size, struct view v) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(16 * (size_t)256);
        size_t n;

        out[0] = '\0';
        if (buf_append_escaped(&text, v, MIN_OF(size, (size_t)256)) < 0)
                return;
        n = cut_at(buf_str(&text), MIN_OF(text.n, size - 1));
        memcpy(out, buf_str(&text), n);
        out[n] = '\0';
}

struct quote report_quote(struct view v) {
        struct quote q = {""};

        report_escape(q.text, sizeof q.text, v);
        return q;
}

/* Says where inside an archive it is; bytes of the message. */
static size_t put_place(const struct model_report *r, struct finding *f) {
        uint64_t at = f->at;
        int n;

        if (!r->inside[0])
                return 0;
        f->at = REPORT_WHOLE;
        n = at == REPORT_WHOLE ? snprintf(f->message, sizeof f->message, "In \"%s\": ", r->inside)
                               : snprintf(f->message, sizeof f->message, "In \"%s\" at %llu: ", r->inside,
                                          (unsigned long long)at);
        return (size_t)n;
}

static SAI_PRINTF(6, 0) void put(struct model_report *r, enum model_rule rule, enum finding_severity severity,
                                 uint64_t at, struct view tensor, const char *format, va_list ap) {
        const struct model_rule_text *t = model_rule_get(rule);
        struct finding f = {.stage = t->stage, .severity = severity, .at = at, .member = r->member};
        size_t said;
        int n;

        if (r->counts[rule]++ >= FINDINGS_PER_RULE_MAX && severity <= t->severity)
                return;
        (void)snprintf(f.rule, sizeof f.rule, "%s", t->id);
        report_escape(f.tensor, sizeof f.tensor, tensor);
        said = put_place(r, &f);
        n = vsnprintf(f.message + said, sizeof f.message - said, format, ap);
        if (n >= (int)(sizeof f.message - said))
                f.message[cut_at(f.message, sizeof f.message - 1)] = '\0';
        r->sink->put(r->sink->userdata, &f);
}

void report_put(struct model_report *r, enum model_rule rule, uint64_t at, struct view tensor,
                const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        put(r, rule, model_rule_get(rule)->severity, at, tensor, format, ap);
        va_end(ap);
}

void report_put_as(struct model_report *r, enum model_rule rule, enum finding_severity severity, uint64_t at,
                   struct view tensor, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        put(r, rule, severity, at, tensor, format, ap);
        va_end(ap);
}

bool report_rejected(const struct model_report *r) {
        for (size_t i = 0; i < MODEL_RULE_MAX; i++)
                if (r->counts[i] > 0 && model_rule_get((enum model_rule)i)->severity == FINDING_REJECT)
                        return true;
        return false;
}
