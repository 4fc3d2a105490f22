/* sha256: SHA-256 (FIPS 180-4) for code that must not stand on OpenSSL: the readers of hostile files. Services use
 * core/digest. Pure; the processor's SHA instructions are used when it has them. Many messages at once:
 * sha256_lanes. */
#pragma once

#include "base/view.h"

#define SHA256_BYTES       32u
#define SHA256_BLOCK_BYTES 64u

struct sha256_state {
        uint32_t h[8];
        uint64_t n;                        /* bytes taken so far */
        uint8_t block[SHA256_BLOCK_BYTES]; /* n % 64 bytes of a block that is not full yet */
};

void sha256_init(struct sha256_state *s);
void sha256_update(struct sha256_state *s, struct view bytes);
/* Ends the message; the state must be initialised again before it is used for another. */
void sha256_final(struct sha256_state *s, uint8_t out[SHA256_BYTES]);
/* All of it at once. */
void sha256_message(struct view bytes, uint8_t out[SHA256_BYTES]);

#define SHA256_LEVEL_MAX 2
/* For tests: 0 portable code only, 1 SHA instructions, 2 with AVX-512's registers; never above what the processor
 * has. At the start: the most. */
void sha256_set_level(int level);
