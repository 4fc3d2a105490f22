/* sarif: verdicts of several files as one SARIF 2.1.0 log, for tools that collect the findings of scanners. The tool's rules
 * are the catalogue; a finding's place is a byte offset. What has no place in SARIF (stages, verdict, policy) stands in the
 * properties of the file's entry. Pure: writes into a buffer that the caller may empty after each call. */
#pragma once

#include "quarantine/verdict.h"

struct sarif {
        struct json_writer w;
        struct buf files; /* entries of run.artifacts, which come behind the results */
        size_t n;
};

/* `out` is borrowed until sarif_end. */
void sarif_begin(struct sarif *s, struct buf *out);
/* `path` as it was given: bytes. -ENOMEM / -EFBIG: sarif_end will say so too, nothing can follow. */
SAI_NODISCARD int sarif_put(struct sarif *s, const char *path, uint64_t size, const struct verdict *v);
/* Exit code 0 or 1: the scan did what it should; 2: something is missing from the log. */
SAI_NODISCARD int sarif_end(struct sarif *s, int exit_code);
void sarif_done(struct sarif *s);
