/* The readers' rules are whole, and docs/rules.md says the same as the catalogue of all stages. */
#include "base/file.h"
#include "model/catalogue.h"
#include "support/cm.h"
#include "support/modelgen.h"

#define DOC_MAX ((size_t)1 << 20)

static const struct model_rule_text *rule(unsigned i) {
        return model_rule_get((enum model_rule)i);
}

static void every_rule_is_complete_and_unique(void **state) {
        for (unsigned i = 0; i < MODEL_RULE_MAX; i++) {
                assert_non_null(rule(i)->id);
                assert_true(strlen(rule(i)->id) < FINDING_RULE_MAX);
                assert_true(rule(i)->stage == 2 || rule(i)->stage == 5 || rule(i)->stage == 7);
                assert_true(strlen(rule(i)->title) > 5 && strlen(rule(i)->meaning) > 15 &&
                            strlen(rule(i)->action) > 15);
                assert_ptr_equal(model_rule_find(view_of(rule(i)->id)), rule(i));
        }
        assert_null(model_rule_find(VIEW("GGUF-G99")));
}

/* docs/rules.md has for each rule the section that this writes, in this order; SECAI_WRITE_RULES=1 writes it
 * anew. */
static void expected_rule(struct buf *page, const struct model_rule_text *t) {
        assert_int_equal(buf_printf(page, "\n## %s: %s\n\n", t->id, t->title), 0);
        assert_int_equal(
                t->stage ? buf_printf(page, "Stage %u", t->stage) : buf_append_str(page, "Any stage"), 0);
        assert_int_equal(buf_printf(page, ", %s. %s\n\n*What to do:* %s\n",
                                    finding_severity_name(t->severity), t->meaning, t->action),
                         0);
}

static void expected_page(struct buf *page) {
        assert_int_equal(buf_append_str(page,
                                        "# Rules\n\n"
                                        "What each rule id in a verdict means. `securectl explain` shows the "
                                        "same. A finding of severity *reject* refuses the\nfile; *warning* "
                                        "and *info* alone don't. This page is written from "
                                        "`src/model/catalogue.c` and `src/model/rules.c` by the\ntest "
                                        "unit-model-rules (with SECAI_WRITE_RULES=1), which also checks "
                                        "it.\n"),
                         0);
        for (size_t i = 0; i < catalogue_count(); i++)
                expected_rule(page, catalogue_at(i));
}

static void the_documentation_says_the_same(void **state) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(4096);
        _cleanup_(buf_donep) struct buf page = BUF_INIT(DOC_MAX);
        _cleanup_(buf_donep) struct buf have = BUF_INIT(DOC_MAX);
        const char *source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        assert_int_equal(buf_printf(&path, "%s/docs", source), 0);
        expected_page(&page);
        if (secure_getenv("SECAI_WRITE_RULES")) {
                int dir = open_dir(path.p);

                assert_true(dir >= 0);
                assert_int_equal(replace_file(dir, "rules.md", buf_view(&page), 0644), 0);
                close_fd(dir);
        }
        assert_int_equal(buf_append_str(&path, "/rules.md"), 0);
        assert_int_equal(read_file(path.p, DOC_MAX, &have), 0);
        assert_string_equal(buf_str(&have), buf_str(&page));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_rule_is_complete_and_unique),
                cmocka_unit_test(the_documentation_says_the_same),
        };

        return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
