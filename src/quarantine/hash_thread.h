/* hash_thread: SHA-256 over the slots of a ring on a thread of its own, in order, beside the worker that parses them. */
#pragma once

#include "core/digest.h"
#include "quarantine/ring.h"

struct hash_thread; /* opaque */

SAI_NODISCARD int hash_thread_new(const struct ring *ring, struct hash_thread **ret);
/* The next slot holds `n` bytes. */
void hash_thread_publish(struct hash_thread *h, size_t n);
uint64_t hash_thread_done_slots(struct hash_thread *h); /* hashed so far: those may be overwritten */
/* Becomes readable (eventfd) after each slot. */
int hash_thread_event_fd(const struct hash_thread *h);
/* Waits for all published slots. */
SAI_NODISCARD int hash_thread_finish(struct hash_thread *h, struct sha256 *ret);
struct hash_thread *hash_thread_free(struct hash_thread *h); /* stops it wherever it is */
static inline void hash_thread_freep(struct hash_thread **h) {
        *h = hash_thread_free(*h);
}
