/* hash_set: remembers which keys were seen, in 16 bytes a key, with a keyed 128-bit hash (SipHash-2-4-128).
 * For duplicate detection in hostile formats: an attacker who does not know the per-process key can neither make
 * collisions nor long probe chains. Not thread-safe. */
#pragma once

#include "base/view.h"

struct hash_set; /* opaque; free with hash_set_free */

/* At most `max` keys. -ENOMEM. */
SAI_NODISCARD int hash_set_new(size_t max, struct hash_set **ret);
struct hash_set *hash_set_free(struct hash_set *s); /* NULL is fine; returns NULL */
static inline void hash_set_freep(struct hash_set **s) {
        *s = hash_set_free(*s);
}
/* 1 when the key is new, 0 when it was there already, -E2BIG past `max`, -ENOMEM. */
SAI_NODISCARD int hash_set_add(struct hash_set *s, struct view key);
size_t hash_set_count(const struct hash_set *s);
void hash_set_clear(struct hash_set *s);
/* SipHash-2-4 with 128-bit output (Aumasson, Bernstein). */
void siphash_128(const uint8_t key[16], struct view v, uint64_t out[2]);
