/* What our GGUF reader accepts, llama.cpp's own reader (from the sealed worker root) reads in the same way: same keys, types and
 * values, same names, types, shapes and offsets; over generated files, whole and tampered with. SECAI_DIFFERENTIAL_CASES sets
 * how many (default 2,600). */
#include "support/cm.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/num.h"
#include "model/gguf.h"
#include "model/gguf_metadata.h"
#include "model/limits.h"
#include "support/model_dump.h"
#include "support/modelgen_random.h"
#include "support/temp_dir.h"

#define CASES       UINT64_C(2600)
#define CASES_MAX   UINT64_C(1000000)
#define VALID_EVERY 3u
#define FILE_MAX    ((size_t)8 << 20)

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

static void forget(void *userdata, const struct finding *f) {
        struct finding *first = userdata;

        if (f->severity == FINDING_REJECT && first->message[0] == '\0')
                *first = *f;
}

/* What we understand of the bytes, in pieces of odd sizes; NULL when we refuse them. The caller frees it. */
static char *our_reading(struct view bytes, uint64_t seed, struct finding *ret_why) {
        struct dump d = {0};
        const struct gguf_visitor visitor = {&d, on_pair, on_value, on_tensor, on_data};
        const struct finding_sink sink = {forget, ret_why};
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

/* ---- the cases ---- */

static uint64_t cases_n(void) {
        const char *asked = secure_getenv("SECAI_DIFFERENTIAL_CASES");
        uint64_t n;

        return asked && u64_parse(view_of(asked), CASES_MAX, &n) == 0 && n > 0 ? n : CASES;
}

static bool is_valid(uint64_t i) {
        return i % VALID_EVERY == 0;
}

static struct buf make_case(uint64_t i) {
        static struct modelgen_map map;
        struct buf file = BUF_INIT(FILE_MAX);

        assert_int_equal(modelgen_random_gguf(i, &file, &map), 0);
        if (!is_valid(i))
                assert_int_equal(modelgen_mutate(i, &file, &map), 0);
        return file;
}

static void write_case(const struct temp_dir *dir, uint64_t i, struct view bytes) {
        char name[24];
        _cleanup_(closep) int fd = -EBADF;

        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes.p, bytes.n), 0);
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
static FILE *reference(char *folder, uint64_t n) {
        static char script[] =
                "r=\"$0\"; l=$(echo \"$r\"/usr/lib/*-linux-gnu*); "
                "exec \"$(echo \"$r\"/lib*/ld-linux*)\" --library-path \"$l\" \"$1\" \"$2\" \"$3\"";
        _cleanup_(freep) char *root = root_path();
        char *program = secure_getenv("SECAI_GGML_DUMP");
        char count[24];
        int ends[2];
        pid_t child;

        assert_non_null(root);
        assert_non_null(program);
        (void)snprintf(count, sizeof count, "%llu", (unsigned long long)n);
        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                static char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C", shell[] = "sh",
                            option[] = "-c";
                char *const clean[] = {path, locale, NULL};
                char *const arguments[] = {shell, option, script, root, program, folder, count, NULL};

                (void)dup2(ends[1], STDOUT_FILENO);
                (void)close(ends[0]);
                (void)close(ends[1]);
                (void)execve("/bin/sh", arguments, clean);
                _exit(127);
        }
        (void)close(ends[1]);
        return fdopen(ends[0], "r");
}

/* Everything that the reference says about case `i`, from "file N" to "end". */
static char *their_reading(FILE *in, uint64_t i) {
        _cleanup_(freep) char *line = NULL;
        char *text = NULL, head[32];
        size_t n = 0, room = 0;
        FILE *out = open_memstream(&text, &n);

        assert_non_null(out);
        (void)snprintf(head, sizeof head, "file %llu\n", (unsigned long long)i);
        if (getline(&line, &room, in) < 0 || strcmp(line, head) != 0)
                fail_msg("the reference reader did not come to case %llu: is the worker root whole?",
                         (unsigned long long)i);
        while (getline(&line, &room, in) >= 0 && strcmp(line, "end\n") != 0)
                fputs(line, out);
        assert_int_equal(fclose(out), 0);
        return text;
}

/* The first line in which two texts differ. */
static void fail_at_difference(uint64_t i, struct view ours, struct view theirs) {
        struct view a, b;
        bool more;

        do {
                more = view_split(&ours, '\n', &a);
                more &= view_split(&theirs, '\n', &b);
        } while (more && view_eq(a, b));
        fail_msg("case %llu is read differently; ours: %.*s, theirs: %.*s", (unsigned long long)i,
                 VIEW_ARG(a), VIEW_ARG(b));
}

struct tally {
        uint64_t both, neither, ours_stricter, crashed;
};

static void compare(uint64_t i, FILE *in, struct tally *t) {
        _cleanup_(buf_donep) struct buf file = make_case(i);
        struct finding why;
        _cleanup_(freep) char *ours = our_reading(buf_view(&file), i, &why), *theirs = their_reading(in, i);
        bool crashed = strstr(theirs, "crashed") != NULL, refused = strcmp(theirs, "refused\n") == 0;

        if (is_valid(i) && !ours)
                fail_msg("valid case %llu is refused: %s %s", (unsigned long long)i, why.rule, why.message);
        if (ours && strcmp(ours, theirs) != 0)
                fail_at_difference(i, view_of(ours), view_of(theirs));
        t->crashed += crashed;
        t->both += ours != NULL;
        t->neither += !ours && (refused || crashed);
        t->ours_stricter += !ours && !refused && !crashed;
}

static void test_what_we_accept_llama_cpp_reads_in_the_same_way(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        uint64_t n = cases_n();
        struct tally t = {0};
        FILE *in;

        for (uint64_t i = 0; i < n; i++) {
                _cleanup_(buf_donep) struct buf file = make_case(i);

                write_case(&dir, i, buf_view(&file));
        }
        in = reference(dir.path, n);
        assert_non_null(in);
        for (uint64_t i = 0; i < n; i++)
                compare(i, in, &t);
        (void)fclose(in);
        (void)wait(NULL);
        printf("# %llu files: %llu read alike, %llu refused by both, %llu refused by us only, the reference "
               "died of %llu\n",
               (unsigned long long)n, (unsigned long long)t.both, (unsigned long long)t.neither,
               (unsigned long long)t.ours_stricter, (unsigned long long)t.crashed);
        assert_true(t.both > n / VALID_EVERY); /* tampered ones among them, or nothing was shown */
        assert_true(t.neither > n / 20);
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
        uint32_t seen[96] = {0}, types = 0, values = 0, elements = 0;
        const struct gguf_visitor visitor = {seen, count_values, NULL, count_types, NULL};
        struct finding why;
        const struct finding_sink sink = {forget, &why};

        for (uint64_t i = 0; i < 300; i++) {
                _cleanup_(buf_donep) struct buf file = make_case(i * VALID_EVERY);
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
