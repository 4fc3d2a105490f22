/* The catalogue names every rule that a source or a signature states, and no other. */
#include <dirent.h>

#include "base/file.h"
#include "model/catalogue.h"
#include "support/cm.h"
#include "support/modelgen.h"

#define TEXT_MAX ((size_t)8 << 20)

static const char *source(const char *path, char out[4096]) {
        assert_non_null(secure_getenv("SECAI_SOURCE"));
        (void)snprintf(out, 4096, "%s/%s", secure_getenv("SECAI_SOURCE"), path);
        return out;
}

/* All files of a folder with this ending, one after the other. */
static void read_folder(const char *folder, const char *suffix, const char *without, struct buf *out) {
        char path[4096];
        DIR *d = opendir(source(folder, path));
        const struct dirent *e;
        size_t files = 0;

        assert_non_null(d);
        while ((e = readdir(d))) {
                _cleanup_(buf_donep) struct buf name = BUF_INIT(4096), one = BUF_INIT(TEXT_MAX);

                if (!view_ends(view_of(e->d_name), view_of(suffix)) || strcmp(e->d_name, without) == 0)
                        continue;
                assert_int_equal(buf_printf(&name, "%s/%s", path, e->d_name), 0);
                assert_int_equal(read_file(buf_str(&name), TEXT_MAX, &one), 0);
                assert_int_equal(buf_append_view(out, buf_view(&one)), 0);
                files++;
        }
        (void)closedir(d);
        assert_true(files > 5);
}

/* "ABC-001" in quotes? */
static bool is_rule_id(struct view v) {
        size_t dash = view_find_char(v, '-');

        if (dash < 2 || dash == SIZE_MAX || v.n != dash + 4 || v.n >= FINDING_RULE_MAX)
                return false;
        for (size_t i = 0; i < v.n; i++)
                if (i < dash ? v.p[i] < 'A' || v.p[i] > 'Z' : i > dash && (v.p[i] < '0' || v.p[i] > '9'))
                        return false;
        return true;
}

/* Rules of these say why a program does not start or a setting is refused: they stand in no verdict. "SHA-256" is a hash. */
static bool is_of_a_fault(struct view id) {
        static const char *const families[] = {"CONFIG-", "PROMPTS-", "RULES-", "SETUP-",
                                               "SHA-" /* no rule */};

        for (size_t i = 0; i < ARRAY_SIZE(families); i++)
                if (view_starts(id, view_of(families[i])))
                        return true;
        return false;
}

static void note(struct view id, const char *where, bool *seen) {
        size_t i;

        if (is_of_a_fault(id))
                return;
        if (!catalogue_find(id, &i))
                fail_msg("%s states the rule %.*s; src/model/catalogue.c must explain it", where,
                         VIEW_ARG(id));
        seen[i] = true;
}

/* Of the quoted ids those that begin with `family`. */
static void note_all(struct view text, const char *family, const char *where, bool *seen) {
        struct view piece;

        while (view_split(&text, '"', &piece))
                if (is_rule_id(piece) && view_starts(piece, view_of(family)))
                        note(piece, where, seen);
}

/* The readers name their rules by constants. */
static void note_constants(bool *seen) {
        _cleanup_(buf_donep) struct buf header = BUF_INIT(TEXT_MAX), code = BUF_INIT(TEXT_MAX);
        struct view rest, line;
        char path[4096];
        size_t i, n = 0;

        assert_int_equal(read_file(source("src/model/rules.h", path), TEXT_MAX, &header), 0);
        read_folder("src/model", ".c", "rules.c", &code);
        read_folder("src/quarantine", ".c", "", &code);
        rest = buf_view(&header);
        while (view_split(&rest, '\n', &line)) {
                struct view name = view_sub(line, strspn(line.p, " "), SIZE_MAX);

                if (!view_starts(name, VIEW("RULE_")) || !view_ends(name, VIEW(",")))
                        continue;
                name.n--;
                assert_true(n < MODEL_RULE_MAX);
                assert_true(catalogue_find(view_of(model_rule_get((enum model_rule)n++)->id), &i));
                if (view_find(buf_view(&code), name) == SIZE_MAX)
                        fail_msg("no reader uses %.*s", VIEW_ARG(name));
                seen[i] = true;
        }
        assert_int_equal(n, MODEL_RULE_MAX);
}

static void every_rule_that_is_stated_is_explained_and_every_explained_one_is_stated(void **state) {
        _cleanup_(buf_donep) struct buf code = BUF_INIT(TEXT_MAX), signatures = BUF_INIT(TEXT_MAX),
                                        core = BUF_INIT(TEXT_MAX);
        bool *seen = calloc(catalogue_count(), sizeof *seen);

        assert_non_null(seen);
        read_folder("src/quarantine", ".c", "", &code);
        read_folder("src/core", ".c", "", &core);
        read_folder("share/yara", ".yar", "", &signatures);
        /* what core says about signatures becomes findings of stage 4 */
        note_all(buf_view(&core), "PROVENANCE-", "src/core", seen);
        note_all(buf_view(&code), "", "src/quarantine", seen);
        note_all(buf_view(&signatures), "", "share/yara", seen);
        note_constants(seen);
        for (size_t i = 0; i < catalogue_count(); i++)
                if (!seen[i])
                        fail_msg("%s is explained, but nothing states it", catalogue_at(i)->id);
        free(seen);
}

/* The value of `name = "VALUE"`. */
static struct view meta(struct view rule, const char *name) {
        char start[64];
        size_t at, end;

        (void)snprintf(start, sizeof start, "%s = \"", name);
        at = view_find(rule, view_of(start));
        assert_true(at != SIZE_MAX);
        rule = view_sub(rule, at + strlen(start), SIZE_MAX);
        end = view_find_char(rule, '"');
        assert_true(end != SIZE_MAX);
        return view_sub(rule, 0, end);
}

static void signatures_and_catalogue_use_the_same_words(void **state) {
        _cleanup_(buf_donep) struct buf signatures = BUF_INIT(TEXT_MAX);
        struct view rest;
        size_t at, i, n = 0;

        read_folder("share/yara", ".yar", "", &signatures);
        rest = buf_view(&signatures);
        while ((at = view_find(rest, VIEW("meta:"))) != SIZE_MAX) {
                const struct model_rule_text *t;

                rest = view_sub(rest, at + strlen("meta:"), SIZE_MAX);
                assert_true(catalogue_find(meta(rest, "id"), &i));
                t = catalogue_at(i);
                assert_true(view_eq_str(meta(rest, "description"), t->title));
                assert_true(view_eq_str(meta(rest, "severity"), finding_severity_name(t->severity)));
                assert_int_equal(t->stage, 5);
                n++;
        }
        assert_true(n > 20);
}

static void every_entry_is_complete_and_found_by_its_id(void **state) {
        size_t found;

        for (size_t i = 0; i < catalogue_count(); i++) {
                const struct model_rule_text *t = catalogue_at(i);

                assert_true(strlen(t->id) < FINDING_RULE_MAX && t->stage <= CATALOGUE_STAGES);
                assert_true(strlen(t->title) > 5 && strlen(t->meaning) > 15 && strlen(t->action) > 7);
                assert_true(catalogue_find(view_of(t->id), &found));
                assert_int_equal(found, i); /* no id stands twice */
        }
        assert_null(catalogue_at(catalogue_count()));
        assert_null(catalogue_at(SIZE_MAX));
        assert_false(catalogue_find(VIEW("GGUF-G1 "), &found));
        assert_false(catalogue_find(VIEW_NULL, &found));
        assert_string_equal(catalogue_stage_name(0), "any");
        assert_string_equal(catalogue_stage_name(CATALOGUE_STAGES), "diffusion_scan");
        assert_string_equal(catalogue_stage_name(CATALOGUE_STAGES + 1), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_entry_is_complete_and_found_by_its_id),
                cmocka_unit_test(every_rule_that_is_stated_is_explained_and_every_explained_one_is_stated),
                cmocka_unit_test(signatures_and_catalogue_use_the_same_words),
        };

        return cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
}
