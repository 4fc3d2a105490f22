/* scan_run: one scan over bytes in memory, cut into pieces of a given size, with everything that it found. */
#pragma once

#include "model/scan.h"

struct scan_run {
        struct model_summary summary;
        size_t n; /* findings */
        bool rejected;
        struct finding findings[FINDINGS_MAX];
};

/* Asserts that the scan itself works. `piece` 0: all at once. */
void scan_run(struct view bytes, const char *name, size_t piece, struct scan_run *ret);
bool scan_run_has(const struct scan_run *s, const char *rule);
/* All findings on standard error, for a test that is about to fail. */
void scan_run_print(const struct scan_run *s);
/* Same findings in the same order, and the same summary. */
bool scan_run_equal(const struct scan_run *a, const struct scan_run *b);
