/* hash_thread: reads a file into the slots of a ring, in order, and hashes each slot, on a thread of its own. Reading and hashing
 * on one core keep the bytes in its cache; a slot is announced before it is hashed, so that the worker parses beside. */
#pragma once

#include "core/digest.h"
#include "quarantine/ring.h"

struct hash_thread; /* opaque */

/* `fd` is borrowed and read with pread from 0 to `size`. */
SAI_NODISCARD int hash_thread_new(const struct ring *ring, int fd, uint64_t size, struct hash_thread **ret);
/* The first `slots` slots of the file may be read (running total): what lay in the ring before them is let go. */
void hash_thread_allow(struct hash_thread *h, uint64_t slots);
/* Slots that hold their bytes. Negative: reading failed; -ESTALE when the file is shorter than `size`. */
SAI_NODISCARD int hash_thread_filled(struct hash_thread *h, uint64_t *ret_slots);
/* Becomes readable (eventfd) when a slot is filled or reading failed. */
int hash_thread_event_fd(const struct hash_thread *h);
/* Waits until all of it is hashed; everything must have been allowed. */
SAI_NODISCARD int hash_thread_finish(struct hash_thread *h, struct sha256 *ret);
struct hash_thread *hash_thread_free(struct hash_thread *h); /* stops it wherever it is */
static inline void hash_thread_freep(struct hash_thread **h) {
        *h = hash_thread_free(*h);
}
