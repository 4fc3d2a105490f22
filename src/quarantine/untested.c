#include "quarantine/untested.h"

#include "base/text.h"

#include <stdarg.h>

static const char *const titles[STAGES + 1] = {"",           "Source policy", "Format",    "Integrity",
                                               "Provenance", "Static scan",   "Behaviour", "Image models"};

static void say(struct untested *u, const char *format, ...) SAI_PRINTF(2, 3);
static void say(struct untested *u, const char *format, ...) {
        size_t fault;
        va_list ap;

        if (u->n == UNTESTED_MAX)
                return;
        va_start(ap, format);
        (void)vsnprintf(u->text[u->n], UNTESTED_TEXT_SIZE, format, ap);
        va_end(ap);
        fault = utf8_first_fault(view_of(u->text[u->n])); /* cut within a character */
        if (fault != SIZE_MAX)
                u->text[u->n][fault] = '\0';
        u->n++;
}

static bool has_rule(const struct stage *s, const char *rule) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->findings[i].rule, rule) == 0)
                        return true;
        return false;
}

/* Why a stage has no result, as it said itself, without the full stop. */
static struct view reason_of(const struct stage *s) {
        struct view v = s->n > 0 ? view_of(s->findings[s->n - 1].message) : VIEW_NULL;

        while (v.n > 0 && v.p[v.n - 1] == '.')
                v.n--;
        return v;
}

static unsigned first_failed(const struct verdict *v) {
        for (unsigned i = 1; i <= STAGES; i++)
                if (v->stages[i].status == STAGE_FAIL)
                        return i;
        return 0;
}

static void tell_missing(const struct verdict *v, unsigned i, struct untested *u) {
        struct view reason = reason_of(&v->stages[i]);
        unsigned failed = first_failed(v);

        if (i > v->last_stage)
                say(u, "%s (stage %u) was not asked for.", titles[i], i);
        else if (reason.n > 0)
                say(u, "%s (stage %u) did not run: %.*s.", titles[i], i, VIEW_ARG(reason));
        else if (failed)
                say(u, "%s (stage %u) did not run, since stage %u had refused the artifact already.",
                    titles[i], i, failed);
        else
                say(u, "%s (stage %u) did not run.", titles[i], i);
}

static void tell_stages(const struct verdict *v, struct untested *u) {
        for (unsigned i = 1; i <= STAGES; i++) {
                const struct stage *s = &v->stages[i];

                if (s->status == STAGE_NOT_RUN)
                        tell_missing(v, i, u);
                else if (s->status == STAGE_NOT_APPLICABLE && s->n > 0)
                        say(u, "%s (stage %u) does not apply: %.*s.", titles[i], i, VIEW_ARG(reason_of(s)));
                else if (s->status == STAGE_NOT_APPLICABLE)
                        say(u, "%s (stage %u) does not apply.", titles[i], i);
        }
}

static bool has_result(const struct stage *s) {
        return s->status == STAGE_PASS || s->status == STAGE_FAIL;
}

/* What the stages that ran can't see by their nature. */
static void tell_limits(const struct verdict *v, struct untested *u) {
        const struct stage *provenance = &v->stages[STAGE_PROVENANCE], *scan = &v->stages[STAGE_STATIC];

        if (has_result(provenance) && !has_rule(provenance, "PROVENANCE-001") &&
            !has_rule(&v->stages[STAGE_INTEGRITY], "INTEGRITY-003"))
                say(u, "Whether this is what its publisher made: no trusted signature covers it, and its "
                       "content is "
                       "not pinned.");
        if (has_result(scan)) {
                say(u,
                    "Signature rules saw what lies within %zu KiB of their strings, not all combinations "
                    "over the "
                    "whole file.",
                    SCAN_WINDOW_REACH >> 10);
                say(u, "What the weights have learnt can't be read from them: a trigger that the prompts of "
                       "stage 6 "
                       "don't hold stays unseen.");
        }
        for (unsigned i = 1; i <= STAGES; i++)
                if (has_rule(&v->stages[i], "SCAN-002"))
                        say(u, "More was found than is listed (SCAN-002).");
        if (has_result(&v->stages[STAGE_BEHAVIOUR]))
                say(u,
                    "The behavioural test asked a sample of prompts; an answer to any other was not judged.");
}

void untested_find(const struct verdict *v, struct untested *ret) {
        ret->n = 0;
        tell_stages(v, ret);
        if (first_failed(v) == 0) /* of what was refused nobody takes the rest for granted */
                tell_limits(v, ret);
}
