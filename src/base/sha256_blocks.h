/* sha256_blocks: what sha256 and sha256_lanes share: the compression function over whole blocks. Internal. */
#pragma once

#include "base/sha256_lanes.h"

struct sha256_lane {
        uint32_t *h; /* the eight words of a state */
        const uint8_t *p;
};

/* `blocks` whole blocks for each of the 1..SHA256_LANES lanes; their `p` is moved on. */
void sha256_compress(struct sha256_lane *lanes, size_t n, size_t blocks);
/* Takes the bytes that belong into a half-full block; *ret_rest = what is left, whole blocks first. */
void sha256_fill(struct sha256_state *s, struct view bytes, struct view *ret_rest);
/* Keeps the bytes after the last whole block. */
void sha256_keep(struct sha256_state *s, struct view tail);
