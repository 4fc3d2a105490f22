/* Executables and archives inside other bytes: real ones are seen, chance hits in weights are not. */
#include "base/buf.h"
#include "base/file.h"
#include "model/scan.h"
#include "support/cm.h"

#define B(lit)  VIEW_INIT(lit)
#define ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct {
        const char *name;
        enum model_kind kind;
        struct view bytes;
} real[] = {
        {"64-bit Linux program", MODEL_KIND_ELF,
         B("\177ELF\2\1\1\0"
           "\0\0\0\0\0\0\0\0"
           "\3\0\x3e\0\1\0\0\0"
           "\x40\x10\0\0\0\0\0\0"
           "\x40\0\0\0\0\0\0\0"
           "\0\0\0\0\0\0\0\0"
           "\0\0\0\0\x40\0\x38\0"
           "\x0d\0\x40\0\x1e\0\x1d\0")},
        {"32-bit ARM program", MODEL_KIND_ELF,
         B("\177ELF\1\1\1\0"
           "\0\0\0\0\0\0\0\0"
           "\2\0\x28\0\1\0\0\0"
           "\0\0\1\0\x34\0\0\0"
           "\0\0\0\0\0\2\0\5"
           "\x34\0\x20\0\3\0\x28\0" ZEROS16)},
        {"Windows program", MODEL_KIND_PE,
         B("MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0" ZEROS16
           "\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0"
           "PE\0\0\x64\x86\6\0")},
        {"Windows program, header cut off", MODEL_KIND_PE,
         B("MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0" ZEROS16
           "\0\0\0\0\0\0\0\0\0\0\0\0\xf8\0\0\0")},
        {"macOS program", MODEL_KIND_MACHO,
         B("\xcf\xfa\xed\xfe\7\0\0\1\3\0\0\0\2\0\0\0\x10\0\0\0\x08\6\0\0\x85\0\x20\0\0\0\0\0")},
        {"macOS universal program", MODEL_KIND_MACHO,
         B("\xca\xfe\xba\xbe\0\0\0\2\1\0\0\7\0\0\0\3\0\0\x40\0\0\1\0\0\0\0\0\x0e\1\0\0\x0c")},
        {"ZIP entry", MODEL_KIND_ZIP,
         B("PK\3\4\x14\0\0\0\x08\0\x21\x5a\x21\x5a\x11\x22\x33\x44\x10\0\0\0\x20\0\0\0\x08\0\0\0"
           "data.pkl"
           "\x80\2")},
        {"gzip with a name", MODEL_KIND_GZIP,
         B("\x1f\x8b\x08\x08\x11\x22\x33\x66\0\3evil.sh\0\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\3\0\0\0")},
        {"gzip of a pipe", MODEL_KIND_GZIP,
         B("\x1f\x8b\x08\0\0\0\0\0\0\3\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\3\0\0\0\0\0\0\0")},
        {"bzip2", MODEL_KIND_BZIP2, B("BZh91AY&SY\x11\x22\x33\x44")},
        {"xz", MODEL_KIND_XZ,
         B("\xfd"
           "7zXZ\0\0\4\xe6\xd6\xb4\x46")},
        {"zstd", MODEL_KIND_ZSTD,
         B("\x28\xb5\x2f\xfd\4\x58\x19\0\0abc\x0a\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb")},
        {"7-Zip", MODEL_KIND_7Z, B("7z\xbc\xaf\x27\x1c\0\4\x11\x22\x33\x44")},
        {"RAR 4", MODEL_KIND_RAR, B("Rar!\x1a\7\0\xcf")},
        {"RAR 5", MODEL_KIND_RAR, B("Rar!\x1a\7\1\0")},
        {"shell script", MODEL_KIND_SCRIPT, B("#!/bin/sh\nid\n")},
        {"Python script", MODEL_KIND_SCRIPT, B("#! /usr/bin/env python3\n")},
        {"pickle, protocol 2", MODEL_KIND_PICKLE, B("\x80\2cposix\nsystem\nq\0X\2\0\0\0idq\1\x85q\2Rq\3.")},
        {"pickle, protocol 4", MODEL_KIND_PICKLE,
         B("\x80\4\x95\x1d\0\0\0\0\0\0\0\x8c\5posix\x94\x8c\6system\x94\x93\x94\x8c\2id\x94\x85\x94R\x94.")},
        {"document", MODEL_KIND_PDF, B("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")},
};

static void real_files_are_recognised(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(real); i++) {
                enum model_kind kind = MODEL_KIND_MAX;

                if (!model_embedded_plausible(real[i].bytes, &kind) || kind != real[i].kind)
                        fail_msg("%s is not recognised", real[i].name);
        }
}

/* Any front part is judged without reading past it, and the magic number alone convinces nobody. */
static void cut_headers_do_no_harm(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(real); i++)
                for (size_t n = 0; n < real[i].bytes.n; n++) {
                        _cleanup_(freep) char *exact = malloc(n + 1);
                        enum model_kind kind;

                        assert_non_null(exact);
                        memcpy(exact, real[i].bytes.p, n);
                        if (n <= 3)
                                assert_false(model_embedded_plausible(view_make(exact, n), &kind));
                        else
                                (void)model_embedded_plausible(view_make(exact, n), &kind);
                }
}

static uint64_t next(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Every offset of random bytes, then every magic number followed by random bytes a million times. */
static void random_bytes_raise_no_alarm(void **state) {
        size_t n = (size_t)24 << 20;
        _cleanup_(freep) uint64_t *data = malloc(n);
        uint64_t seed = 0x9e3779b97f4a7c15;
        enum model_kind kind;

        assert_non_null(data);
        for (size_t i = 0; i < n / 8; i++)
                data[i] = next(&seed);
        for (size_t i = 0; i + 256 <= n; i++)
                if (model_embedded_plausible(view_make((const char *)data + i, 256), &kind))
                        fail_msg("random bytes look like %s", model_kind_name(kind));
}

/* Given the magic number (up to 4 bytes), random bytes behind it pass so seldom that a whole model raises no
 * alarm: magic numbers of four bytes come up ten times in 40 GB, those of two bytes 600,000 times. */
static void a_magic_number_by_chance_raises_no_alarm(void **state) {
        static const struct {
                struct view magic;
                unsigned most; /* of a million */
        } magics[] = {
                {B("\177ELF"), 0},
                {B("MZ"), 0},
                {B("\xcf\xfa\xed\xfe"), 0},
                {B("\xca\xfe\xba\xbe"), 0},
                {B("PK\3\4"), 0},
                {B("\x1f\x8b\x08"), 20},
                {B("BZh9"), 0},
                {B("\xfd"
                   "7zX"),
                 0},
                {B("\x28\xb5\x2f\xfd"), 5000},
                {B("7z\xbc\xaf"), 0},
                {B("Rar!"), 0},
                {B("#!"), 0},
                {B("\x80\2"), 1},
                {B("\x80\3"), 1},
                {B("\x80\4"), 0},
                {B("%PDF"), 0},
        };
        uint64_t seed = 88172645463325252u;

        for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
                unsigned hits = 0;

                for (unsigned k = 0; k < 1000000; k++) {
                        uint64_t data[24];
                        enum model_kind kind;

                        for (size_t j = 0; j < ARRAY_SIZE(data); j++)
                                data[j] = next(&seed);
                        memcpy(data, magics[i].magic.p, magics[i].magic.n);
                        hits += model_embedded_plausible(view_make(data, sizeof data), &kind);
                }
                if (hits > magics[i].most)
                        fail_msg("%s: %u of a million", magics[i].magic.p, hits);
        }
}

/* Weights look less random than noise: sixteen-bit floats of ordinary size, and four-bit blocks. */
static void ordinary_weights_raise_no_alarm(void **state) {
        size_t n = (size_t)8 << 20;
        _cleanup_(freep) uint8_t *data = malloc(n);
        uint64_t seed = 1234567;
        enum model_kind kind;

        assert_non_null(data);
        for (size_t i = 0; i < n; i += 2) {
                uint64_t x = next(&seed);

                data[i] = (uint8_t)x;
                data[i + 1] = (uint8_t)((x >> 8 & 0x80) |
                                        (0x1c + (x >> 16) % 12)); /* binary16, 0.001 to 0.1 */
        }
        for (size_t i = 0; i + 256 <= n; i++)
                assert_false(model_embedded_plausible(view_make(data + i, 256), &kind));
}

static void an_installed_program_is_recognised(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT((size_t)64 << 20);
        enum model_kind kind;

        assert_int_equal(read_file("/proc/self/exe", (size_t)64 << 20, &b), 0);
        assert_true(model_embedded_plausible(buf_view(&b), &kind));
        assert_int_equal(kind, MODEL_KIND_ELF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(real_files_are_recognised),
                cmocka_unit_test(cut_headers_do_no_harm),
                cmocka_unit_test(random_bytes_raise_no_alarm),
                cmocka_unit_test(a_magic_number_by_chance_raises_no_alarm),
                cmocka_unit_test(ordinary_weights_raise_no_alarm),
                cmocka_unit_test(an_installed_program_is_recognised),
        };

        return cmocka_run_group_tests_name("embedded", tests, NULL, NULL);
}
