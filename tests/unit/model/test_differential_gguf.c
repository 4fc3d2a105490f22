/* What our GGUF reader accepts, llama.cpp's own reader (from the sealed worker root) reads in the same way: same keys, types and
 * values, same names, types, shapes and offsets; over generated files, whole and tampered with. SECAI_DIFFERENTIAL_CASES sets
 * how many (default 2,600). */
#include "support/cm.h"

#include "base/num.h"
#include "model/gguf.h"
#include "model/gguf_metadata.h"
#include "model/limits.h"
#include "support/differential.h"
#include "support/model_dump.h"

/* ---- our reader's side ---- */

struct dump {
        FILE *out;
        char key[GGUF_KEY_MAX];
        size_t key_n;
        uint32_t type, element_type;
        uint64_t count, hash;
        unsigned tensors;
        bool open; /* a pair whose value is still coming */
};

static void end_pair(struct dump *d) {
        if (d->open)
                dump_pair(d->out, d->key, d->key_n, d->type, d->element_type, d->count, d->hash);
        d->open = false;
}

static void on_pair(void *userdata, struct view key, uint32_t type, uint32_t element_type, uint64_t count) {
        struct dump *d = userdata;

        end_pair(d);
        memcpy(d->key, key.p, key.n);
        d->key_n = key.n;
        d->type = type;
        d->element_type = element_type;
        d->count = count;
        d->hash = DUMP_HASH_START;
        d->open = true;
}

static void on_value(void *userdata, struct view bytes) {
        struct dump *d = userdata;

        d->hash = dump_hash(d->hash, bytes.p, bytes.n);
}

static void on_tensor(void *userdata, struct view name, uint32_t type, uint32_t rank,
                      const uint64_t *dimensions, uint64_t offset) {
        struct dump *d = userdata;
        uint64_t all[4] = {1, 1, 1, 1};

        end_pair(d);
        d->tensors++;
        memcpy(all, dimensions, rank * sizeof *dimensions);
        dump_tensor(d->out, name.p, name.n, type, offset, all);
}

static void on_data(void *userdata, uint64_t start) {
        struct dump *d = userdata;

        end_pair(d);
        if (d->tensors > 0)
                dump_data(d->out, start);
}

/* What we understand of the bytes, in pieces of odd sizes; NULL when we refuse them. The caller frees it. */
static char *our_reading(struct view bytes, uint64_t seed, struct finding *ret_why) {
        struct dump d = {0};
        const struct gguf_visitor visitor = {&d, on_pair, on_value, on_tensor, on_data};
        const struct finding_sink sink = {differential_keep_first, ret_why};
        struct model_report report = {.sink = &sink};
        struct model_summary summary = {0};
        uint64_t state = modelgen_seed(seed);
        struct gguf *g;
        char *text = NULL;
        size_t n;

        memset(ret_why, 0, sizeof *ret_why);
        d.out = open_memstream(&text, &n);
        assert_non_null(d.out);
        assert_int_equal(gguf_new(bytes.n, &report, &summary, &g), 0);
        gguf_visit(g, &visitor);
        while (bytes.n > 0) {
                size_t piece = 1 + (size_t)(modelgen_random(&state) % 300);

                assert_int_equal(gguf_feed(g, view_sub(bytes, 0, MIN_OF(piece, bytes.n))), 0);
                bytes = view_sub(bytes, MIN_OF(piece, bytes.n), SIZE_MAX);
        }
        gguf_finish(g);
        gguf_free(g);
        assert_int_equal(fclose(d.out), 0);
        if (report_rejected(&report)) {
                free(text);
                return NULL;
        }
        return text;
}

static char *root_path(void) {
        const char *given = secure_getenv("SECAI_WORKER_ROOT"), *home = secure_getenv("HOME");
        char *path = NULL;

        if (given)
                assert_true(asprintf(&path, "%s", given) > 0);
        else if (home)
                assert_true(asprintf(&path, "%s/.cache/secure-ai/worker-root", home) > 0);
        return path;
}

/* The root's own loader runs the program, so that it gets the root's libraries and nothing of this machine. */
static void test_what_we_accept_llama_cpp_reads_in_the_same_way(void **state) {
        static char
                shell[] = "/bin/sh",
                option[] = "-c",
                script[] =
                        "r=\"$0\"; l=$(echo \"$r\"/usr/lib/*-linux-gnu*); "
                        "exec \"$(echo \"$r\"/lib*/ld-linux*)\" --library-path \"$l\" \"$1\" \"$2\" \"$3\"";
        _cleanup_(freep) char *root = root_path();
        char *program = secure_getenv("SECAI_GGML_DUMP");
        char *const command[] = {shell, option, script, root, program, NULL};

        assert_non_null(root);
        assert_non_null(program);
        differential_run(&(struct differential){modelgen_random_gguf, our_reading, command});
}

/* ---- the generator ---- */

static void count_types(void *userdata, struct view name, uint32_t type, uint32_t rank,
                        const uint64_t *dimensions, uint64_t offset) {
        uint32_t *seen = userdata;

        seen[type]++;
}

static void count_values(void *userdata, struct view key, uint32_t type, uint32_t element_type,
                         uint64_t count) {
        uint32_t *seen = userdata;

        seen[64 + type]++;
        if (element_type < GGUF_TYPE_MAX)
                seen[80 + element_type]++;
}

static void test_generated_files_have_all_types(void **state) {
        const struct differential d = {.make = modelgen_random_gguf};
        uint32_t seen[96] = {0}, types = 0, values = 0, elements = 0;
        const struct gguf_visitor visitor = {seen, count_values, NULL, count_types, NULL};
        struct finding why;
        const struct finding_sink sink = {differential_keep_first, &why};

        for (uint64_t i = 0; i < 300; i++) {
                _cleanup_(buf_donep) struct buf file = differential_case(&d, i * DIFFERENTIAL_VALID_EVERY);
                struct model_report report = {.sink = &sink};
                struct model_summary summary = {0};
                struct gguf *g;

                assert_int_equal(gguf_new(file.n, &report, &summary, &g), 0);
                gguf_visit(g, &visitor);
                assert_int_equal(gguf_feed(g, buf_view(&file)), 0);
                gguf_free(g);
        }
        for (size_t i = 0; i < 64; i++)
                types += seen[i] > 0;
        for (size_t i = 0; i < GGUF_TYPE_MAX; i++) {
                values += seen[64 + i] > 0;
                elements += seen[80 + i] > 0;
        }
        assert_int_equal(types, 35);
        assert_int_equal(values, 13);
        assert_int_equal(elements, 12);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_we_accept_llama_cpp_reads_in_the_same_way),
                cmocka_unit_test(test_generated_files_have_all_types),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
