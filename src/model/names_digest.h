/* names_digest: one number for the names of all tensors of a file, whatever their order, so that what an index promises
 * can be held against what a shard has. Each name's SHA-256 is cut to 16 bytes; these are sorted and
 * hashed once more. Pure; 16 bytes a name. */
#pragma once

#include "base/buf.h"

#define NAMES_DIGEST_MAX  32u
#define NAMES_DIGEST_HASH 16u

struct names_digest {
        struct buf hashes;
};

/* At most `max` names. */
void names_digest_init(struct names_digest *d, size_t max);
void names_digest_done(struct names_digest *d);
/* -ENOMEM, -EFBIG. */
SAI_NODISCARD int names_digest_add(struct names_digest *d, struct view name);
/* Sorts, writes the digest and lets go of the names. */
void names_digest_final(struct names_digest *d, uint8_t ret[NAMES_DIGEST_MAX]);

/* The two steps alone: one name; `n` sorted hashes of NAMES_DIGEST_HASH bytes, `stride` bytes apart. */
void names_digest_hash(struct view name, uint8_t ret[NAMES_DIGEST_HASH]);
void names_digest_of_sorted(const uint8_t *hashes, size_t n, size_t stride, uint8_t ret[NAMES_DIGEST_MAX]);
