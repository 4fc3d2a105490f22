#include "support/cm.h"

#include "support/fault_inject.h"
#include "wire/yaml.h"

static void assert_reads_as(const char *yaml, const char *json) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
        struct json_writer w = JSON_WRITER(&text);
        struct json_document *doc = NULL;

        assert_int_equal(yaml_parse(view_of(yaml), &doc, NULL), 0);
        json_put_value(&w, json_root(doc));
        assert_int_equal(json_write_end(&w), 0);
        assert_string_equal(text.p, json);
        json_document_free(doc);
}

static void test_scalars_follow_the_core_schema(void **state) {
        static const struct {
                const char *yaml, *json;
        } table[] = {
                {"true", "true"},
                {"false", "false"},
                {"null", "null"},
                {"~", "null"},
                {"True", "\"True\""},
                {"yes", "\"yes\""},
                {"no", "\"no\""},
                {"on", "\"on\""},
                {"Null", "\"Null\""},
                {"10", "10"},
                {"-3", "-3"},
                {"010", "\"010\""},
                {"0x10", "\"0x10\""},
                {"0o7", "\"0o7\""},
                {"1_000", "\"1_000\""},
                {"1.5", "1.5"},
                {"1e3", "1e3"},
                {".5", "\".5\""},
                {"1.", "\"1.\""},
                {"+1", "\"+1\""},
                {".inf", "\".inf\""},
                {".nan", "\".nan\""},
                {"12:30:45", "\"12:30:45\""},
                {"2026-11-22", "\"2026-11-22\""},
                {"'true'", "\"true\""},
                {"\"1\"", "\"1\""},
                {"''", "\"\""},
                {"1e999x", "\"1e999x\""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                assert_reads_as(table[i].yaml, table[i].json);
}

static void test_block_and_flow_give_one_tree(void **state) {
        assert_reads_as("a:\n  - 1\n  - b: x\n    c:\n", "{\"a\":[1,{\"b\":\"x\",\"c\":null}]}");
        assert_reads_as("{a: [1, {b: x, c: }]}", "{\"a\":[1,{\"b\":\"x\",\"c\":null}]}");
}

static void test_lines_are_those_of_the_names(void **state) {
        struct json_document *doc = NULL;
        const struct json *root, *b;

        assert_int_equal(yaml_parse(VIEW("# one\na: 1\nb:\n\n  c: |\n    x\n    y\n  d:\n    - 7\n    - 8\n"),
                                    &doc, NULL),
                         0);
        root = json_root(doc);
        b = json_get(root, "b");
        assert_int_equal(root->at, 2);
        assert_int_equal(json_get(root, "a")->at, 2);
        assert_int_equal(b->at, 3);
        assert_int_equal(json_get(b, "c")->at, 5);
        assert_int_equal(json_get(b, "d")->at, 8);
        assert_int_equal(json_get(b, "d")->child->next->at, 10);
        json_document_free(doc);
}

static void assert_fault_line(const char *yaml, const char *rule, uint64_t line) {
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_true(yaml_parse(view_of(yaml), &doc, &fault) < 0);
        assert_null(doc);
        assert_string_equal(fault.rule, rule);
        assert_int_equal(fault.at, line);
}

static void test_faults_name_the_line(void **state) {
        assert_fault_line("a: 1\nb: 2\na: 3\n", "YAML-012", 3);
        assert_fault_line("a: 1\nb: *x\n", "YAML-007", 2);
        assert_fault_line("a: 1\n\n\nb: !t x\n", "YAML-008", 4);
        assert_fault_line("a: 1\n\tb: 2\n", "YAML-005", 2);
        assert_fault_line("a: 1\nb: \x01\n", "YAML-004", 2);
        assert_fault_line("a:\n  b: [1,\n", "YAML-006", 3);
        assert_fault_line("a: 1\n---\nb: 1\n", "YAML-010", 2);
}

static void test_the_size_limit_holds_at_n_and_n_plus_1(void **state) {
        size_t most = (size_t)1 << 20;
        char *text = malloc(most + 1);
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_non_null(text);
        memset(text, 'x', most + 1);
        assert_int_equal(yaml_parse(view_make(text, most), &doc, NULL), 0);
        assert_int_equal(json_root(doc)->text.n, most);
        doc = json_document_free(doc);
        assert_int_equal(yaml_parse(view_make(text, most + 1), &doc, &fault), -E2BIG);
        assert_string_equal(fault.rule, "YAML-002");
        free(text);
}

static int parse_for_walk(void *userdata) {
        return yaml_parse(VIEW("a: [1, two, {b: \"x\\ty\"}]\nc: |\n  text\nd:\n  e: 1\n"), userdata, NULL);
}

static void check_walk(int result, void *userdata) {
        struct json_document **doc = userdata;

        if (result < 0) {
                assert_int_equal(result, -ENOMEM);
                assert_null(*doc);
                return;
        }
        assert_int_equal(json_root(*doc)->count, 3);
        *doc = json_document_free(*doc);
}

/* libyaml is another library to the linker, so this walks our own allocations only. */
static void test_parse_survives_every_failed_allocation(void **state) {
        struct json_document *doc = NULL;

        assert_true(fault_inject_walk(FAULT_ALLOCATION, parse_for_walk, check_walk, &doc) >= 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scalars_follow_the_core_schema),
                cmocka_unit_test(test_block_and_flow_give_one_tree),
                cmocka_unit_test(test_lines_are_those_of_the_names),
                cmocka_unit_test(test_faults_name_the_line),
                cmocka_unit_test(test_the_size_limit_holds_at_n_and_n_plus_1),
                cmocka_unit_test(test_parse_survives_every_failed_allocation),
        };

        return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
