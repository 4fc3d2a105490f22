/* set_reader: reads one member of a folder that holds no weights: JSON, text, a template, a vocabulary, a
 * picture, a list of numbers. Driven by model_scan, which owns it and has found out what the content is. Pure. */
#pragma once

#include "model/report.h"
#include "model/scan.h"

struct model_set;
struct set_reader; /* opaque; free with set_reader_free */

/* `set` must outlive it. -ENOMEM. */
SAI_NODISCARD int set_reader_new(struct model_set *set, uint32_t member, struct set_reader **ret);
struct set_reader *set_reader_free(struct set_reader *r); /* NULL is fine; returns NULL */
static inline void set_reader_freep(struct set_reader **r) {
        *r = set_reader_free(*r);
}
/* The first bytes are there. 1: the reader takes the file (and may have set another kind); 0: it is weights, or of a
 * kind that is refused in the usual way. -ENOMEM. */
SAI_NODISCARD int set_reader_begin(struct set_reader *r, struct view head, struct model_report *report,
                                   struct model_summary *summary);
/* -ENOMEM. */
SAI_NODISCARD int set_reader_feed(struct set_reader *r, struct view bytes);
SAI_NODISCARD int set_reader_finish(struct set_reader *r);

/* In scan.c: the scan of a member. Content that is no weights goes to `reader` (NULL: there is none), which the
 * scan then owns; untouched on failure. */
SAI_NODISCARD int model_scan_new_member(uint64_t size, struct view name, uint32_t member,
                                        const struct finding_sink *sink, struct set_reader *reader,
                                        struct model_scan **ret);
