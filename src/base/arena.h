/* arena: many small allocations with one cap and one free. Not thread-safe. */
#pragma once

#include "base/view.h"

struct arena; /* opaque; free with arena_free */

/* An arena that hands out at most `max` bytes in all. -ENOMEM. */
SAI_NODISCARD int arena_new(size_t max, struct arena **ret);
struct arena *arena_free(struct arena *a); /* NULL is fine; returns NULL */
void arena_clear(struct arena *a);         /* everything handed out is gone; keeps one block for reuse */
static inline void arena_freep(struct arena **a) {
        *a = arena_free(*a);
}
/* Zeroed memory aligned to 16 bytes; NULL when out of memory or past the cap. */
SAI_NODISCARD void *arena_alloc(struct arena *a, size_t n);
/* Not zeroed, unaligned: for bytes of text. */
SAI_NODISCARD char *arena_alloc_bytes(struct arena *a, size_t n);
/* Copies with a NUL behind it (which does not count); p is NULL on failure. */
struct view arena_copy(struct arena *a, struct view v);
size_t arena_used(const struct arena *a);
