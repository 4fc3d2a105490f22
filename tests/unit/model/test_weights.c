/* Numbers that are no numbers: counted and placed the same whatever the pieces, in every layout. */
#include "base/num.h"
#include "model/ggml_types.h"
#include "model/weights.h"
#include "support/cm.h"
#include "support/modelgen.h"

#define BLOCKS 600u

static uint64_t next(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static void feed_in_pieces(struct weights *w, const uint8_t *p, size_t n, size_t piece) {
        for (size_t i = 0; i < n; i += piece)
                weights_feed(w, view_make(p + i, MIN_OF(piece, n - i)));
}

static void every_type_finds_each_bad_number_whatever_the_pieces(void **state) {
        static const size_t pieces[] = {1, 3, 64, 1000, 1u << 20};

        for (size_t i = 0; i < modelgen_gguf_types_n; i++) {
                const struct modelgen_type *t = &modelgen_gguf_types[i];
                const struct ggml_type_info *info = ggml_type_get(t->id);
                size_t n = (size_t)t->bytes * BLOCKS;
                _cleanup_(freep) uint8_t *data = malloc(n);

                assert_non_null(data);
                assert_non_null(info);
                assert_string_equal(info->name, t->name);
                assert_int_equal(info->block, t->block);
                assert_int_equal(info->bytes, t->bytes);
                memset(data, 0x31, n);
                if (t->nan_width == 0)
                        memset(data, 0xff, n); /* integers have no bad values */
                for (unsigned k = 0; k < t->nan_width; k++) {
                        data[(size_t)t->bytes * 77 + t->nan_at + k] = (uint8_t)(t->nan >> 8 * k);
                        data[(size_t)t->bytes * (BLOCKS - 1) + t->nan_at + k] = (uint8_t)(t->nan >> 8 * k);
                }
                for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
                        struct weights w;

                        weights_begin(&w, &info->layout, info->bytes, 1000);
                        feed_in_pieces(&w, data, n, pieces[k]);
                        assert_int_equal(w.at, 1000 + n);
                        assert_int_equal(w.count, t->nan_width ? 2 : 0);
                        if (t->nan_width && info->layout.numbers == WEIGHTS_HALF_SCALES)
                                assert_int_equal(w.first, 1000 + (uint64_t)t->bytes * 77 + t->nan_at);
                        else if (t->nan_width)
                                assert_int_equal((w.first - 1000) / t->bytes, 77);
                }
        }
}

/* All 65,536 halves and all exponents of wider floats, against the C library's own idea. */
static void halves_are_judged_exactly(void **state) {
        static const struct weights_layout half = {.numbers = WEIGHTS_F16}, brain = {.numbers = WEIGHTS_BF16};

        for (uint32_t x = 0; x <= UINT16_MAX; x++) {
                uint8_t le[2] = {(uint8_t)x, (uint8_t)(x >> 8)};
                uint32_t wide = x << 16;
                struct weights w;
                float f;

                memcpy(&f, &wide, sizeof f);
                weights_begin(&w, &brain, 2, 0);
                weights_feed(&w, view_make(le, 2));
                assert_int_equal(w.count, !__builtin_isfinite(f));
                weights_begin(&w, &half, 2, 0);
                weights_feed(&w, view_make(le, 2));
                assert_int_equal(w.count, (x >> 10 & 31) == 31);
        }
}

static void random_floats_are_judged_exactly(void **state) {
        static const struct weights_layout layout32 = {.numbers = WEIGHTS_F32},
                                           layout64 = {.numbers = WEIGHTS_F64};
        uint64_t seed = 88172645463325252u;
        static uint64_t data[4096];
        uint64_t bad32 = 0, bad64 = 0;
        struct weights w;

        for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
                float f[2];
                double d;

                data[i] = next(&seed) | (i % 5 == 0 ? UINT64_C(0x7ff0000000000000) : 0) |
                          (i % 7 == 0 ? 0x7f800000 : 0);
                memcpy(f, &data[i], sizeof f);
                memcpy(&d, &data[i], sizeof d);
                bad32 += (__builtin_isfinite(f[0]) ? 0u : 1u) + (__builtin_isfinite(f[1]) ? 0u : 1u);
                bad64 += __builtin_isfinite(d) ? 0u : 1u;
        }
        assert_true(bad32 > 500 && bad64 > 500);
        weights_begin(&w, &layout32, 4, 0);
        feed_in_pieces(&w, (const uint8_t *)data, sizeof data, 1001);
        assert_int_equal(w.count, bad32);
        weights_begin(&w, &layout64, 8, 0);
        feed_in_pieces(&w, (const uint8_t *)data, sizeof data, 999);
        assert_int_equal(w.count, bad64);
}

static void removed_and_unknown_types_are_not_in_the_table(void **state) {
        static const uint32_t gone[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 44, 1000, UINT32_MAX};

        for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
                assert_null(ggml_type_get(gone[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_type_finds_each_bad_number_whatever_the_pieces),
                cmocka_unit_test(halves_are_judged_exactly),
                cmocka_unit_test(random_floats_are_judged_exactly),
                cmocka_unit_test(removed_and_unknown_types_are_not_in_the_table),
        };

        return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
