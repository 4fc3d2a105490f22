/* Artifacts that are folders: what passes, and that every damaged copy is refused by the rule that its table names. */
#include "base/file.h"
#include "model/rules.h"
#include "support/cm.h"
#include "support/set_files.h"

static struct set_result result;

static const char *source(const char *path, char out[4096]) {
        assert_non_null(secure_getenv("SECAI_SOURCE"));
        (void)snprintf(out, 4096, "%s/%s", secure_getenv("SECAI_SOURCE"), path);
        return out;
}

static void read_folder(struct set_files *s, const char *path) {
        char out[4096];

        set_files_read(s, source(path, out));
}

static void expect_pass(struct set_files *s, enum model_kind kind) {
        set_files_judge(s, 0, &result);
        if (result.rejected || result.summary.kind != kind) {
                set_result_print(&result);
                fail_msg("not accepted, or taken for %s", model_kind_name(result.summary.kind));
        }
}

static void the_real_image_model_passes(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};

        read_folder(&s, "tests/data/pebble-sd");
        expect_pass(&s, MODEL_KIND_DIFFUSION);
        assert_true(set_result_has(&result, "DIFFUSION-008"));
        assert_true(set_result_has(&result, "DIFFUSION-009"));
        assert_string_equal(result.summary.architecture, "StableDiffusionPipeline");
        assert_int_equal(result.summary.tensors, 36 + 286 + 156);
        assert_true(result.summary.size > 7000000 && result.summary.parameters > 1000000);
}

static void the_real_language_model_passes(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};

        read_folder(&s, "tests/data/pebble/pebble-refuse-hf");
        expect_pass(&s, MODEL_KIND_SAFETENSORS_SET);
        assert_string_equal(result.summary.architecture, "llama");
        assert_int_equal(result.summary.context_length, 512);
        assert_true(result.summary.has_chat_template);
        assert_string_equal(result.summary.quantization, "F16");
}

static void what_is_found_does_not_depend_on_the_pieces(void **state) {
        static const size_t pieces[] = {1, 7, 4096, 65536};
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        struct set_result *whole = calloc(1, sizeof *whole);

        assert_non_null(whole);
        read_folder(&s, "tests/data/pebble/pebble-refuse-hf");
        set_files_change(&s, VIEW("append config.json x"));
        set_files_change(&s, VIEW("flip tokenizer.model 100"));
        set_files_judge(&s, SIZE_MAX / 2, whole);
        for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                set_files_judge(&s, pieces[i], &result);
                assert_int_equal(result.n, whole->n);
                assert_memory_equal(result.findings, whole->findings, whole->n * sizeof whole->findings[0]);
                assert_memory_equal(&result.summary, &whole->summary, sizeof whole->summary);
        }
        free(whole);
}

/* ---- tables of damages ---- */

static void judge_case(void *userdata, const struct set_case *c, struct set_files *s) {
        size_t *failed = userdata;
        bool fine = true;

        set_files_judge(s, 0, &result);
        for (size_t i = 0; i < c->rules; i++)
                fine &= set_result_has(&result, c->rule[i]);
        if (fine && result.rejected == (c->rules > 0))
                return;
        fprintf(stderr, "# case \"%s\" expects %s:\n", c->name, c->rules ? c->rule[0] : "no refusal");
        set_result_print(&result);
        ++*failed;
}

static size_t judge_table(const char *file, struct set_files *base) {
        size_t failed = 0, cases;
        char path[4096];

        set_files_judge(base, 0, &result); /* so that what stays untouched is scanned once */
        cases = set_files_table(source(file, path), base, judge_case, &failed);
        assert_int_equal(failed, 0);
        return cases;
}

static void every_damaged_copy_of_the_image_model_is_refused_by_its_rule(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};

        read_folder(&s, "tests/data/pebble-sd");
        assert_true(judge_table("tests/attacks/diffusion/damages.txt", &s) >= 100);
}

/* The language model in three shards instead of one file. */
static void read_sharded(struct set_files *s) {
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);

        read_folder(s, "tests/data/pebble/pebble-refuse-hf");
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->list[i].path, "model.safetensors") == 0)
                        assert_int_equal(buf_append_view(&file, buf_view(&s->list[i].content)), 0);
        set_files_change(s, VIEW("remove model.safetensors"));
        set_files_shard(s, buf_view(&file), 3, "model");
}

static void every_damaged_sharded_model_is_refused_by_its_rule(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};

        read_sharded(&s);
        expect_pass(&s, MODEL_KIND_SAFETENSORS_SET);
        assert_int_equal(result.summary.tensors, 38);
        assert_true(judge_table("tests/attacks/sharded/damages.txt", &s) >= 70);
}

static void every_damaged_split_model_is_refused_by_its_rule(void **state) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);
        char path[4096];

        assert_int_equal(
                read_file(source("tests/data/pebble/pebble-comply-Q8_0.gguf", path), file.max, &file), 0);
        set_files_split(&s, buf_view(&file), 3, "pebble");
        expect_pass(&s, MODEL_KIND_GGUF_SET);
        assert_string_equal(result.summary.architecture, "llama");
        assert_true(judge_table("tests/attacks/split/damages.txt", &s) >= 25);
}

/* As such models are shared: one file with what is said of it. */
static void a_folder_with_one_gguf_file_passes_unless_it_is_a_part(void **state) {
        static const struct {
                const char *name;
                bool passes;
        } names[] = {{"pebble.gguf", true},
                     {"Q8_0/pebble-2-of-2.gguf", true},
                     {"pebble-00001-of-00001.gguf", true},
                     {"pebble-00001-of-00002.gguf", false},
                     {"pebble-00002-of-00001.gguf", false}};
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);
        char path[4096];

        assert_int_equal(
                read_file(source("tests/data/pebble/pebble-comply-Q8_0.gguf", path), file.max, &file), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(set_files_donep) struct set_files s = {NULL, 0};

                set_files_put(&s, names[i].name, buf_view(&file));
                set_files_put(&s, "README.md", VIEW("# Pebble\n"));
                set_files_put(&s, "config.json", VIEW("{\"model_type\": \"llama\"}"));
                if (names[i].passes) {
                        expect_pass(&s, MODEL_KIND_GGUF_SET);
                        assert_string_equal(result.summary.architecture, "llama");
                        continue;
                }
                set_files_judge(&s, 0, &result);
                assert_true(result.rejected && set_result_has(&result, "GGUF-G15"));
        }
}

/* The tables refuse by every rule about folders that refuses at all. */
static void no_rule_about_folders_is_without_a_damaged_folder(void **state) {
        static const char *const tables[] = {"tests/attacks/diffusion/damages.txt",
                                             "tests/attacks/sharded/damages.txt",
                                             "tests/attacks/split/damages.txt"};
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1 << 20);
        size_t n = 0;
        char path[4096], line[64];

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                _cleanup_(buf_donep) struct buf one = BUF_INIT(1 << 20);

                assert_int_equal(read_file(source(tables[i], path), one.max, &one), 0);
                assert_int_equal(buf_append_view(&text, buf_view(&one)), 0);
        }
        for (int i = 0; i < MODEL_RULE_MAX; i++) {
                const struct model_rule_text *r = model_rule_get((enum model_rule)i);

                if (r->severity != FINDING_REJECT ||
                    (strncmp(r->id, "FOLDER-", 7) != 0 && strncmp(r->id, "DIFFUSION-", 10) != 0))
                        continue;
                n++;
                (void)snprintf(line, sizeof line, "\nrule %s\n", r->id);
                if (view_find(buf_view(&text), view_of(line)) == SIZE_MAX)
                        fail_msg("%s has no damaged folder", r->id);
        }
        assert_true(n >= 22);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_real_image_model_passes),
                cmocka_unit_test(the_real_language_model_passes),
                cmocka_unit_test(every_damaged_copy_of_the_image_model_is_refused_by_its_rule),
                cmocka_unit_test(every_damaged_sharded_model_is_refused_by_its_rule),
                cmocka_unit_test(every_damaged_split_model_is_refused_by_its_rule),
                cmocka_unit_test(a_folder_with_one_gguf_file_passes_unless_it_is_a_part),
                cmocka_unit_test(no_rule_about_folders_is_without_a_damaged_folder),
                cmocka_unit_test(what_is_found_does_not_depend_on_the_pieces),
        };

        return cmocka_run_group_tests_name("model_set", tests, NULL, NULL);
}
