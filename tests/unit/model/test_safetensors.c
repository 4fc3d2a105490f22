/* The safetensors reader: what must pass, what must not, and that pieces don't matter. */
#include "base/file.h"
#include "model/limits.h"
#include "support/cm.h"
#include "support/modelgen.h"
#include "support/scan_run.h"

#define FILE_MAX ((size_t)256 << 20)

static struct scan_run runs[2];

static void expect_pass(struct view bytes) {
        scan_run(bytes, "x.safetensors", 0, &runs[0]);
        if (runs[0].rejected)
                scan_run_print(&runs[0]);
        assert_false(runs[0].rejected);
}

static void expect_rule(struct view bytes, const char *rule) {
        scan_run(bytes, "x.safetensors", 0, &runs[0]);
        if (!scan_run_has(&runs[0], rule))
                scan_run_print(&runs[0]);
        assert_true(scan_run_has(&runs[0], rule));
        assert_true(runs[0].rejected);
}

static void every_dtype_passes(void **state) {
        assert_int_equal(modelgen_dtypes_n, 22);
        for (size_t i = 0; i < modelgen_dtypes_n; i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                assert_int_equal(
                        modelgen_safetensors_of_type(modelgen_dtypes[i].name, modelgen_dtypes[i].bits, &b),
                        0);
                expect_pass(buf_view(&b));
                assert_int_equal(runs[0].summary.kind, MODEL_KIND_SAFETENSORS);
                assert_int_equal(runs[0].summary.parameters, 8);
                assert_string_equal(runs[0].summary.quantization, modelgen_dtypes[i].name);
        }
}

static void numbers_that_are_not_finite_are_found_in_every_dtype(void **state) {
        for (size_t i = 0; i < modelgen_dtypes_n; i++) {
                const struct modelgen_type *t = &modelgen_dtypes[i];

                for (unsigned k = 0; t->nan_width > 0 && k < (t->infinity ? 2u : 1u); k++) {
                        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                        uint32_t value = k == 0 ? t->nan : t->infinity;
                        size_t at;

                        assert_int_equal(modelgen_safetensors_of_type(t->name, t->bits, &b), 0);
                        at = b.n - t->bits / 8; /* the last element */
                        for (unsigned j = 0; j < t->nan_width; j++)
                                b.p[at + t->nan_at + j] = (char)(value >> 8 * j & 0xff);
                        expect_rule(buf_view(&b), "WEIGHTS-001");
                        assert_string_equal(runs[0].findings[0].tensor, "w");
                        assert_int_equal(runs[0].summary.non_finite, 1);
                }
        }
}

static void good_headers_pass(void **state) {
        static const struct {
                struct view header;
                size_t data;
        } good[] = {
                {VIEW_INIT("{}"), 0},
                {VIEW_INIT("{}      "), 0},
                {VIEW_INIT("{\"__metadata__\":{}}"), 0},
                {VIEW_INIT("{\"__metadata__\":{\"format\":\"pt\",\"\\ud83d\\ude00\":\"\\n\\\\\"}}"), 0},
                {VIEW_INIT("{ \"a\" :\t{ \"shape\" : [ 2 ] ,\n \"data_offsets\":[ 0 , 4 ],\"dtype\":\"F16\" "
                           "} } "),
                 4},
                {VIEW_INIT("{\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}"), 4},
                {VIEW_INIT("{\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]}}"), 0},
                {VIEW_INIT("{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                           "\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}"),
                 7},
                {VIEW_INIT("{\"w\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_"
                           "offsets\":[0,1]}}"),
                 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                assert_int_equal(modelgen_safetensors(good[i].header, good[i].data, &b), 0);
                expect_pass(buf_view(&b));
                scan_run(buf_view(&b), "x.safetensors", 1, &runs[1]);
                assert_true(scan_run_equal(&runs[0], &runs[1]));
        }
}

static void malformed_files_are_refused_by_their_rule(void **state) {
        static const size_t pieces[] = {1, 7, 4096};
        size_t n = modelgen_bad_safetensors_n();
        unsigned wrong = 0;

        assert_true(n >= 60);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                struct modelgen_case c;

                assert_int_equal(modelgen_bad_safetensors(i, &b, &c), 0);
                scan_run(buf_view(&b), "x.safetensors", 0, &runs[0]);
                if (!runs[0].rejected || !scan_run_has(&runs[0], c.rule)) {
                        fprintf(stderr, "# %s: expected %s, found:\n", c.name, c.rule);
                        scan_run_print(&runs[0]);
                        wrong++;
                }
                for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
                        scan_run(buf_view(&b), "x.safetensors", pieces[k], &runs[1]);
                        if (!scan_run_equal(&runs[0], &runs[1])) {
                                fprintf(stderr, "# %s: other findings in pieces of %zu\n", c.name, pieces[k]);
                                scan_run_print(&runs[0]);
                                scan_run_print(&runs[1]);
                                wrong++;
                        }
                }
        }
        assert_int_equal(wrong, 0);
}

static void no_truncation_passes(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        assert_int_equal(modelgen_safetensors_of_type("F32", 32, &b), 0);
        for (size_t n = 0; n < b.n; n++) {
                scan_run(view_make(b.p, n), "x.safetensors", 0, &runs[0]);
                if (!runs[0].rejected)
                        fail_msg("the first %zu of %zu bytes pass", n, b.n);
        }
}

static void names_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                _cleanup_(buf_donep) struct buf h = BUF_INIT(FILE_MAX);

                assert_int_equal(buf_append_str(&h, "{\""), 0);
                for (size_t i = 0; i < SAFETENSORS_NAME_MAX + extra; i++)
                        assert_int_equal(buf_append_char(&h, 'n'), 0);
                assert_int_equal(
                        buf_append_str(&h, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"), 0);
                assert_int_equal(modelgen_safetensors(buf_view(&h), 0, &b), 0);
                if (extra)
                        expect_rule(buf_view(&b), "SAFETENSORS-S11");
                else
                        expect_pass(buf_view(&b));
        }
}

/* Lengths whose first byte is a pickle opcode, STACK_GLOBAL (0x93) among them: nothing is on the stack that it could import. */
static void the_length_of_a_header_alone_is_no_pickle(void **state) {
        for (unsigned n = 2; n < 1024; n++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                char header[1024];

                if (n % 256 >= 0x82 && n % 256 <= 0x84)
                        continue; /* EXT: what it imports is the application's */
                memset(header, ' ', sizeof header);
                memcpy(header, "{}", 2);
                assert_int_equal(modelgen_safetensors(view_make(header, n), 0, &b), 0);
                expect_pass(buf_view(&b));
        }
}

static void tensors_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                _cleanup_(buf_donep) struct buf h = BUF_INIT(FILE_MAX);

                for (unsigned i = 0; i < SAFETENSORS_TENSORS_MAX + extra; i++)
                        assert_int_equal(
                                buf_printf(
                                        &h,
                                        "%c\"%u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%u,%u]}",
                                        i ? ',' : '{', i, i, i + 1),
                                0);
                assert_int_equal(buf_append_str(&h, "}"), 0);
                assert_int_equal(modelgen_safetensors(buf_view(&h), SAFETENSORS_TENSORS_MAX + extra, &b), 0);
                if (extra)
                        expect_rule(buf_view(&b), "SAFETENSORS-S11");
                else
                        expect_pass(buf_view(&b));
        }
}

static void metadata_members_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                _cleanup_(buf_donep) struct buf h = BUF_INIT(FILE_MAX);

                assert_int_equal(buf_append_str(&h, "{\"__metadata__\":"), 0);
                for (unsigned i = 0; i < SAFETENSORS_METADATA_MAX + extra; i++)
                        assert_int_equal(buf_printf(&h, "%c\"%u\":\"\"", i ? ',' : '{', i), 0);
                assert_int_equal(buf_append_str(&h, "}}"), 0);
                assert_int_equal(modelgen_safetensors(buf_view(&h), 0, &b), 0);
                if (extra)
                        expect_rule(buf_view(&b), "SAFETENSORS-S5");
                else
                        expect_pass(buf_view(&b));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_dtype_passes),
                cmocka_unit_test(numbers_that_are_not_finite_are_found_in_every_dtype),
                cmocka_unit_test(good_headers_pass),
                cmocka_unit_test(malformed_files_are_refused_by_their_rule),
                cmocka_unit_test(no_truncation_passes),
                cmocka_unit_test(names_up_to_the_limit_pass),
                cmocka_unit_test(the_length_of_a_header_alone_is_no_pickle),
                cmocka_unit_test(tensors_up_to_the_limit_pass),
                cmocka_unit_test(metadata_members_up_to_the_limit_pass),
        };

        return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
