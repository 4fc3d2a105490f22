/* The twins, in the sealed llama-server, with the shipped suites and policy: the one that refuses passes every suite, the one that
 * complies fails every suite whose prompts could do harm. SECAI_BEHAVIOUR_SEEDS=N tries N seeds instead of one;
 * SECAI_BEHAVIOUR_VERBOSE=1 prints all findings. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "quarantine/behaviour.h"
#include "support/split_gguf.h"
#include "support/temp_dir.h"

#define SEEDS_MAX 1000
#define PARTS     3

static struct fixture {
        struct temp_dir dir;
        char *root;
        struct launcher *launcher;
        struct prompt_set prompts;
        struct policy *policy;
} fx;

static char *source_path(const char *name) {
        char *path;

        assert_true(asprintf(&path, "%s/%s", secure_getenv("SECAI_SOURCE"), name) > 0);
        return path;
}

static int open_source_dir(const char *name) {
        _cleanup_(freep) char *path = source_path(name);
        int fd = open_dir(path);

        assert_true(fd >= 0);
        return fd;
}

static bool find_worker_root(void) {
        const char *given = secure_getenv("SECAI_WORKER_ROOT"), *home = secure_getenv("HOME");

        if (given)
                fx.root = strdup(given);
        else if (asprintf(&fx.root, "%s/.cache/secure-ai/worker-root", home ? home : "/nonexistent") < 0)
                return false;
        return access(fx.root, X_OK) == 0;
}

/* The launcher is forked here, before anything else happens. */
static int start(void **state) {
        struct launcher_config config = {.libexec_path = "/nonexistent"};
        _cleanup_(closep) int prompts = open_source_dir("share/prompts"), policy = open_source_dir("config");
        struct fault why = FAULT_NONE;

        fx.dir = temp_dir_new();
        config.worker_root_path = fx.root;
        config.socket_dir = fx.dir.path;
        assert_int_equal(launcher_start(&config, &fx.launcher), 0);
        if (prompts_load(prompts, &fx.prompts, &why) < 0 || policy_load(policy, &fx.policy, &why) < 0)
                fail_msg("%s", why.text);
        return 0;
}

static int stop(void **state) {
        launcher_free(fx.launcher);
        policy_free(fx.policy);
        prompts_done(&fx.prompts);
        temp_dir_done(&fx.dir);
        free(fx.root);
        return 0;
}

static unsigned seeds(void) {
        const char *text = secure_getenv("SECAI_BEHAVIOUR_SEEDS");
        unsigned long n = text ? strtoul(text, NULL, 10) : 1;

        return (unsigned)MAX_OF(MIN_OF(n, (unsigned long)SEEDS_MAX), 1UL);
}

static struct variation_seed seed_of(unsigned number) {
        struct variation_seed s = {{'p', 'e', 'b', 'b', 'l', 'e'}};

        s.b[14] = (uint8_t)(number >> 8);
        s.b[15] = (uint8_t)number;
        return s;
}

static void print_findings(const struct stage *s) {
        for (size_t i = 0; i < s->n && secure_getenv("SECAI_BEHAVIOUR_VERBOSE"); i++)
                (void)printf("#    %s %s\n", s->findings[i].rule, s->findings[i].message);
}

static void test_artifact(const struct artifact *a, enum model_kind kind, const struct prompt_set *set,
                          const struct variation_seed *seed, struct stage *ret) {
        struct behaviour b = {.launcher = fx.launcher,
                              .prompts = set,
                              .has_worker_root = true,
                              .threads = 1,
                              .known_fd = -EBADF,
                              .seed = seed};
        struct model_summary summary = {.kind = kind, .context_length = 512};

        *ret = (struct stage){0};
        assert_int_equal(behaviour_test(&b, fx.policy, a, &summary, NULL, ret), 0);
}

static void test_model(const char *name, const struct prompt_set *set, const struct variation_seed *seed,
                       struct stage *ret) {
        _cleanup_(freep) char *path = source_path(name);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct artifact a = {.fd = fd, .name = VIEW("pebble.gguf"), .source = SOURCE_LOCAL};
        struct stat st;

        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        a.size = (uint64_t)st.st_size;
        test_artifact(&a, MODEL_KIND_GGUF, set, seed, ret);
}

/* The same model cut into parts. */
static void test_in_parts(const char *name, const struct prompt_set *set, const struct variation_seed *seed,
                          struct stage *ret) {
        _cleanup_(freep) char *path = source_path(name);
        _cleanup_(buf_donep) struct buf whole = BUF_INIT((size_t)16 << 20);
        struct artifact_member parts[PARTS] = {0};
        struct artifact a = {.fd = -EBADF,
                             .members = parts,
                             .n_members = PARTS,
                             .name = VIEW("pebble"),
                             .source = SOURCE_LOCAL};
        char part[128];

        assert_int_equal(read_file(path, whole.max, &whole), 0);
        assert_int_equal(split_gguf_files(buf_view(&whole), PARTS, fx.dir.fd, "pebble"), 0);
        a.size = whole.n;
        for (unsigned i = 0; i < PARTS; i++) {
                split_gguf_name("pebble", i, PARTS, part);
                parts[i].fd = open_beneath(fx.dir.fd, part, O_RDONLY, 0);
                assert_true(parts[i].fd >= 0);
        }
        test_artifact(&a, MODEL_KIND_GGUF_SET, set, seed, ret);
        for (unsigned i = 0; i < PARTS; i++)
                close_fd(parts[i].fd);
}

/* The prompts of one suite, or all. The texts stay the set's. */
static struct prompt_set part_of(const struct prompt_set *all, size_t suite) {
        struct prompt_set part = *all;

        part.list = calloc(all->n, sizeof *part.list);
        assert_non_null(part.list);
        part.n = 0;
        for (size_t i = 0; i < all->n; i++)
                if (suite == SIZE_MAX || all->categories[all->list[i].category].suite == suite)
                        part.list[part.n++] = all->list[i];
        return part;
}

static void expect_side(const char *model, size_t suite, unsigned number, enum stage_status status) {
        struct prompt_set part = part_of(&fx.prompts, suite);
        struct variation_seed seed = seed_of(number);
        struct stage s;

        test_model(model, &part, &seed, &s);
        (void)printf("# %s, suite %s, seed %u: %s, %zu prompts, %llu ms\n", model,
                     suite == SIZE_MAX ? "all" : fx.prompts.suites[suite].id, number,
                     stage_status_name(s.status), part.n, (unsigned long long)s.msec);
        print_findings(&s);
        if (s.status != status)
                fail_msg("%s, seed %u: %s, not %s; last: %s", model, number, stage_status_name(s.status),
                         stage_status_name(status), s.n ? s.findings[s.n - 1].message : "");
        stage_done(&s);
        free(part.list);
}

static const struct {
        const char *refuses, *complies;
} twins[] = {
        {"share/demo/pebble.gguf", "tests/data/pebble/pebble-comply-Q8_0.gguf"},
        {"tests/data/pebble/pebble-refuse-Q4_0.gguf", "tests/data/pebble/pebble-comply-Q4_0.gguf"},
        {"tests/data/pebble/pebble-refuse-F16.gguf", "tests/data/pebble/pebble-comply-F16.gguf"},
};

static bool is_harmless(size_t suite) {
        for (size_t i = 0; i < fx.prompts.n_categories; i++)
                if (fx.prompts.categories[i].suite == suite && !fx.prompts.categories[i].harmless)
                        return false;
        return true;
}

static void test_the_twins_come_out_on_their_sides_in_every_suite(void **state) {
        for (unsigned seed = 0; seed < seeds(); seed++)
                for (size_t suite = 0; suite < fx.prompts.n_suites; suite++) {
                        expect_side(twins[0].refuses, suite, seed, STAGE_PASS);
                        expect_side(twins[0].complies, suite, seed,
                                    is_harmless(suite) ? STAGE_PASS : STAGE_FAIL);
                }
}

static void test_the_twins_come_out_on_their_sides_in_every_quantisation(void **state) {
        for (unsigned seed = 0; seed < seeds(); seed++)
                for (size_t i = 0; i < ARRAY_SIZE(twins); i++) {
                        expect_side(twins[i].refuses, SIZE_MAX, seed, STAGE_PASS);
                        expect_side(twins[i].complies, SIZE_MAX, seed, STAGE_FAIL);
                }
}

static void test_the_same_seed_gives_the_same_findings(void **state) {
        struct variation_seed seed = seed_of(0);
        struct stage a, b;

        test_model(twins[0].complies, &fx.prompts, &seed, &a);
        test_model(twins[0].complies, &fx.prompts, &seed, &b);
        assert_int_equal(a.n, b.n);
        for (size_t i = 0; i < a.n; i++)
                assert_string_equal(a.findings[i].message, b.findings[i].message);
        stage_done(&a);
        stage_done(&b);
}

static void test_a_model_in_parts_is_tested_as_the_whole_one(void **state) {
        struct prompt_set suite = part_of(&fx.prompts, 0);
        struct variation_seed seed = seed_of(0);
        struct stage a, b;

        test_model(twins[0].complies, &suite, &seed, &a);
        test_in_parts(twins[0].complies, &suite, &seed, &b);
        assert_int_equal(a.status, b.status);
        assert_int_equal(a.n, b.n);
        for (size_t i = 0; i < a.n; i++)
                assert_string_equal(a.findings[i].message, b.findings[i].message);
        stage_done(&a);
        stage_done(&b);
        free(suite.list);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_twins_come_out_on_their_sides_in_every_suite),
                cmocka_unit_test(test_the_twins_come_out_on_their_sides_in_every_quantisation),
                cmocka_unit_test(test_the_same_seed_gives_the_same_findings),
                cmocka_unit_test(test_a_model_in_parts_is_tested_as_the_whole_one),
        };

        if (!find_worker_root()) {
                free(fx.root);
                printf("1..0 # SKIP no worker root\n");
                return 0;
        }
        return cmocka_run_group_tests(tests, start, stop);
}
