/* rules: signature rules (YARA) and the literal matcher (Hyperscan) that decides which bytes YARA gets to see.
 *
 * Every string of every rule must be a literal of RULES_LITERAL_LEAST bytes or more, so that the matcher finds each place
 * where a rule could match. Around each such place libyara looks at a window of SCAN_WINDOW_REACH bytes to each
 * side (windows that touch are joined, up to SCAN_WINDOW_MAX). A rule therefore sees strings that lie up to
 * SCAN_WINDOW_REACH apart together; `filesize` and offsets in conditions mean the window, not the file. Rules that could
 * match without a string, and rules that import modules, are refused.
 * Rules are shipped by the owner of the machine: trusted in intent, checked for mistakes. */
#pragma once

#include "base/fault.h"
#include "model/finding.h"

struct rules; /* opaque */
struct YR_SCANNER;
struct hs_database;

/* Container for the rule files in one memfd: per file u32 length of the name, u32 length of the text, both. */
/* Compiles them. -EBADMSG and *reterr: "file:line: …" in text (cut). */
SAI_NODISCARD int rules_load(struct view container, struct rules **ret, struct fault *reterr);
struct rules *rules_free(struct rules *r);
static inline void rules_freep(struct rules **r) {
        *r = rules_free(*r);
}
size_t rules_count(const struct rules *r);
size_t rules_literal_longest(const struct rules *r);

/* Runs the literal matcher over `bytes`; `hit` gets [start, end) within it, in order of end: magic = -1 for a rule's
 * literal, else the index of a magic number. */
typedef void (*rules_hit)(size_t start, size_t end, int magic, void *userdata);
SAI_NODISCARD int rules_match_literals(struct rules *r, struct view bytes, rules_hit hit, void *userdata);

/* A rule that matched in a window: id, severity and description from its meta, offset within the window. */
struct rule_match {
        unsigned index; /* of the rule */
        const char *id;
        const char *description;
        enum finding_severity severity;
        size_t at;
};
typedef void (*rules_found)(const struct rule_match *m, void *userdata);
SAI_NODISCARD int rules_scan_window(struct rules *r, struct view window, rules_found found, void *userdata);
