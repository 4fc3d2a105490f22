/* The catalogue is whole, and docs/rules.md says the same. */
#include "base/file.h"
#include "model/rules.h"
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
                assert_true(rule(i)->stage == 2 || rule(i)->stage == 5);
                assert_true(strlen(rule(i)->title) > 5 && strlen(rule(i)->meaning) > 15 &&
                            strlen(rule(i)->action) > 15);
                assert_ptr_equal(model_rule_find(view_of(rule(i)->id)), rule(i));
        }
        assert_null(model_rule_find(VIEW("GGUF-G99")));
}

/* docs/rules.md has for each rule the section that this writes, in this order; SECAI_WRITE_RULES=1 writes it
 * anew. */
static void expected_page(struct buf *page) {
        assert_int_equal(buf_append_str(page,
                                        "# Rules of the format readers\n\n"
                                        "What each rule id in a verdict means. This page is checked against "
                                        "`src/model/rules.c` by the test unit-model-rules.\n"),
                         0);
        for (unsigned i = 0; i < MODEL_RULE_MAX; i++)
                assert_int_equal(buf_printf(page, "\n## %s: %s\n\nStage %u, %s. %s\n\n*What to do:* %s\n",
                                            rule(i)->id, rule(i)->title, rule(i)->stage,
                                            finding_severity_name(rule(i)->severity), rule(i)->meaning,
                                            rule(i)->action),
                                 0);
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
