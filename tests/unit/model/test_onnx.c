/* ONNX: refused, and what it refers to is named. */
#include "base/buf.h"
#include "model/limits.h"
#include "support/cm.h"
#include "support/scan_run.h"

#define B(lit)   VIEW_INIT(lit)
#define HEAD     "\x08\7\x12\1x" /* ir_version, producer_name */
#define NODE     "\x22\4Gemm"    /* op_type */
#define GRAPH(n) "\x3a" n

static struct scan_run run;

static bool said(const char *rule, const char *words) {
        for (size_t i = 0; i < run.n; i++)
                if (strcmp(run.findings[i].rule, rule) == 0 && strstr(run.findings[i].message, words))
                        return true;
        return false;
}

static const struct {
        const char *name, *rule, *words;
        struct view bytes;
} models[] = {
        {"a plain node", "ONNX-004", "1 operators", B(HEAD GRAPH("\x08") "\x0a\6" NODE)},
        {"operators of ONNX", "ONNX-004", "0 operators",
         B(HEAD "\x42\x0e\x0a\x0a"
                "ai.onnx.ml\x10\1")},
        {"custom operator", "ONNX-002", "\"Gemm\" is from \"evil\"",
         B(HEAD GRAPH("\x0e") "\x0a\x0c" NODE "\x3a\4evil")},
        {"custom domain imported", "ONNX-002", "operators of \"com.x\"", B(HEAD "\x42\x09\x0a\5com.x\x10\1")},
        {"custom operator in a subgraph", "ONNX-002", "\"Gemm\" is from \"evil\"",
         B(HEAD GRAPH("\x1a") "\x0a\x18"
                              "\x22\2If"
                              "\x2a\x12"
                              "\x0a\0"
                              "\x32\x0e"
                              "\x0a\x0c" NODE "\x3a\4evil")},
        {"subgraph counted", "ONNX-004", "1 graphs within others",
         B(HEAD GRAPH("\x1a") "\x0a\x18"
                              "\x22\2If"
                              "\x2a\x12"
                              "\x0a\0"
                              "\x32\x0e"
                              "\x0a\x0c" NODE "\x3a\4evil")},
        {"external data upwards", "ONNX-003", "\"../x\"",
         B(HEAD GRAPH("\x14") "\x2a\x12"
                              "\x6a\x10"
                              "\x0a\x08location"
                              "\x12\4../x")},
        {"external data, absolute", "ONNX-003", "\"/etc\"",
         B(HEAD GRAPH("\x14") "\x2a\x12"
                              "\x6a\x10"
                              "\x0a\x08location"
                              "\x12\4/etc")},
        {"external data beside it", "ONNX-004", "\"data\"",
         B(HEAD GRAPH("\x14") "\x2a\x12"
                              "\x6a\x10"
                              "\x0a\x08location"
                              "\x12\4"
                              "data")},
        {"negative length", "ONNX-003", "no plain number",
         B(HEAD GRAPH("\x10") "\x2a\x0e"
                              "\x6a\x0c"
                              "\x0a\6length"
                              "\x12\2-1")},
        {"attribute injection", "ONNX-003", "unknown attribute \"__cls\"",
         B(HEAD GRAPH("\x0e") "\x2a\x0c"
                              "\x6a\x0a"
                              "\x0a\5__cls"
                              "\x12\1x")},
        {"field 0", "ONNX-001", "doesn't define", B(HEAD "\2\1x")},
        {"unknown field", "ONNX-001", "doesn't define", B(HEAD "\x4a\1x")},
        {"group", "ONNX-001", "another type", B(HEAD "\x3b\x3c")},
        {"wrong wire type", "ONNX-001", "another type", B(HEAD "\x38\1")},
        {"graph twice", "ONNX-001", "occurs twice", B(HEAD "\x3a\0\x3a\0")},
        {"over-long number", "ONNX-001", "longer than it has to be", B(HEAD "\x28\x81\0")},
        {"number of eleven bytes", "ONNX-001", "longer than it has to be",
         B(HEAD "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")},
        {"length past the parent", "ONNX-001", "over the end of its message", B(HEAD GRAPH("\2") "\x0a\x09")},
        {"length past the file", "ONNX-001", "over the end of its message", B(HEAD GRAPH("\x7f"))},
        {"number across the parent's end", "ONNX-001", "cut off", B(HEAD GRAPH("\1") "\x8a\1")},
        {"cut off", "ONNX-001", "breaks off", B(HEAD "\x28\x81")},
};

static void onnx_models_are_explained(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(models); i++)
                for (size_t piece = 0; piece < 5; piece++) {
                        scan_run(models[i].bytes, "model.onnx", piece, &run);
                        if (!run.rejected || !said(models[i].rule, models[i].words)) {
                                scan_run_print(&run);
                                fail_msg("%s", models[i].name);
                        }
                }
}

/* Graphs in attributes of nodes of graphs …: built from the inside. */
static void nest(struct buf *b, char tag) {
        _cleanup_(buf_donep) struct buf inner = TAKE_BUF(*b);
        size_t n = inner.n;

        *b = BUF_INIT(65536);
        assert_int_equal(buf_append_char(b, tag), 0);
        for (; n >= 0x80; n >>= 7)
                assert_int_equal(buf_append_char(b, (char)(0x80 | (n & 0x7f))), 0);
        assert_int_equal(buf_append_char(b, (char)n), 0);
        assert_int_equal(buf_append_view(b, buf_view(&inner)), 0);
}

static void nesting_is_bounded(void **state) {
        static const char tags[] = {0x32, 0x2a, 0x0a}; /* graph in attribute in node in graph */

        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(65536), file = BUF_INIT(65536);
                unsigned depth = ONNX_DEPTH_MAX - 1 + extra; /* below the model itself */

                for (unsigned i = depth; i > 1; i--)
                        nest(&b, tags[(i % 3 == 1) ? 0 : (i % 3 == 0) ? 1 : 2]);
                nest(&b, 0x3a);
                assert_int_equal(buf_append_view(&file, VIEW(HEAD)), 0);
                assert_int_equal(buf_append_view(&file, buf_view(&b)), 0);
                scan_run(buf_view(&file), "model.onnx", 0, &run);
                assert_int_equal(said("ONNX-001", "nested too deeply"), extra);
                assert_int_equal(scan_run_has(&run, "ONNX-001"), extra);
        }
}

static void texts_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(65536), file = BUF_INIT(65536);

                for (unsigned i = 0; i < ONNX_TEXT_MAX + extra; i++)
                        assert_int_equal(buf_append_char(&b, 'x'), 0);
                nest(&b, 0x12);
                assert_int_equal(buf_append_view(&file, VIEW("\x0a\x08location")), 0);
                assert_int_equal(buf_append_view(&file, buf_view(&b)), 0);
                nest(&file, 0x6a);
                nest(&file, 0x2a);
                nest(&file, 0x3a);
                buf_clear(&b);
                assert_int_equal(buf_append_view(&b, VIEW(HEAD)), 0);
                assert_int_equal(buf_append_view(&b, buf_view(&file)), 0);
                scan_run(buf_view(&b), "model.onnx", 0, &run);
                assert_int_equal(scan_run_has(&run, "ONNX-003"), extra);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(onnx_models_are_explained),
                cmocka_unit_test(nesting_is_bounded),
                cmocka_unit_test(texts_are_bounded),
        };

        return cmocka_run_group_tests_name("onnx", tests, NULL, NULL);
}
