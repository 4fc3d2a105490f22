/* pickle_machine: follows all 68 opcodes of Python's pickle (protocols 0 to 5) without running anything, on an
 * abstract stack and memo, and says which names the pickle imports, where, and whether it calls them. What can't
 * be followed is a finding itself: it never gives up silently. Streaming; linear time; memory bounded by the
 * PICKLE_ limits of limits.h, whatever the input. */
#pragma once

#include "model/report.h"

struct pickle_machine; /* opaque */

#define PICKLE_SIZE_UNKNOWN UINT64_MAX

/* `base`: where the pickle begins in its file, `size`: how many bytes will come (PICKLE_SIZE_UNKNOWN: until finish).
 * `report` stays the caller's. -ENOMEM. */
SAI_NODISCARD int pickle_machine_new(struct model_report *report, uint64_t base, uint64_t size,
                                     struct pickle_machine **ret);
/* Next bytes in order, in any pieces: what is found does not depend on them. -ENOMEM. */
SAI_NODISCARD int pickle_machine_feed(struct pickle_machine *m, struct view bytes);
/* After the last byte: names what was imported. Once. */
void pickle_machine_finish(struct pickle_machine *m);
struct pickle_machine *pickle_machine_free(struct pickle_machine *m); /* NULL is fine; returns NULL */
static inline void pickle_machine_freep(struct pickle_machine **m) {
        *m = pickle_machine_free(*m);
}
