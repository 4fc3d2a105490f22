/* report: turns what a reader noticed into findings, by the catalogue, at most FINDINGS_PER_RULE_MAX a rule.
 * */
#pragma once

#include "model/rules.h"

struct model_report {
        const struct finding_sink *sink;
        uint32_t member; /* of a folder that the findings are about, + 1; 0: none */
        uint32_t counts[MODEL_RULE_MAX];
};

#define REPORT_WHOLE UINT64_MAX /* the file as a whole, not one place in it */

/* `tensor` is hostile and is escaped here; text from the file inside the message goes through report_quote.
 * */
void report_put(struct model_report *r, enum model_rule rule, uint64_t at, struct view tensor,
                const char *format, ...) SAI_PRINTF(5, 6);
/* The same with another severity than the catalogue's: where policy sets the limits. */
void report_put_as(struct model_report *r, enum model_rule rule, enum finding_severity severity, uint64_t at,
                   struct view tensor, const char *format, ...) SAI_PRINTF(6, 7);
/* True once a finding of severity reject was put. */
bool report_rejected(const struct model_report *r);

#define QUOTE_MAX 96
struct quote {
        char text[QUOTE_MAX];
};
/* Hostile text for people, escaped, cut to `size` - 1 bytes and NUL-terminated. */
void report_escape(char *out, size_t size, struct view v);
struct quote report_quote(struct view v);
