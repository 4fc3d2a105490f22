/* The GGUF reader and the scan around it: what must pass, what must not, and that pieces don't matter. */
#include <sys/resource.h>
#include <time.h>

#include "base/file.h"
#include "base/num.h"
#include "model/limits.h"
#include "support/cm.h"
#include "support/modelgen.h"
#include "support/scan_run.h"

#define FILE_MAX ((size_t)64 << 20)

static struct scan_run runs[2];

static void expect_pass(struct view bytes, const char *name) {
        scan_run(bytes, name, 0, &runs[0]);
        if (runs[0].rejected)
                scan_run_print(&runs[0]);
        assert_false(runs[0].rejected);
}

static void expect_rule(struct view bytes, const char *rule) {
        scan_run(bytes, "x.gguf", 0, &runs[0]);
        if (!scan_run_has(&runs[0], rule))
                scan_run_print(&runs[0]);
        assert_true(runs[0].rejected);
        assert_true(scan_run_has(&runs[0], rule));
}

static void small(struct buf *out) {
        assert_int_equal(modelgen_gguf(out), 0);
}

static void a_valid_file_passes_and_is_summed_up(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        expect_pass(buf_view(&b), "tiny.gguf");
        assert_int_equal(runs[0].n, 0);
        assert_int_equal(runs[0].summary.kind, MODEL_KIND_GGUF);
        assert_int_equal(runs[0].summary.tensors, 3);
        assert_int_equal(runs[0].summary.parameters, 8 + 3 + 32);
        assert_int_equal(runs[0].summary.context_length, 128);
        assert_int_equal(runs[0].summary.format_version, 3);
        assert_true(runs[0].summary.has_chat_template);
        assert_string_equal(runs[0].summary.architecture, "llama");
        assert_string_equal(runs[0].summary.name, "tiny");
        assert_string_equal(runs[0].summary.quantization, "Q8_0");
}

static void version_2_passes(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        b.p[4] = 2;
        expect_pass(buf_view(&b), "x.gguf");
        assert_int_equal(runs[0].summary.format_version, 2);
}

static void the_last_padding_may_be_left_out(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        expect_pass(view_make(b.p, b.n - 30), "x.gguf");
}

static void every_tensor_type_passes(void **state) {
        assert_int_equal(modelgen_gguf_types_n, 35);
        for (size_t i = 0; i < modelgen_gguf_types_n; i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                size_t data;

                assert_int_equal(modelgen_gguf_of_type(modelgen_gguf_types[i].id, &b, &data), 0);
                expect_pass(buf_view(&b), "x.gguf");
                assert_string_equal(runs[0].summary.quantization, modelgen_gguf_types[i].name);
                assert_int_equal(runs[0].summary.parameters, 2 * modelgen_gguf_types[i].block);
        }
}

/* Each malformed file: refused by its rule, whatever the pieces, soon, and with little memory. */
static void malformed_files_are_refused_by_their_rule(void **state) {
        static const size_t pieces[] = {1, 7, 4096};
        size_t n = modelgen_bad_gguf_n();
        unsigned wrong = 0;

        assert_true(n >= 150);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                struct modelgen_case c;
                clock_t begin = clock();

                assert_int_equal(modelgen_bad_gguf(i, &b, &c), 0);
                scan_run(buf_view(&b), "x.gguf", 0, &runs[0]);
                if (!runs[0].rejected || !scan_run_has(&runs[0], c.rule)) {
                        fprintf(stderr, "# %s: expected %s, found:\n", c.name, c.rule);
                        scan_run_print(&runs[0]);
                        wrong++;
                }
                for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
                        scan_run(buf_view(&b), "x.gguf", pieces[k], &runs[1]);
                        if (!scan_run_equal(&runs[0], &runs[1])) {
                                fprintf(stderr, "# %s: other findings in pieces of %zu\n", c.name, pieces[k]);
                                scan_run_print(&runs[1]);
                                wrong++;
                        }
                }
                assert_true(clock() - begin < 4 * CLOCKS_PER_SEC); /* four scans */
        }
        assert_int_equal(wrong, 0);
#if !defined(__SANITIZE_ADDRESS__)
        struct rusage usage;
        assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
        assert_true(usage.ru_maxrss < 256 * 1024);
#endif
}

static void no_truncation_passes(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        for (size_t n = 0; n < b.n - 30; n++) {
                scan_run(view_make(b.p, n), "x.gguf", 0, &runs[0]);
                if (!runs[0].rejected)
                        fail_msg("the first %zu of %zu bytes pass", n, b.n);
        }
}

/* A changed byte may be harmless (in a name or a weight), but never confuses the reader. */
static void no_single_byte_change_depends_on_the_pieces(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        for (size_t i = 0; i < b.n; i++) {
                char keep = b.p[i];

                b.p[i] = (char)(keep ^ 0x81);
                scan_run(buf_view(&b), "x.gguf", 0, &runs[0]);
                scan_run(buf_view(&b), "x.gguf", 13, &runs[1]);
                assert_true(scan_run_equal(&runs[0], &runs[1]));
                b.p[i] = keep;
        }
}

/* ---- limits, at the limit and one past it ---- */

static void head(struct buf *b, uint64_t tensors, uint64_t pairs) {
        assert_int_equal(buf_append(b, "GGUF\3\0\0\0", 8), 0);
        assert_int_equal(modelgen_put(b, tensors, 8), 0);
        assert_int_equal(modelgen_put(b, pairs, 8), 0);
}

static void pair_text(struct buf *b, const char *key, struct view value) {
        assert_int_equal(modelgen_put_text(b, view_of(key)), 0);
        assert_int_equal(modelgen_put(b, 8, 4), 0);
        assert_int_equal(modelgen_put_text(b, value), 0);
}

static void pairs_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                head(&b, 0, GGUF_PAIRS_MAX + extra);
                for (unsigned i = 0; i < GGUF_PAIRS_MAX + extra; i++) {
                        char key[16];

                        (void)snprintf(key, sizeof key, "k%u", i);
                        assert_int_equal(modelgen_put_text(&b, view_of(key)), 0);
                        assert_int_equal(modelgen_put(&b, 0, 4), 0); /* u8 */
                        assert_int_equal(modelgen_put(&b, 1, 1), 0);
                }
                if (extra)
                        expect_rule(buf_view(&b), "GGUF-G3");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void tensors_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                head(&b, GGUF_TENSORS_MAX + extra, 0);
                for (unsigned i = 0; i < GGUF_TENSORS_MAX + extra; i++) {
                        char name[16];

                        (void)snprintf(name, sizeof name, "t%u", i);
                        assert_int_equal(modelgen_put_text(&b, view_of(name)), 0);
                        assert_int_equal(modelgen_put(&b, 1, 4), 0);
                        assert_int_equal(modelgen_put(&b, 1, 8), 0);
                        assert_int_equal(modelgen_put(&b, 24, 4), 0); /* I8 */
                        assert_int_equal(modelgen_put(&b, i * UINT64_C(32), 8), 0);
                }
                while (b.n % 32)
                        assert_int_equal(buf_append_char(&b, '\0'), 0);
                for (unsigned i = 0; i < (GGUF_TENSORS_MAX + extra) * 4; i++)
                        assert_int_equal(modelgen_put(&b, 0, 8), 0);
                if (extra)
                        expect_rule(buf_view(&b), "GGUF-G3");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void keys_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                size_t n = GGUF_KEY_MAX + extra;

                head(&b, 0, 1);
                assert_int_equal(modelgen_put(&b, n, 8), 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(buf_append_char(&b, 'k'), 0);
                assert_int_equal(modelgen_put(&b, 0, 5), 0); /* u8 0 */
                if (extra)
                        expect_rule(buf_view(&b), "GGUF-G4");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void templates_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_MAX);

                for (size_t i = 0; i < TEMPLATE_MAX + extra; i++)
                        assert_int_equal(buf_append_char(&text, 'x'), 0);
                head(&b, 0, 1);
                pair_text(&b, "tokenizer.chat_template", buf_view(&text));
                if (extra)
                        expect_rule(buf_view(&b), "TEMPLATE-007");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void a_hostile_template_is_found_behind_a_megabyte_of_text(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_MAX);
        static const char evil[] = "{{ ''.__class__ }}";

        for (size_t i = 0; i < TEMPLATE_MAX - (sizeof evil - 1); i++)
                assert_int_equal(buf_append_char(&text, ' '), 0);
        assert_int_equal(buf_append_str(&text, evil), 0);
        head(&b, 0, 1);
        pair_text(&b, "tokenizer.chat_template.rag", buf_view(&text));
        expect_rule(buf_view(&b), "TEMPLATE-003");
}

static void alignments_up_to_the_limit_pass(void **state) {
        static const uint32_t values[] = {8, 16, 65536};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                head(&b, 0, 1);
                assert_int_equal(modelgen_put_text(&b, VIEW("general.alignment")), 0);
                assert_int_equal(modelgen_put(&b, 4, 4), 0);
                assert_int_equal(modelgen_put(&b, values[i], 4), 0);
                expect_pass(buf_view(&b), "x.gguf");
        }
}

static void tokens_up_to_the_length_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                size_t n = GGUF_TOKEN_MAX + extra;

                head(&b, 0, 1);
                assert_int_equal(modelgen_put_text(&b, VIEW("tokenizer.ggml.tokens")), 0);
                assert_int_equal(modelgen_put(&b, 9, 4), 0);
                assert_int_equal(modelgen_put(&b, 8, 4), 0);
                assert_int_equal(modelgen_put(&b, 1, 8), 0);
                assert_int_equal(modelgen_put(&b, n, 8), 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(buf_append_char(&b, '\xff'), 0);
                if (extra)
                        expect_rule(buf_view(&b), "GGUF-G16");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void vocabularies_up_to_the_limit_pass(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                uint64_t n = GGUF_VOCABULARY_MAX + extra;

                head(&b, 0, 1);
                assert_int_equal(modelgen_put_text(&b, VIEW("tokenizer.ggml.tokens")), 0);
                assert_int_equal(modelgen_put(&b, 9, 4), 0);
                assert_int_equal(modelgen_put(&b, 8, 4), 0);
                assert_int_equal(modelgen_put(&b, n, 8), 0);
                for (uint64_t i = 0; i < n; i++)
                        assert_int_equal(modelgen_put(&b, 0, 8), 0);
                if (extra)
                        expect_rule(buf_view(&b), "GGUF-G16");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void token_types_before_tokens_are_checked_too(void **state) {
        for (unsigned bad = 0; bad < 2; bad++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                head(&b, 0, 2);
                assert_int_equal(modelgen_put_text(&b, VIEW("tokenizer.ggml.token_type")), 0);
                assert_int_equal(modelgen_put(&b, 9, 4), 0);
                assert_int_equal(modelgen_put(&b, 5, 4), 0);
                assert_int_equal(modelgen_put(&b, 1, 8), 0);
                assert_int_equal(modelgen_put(&b, 6, 4), 0);
                assert_int_equal(modelgen_put_text(&b, VIEW("tokenizer.ggml.tokens")), 0);
                assert_int_equal(modelgen_put(&b, 9, 4), 0);
                assert_int_equal(modelgen_put(&b, 8, 4), 0);
                assert_int_equal(modelgen_put(&b, 1, 8), 0);
                assert_int_equal(modelgen_put_text(&b, bad ? VIEW("<0x-1>") : VIEW("<0x0A>")), 0);
                if (bad)
                        expect_rule(buf_view(&b), "GGUF-G16");
                else
                        expect_pass(buf_view(&b), "x.gguf");
        }
}

static void a_name_that_lies_is_refused(void **state) {
        static const struct {
                const char *name;
                const char *rule; /* NULL: fine */
        } names[] = {
                {"model.gguf", NULL},
                {"model", NULL},
                {"model.bin", NULL},
                {"", NULL},
                {"model.safetensors", "KIND-002"},
                {"model.PNG", "KIND-002"},
                {"model.zip", "KIND-002"},
                {"m-00002-of-00003.gguf", "GGUF-G15"},
                {"m-00001-of-00001.gguf", NULL},
        };
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        small(&b);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                scan_run(buf_view(&b), names[i].name, 0, &runs[0]);
                assert_int_equal(runs[0].rejected, names[i].rule != NULL);
                if (names[i].rule)
                        assert_true(scan_run_has(&runs[0], names[i].rule));
        }
}

static void non_finite_weights_name_tensor_and_place(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
        size_t data;

        assert_int_equal(modelgen_gguf_of_type(12, &b, &data), 0);
        b.p[data + 144 + 1] = 0x7c; /* the second block's first scale */
        expect_rule(buf_view(&b), "WEIGHTS-001");
        assert_int_equal(runs[0].n, 1);
        assert_int_equal(runs[0].findings[0].stage, 5);
        assert_int_equal(runs[0].findings[0].at, data + 144);
        assert_string_equal(runs[0].findings[0].tensor, "only.weight");
        assert_int_equal(runs[0].summary.non_finite, 1);
}

static void findings_of_one_rule_are_capped(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        head(&b, 0, 40);
        for (unsigned i = 0; i < 40; i++)
                pair_text(&b, "KEY", VIEW("x"));
        expect_rule(buf_view(&b), "GGUF-G4");
        assert_int_equal(runs[0].n, FINDINGS_PER_RULE_MAX);
}

static void too_many_or_too_few_bytes_are_errors_of_the_caller(void **state) {
        struct finding_sink sink = {NULL, NULL};
        struct model_summary summary;
        struct model_scan *m;

        assert_int_equal(model_scan_new(4, VIEW_NULL, &sink, &m), 0);
        assert_int_equal(model_scan_feed(m, VIEW("GGU")), 0);
        assert_int_equal(model_scan_finish(m, &summary), -EIO);
        assert_int_equal(model_scan_feed(m, VIEW("F!")), -EFBIG);
        model_scan_free(m);
}

static void the_real_model_passes(void **state) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(4096);
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
        const char *source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        assert_int_equal(buf_printf(&path, "%s/tests/data/pebble/pebble-comply-Q8_0.gguf", source), 0);
        assert_int_equal(read_file(path.p, FILE_MAX, &b), 0);
        expect_pass(buf_view(&b), "pebble.gguf");
        assert_int_equal(runs[0].summary.parameters, 918656);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_valid_file_passes_and_is_summed_up),
                cmocka_unit_test(version_2_passes),
                cmocka_unit_test(the_last_padding_may_be_left_out),
                cmocka_unit_test(every_tensor_type_passes),
                cmocka_unit_test(malformed_files_are_refused_by_their_rule),
                cmocka_unit_test(no_truncation_passes),
                cmocka_unit_test(no_single_byte_change_depends_on_the_pieces),
                cmocka_unit_test(pairs_up_to_the_limit_pass),
                cmocka_unit_test(tensors_up_to_the_limit_pass),
                cmocka_unit_test(keys_up_to_the_limit_pass),
                cmocka_unit_test(templates_up_to_the_limit_pass),
                cmocka_unit_test(a_hostile_template_is_found_behind_a_megabyte_of_text),
                cmocka_unit_test(alignments_up_to_the_limit_pass),
                cmocka_unit_test(tokens_up_to_the_length_limit_pass),
                cmocka_unit_test(vocabularies_up_to_the_limit_pass),
                cmocka_unit_test(token_types_before_tokens_are_checked_too),
                cmocka_unit_test(a_name_that_lies_is_refused),
                cmocka_unit_test(non_finite_weights_name_tensor_and_place),
                cmocka_unit_test(findings_of_one_rule_are_capped),
                cmocka_unit_test(too_many_or_too_few_bytes_are_errors_of_the_caller),
                cmocka_unit_test(the_real_model_passes),
        };

        return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
