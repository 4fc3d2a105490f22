/* npy: NumPy's array file: whether its elements are Python objects, which are a pickle, and what that does. Streaming. */
#pragma once

#include "model/report.h"

struct npy; /* opaque */

/* `base`: where the array begins in its file, `size`: of the array with its header, PICKLE_SIZE_UNKNOWN until finish.
 * -ENOMEM. */
SAI_NODISCARD int npy_new(struct model_report *report, uint64_t base, uint64_t size, struct npy **ret);
SAI_NODISCARD int npy_feed(struct npy *a, struct view bytes); /* -ENOMEM */
void npy_finish(struct npy *a);
struct npy *npy_free(struct npy *a); /* NULL is fine; returns NULL */
