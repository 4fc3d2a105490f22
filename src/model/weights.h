/* weights: finds numbers that are not numbers (NaN, infinity) in tensors: among the elements of float tensors
 * and among the block scales of quantised ones. Streaming: bytes in any pieces. Pure, constant memory. */
#pragma once

#include "base/view.h"

enum weights_numbers {
        WEIGHTS_INTEGERS, /* nothing to find */
        WEIGHTS_F16,
        WEIGHTS_BF16,
        WEIGHTS_F32, /* also each half of a complex number */
        WEIGHTS_F64,
        WEIGHTS_F8_E5M2,      /* has infinities */
        WEIGHTS_F8_E4M3,      /* NaN is 0x7f and 0xff, no infinity */
        WEIGHTS_F8_FNUZ,      /* NaN is 0x80 */
        WEIGHTS_F8_E8M0,      /* NaN is 0xff */
        WEIGHTS_HALF_SCALES,  /* blocks with binary16 scales at `at` */
        WEIGHTS_FLOAT_SCALE,  /* blocks that begin with a binary32 scale */
        WEIGHTS_E8M0_SCALE,   /* blocks that begin with an E8M0 scale */
        WEIGHTS_UE4M3_SCALES, /* blocks that begin with four UE4M3 scales */
        WEIGHTS_IQ1_M,        /* a binary16 spread over the top nibbles of four words at 48 */
        WEIGHTS_NUMBERS_MAX
};

struct weights_layout {
        enum weights_numbers numbers;
        uint8_t scales;
        uint8_t at[2];
        uint8_t code_bits; /* 4 or 8: the block's codes lie in whole nibbles or signed bytes; 0: otherwise */
        uint8_t codes_at;  /* the first of them */
        uint16_t codes_n;  /* bytes of codes */
};

#define WEIGHTS_BLOCK_MAX 292u

struct weights {
        const struct weights_layout *layout; /* static */
        size_t block;                        /* bytes of a block or element */
        uint64_t at;                         /* file offset of the next byte */
        uint64_t count;                      /* bad numbers so far */
        uint64_t first;                      /* file offset of the first one, when count > 0 */
        uint32_t peak; /* F16, BF16, F32: bits of the largest magnitude, without the sign */
        size_t carried;
        uint8_t carry[WEIGHTS_BLOCK_MAX]; /* a block cut by the border between two pieces */
};

/* `block` bytes (1..WEIGHTS_BLOCK_MAX) a block; the tensor's first byte is at file offset `at`. */
void weights_begin(struct weights *w, const struct weights_layout *layout, size_t block, uint64_t at);
void weights_feed(struct weights *w, struct view bytes);
