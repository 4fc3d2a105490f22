/* report: turns what a reader noticed into findings, by the catalogue, at most FINDINGS_PER_RULE_MAX a rule.
 * */
#pragma once

#include "model/limits.h"
#include "model/rules.h"

#define REPORT_INSIDE_MAX 64

struct model_report {
        const struct finding_sink *sink;
        uint32_t member; /* of a folder that the findings are about, + 1; 0: none */
        char inside
                [REPORT_INSIDE_MAX]; /* escaped path of the archive's member that is read; "": the file itself */
        uint32_t counts[MODEL_RULE_MAX];
};

#define REPORT_WHOLE UINT64_MAX /* the file as a whole, not one place in it */

/* Of a member of an archive the offset is said in words (`In "a/b.pkl" at 12: …`): it is none of the file's own.
 * `tensor` is hostile and is escaped here; text from the file inside the message goes through report_quote.
 * */
void report_put(struct model_report *r, enum model_rule rule, uint64_t at, struct view tensor,
                const char *format, ...) SAI_PRINTF(5, 6);
/* The same with another severity than the catalogue's: where policy sets the limits. */
void report_put_as(struct model_report *r, enum model_rule rule, enum finding_severity severity, uint64_t at,
                   struct view tensor, const char *format, ...) SAI_PRINTF(6, 7);
/* Past the cap of a rule the words need not even be put together: a hostile file has one for every few bytes. */
static inline bool report_is_full(const struct model_report *r, enum model_rule rule) {
        return r->counts[rule] >= FINDINGS_PER_RULE_MAX;
}
/* True once a finding of severity reject was put. */
bool report_rejected(const struct model_report *r);

#define QUOTE_MAX 96
struct quote {
        char text[QUOTE_MAX];
};
/* Hostile text for people, escaped, cut to `size` - 1 bytes and NUL-terminated. */
void report_escape(char *out, size_t size, struct view v);
struct quote report_quote(struct view v);
