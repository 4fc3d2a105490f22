/* safetensors: strict streaming reader of safetensors files, rules SAFETENSORS-S1 to S12 of the catalogue,
 * and WEIGHTS-001. Pure; 64 bytes a tensor, a set of names while the header is read, else constant memory. */
#pragma once

#include "model/report.h"
#include "model/scan.h"

struct safetensors; /* opaque; free with safetensors_free */

/* `size` of the whole file; findings go to `report`, facts to `summary` (both borrowed until the end).
 * -ENOMEM. */
SAI_NODISCARD int safetensors_new(uint64_t size, struct model_report *report, struct model_summary *summary,
                                  struct safetensors **ret);
struct safetensors *safetensors_free(struct safetensors *s); /* NULL is fine; returns NULL */
static inline void safetensors_freep(struct safetensors **s) {
        *s = safetensors_free(*s);
}
/* The next bytes in order. After a structural fault the rest is ignored. -ENOMEM. */
SAI_NODISCARD int safetensors_feed(struct safetensors *s, struct view bytes);
/* After the last byte: reports a file that ended too early. */
void safetensors_finish(struct safetensors *s);
