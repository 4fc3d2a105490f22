/* The tables of damaged folders against the shipped program: what src/model refuses, the program refuses, by the same rule. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "support/cm.h"
#include "support/harness.h"
#include "support/set_files.h"
#include "support/temp_dir.h"

/* A scan starts a worker, so not every row is driven through the program here (the unit test of model_set takes them
 * all): of the family's rules all that fit into `most`, of the others the first. */
struct table_run {
        struct harness *h;
        const char *family; /* "DIFFUSION-" */
        const char *stages; /* for cases that must pass */
        size_t most;
        bool others;     /* the first case of each other rule, too */
        struct buf seen; /* rules */
        size_t n, failed;
};

static const char *source(const char *path, char out[4096]) {
        assert_non_null(secure_getenv("SECAI_SOURCE"));
        (void)snprintf(out, 4096, "%s/%s", secure_getenv("SECAI_SOURCE"), path);
        return out;
}

static int scan(struct harness *h, const char *path, const char *stages, struct buf *out) {
        char config[4096];
        const char *arguments[] = {"--scan",   "--json", "--stages", stages,
                                   "--config", config,   "--share",  harness_share_path(h),
                                   path,       NULL};
        int status;

        (void)snprintf(config, sizeof config, "%s/etc/secure-ai", secure_getenv("SECAI_STAGE"));
        *out = BUF_INIT((size_t)1 << 20);
        status = harness_run(h, "quarantine", arguments, out);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static bool has_rule(struct view verdict, const char *rule) {
        char wanted[64];

        (void)snprintf(wanted, sizeof wanted, "\"rule\":\"%s\"", rule);
        return view_find(verdict, view_of(wanted)) != SIZE_MAX;
}

/* Names that can't even stand in a listing are refused before anything is read. */
static bool is_refused_by(struct view verdict, const char *rule) {
        return has_rule(verdict, rule) ||
               (strcmp(rule, "FOLDER-001") == 0 && has_rule(verdict, "FORMAT-003"));
}

static bool is_taken(struct table_run *run, const struct set_case *c) {
        bool taken = c->rules == 0;

        for (size_t i = 0; i < c->rules; i++) {
                if (view_starts(view_of(c->rule[i]), view_of(run->family)))
                        taken |= run->n < run->most;
                else if (run->others && view_find(buf_view(&run->seen), view_of(c->rule[i])) == SIZE_MAX)
                        taken = true;
                assert_int_equal(buf_printf(&run->seen, "%s ", c->rule[i]), 0);
        }
        return taken;
}

static void try_case(void *userdata, const struct set_case *c, struct set_files *s) {
        struct table_run *run = userdata;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        bool fine;
        int code;

        if (!is_taken(run, c))
                return;
        run->n++;
        set_files_write(s, t.path);
        code = scan(run->h, t.path, c->rules ? "1-7" : run->stages, &out);
        fine = code == (c->rules ? 1 : 0);
        for (size_t i = 0; i < c->rules; i++)
                fine &= is_refused_by(buf_view(&out), c->rule[i]);
        if (fine)
                return;
        fprintf(stderr, "# case \"%s\" expects %s, exit code %d: %s\n", c->name,
                c->rules ? c->rule[0] : "to pass", code, buf_str(&out));
        run->failed++;
}

static size_t try_table(struct harness *h, const char *file, struct set_files *base, const char *family,
                        const char *stages, size_t most) {
        struct table_run run = {.h = h,
                                .family = family,
                                .stages = stages,
                                .most = most,
                                .others = most > 16,
                                .seen = BUF_INIT(65536)};
        char path[4096];

        (void)set_files_table(source(file, path), base, try_case, &run);
        buf_done(&run.seen);
        assert_int_equal(run.failed, 0);
        return run.n;
}

static void the_real_image_model_passes_and_no_damaged_copy_does(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        char path[4096];

        assert_int_equal(scan(*state, source("tests/data/pebble-sd", path), "1-7", &out), 0);
        assert_true(has_rule(buf_view(&out), "DIFFUSION-009"));
        assert_true(view_find(buf_view(&out), VIEW("\"kind\":\"diffusion\"")) != SIZE_MAX);
        set_files_read(&s, path);
        assert_true(try_table(*state, "tests/attacks/diffusion/damages.txt", &s, "DIFFUSION-", "1-7", 32) >=
                    44);
}

static void a_sharded_model_passes_and_no_copy_that_breaks_its_index_does(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);
        char path[4096];

        set_files_read(&s, source("tests/data/pebble/pebble-refuse-hf", path));
        assert_int_equal(read_file(source("tests/data/pebble/pebble-refuse-hf/model.safetensors", path),
                                   file.max, &file),
                         0);
        set_files_change(&s, VIEW("remove model.safetensors"));
        set_files_shard(&s, buf_view(&file), 3, "model");
        assert_true(try_table(*state, "tests/attacks/sharded/damages.txt", &s, "SAFETENSORS-S13", "1-7",
                              12) >= 12);
}

static void a_split_model_passes_and_no_copy_with_other_parts_does(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);
        char path[4096];

        assert_int_equal(
                read_file(source("tests/data/pebble/pebble-comply-Q8_0.gguf", path), file.max, &file), 0);
        set_files_split(&s, buf_view(&file), 3, "pebble");
        assert_true(try_table(*state, "tests/attacks/split/damages.txt", &s, "GGUF-G15", "1-5", 12) >= 12);
}

static int make_harness(void **state) {
        *state = harness_new();
        return 0;
}

static int drop_harness(void **state) {
        harness_free(*state);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_real_image_model_passes_and_no_damaged_copy_does),
                cmocka_unit_test(a_sharded_model_passes_and_no_copy_that_breaks_its_index_does),
                cmocka_unit_test(a_split_model_passes_and_no_copy_with_other_parts_does),
        };

        return cmocka_run_group_tests_name("quarantine_damages", tests, make_harness, drop_harness);
}
