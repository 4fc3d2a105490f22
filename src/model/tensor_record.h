/* tensor_record: what is told about one tensor, and the limits that policy sets for it. Plain data: it crosses from the
 * locked worker to quarantine, where it is checked like anything that comes from there. docs/components/weights.md
 * defines every number. */
#pragma once

#include "base/sha256.h"

#define TENSOR_NAME_MAX       128 /* escaped; a longer name is cut and ends in ~ and 16 digits of its SHA-256 */
#define TENSOR_TYPE_MAX       16
#define TENSOR_RANK_MAX       16
#define TENSOR_STEP           4096u  /* one piece is sampled from each so many bytes */
#define TENSOR_PIECE          640u   /* bytes of a piece at most; whole blocks */
#define TENSOR_WINDOW         65536u /* entropy is that of the pieces of one window; also a Merkle leaf */
#define TENSOR_LEAVES_JUDGED  16u    /* windows that the test for copies needs at least */
#define TENSOR_ENTROPY_JUDGED 4096u  /* bytes of a sample that the test for entropy needs */
#define TENSOR_JUDGED         1024u  /* numbers of a window (or of a tensor) that some tests need at least */

enum tensor_flag {
        TENSOR_CONSTANT = 1,        /* every sampled number or block is the same */
        TENSOR_REPEATED = 2,        /* more windows than allowed are copies of the one before */
        TENSOR_SATURATED = 4,       /* more codes than allowed are the smallest or largest */
        TENSOR_OUTLIER = 8,         /* a number lies further out than allowed */
        TENSOR_HIGH_ENTROPY = 16,   /* floats that look like compressed or encrypted bytes */
        TENSOR_HIDDEN_BITS = 32,    /* low mantissa bits that spell text */
        TENSOR_MIXED_LOW_BITS = 64, /* low bits are zero in most windows, but not in all */
        TENSOR_UPCAST =
                128, /* the low byte of every sampled number is zero: converted from a shorter format */
        TENSOR_NON_FINITE = 256,
        TENSOR_FLAGS_ALL = 511
};
#define TENSOR_FLAGS_N 9u
const char *tensor_flag_name(unsigned bit); /* "constant" for 0 (TENSOR_CONSTANT), … */

/* What mean, deviation, minimum, maximum and zeros are about. */
enum tensor_moments { TENSOR_MOMENTS_NONE, TENSOR_MOMENTS_VALUES, TENSOR_MOMENTS_SCALES, TENSOR_MOMENTS_MAX };

struct tensor_record {
        char name[TENSOR_NAME_MAX];
        char type[TENSOR_TYPE_MAX];
        uint32_t rank;
        uint32_t flags;
        uint64_t shape[TENSOR_RANK_MAX];
        uint64_t at, bytes; /* in the file */
        uint8_t merkle_root[SHA256_BYTES];
        uint64_t windows;                              /* entropy was taken of */
        double entropy_min, entropy_mean, entropy_max; /* bits a byte */
        uint32_t moments;                              /* enum tensor_moments */
        uint32_t reserved;
        uint64_t sampled; /* numbers that the moments stand on */
        double mean, deviation, least, most;
        double zeros;     /* share of them, 0..1 */
        double peak;      /* largest magnitude of all numbers (F16, BF16, F32), else 0 */
        double saturated; /* share of sampled codes; 0 where there are none */
        uint64_t non_finite, constant_windows, repeated_windows, hidden_windows, mixed_windows;
};

/* Takes the record of each tensor, in the order of their bytes. */
struct tensor_sink {
        void (*put)(void *userdata, const struct tensor_record *r);
        void *userdata;
};

/* From policy.yaml, section weights. A finding is a warning from `warning` on and a rejection from `reject` on. */
struct weights_limit {
        uint32_t warning, reject;
};
struct weights_limits {
        struct weights_limit outlier_times;     /* largest number against the typical one */
        struct weights_limit entropy_millibits; /* of one window of a float tensor */
        struct weights_limit constant_windows;  /* of one tensor, all of whose windows are constant */
        struct weights_limit repeated_percent;  /* windows of one tensor */
        struct weights_limit saturated_percent; /* codes of one tensor */
        struct weights_limit hidden_windows;    /* of one tensor */
        struct weights_limit mixed_windows;     /* of one tensor */
};
#define WEIGHTS_NEVER UINT32_MAX
extern const struct weights_limits weights_limits_default;
