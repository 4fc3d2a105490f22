/* show: how values look on a terminal. Pure. Text from outside never reaches a terminal unescaped. All append to a buf
 * and return 0, -ENOMEM or -EFBIG. */
#pragma once

#include "base/buf.h"
#include "wire/json.h"

/* "1.0 MiB" by powers of 1024, one decimal, rounded down; "999 bytes". */
SAI_NODISCARD int show_size(struct buf *out, uint64_t bytes);
/* "0.4 s", "12 s", "3 min 20 s", "2 h 5 min" */
SAI_NODISCARD int show_duration(struct buf *out, uint64_t msec);
/* "[#####.....]  50%"; `width` counts the characters between the brackets. Full only when done == total. */
SAI_NODISCARD int show_bar(struct buf *out, uint64_t done, uint64_t total, unsigned width);
/* One line: escaped and cut. */
SAI_NODISCARD int show_text(struct buf *out, struct view text);
/* Several lines: line feeds and tabs stay, everything else is escaped. Not cut. */
SAI_NODISCARD int show_lines(struct buf *out, struct view text);
/* String member of `o`, escaped; `otherwise` when it isn't there. */
SAI_NODISCARD int show_member(struct buf *out, const struct json *o, const char *key, const char *otherwise);
/* First 12 digits of a SHA-256. */
SAI_NODISCARD int show_short_hash(struct buf *out, struct view sha256);

/* A job of the quarantine: name, state in plain words. */
const char *show_job_state(struct view state); /* static text */
/* The line that a terminal keeps redrawing: "name  stage 5 of 7, static scan  [###...]  42%  1.2 GiB of 2.9 GiB". At most
 * `columns` wide as far as ASCII goes. */
SAI_NODISCARD int show_job_progress(struct buf *out, const struct json *job, unsigned columns);
/* "stage 5 of 7, static scan" or the state. */
SAI_NODISCARD int show_job_step(struct buf *out, const struct json *job);
/* Table of stages: from a job or a verdict; one line each with its findings below, of which at most `most_findings` a
 * stage are shown, those that reject first. */
SAI_NODISCARD int show_stages(struct buf *out, const struct json *stages, uint32_t most_findings);
