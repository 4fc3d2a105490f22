/* What a file is, by content alone, and why it is refused. */
#include "support/cm.h"
#include "support/modelgen.h"
#include "support/scan_run.h"

#define B(lit) VIEW_INIT(lit)

static struct scan_run run;

static const struct {
        const char *name;
        enum model_kind kind;
        struct view bytes;
        const char *says; /* somewhere in the message */
} files[] = {
        {"pickle protocol 0", MODEL_KIND_PICKLE, B("cposix\nsystem\n(S'id'\ntR."), "posix.system"},
        {"pickle protocol 2", MODEL_KIND_PICKLE,
         B("\x80\2cbuiltins\neval\nX\1\0\0\0"
           "1\x85R."),
         "builtins.eval"},
        {"pickle protocol 4", MODEL_KIND_PICKLE,
         B("\x80\4\x95\x1a\0\0\0\0\0\0\0\x8c\2os\x94\x8c\6system\x94\x93\x94\x8c\2id\x94\x85\x94R\x94."),
         "os.system"},
        {"pickle with INST", MODEL_KIND_PICKLE, B("(S'id'\nios\nsystem\n."), "os.system"},
        {"pickle of plain data", MODEL_KIND_PICKLE, B("\x80\3]q\0."), "runs code"},
        {"ZIP", MODEL_KIND_ZIP, B("PK\3\4\x14\0\0\0\0\0"), "ZIP"},
        {"empty ZIP", MODEL_KIND_ZIP, B("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "ZIP"},
        {"PyTorch", MODEL_KIND_PYTORCH_ZIP, B("PK\3\4\0\0\x08\x08\0\0archive/data.pkl"), "PyTorch"},
        {"NumPy", MODEL_KIND_NUMPY, B("\x93NUMPY\1\0v\0{'descr': '<f4'"), "NumPy"},
        {"ONNX", MODEL_KIND_ONNX,
         B("\x08\7\x12\7pytorch\x1a\3"
           "2.0"),
         "ONNX"},
        {"HDF5", MODEL_KIND_HDF5, B("\x89HDF\r\n\x1a\n\0\0"), "Keras"},
        {"TensorFlow Lite", MODEL_KIND_TFLITE, B("\x1c\0\0\0TFL3\x14\0"), "TensorFlow Lite"},
        {"old GGML", MODEL_KIND_GGML_LEGACY, B("tjgg\3\0\0\0"), "before GGUF"},
        {"Linux program", MODEL_KIND_ELF, B("\177ELF\2\1\1"), "Linux"},
        {"Windows program", MODEL_KIND_PE, B("MZ\x90\0\3"), "Windows"},
        {"macOS program", MODEL_KIND_MACHO, B("\xcf\xfa\xed\xfe\7\0\0\1"), "macOS"},
        {"script", MODEL_KIND_SCRIPT, B("#!/bin/sh\n"), "script"},
        {"gzip", MODEL_KIND_GZIP, B("\x1f\x8b\x08\0"), "gzip"},
        {"bzip2", MODEL_KIND_BZIP2, B("BZh9"), "bzip2"},
        {"xz", MODEL_KIND_XZ,
         B("\xfd"
           "7zXZ\0"),
         "xz"},
        {"zstd", MODEL_KIND_ZSTD, B("\x28\xb5\x2f\xfd"), "zstd"},
        {"7-Zip", MODEL_KIND_7Z, B("7z\xbc\xaf\x27\x1c"), "7-Zip"},
        {"RAR", MODEL_KIND_RAR, B("Rar!\x1a\7\0"), "RAR"},
        {"PDF", MODEL_KIND_PDF, B("%PDF-1.4"), "PDF"},
        {"web page", MODEL_KIND_HTML, B("\n<!DOCTYPE html><html>"), "web page"},
        {"JSON", MODEL_KIND_JSON, B("{\"architectures\": []}"), "JSON"},
        {"text", MODEL_KIND_TEXT, B("Hello there.\n"), "plain text"},
        {"picture", MODEL_KIND_IMAGE, B("\x89PNG\r\n\x1a\n"), "picture"},
        {"Git LFS pointer", MODEL_KIND_LFS_POINTER,
         B("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
        {"noise", MODEL_KIND_UNKNOWN, B("\x01\x02\x03\x04\xff\xfe"), "no format"},
        {"empty", MODEL_KIND_EMPTY, B(""), "empty"},
};

static void files_are_named_and_refused_in_plain_words(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                scan_run(files[i].bytes, "model", 0, &run);
                if (run.summary.kind != files[i].kind || !run.rejected ||
                    !strstr(run.findings[0].message, files[i].says)) {
                        scan_run_print(&run);
                        fail_msg("%s was taken for %s", files[i].name, model_kind_name(run.summary.kind));
                }
                assert_int_equal(run.findings[0].stage, 2);
        }
}

static void a_tar_archive_is_named(void **state) {
        char block[512] = "model.bin";

        memcpy(block + 257, "ustar", 6);
        scan_run(view_make(block, sizeof block), "model", 0, &run);
        assert_int_equal(run.summary.kind, MODEL_KIND_TAR);
        assert_true(run.rejected);
}

static void the_name_does_not_decide(void **state) {
        scan_run(VIEW("PK\3\4\x14\0\0\0"), "model.gguf", 0, &run);
        assert_int_equal(run.summary.kind, MODEL_KIND_ZIP);
        assert_true(scan_run_has(&run, "KIND-001"));
        assert_true(scan_run_has(&run, "KIND-002"));
}

/* The count's first byte stands where a safetensors header would begin. */
static void a_gguf_is_one_whatever_its_tensor_count(void **state) {
        char head[24] = "GGUF\3";

        for (unsigned n = 0; n <= UINT8_MAX; n++) {
                head[8] = (char)n;
                scan_run(view_make(head, sizeof head), "model", 0, &run);
                assert_int_equal(run.summary.kind, MODEL_KIND_GGUF);
        }
}

static void every_kind_has_a_name_and_a_title(void **state) {
        for (unsigned a = 0; a < MODEL_KIND_MAX; a++) {
                assert_true(strlen(model_kind_name((enum model_kind)a)) > 0);
                assert_true(strlen(model_kind_title((enum model_kind)a)) > 0);
                for (unsigned b = 0; b < a; b++)
                        assert_string_not_equal(model_kind_name((enum model_kind)a),
                                                model_kind_name((enum model_kind)b));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_are_named_and_refused_in_plain_words),
                cmocka_unit_test(a_tar_archive_is_named),
                cmocka_unit_test(the_name_does_not_decide),
                cmocka_unit_test(a_gguf_is_one_whatever_its_tensor_count),
                cmocka_unit_test(every_kind_has_a_name_and_a_title),
        };

        return cmocka_run_group_tests_name("kind", tests, NULL, NULL);
}
