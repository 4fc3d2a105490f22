#include "model/ggml_types.h"

/* Positions from the structs of ggml-common.h; half = IEEE 754 binary16. */
#define PLAIN(what)                                                                                          \
        { .numbers = WEIGHTS_##what }
#define HALF_AT(a)                                                                                           \
        {                                                                                                    \
                .numbers = WEIGHTS_HALF_SCALES, .scales = 1, .at = {(a) }                                    \
        }
#define HALVES_AT(a, b)                                                                                      \
        {                                                                                                    \
                .numbers = WEIGHTS_HALF_SCALES, .scales = 2, .at = {(a), (b) }                               \
        }

/* The same with codes of whole nibbles or bytes, whose extremes can be counted. */
#define CODES(what, first, bits, where, bytes)                                                               \
        {                                                                                                    \
                .numbers = WEIGHTS_##what, .scales = 1, .at = {(first)}, .code_bits = (bits),                \
                .codes_at = (where), .codes_n = (bytes)                                                      \
        }
#define CODES_2(first, second, bits, where, bytes)                                                           \
        {                                                                                                    \
                .numbers = WEIGHTS_HALF_SCALES, .scales = 2, .at = {(first), (second)}, .code_bits = (bits), \
                .codes_at = (where), .codes_n = (bytes)                                                      \
        }

static const struct ggml_type_info types[GGML_TYPE_ID_MAX] = {
        [0] = {"F32", 1, 4, PLAIN(F32)},
        [1] = {"F16", 1, 2, PLAIN(F16)},
        [2] = {"Q4_0", 32, 18, CODES(HALF_SCALES, 0, 4, 2, 16)},
        [3] = {"Q4_1", 32, 20, CODES_2(0, 2, 4, 4, 16)},
        [6] = {"Q5_0", 32, 22, HALF_AT(0)},
        [7] = {"Q5_1", 32, 24, HALVES_AT(0, 2)},
        [8] = {"Q8_0", 32, 34, CODES(HALF_SCALES, 0, 8, 2, 32)},
        [9] = {"Q8_1", 32, 36, CODES_2(0, 2, 8, 4, 32)},
        [10] = {"Q2_K", 256, 84, HALVES_AT(80, 82)},
        [11] = {"Q3_K", 256, 110, HALF_AT(108)},
        [12] = {"Q4_K", 256, 144, CODES_2(0, 2, 4, 16, 128)},
        [13] = {"Q5_K", 256, 176, HALVES_AT(0, 2)},
        [14] = {"Q6_K", 256, 210, HALF_AT(208)},
        [15] = {"Q8_K", 256, 292, CODES(FLOAT_SCALE, 0, 8, 4, 256)},
        [16] = {"IQ2_XXS", 256, 66, HALF_AT(0)},
        [17] = {"IQ2_XS", 256, 74, HALF_AT(0)},
        [18] = {"IQ3_XXS", 256, 98, HALF_AT(0)},
        [19] = {"IQ1_S", 256, 50, HALF_AT(0)},
        [20] = {"IQ4_NL", 32, 18, CODES(HALF_SCALES, 0, 4, 2, 16)},
        [21] = {"IQ3_S", 256, 110, HALF_AT(0)},
        [22] = {"IQ2_S", 256, 82, HALF_AT(0)},
        [23] = {"IQ4_XS", 256, 136, CODES(HALF_SCALES, 0, 4, 8, 128)},
        [24] = {"I8", 1, 1, PLAIN(INTEGERS)},
        [25] = {"I16", 1, 2, PLAIN(INTEGERS)},
        [26] = {"I32", 1, 4, PLAIN(INTEGERS)},
        [27] = {"I64", 1, 8, PLAIN(INTEGERS)},
        [28] = {"F64", 1, 8, PLAIN(F64)},
        [29] = {"IQ1_M", 256, 56, PLAIN(IQ1_M)},
        [30] = {"BF16", 1, 2, PLAIN(BF16)},
        [34] = {"TQ1_0", 256, 54, HALF_AT(52)},
        [35] = {"TQ2_0", 256, 66, HALF_AT(64)},
        [39] = {"MXFP4", 32, 17, CODES(E8M0_SCALE, 0, 4, 1, 16)},
        [40] = {"NVFP4", 64, 36, CODES(UE4M3_SCALES, 0, 4, 4, 32)},
        [41] = {"Q1_0", 128, 18, HALF_AT(0)},
        [42] = {"Q2_0", 64, 18, HALF_AT(0)},
};

const struct ggml_type_info *ggml_type_get(uint32_t id) {
        return id < ARRAY_SIZE(types) && types[id].name ? &types[id] : NULL;
}
