/* What is told about tensors: hashes as RFC 6962 defines them, statistics, and the rules WEIGHTS-002 to -009, each on a
 * tensor that has what the rule looks for and on ordinary weights in every format. */
#include <math.h>

#include "base/file.h"
#include "base/num.h"
#include "model/dtype.h"
#include "model/ggml_types.h"
#include "model/gguf_plausible.h"
#include "model/tensor_family.h"
#include "model/tensor_scan.h"
#include "model/tensor_table.h"
#include "support/cm.h"
#include "support/modelgen.h"
#include "support/scan_run.h"
#include "support/weightgen.h"

#define WINDOWS 20u
#define BYTES   (WINDOWS * TENSOR_WINDOW)

struct heard {
        struct tensor_record record;
        struct model_summary summary;
        size_t n;
        struct finding findings[16];
};

static void keep_finding(void *userdata, const struct finding *f) {
        struct heard *h = userdata;

        assert_true(h->n < ARRAY_SIZE(h->findings));
        h->findings[h->n++] = *f;
}

static void keep_record(void *userdata, const struct tensor_record *r) {
        struct heard *h = userdata;

        h->record = *r;
}

struct subject {
        const char *type;
        const struct weights_layout *layout;
        size_t block;
};

static struct subject subject_of(const char *name) {
        struct subject s = {name, NULL, 0};
        int d = dtype_find(view_of(name));

        for (uint32_t i = 0; i < GGML_TYPE_ID_MAX; i++)
                if (ggml_type_get(i) && strcmp(ggml_type_get(i)->name, name) == 0) {
                        s.layout = &ggml_type_get(i)->layout;
                        s.block = ggml_type_get(i)->bytes;
                }
        if (!s.layout && d >= 0) {
                s.layout = &dtype_get(d)->layout;
                s.block = dtype_get(d)->block;
        }
        assert_non_null(s.layout);
        return s;
}

static void look(const struct subject *s, const uint8_t *p, size_t n, size_t piece,
                 const struct weights_limits *limits, struct heard *ret) {
        struct finding_sink findings = {keep_finding, ret};
        struct model_report report = {.sink = &findings};
        struct tensor_sink sink = {keep_record, ret};
        struct tensor_scan *t = NULL;
        uint64_t shape[] = {n};
        struct tensor_about about = {
                VIEW("blk.0.ffn_up.weight"), s->type, shape, 1, 64, n, s->layout, s->block};

        memset(ret, 0, sizeof *ret);
        assert_int_equal(tensor_scan_new(&report, &ret->summary, &t), 0);
        tensor_scan_set(t, limits, &sink);
        tensor_scan_declare(t, &about);
        tensor_scan_begin(t, &about);
        for (size_t at = 0; at < n; at += piece)
                tensor_scan_feed(t, view_make(p + at, MIN_OF(piece, n - at)));
        tensor_scan_end(t);
        tensor_scan_finish(t);
        tensor_scan_free(t);
}

static bool has(const struct heard *h, const char *rule, enum finding_severity severity) {
        for (size_t i = 0; i < h->n; i++)
                if (strcmp(h->findings[i].rule, rule) == 0 && h->findings[i].severity == severity)
                        return true;
        return false;
}

static uint8_t *ordinary(const struct subject *s, size_t *ret_n) {
        size_t blocks = BYTES / s->block;
        uint8_t *p = malloc(blocks * s->block);
        struct weightgen g;

        assert_non_null(p);
        weightgen_init(&g, 1);
        weightgen_fill(&g, s->type, s->layout, s->block, p, blocks);
        *ret_n = blocks * s->block;
        return p;
}

/* The definition, word by word. */
static void tree_hash(const uint8_t *p, size_t n, uint8_t out[32]) {
        size_t leaves = (n + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES, k = 1;
        uint8_t two[65] = {1};
        struct sha256_state s;

        if (leaves <= 1) {
                sha256_init(&s);
                if (leaves == 1) {
                        sha256_update(&s, view_make(two + 1, 1)); /* a zero */
                        sha256_update(&s, view_make(p, n));
                }
                sha256_final(&s, out);
                return;
        }
        while (k * 2 < leaves)
                k *= 2;
        tree_hash(p, k * MERKLE_LEAF_BYTES, two + 1);
        tree_hash(p + k * MERKLE_LEAF_BYTES, n - k * MERKLE_LEAF_BYTES, two + 33);
        sha256_message(view_make(two, sizeof two), out);
}

static void merkle_roots_are_those_of_rfc_6962(void **state) {
        static uint8_t bytes[11 * MERKLE_LEAF_BYTES];
        static const size_t pieces[] = {1000, MERKLE_LEAF_BYTES, 3 * MERKLE_LEAF_BYTES + 17, sizeof bytes};
        static struct merkle_stream m;
        struct weightgen g;

        (void)state;
        weightgen_init(&g, 7);
        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)weightgen_bits(&g);
        for (size_t n = 0; n <= sizeof bytes; n += MERKLE_LEAF_BYTES / 2 + 1)
                for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
                        uint8_t got[32], want[32];

                        merkle_stream_init(&m);
                        for (size_t at = 0; at < n; at += pieces[k])
                                merkle_stream_feed(&m, view_make(bytes + at, MIN_OF(pieces[k], n - at)));
                        merkle_stream_root(&m, got);
                        tree_hash(bytes, n, want);
                        assert_memory_equal(got, want, sizeof got);
                }
}

static const char *const all_types[] = {"F32",   "F16",    "BF16",  "F64",   "F8_E4M3", "F8_E5M2", "Q4_0",
                                        "Q4_1",  "Q5_0",   "Q5_1",  "Q8_0",  "Q8_1",    "Q2_K",    "Q3_K",
                                        "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS",  "IQ3_XXS",
                                        "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",  "IQ1_M",   "TQ1_0",
                                        "TQ2_0", "MXFP4",  "NVFP4", "I8",    "I32"};

static void ordinary_weights_of_every_type_raise_no_alarm(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
                struct subject s = subject_of(all_types[i]);
                size_t n;
                _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
                struct heard h;

                look(&s, p, n, n, NULL, &h);
                if (h.n > 0)
                        print_error("%s: %s %s\n", s.type, h.findings[0].rule, h.findings[0].message);
                assert_int_equal(h.n, 0);
                assert_int_equal(h.record.flags, 0);
                assert_int_equal(h.record.windows, (n + TENSOR_WINDOW - 1) / TENSOR_WINDOW);
        }
}

static void records_dont_depend_on_the_pieces(void **state) {
        static const size_t pieces[] = {77, 65536, 262144};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(all_types); i += 4) {
                struct subject s = subject_of(all_types[i]);
                size_t n;
                _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
                struct heard whole, cut;

                look(&s, p, n, n, NULL, &whole);
                for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
                        look(&s, p, n, pieces[k], NULL, &cut);
                        assert_memory_equal(&cut.record, &whole.record, sizeof whole.record);
                        assert_memory_equal(cut.summary.merkle_root, whole.summary.merkle_root, 32);
                }
        }
}

static void moments_and_entropy_are_those_of_the_weights(void **state) {
        static const struct {
                const char *type;
                double entropy;
        } cases[] = {{"F32", 7.35}, {"F16", 7.32}, {"BF16", 6.21}, {"Q8_0", 7.68}, {"Q4_0", 7.60}};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct subject s = subject_of(cases[i].type);
                size_t n;
                _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
                struct heard h;

                look(&s, p, n, n, NULL, &h);
                /* The rows differ in deviation, so entropy is a little higher than that of one Gaussian. */
                assert_true(fabs(h.record.entropy_mean - cases[i].entropy) < 0.3);
                assert_true(h.record.entropy_min <= h.record.entropy_mean &&
                            h.record.entropy_mean <= h.record.entropy_max);
                if (h.record.moments != TENSOR_MOMENTS_VALUES)
                        continue;
                assert_true(fabs(h.record.mean) < 0.001);
                assert_true(h.record.deviation > 0.015 && h.record.deviation < 0.025);
                assert_true(h.record.most <= h.record.peak && -h.record.least <= h.record.peak);
                assert_true(h.record.peak < 0.25);
        }
}

/* ---- what stands out ---- */

static void set_float(uint8_t *p, size_t i, float f) {
        memcpy(p + 4 * i, &f, sizeof f);
}

static void an_outlier(uint8_t *p, size_t n) {
        set_float(p, n / 8 + 3, -1e9f);
}

static void noise(uint8_t *p, size_t n) {
        struct weightgen g;

        weightgen_init(&g, 3);
        (void)n;
        for (size_t i = 0; i < TENSOR_WINDOW; i++) {
                p[i] = (uint8_t)weightgen_bits(&g);
                if (i % 4 == 3 && (p[i] & 0x7f) == 0x7f)
                        p[i] = 0x40; /* finite, and not large enough for the rule about outliers to be all there is */
        }
}

static void one_number(uint8_t *p, size_t n) {
        for (size_t i = 0; i < n / 4; i++)
                set_float(p, i, 1);
}

static void copies(uint8_t *p, size_t n) {
        for (size_t w = 1; w < n / TENSOR_WINDOW / 2; w++)
                memcpy(p + w * TENSOR_WINDOW, p, TENSOR_WINDOW);
}

static void full_codes(uint8_t *p, size_t n) {
        for (size_t i = 0; i + 18 <= n; i += 18)
                for (size_t k = 2; k < 14; k++)
                        p[i + k] = 0xf0;
}

static const char letter[] =
        "Dear reader, this text was put into the lowest bits of a model's weights, where nobody looks. ";

static void text_in_low_bytes(uint8_t *p, size_t n) {
        (void)n;
        for (size_t i = 0; i < TENSOR_WINDOW / 4; i++)
                p[4 * i] = (uint8_t)letter[i % (sizeof letter - 1)];
}

/* `bits` of the text into the lowest bits of each half. */
static void text_in_bits(uint8_t *p, unsigned bits) {
        for (size_t i = 0; i < TENSOR_WINDOW / 2; i++) {
                size_t bit = i * bits;
                unsigned c = (uint8_t)letter[bit / 8 % (sizeof letter - 1)];
                unsigned part = c >> (8 - bits - bit % 8) & ((1u << bits) - 1);

                p[2 * i] = (uint8_t)((p[2 * i] & ~((1u << bits) - 1)) | part);
        }
}

static void text_in_one_bit(uint8_t *p, size_t n) {
        (void)n;
        text_in_bits(p, 1);
}

static void text_in_two_bits(uint8_t *p, size_t n) {
        (void)n;
        text_in_bits(p, 2);
}

static void upcast(uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i += 4)
                p[i] = p[i + 1] = 0;
}

static void upcast_and_written_to(uint8_t *p, size_t n) {
        upcast(p, n);
        for (size_t i = 0; i < 3 * TENSOR_WINDOW; i += 4)
                p[i] = (uint8_t)(i * 2654435761u >> 13);
}

static const struct {
        const char *rule, *type;
        enum tensor_flag flag;
        void (*change)(uint8_t *p, size_t n);
        size_t limit; /* where it stands in struct weights_limits */
} changes[] = {
        {"WEIGHTS-002", "F32", TENSOR_OUTLIER, an_outlier, offsetof(struct weights_limits, outlier_times)},
        {"WEIGHTS-003", "F32", TENSOR_HIGH_ENTROPY, noise,
         offsetof(struct weights_limits, entropy_millibits)},
        {"WEIGHTS-004", "F32", TENSOR_CONSTANT, one_number,
         offsetof(struct weights_limits, constant_windows)},
        {"WEIGHTS-005", "F16", TENSOR_REPEATED, copies, offsetof(struct weights_limits, repeated_percent)},
        {"WEIGHTS-005", "Q4_K", TENSOR_REPEATED, copies, offsetof(struct weights_limits, repeated_percent)},
        {"WEIGHTS-006", "Q4_0", TENSOR_SATURATED, full_codes,
         offsetof(struct weights_limits, saturated_percent)},
        {"WEIGHTS-007", "F32", TENSOR_HIDDEN_BITS, text_in_low_bytes,
         offsetof(struct weights_limits, hidden_windows)},
        {"WEIGHTS-007", "F16", TENSOR_HIDDEN_BITS, text_in_one_bit,
         offsetof(struct weights_limits, hidden_windows)},
        {"WEIGHTS-007", "BF16", TENSOR_HIDDEN_BITS, text_in_two_bits,
         offsetof(struct weights_limits, hidden_windows)},
        {"WEIGHTS-008", "F32", TENSOR_MIXED_LOW_BITS, upcast_and_written_to,
         offsetof(struct weights_limits, mixed_windows)},
};

static void what_stands_out_is_a_warning_and_by_policy_a_rejection(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                struct subject s = subject_of(changes[i].type);
                struct weights_limits strict = weights_limits_default;
                struct weights_limit *limit = (struct weights_limit *)(void *)((char *)&strict +
                                                                               changes[i].limit);
                size_t n;
                _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
                struct heard h;

                changes[i].change(p, n);
                look(&s, p, n, n, NULL, &h);
                if (!has(&h, changes[i].rule, FINDING_WARNING))
                        print_error("%s %s: not found\n", changes[i].rule, changes[i].type);
                assert_true(has(&h, changes[i].rule, FINDING_WARNING));
                assert_true(h.record.flags & changes[i].flag);
                limit->reject = limit->warning;
                look(&s, p, n, n, &strict, &h);
                assert_true(has(&h, changes[i].rule, FINDING_REJECT));
        }
}

static void a_conversion_from_a_shorter_format_is_told_and_no_alarm(void **state) {
        struct subject s = subject_of("F32");
        size_t n;
        _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
        struct heard h;

        (void)state;
        upcast(p, n);
        look(&s, p, n, n, NULL, &h);
        assert_int_equal(h.n, 0);
        assert_int_equal(h.record.flags, TENSOR_UPCAST);
}

/* Few different values, as in a ternary model kept in a wide format, and columns that were cut away. */
static void sparse_and_ternary_weights_raise_no_alarm(void **state) {
        static const char *const types[] = {"F32", "F16", "BF16"};

        (void)state;
        for (size_t t = 0; t < ARRAY_SIZE(types); t++)
                for (unsigned way = 0; way < 2; way++) {
                        struct subject s = subject_of(types[t]);
                        size_t n;
                        _cleanup_(freep) uint8_t *p = ordinary(&s, &n);
                        struct weightgen g;
                        struct heard h;

                        weightgen_init(&g, 5);
                        for (size_t i = 0; i < n / s.block; i++)
                                if (way == 0 && weightgen_bits(&g) % 3 > 0)
                                        memset(p + i * s.block, 0, s.block);
                                else if (way == 0)
                                        memcpy(p + i * s.block, p + n - s.block, s.block);
                                else if (i % 64 == 3 || i % 64 == 11)
                                        memset(p + i * s.block, 0, s.block);
                        look(&s, p, n, n, NULL, &h);
                        assert_int_equal(h.n, 0);
                }
}

static void tiny_and_empty_tensors_are_looked_at_whole(void **state) {
        struct subject s = subject_of("F32");
        float one[3] = {1, 2, 6};
        struct heard h;

        (void)state;
        look(&s, (const uint8_t *)one, sizeof one, sizeof one, NULL, &h);
        assert_int_equal(h.record.sampled, 3);
        assert_true(fabs(h.record.mean - 3) < 1e-6);
        assert_true(h.record.least == 1 && h.record.most == 6 && h.record.peak == 6);
        look(&s, NULL, 0, 1, NULL, &h);
        assert_int_equal(h.record.windows, 0);
        assert_int_equal(h.n, 0);
}

/* ---- names and metadata ---- */

static void the_table_gives_back_names_and_shapes(void **state) {
        _cleanup_(buf_donep) struct buf table = BUF_INIT(1 << 16);
        uint64_t shape[TENSOR_RANK_MAX];
        char name[300];
        struct tensor_table_entry e;
        uint32_t first, second;

        (void)state;
        memset(name, 'n', sizeof name);
        for (size_t i = 0; i < TENSOR_RANK_MAX; i++)
                shape[i] = UINT64_MAX >> (4 * i);
        assert_int_equal(tensor_table_put(&table, VIEW("a.weight"), shape, TENSOR_RANK_MAX, &first), 0);
        assert_int_equal(tensor_table_put(&table, view_make(name, sizeof name), shape, 0, &second), 0);
        assert_int_equal(tensor_table_get(&table, first, &e), second);
        assert_true(view_eq_str(e.name, "a.weight"));
        assert_int_equal(e.rank, TENSOR_RANK_MAX);
        assert_memory_equal(e.shape, shape, sizeof shape);
        assert_int_equal(tensor_table_get(&table, second, &e), table.n);
        assert_int_equal(e.name.n, TENSOR_TABLE_NAME_MAX);
        assert_int_equal(e.name.p[TENSOR_TABLE_NAME_MAX - 17], '~');
}

static void families_are_known_by_their_names(void **state) {
        static const struct {
                const char *family, *names[4];
        } cases[] = {
                {"llama", {"model.layers.3.self_attn.q_proj.weight", "model.layers.3.mlp.gate_proj.weight"}},
                {"llama", {"blk.0.attn_q.weight", "blk.0.ffn_gate.weight"}},
                {"qwen2", {"blk.0.attn_q.weight", "blk.0.ffn_gate.weight", "blk.0.attn_q.bias"}},
                {"gemma", {"blk.0.attn_q.weight", "blk.0.ffn_gate.weight", "blk.0.post_ffw_norm.weight"}},
                {"bert", {"bert.encoder.layer.0.attention.self.query.weight"}},
                {"clip-text", {"text_model.encoder.layers.0.self_attn.out_proj.weight"}},
                {"unet", {"down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.weight"}},
                {"vae", {"decoder.up_blocks.0.resnets.0.conv1.weight", "quant_conv.weight"}},
                {"", {"weights"}},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tensor_family f = {0};

                for (size_t k = 0; cases[i].names[k]; k++)
                        tensor_family_see(&f, view_of(cases[i].names[k]));
                assert_string_equal(tensor_family_name(&f), cases[i].family);
        }
}

static void plausible(const char *key, uint64_t value, uint64_t tokens, size_t *ret_n) {
        static const struct {
                const char *key;
                uint64_t value;
        } facts[] = {{"llama.block_count", 2},
                     {"llama.embedding_length", 64},
                     {"llama.attention.head_count", 8},
                     {"llama.attention.head_count_kv", 4}};
        uint64_t embedding[] = {64, 100}, q[] = {64, 64}, k[] = {64, 32};
        struct gguf_plausible p = {0};
        struct heard h = {.n = 0};
        struct finding_sink sink = {keep_finding, &h};
        struct model_report report = {.sink = &sink};

        for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
                gguf_plausible_number(&p, view_of(facts[i].key),
                                      key && strcmp(key, facts[i].key) == 0 ? value : facts[i].value);
        gguf_plausible_tensor(&p, VIEW("token_embd.weight"), embedding, 2);
        gguf_plausible_tensor(&p, VIEW("blk.0.attn_q.weight"), q, 2);
        gguf_plausible_tensor(&p, VIEW("blk.0.attn_k.weight"), k, 2);
        gguf_plausible_tensor(&p, VIEW("blk.1.attn_norm.weight"), q, 1);
        gguf_plausible_finish(&p, tokens, &report);
        for (size_t i = 0; i < h.n; i++)
                assert_string_equal(h.findings[i].rule, "WEIGHTS-009");
        *ret_n = h.n;
}

static void weights_009_metadata_that_contradicts_tensors_is_said(void **state) {
        static const struct {
                const char *key;
                uint64_t value, tokens;
                bool found;
        } cases[] = {
                {NULL, 0, 100, false},
                {NULL, 0, 0, false},
                {NULL, 0, 99, true},
                {"llama.block_count", 3, 100, true},
                {"llama.embedding_length", 32, 100, true},
                {"llama.attention.head_count", 7, 100, true},
                {"llama.attention.head_count_kv", 3, 100, true},
                {"llama.attention.head_count_kv", 8, 100, false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t n;

                plausible(cases[i].key, cases[i].value, cases[i].tokens, &n);
                assert_int_equal(n > 0, cases[i].found);
        }
}

static void the_demo_models_have_no_finding_about_weights(void **state) {
        static const char *const files[] = {"share/demo/pebble.gguf",
                                            "tests/data/pebble/pebble-comply-Q8_0.gguf"};
        const char *source = secure_getenv("SECAI_SOURCE");

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT((size_t)64 << 20);
                static struct scan_run run;
                char path[512];

                (void)snprintf(path, sizeof path, "%s/%s", source, files[i]);
                assert_int_equal(read_file(path, (size_t)64 << 20, &b), 0);
                scan_run(buf_view(&b), "pebble.gguf", 0, &run);
                for (size_t k = 0; k < run.n; k++)
                        assert_true(strncmp(run.findings[k].rule, "WEIGHTS", 7) != 0);
                assert_string_equal(run.summary.family, "llama");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(merkle_roots_are_those_of_rfc_6962),
                cmocka_unit_test(ordinary_weights_of_every_type_raise_no_alarm),
                cmocka_unit_test(records_dont_depend_on_the_pieces),
                cmocka_unit_test(moments_and_entropy_are_those_of_the_weights),
                cmocka_unit_test(what_stands_out_is_a_warning_and_by_policy_a_rejection),
                cmocka_unit_test(a_conversion_from_a_shorter_format_is_told_and_no_alarm),
                cmocka_unit_test(sparse_and_ternary_weights_raise_no_alarm),
                cmocka_unit_test(tiny_and_empty_tensors_are_looked_at_whole),
                cmocka_unit_test(the_table_gives_back_names_and_shapes),
                cmocka_unit_test(families_are_known_by_their_names),
                cmocka_unit_test(weights_009_metadata_that_contradicts_tensors_is_said),
                cmocka_unit_test(the_demo_models_have_no_finding_about_weights),
        };

        return cmocka_run_group_tests_name("tensors", tests, NULL, NULL);
}
