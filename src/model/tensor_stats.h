/* tensor_stats: what a tensor's bytes look like, from a sample: one piece of at most TENSOR_PIECE bytes at the start of
 * each TENSOR_STEP bytes of the tensor (all of it when it has at most one window), cut to whole blocks. Streaming: bytes in
 * any pieces. Pure, constant memory, no division of hostile numbers by zero, no arithmetic that traps. */
#pragma once

#include "model/tensor_record.h"
#include "model/weights.h"

#define STATS_PLANES 8u /* low bits of a number that are looked at */
#define STATS_PHASES 8u /* a text hidden in them has a period that divides eight numbers */
#define STATS_LANES  8u

struct tensor_stats {
        const struct weights_layout *layout; /* static */
        size_t block;
        uint64_t bytes; /* of the tensor */
        uint64_t at;    /* of the next byte, from the tensor's start */
        uint64_t step, piece_at;
        size_t piece_n, have;
        uint8_t piece[TENSOR_PIECE];

        /* the window */
        uint64_t window;
        bool window_open, window_constant;
        uint32_t histogram[4][256];                  /* by the place of a byte within four */
        uint32_t planes[STATS_PLANES][STATS_PHASES]; /* ones */
        uint32_t window_numbers;
        uint8_t first[WEIGHTS_BLOCK_MAX]; /* block of the tensor */
        bool have_first;

        /* the tensor */
        uint64_t windows, constant_windows, hidden_windows, zero_low, mixed_low;
        double entropy_min, entropy_max, entropy_sum;
        double entropy_judged; /* highest of a window with enough of a sample */
        uint64_t sampled, zeros, codes, extremes;
        double sum[STATS_LANES], squares[STATS_LANES];
        float least[STATS_LANES], most[STATS_LANES];
        float values[TENSOR_PIECE +
                     STATS_LANES]; /* of a piece; here so that it need not be cleared each time */
        uint8_t low[TENSOR_PIECE];
        float eighth[256];        /* values of an 8-bit float format */
        uint32_t magnitudes[256]; /* pieces by the exponent of their numbers' root mean square */
        float shift; /* moments are taken about it, so that a large mean does not swallow the deviation */
};

void tensor_stats_begin(struct tensor_stats *s, const struct weights_layout *layout, size_t block,
                        uint64_t bytes);
void tensor_stats_feed(struct tensor_stats *s, struct view bytes);
/* What a number of this tensor typically measures: the median of its pieces' root mean squares, to a power of two, so that
 * numbers which stand out don't shift it. 0: unknown. */
double tensor_stats_magnitude(const struct tensor_stats *s);
/* After the last byte; fills the record's statistics, not its flags. */
void tensor_stats_end(struct tensor_stats *s, struct tensor_record *ret);
