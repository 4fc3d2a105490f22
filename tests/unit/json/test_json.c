#include "support/cm.h"

#include <math.h>

#include "support/fault_inject.h"
#include "wire/json.h"

static struct json_document *parse(const char *text) {
        struct json_document *doc = NULL;

        assert_int_equal(json_parse(view_of(text), NULL, &doc, NULL), 0);
        return doc;
}

static void assert_parse_fault(struct view text, const struct json_limits *limits, int code, const char *rule,
                               uint64_t at) {
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_int_equal(json_parse(text, limits, &doc, &fault), code);
        assert_null(doc);
        assert_int_equal(fault.code, code);
        assert_string_equal(fault.rule, rule);
        assert_int_equal(fault.at, at);
}

static void test_tree_keeps_order_names_and_offsets(void **state) {
        struct json_document *doc = parse(" {\"b\": [1, \"x\"], \"a\": {\"c\": null}} ");
        const struct json *root = json_root(doc), *b = json_get(root, "b"), *a = json_get(root, "a");

        assert_int_equal(root->type, JSON_OBJECT);
        assert_int_equal(root->count, 2);
        assert_int_equal(root->at, 1);
        assert_ptr_equal(root->child, b);
        assert_ptr_equal(b->next, a);
        assert_null(a->next);
        assert_int_equal(b->type, JSON_ARRAY);
        assert_int_equal(b->count, 2);
        assert_int_equal(b->at, 7);
        assert_true(view_eq(b->child->next->text, VIEW("x")));
        assert_int_equal(b->child->next->at, 11);
        assert_int_equal(json_get(a, "c")->type, JSON_NULL);
        json_document_free(doc);
}

static void test_document_outlives_its_text(void **state) {
        char text[] = "{\"name\":\"va\\u006cue\"}";
        struct json_document *doc = parse(text);

        memset(text, 'x', sizeof text - 1);
        assert_true(view_eq(json_get_view(json_root(doc), "name", VIEW_NULL), VIEW("value")));
        json_document_free(doc);
}

static void test_numbers_keep_text_and_exact_integers(void **state) {
        static const struct {
                const char *text;
                bool is_integer, is_negative;
                uint64_t integer;
        } table[] = {
                {"0", true, false, 0},
                {"-0", true, true, 0},
                {"9007199254740993", true, false, UINT64_C(9007199254740993)},
                {"18446744073709551615", true, false, UINT64_MAX},
                {"18446744073709551616", false, false, 0},
                {"-9223372036854775808", true, true, UINT64_C(1) << 63},
                {"-9223372036854775809", false, true, 0},
                {"1.0", false, false, 0},
                {"1e2", false, false, 0},
                {"100000000000000000000000000000000", false, false, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct json_document *doc = parse(table[i].text);
                const struct json *n = json_root(doc);

                assert_int_equal(n->type, JSON_NUMBER);
                assert_true(view_eq_str(n->text, table[i].text));
                assert_int_equal(n->is_integer, table[i].is_integer);
                assert_int_equal(n->is_negative, table[i].is_negative);
                assert_int_equal(n->integer, table[i].integer);
                json_document_free(doc);
        }
}

static void test_getters_tell_missing_from_wrong(void **state) {
        struct json_document *doc = parse(
                "{\"u\":5,\"minus\":-5,\"real\":1.5,\"yes\":true,\"text\":\"t\",\"none\":null}");
        const struct json *o = json_root(doc);
        uint64_t u = 0;
        double real = 0;
        bool yes = false;

        assert_int_equal(json_get_u64(o, "u", &u), 0);
        assert_int_equal(u, 5);
        assert_int_equal(json_get_u64(o, "minus", &u), -EBADMSG);
        assert_int_equal(json_get_u64(o, "real", &u), -EBADMSG);
        assert_int_equal(json_get_u64(o, "text", &u), -EBADMSG);
        assert_int_equal(json_get_u64(o, "absent", &u), -ENOENT);
        assert_int_equal(u, 5); /* untouched by failures */
        assert_int_equal(json_get_double(o, "real", &real), 0);
        assert_true(real == 1.5);
        assert_int_equal(json_get_double(o, "yes", &real), -EBADMSG);
        assert_int_equal(json_get_bool(o, "yes", &yes), 0);
        assert_true(yes);
        assert_int_equal(json_get_bool(o, "none", &yes), -EBADMSG);
        assert_true(view_eq(json_get_view(o, "u", VIEW("other")), VIEW("other")));
        assert_null(json_get_typed(o, "text", JSON_NUMBER));
        assert_null(json_get(o, "tex"));
        assert_null(json_get(NULL, "u"));
        assert_null(json_get(json_get(o, "u"), "u"));
        json_document_free(doc);
}

static void test_unknown_member_is_named(void **state) {
        static const char *const names[] = {"a", "b", NULL};
        struct json_document *doc = parse("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"), *known = parse("{\"b\":2}");

        assert_true(view_eq(json_unknown_member(json_root(doc), names)->key, VIEW("c")));
        assert_null(json_unknown_member(json_root(known), names));
        json_document_free(doc);
        json_document_free(known);
}

static void test_depth_limit_holds_at_n_and_n_plus_1(void **state) {
        struct json_document *doc = NULL;

        assert_int_equal(json_parse(VIEW("[[1]]"), &(struct json_limits){.depth = 2}, &doc, NULL), 0);
        json_document_free(doc);
        assert_parse_fault(VIEW("[[[1]]]"), &(struct json_limits){.depth = 2}, -E2BIG, "JSON-017", 2);
        assert_parse_fault(VIEW("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]"), &(struct json_limits){.depth = 1000},
                           -E2BIG, "JSON-017", JSON_DEPTH_MAX);
}

static void test_memory_limit_is_enforced(void **state) {
        static const char text[] = "[1,2,3,4,5,6,7,8]";
        struct json_document *doc = NULL;
        size_t need = sizeof text - 1 + 32 + 9 * sizeof(struct json);

        assert_int_equal(json_parse(view_of(text), &(struct json_limits){.memory = need}, &doc, NULL), 0);
        json_document_free(doc);
        assert_parse_fault(view_of(text), &(struct json_limits){.memory = need - 1}, -E2BIG, "JSON-018", 15);
        assert_parse_fault(view_of(text), &(struct json_limits){.memory = 10}, -E2BIG, "JSON-018", 0);
}

static void test_dense_input_meets_the_default_memory_limit(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20);
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_int_equal(buf_append_char(&text, '['), 0);
        for (int i = 0; i < 100000; i++)
                assert_int_equal(buf_append_str(&text, i ? ",1" : "1"), 0);
        assert_int_equal(buf_append_char(&text, ']'), 0);
        assert_int_equal(json_parse(buf_view(&text), NULL, &doc, &fault), -E2BIG);
        assert_string_equal(fault.rule, "JSON-018");
}

/* Pairwise comparison would take 2 * 10^10 steps here, which no test limit survives. */
static void test_duplicates_in_a_huge_object_are_found_fast(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)16 << 20);
        struct json_limits limits = {.memory = (size_t)64 << 20};
        struct json_document *doc = NULL;
        uint64_t at;

        for (int i = 0; i < 200000; i++)
                assert_int_equal(buf_printf(&text, "%c\"name%d\":0", i ? ',' : '{', i), 0);
        at = text.n + 1;
        assert_int_equal(buf_append_str(&text, ",\"name7\":0}"), 0);
        assert_parse_fault(buf_view(&text), &limits, -EBADMSG, "JSON-008", at);
        text.n = at - 1;
        assert_int_equal(buf_append_char(&text, '}'), 0);
        assert_int_equal(json_parse(buf_view(&text), &limits, &doc, NULL), 0);
        assert_int_equal(json_root(doc)->count, 200000);
        json_document_free(doc);
}

/* After one huge object each small one must not pay for clearing a huge set. */
static void test_small_objects_after_a_huge_one_are_cheap(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)64 << 20);
        struct json_limits limits = {.memory = (size_t)512 << 20};
        struct json_document *doc = NULL;

        assert_int_equal(buf_append_str(&text, "[{\"\":0"), 0);
        for (int i = 0; i < 200000; i++)
                assert_int_equal(buf_printf(&text, ",\"n%d\":0", i), 0);
        for (int i = 0; i < 5000; i++) {
                assert_int_equal(buf_append_str(&text, "},{\"\":0"), 0);
                for (int k = 0; k < 33; k++)
                        assert_int_equal(buf_printf(&text, ",\"%d\":0", k), 0);
        }
        assert_int_equal(buf_append_str(&text, "}]"), 0);
        assert_int_equal(json_parse(buf_view(&text), &limits, &doc, NULL), 0);
        assert_int_equal(json_root(doc)->count, 5001);
        json_document_free(doc);
}

static void test_reuse_forgets_the_last_tree(void **state) {
        struct json_document *doc = NULL;

        assert_int_equal(json_parse_reuse(VIEW("{\"a\":[1,2,3]}"), NULL, &doc, NULL), 0);
        assert_int_equal(json_get(json_root(doc), "a")->count, 3);
        assert_int_equal(json_parse_reuse(VIEW("{\"a\":}"), NULL, &doc, NULL), -EBADMSG);
        assert_null(json_root(doc));
        assert_int_equal(json_parse_reuse(VIEW("\xff"), NULL, &doc, NULL), -EBADMSG);
        assert_null(json_root(doc));
        assert_int_equal(json_parse_reuse(VIEW("[true]"), NULL, &doc, NULL), 0);
        assert_int_equal(json_root(doc)->count, 1);
        assert_null(json_get(json_root(doc), "a"));
        json_document_free(doc);
}

static void test_reuse_takes_each_limit_anew(void **state) {
        struct json_limits small = {.memory = 200};
        struct json_document *doc = NULL;

        assert_int_equal(json_parse_reuse(VIEW("[1,2,3]"), NULL, &doc, NULL), 0);
        assert_int_equal(json_parse_reuse(VIEW("[1,2,3]"), &small, &doc, NULL), -E2BIG);
        assert_int_equal(json_parse_reuse(VIEW("[1,2,3]"), NULL, &doc, NULL), 0);
        json_document_free(doc);
}

static void test_every_position_of_a_string_scan_is_right(void **state) {
        for (size_t n = 0; n < 70; n++) {
                char text[160] = "\"";
                struct json_document *doc = NULL;

                memset(text + 1, 'a', n);
                memcpy(text + 1 + n, "\\n\"", 4);
                assert_int_equal(json_parse(view_of(text), NULL, &doc, NULL), 0);
                assert_int_equal(json_root(doc)->text.n, n + 1);
                assert_int_equal(json_root(doc)->text.p[n], '\n');
                json_document_free(doc);
                text[1 + n] = '\x1f';
                assert_parse_fault(view_of(text), NULL, -EBADMSG, "JSON-009", 1 + n);
        }
}

static void test_the_name_that_stands_twice_is_named_and_escaped(void **state) {
        struct fault fault = FAULT_NONE;
        struct json_document *doc = NULL;

        assert_int_equal(json_parse(VIEW("{\"a\\u001b\":1,\"a\\u001b\":2}"), NULL, &doc, &fault), -EBADMSG);
        assert_string_equal(fault.text, "the name \"a\\x1b\" stands twice in one object");
}

static void test_type_names(void **state) {
        assert_string_equal(json_type_name(JSON_OBJECT), "object");
        assert_string_equal(json_type_name(JSON_BOOL), "boolean");
        assert_string_equal(json_type_name(JSON_TYPE_MAX), "unknown");
}

static int parse_for_walk(void *userdata) {
        struct json_document **doc = userdata;
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 16);
        int r = 0;

        for (int i = 0; r >= 0 && i < 100; i++)
                r = buf_printf(&text, "%c\"n%d\":[\"\\n\",{}]", i ? ',' : '{', i);
        if (r >= 0)
                r = buf_append_char(&text, '}');
        return r < 0 ? r : json_parse(buf_view(&text), NULL, doc, NULL);
}

static void check_walk(int result, void *userdata) {
        struct json_document **doc = userdata;

        if (result < 0) {
                assert_int_equal(result, -ENOMEM);
                assert_null(*doc);
                return;
        }
        assert_int_equal(json_root(*doc)->count, 100);
        *doc = json_document_free(*doc);
}

static void test_parse_survives_every_failed_allocation(void **state) {
        struct json_document *doc = NULL;

        assert_true(fault_inject_walk(FAULT_ALLOCATION, parse_for_walk, check_walk, &doc) >= 5);
}

/* Writer */

static void assert_text(const struct buf *text, const char *expected) {
        assert_string_equal(buf_str(text), expected);
}

static void test_writer_places_commas(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);

        json_object_begin(&w);
        json_member_string(&w, "a", "x");
        json_member_string(&w, "none", NULL);
        json_key(&w, "list");
        json_array_begin(&w);
        json_put_u64(&w, UINT64_MAX);
        json_put_i64(&w, INT64_MIN);
        json_array_begin(&w);
        json_array_end(&w);
        json_object_begin(&w);
        json_object_end(&w);
        json_put_bool(&w, true);
        json_put_null(&w);
        json_put_raw(&w, VIEW("{\"raw\":1}"));
        json_array_end(&w);
        json_member_bool(&w, "b", false);
        json_member_u64(&w, "u", 7);
        json_object_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        assert_text(
                &text,
                "{\"a\":\"x\",\"none\":null,\"list\":[18446744073709551615,-9223372036854775808,[],{},true,"
                "null,{\"raw\":1}],\"b\":false,\"u\":7}");
}

static void test_writer_escapes_what_json_wants_escaped(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);

        json_put_view(&w, VIEW("\"\\/\b\f\n\r\t\0\x01\x1f\x7f é😀"));
        assert_int_equal(json_write_end(&w), 0);
        assert_text(&text, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\x7f é😀\"");
}

static void test_writer_replaces_each_bad_byte(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);

        json_put_view(&w, VIEW("a\xff\xc3(\xed\xa0\x80"));
        assert_int_equal(json_write_end(&w), 0);
        assert_text(&text, "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_doubles_read_back_equal(void **state) {
        static const double values[] = {0.0,       1.0,     -1.5,   0.1,
                                        1.0 / 3.0, 1e308,   5e-324, 123456789012345680.0,
                                        1e-300,    2.5e100, 1e21,   0.7};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(64);
                struct json_writer w = JSON_WRITER(&text);
                struct json_document *doc = NULL;

                json_put_double(&w, values[i]);
                assert_int_equal(json_write_end(&w), 0);
                assert_int_equal(json_parse(buf_view(&text), NULL, &doc, NULL), 0);
                assert_true(strtod(text.p, NULL) == values[i]);
                json_document_free(doc);
        }
}

static void test_doubles_are_short_and_never_infinite(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(256);
        struct json_writer w = JSON_WRITER(&text);

        json_array_begin(&w);
        json_put_double(&w, 0.1);
        json_put_double(&w, (double)INFINITY);
        json_put_double(&w, (double)NAN);
        json_array_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        assert_text(&text, "[0.1,null,null]");
}

static void misuse_key_in_array(struct json_writer *w) {
        json_array_begin(w);
        json_key(w, "a");
}

static void misuse_value_without_key(struct json_writer *w) {
        json_object_begin(w);
        json_put_null(w);
}

static void misuse_two_keys(struct json_writer *w) {
        json_object_begin(w);
        json_key(w, "a");
        json_key(w, "b");
}

static void misuse_end_after_key(struct json_writer *w) {
        json_object_begin(w);
        json_key(w, "a");
        json_object_end(w);
}

static void misuse_wrong_end(struct json_writer *w) {
        json_array_begin(w);
        json_object_end(w);
}

static void misuse_open(struct json_writer *w) {
        json_array_begin(w);
}

static void misuse_end_only(struct json_writer *w) {
        json_array_end(w);
}

static void misuse_two_values(struct json_writer *w) {
        json_put_null(w);
        json_put_null(w);
}

static void misuse_nothing(struct json_writer *w) {
}

static void misuse_too_deep(struct json_writer *w) {
        for (int i = 0; i <= JSON_DEPTH_MAX; i++)
                json_array_begin(w);
        for (int i = 0; i <= JSON_DEPTH_MAX; i++)
                json_array_end(w);
}

static void test_writer_notices_misuse(void **state) {
        static void (*const misuses[])(struct json_writer *) = {
                misuse_key_in_array,  misuse_value_without_key, misuse_two_keys,
                misuse_end_after_key, misuse_wrong_end,         misuse_open,
                misuse_end_only,      misuse_two_values,        misuse_nothing,
                misuse_too_deep,
        };

        for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
                struct json_writer w = JSON_WRITER(&text);

                misuses[i](&w);
                assert_int_equal(json_write_end(&w), -EINVAL);
        }
}

static void test_writer_goes_as_deep_as_the_reader(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);
        struct json_document *doc = NULL;

        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                json_array_begin(&w);
        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                json_array_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        assert_int_equal(json_parse(buf_view(&text), NULL, &doc, NULL), 0);
        json_document_free(doc);
}

static void test_writer_reports_a_full_buffer(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8);
        struct json_writer w = JSON_WRITER(&text);

        json_put_string(&w, "too long for it");
        assert_int_equal(json_write_end(&w), -EFBIG);
}

static void test_values_are_copied_whole(void **state) {
        static const char text[] =
                "{\"a\":[1.50,-0,\"\\u00e9\",{\"b\":null}],\"c\":true,\"d\":18446744073709551616}";
        _cleanup_(buf_donep) struct buf copy = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&copy);
        struct json_document *doc = parse(text);

        json_put_value(&w, json_root(doc));
        assert_int_equal(json_write_end(&w), 0);
        assert_text(&copy, "{\"a\":[1.50,-0,\"é\",{\"b\":null}],\"c\":true,\"d\":18446744073709551616}");
        json_document_free(doc);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tree_keeps_order_names_and_offsets),
                cmocka_unit_test(test_document_outlives_its_text),
                cmocka_unit_test(test_numbers_keep_text_and_exact_integers),
                cmocka_unit_test(test_getters_tell_missing_from_wrong),
                cmocka_unit_test(test_unknown_member_is_named),
                cmocka_unit_test(test_depth_limit_holds_at_n_and_n_plus_1),
                cmocka_unit_test(test_memory_limit_is_enforced),
                cmocka_unit_test(test_dense_input_meets_the_default_memory_limit),
                cmocka_unit_test(test_duplicates_in_a_huge_object_are_found_fast),
                cmocka_unit_test(test_small_objects_after_a_huge_one_are_cheap),
                cmocka_unit_test(test_reuse_forgets_the_last_tree),
                cmocka_unit_test(test_reuse_takes_each_limit_anew),
                cmocka_unit_test(test_every_position_of_a_string_scan_is_right),
                cmocka_unit_test(test_the_name_that_stands_twice_is_named_and_escaped),
                cmocka_unit_test(test_type_names),
                cmocka_unit_test(test_parse_survives_every_failed_allocation),
                cmocka_unit_test(test_writer_places_commas),
                cmocka_unit_test(test_writer_escapes_what_json_wants_escaped),
                cmocka_unit_test(test_writer_replaces_each_bad_byte),
                cmocka_unit_test(test_doubles_read_back_equal),
                cmocka_unit_test(test_doubles_are_short_and_never_infinite),
                cmocka_unit_test(test_writer_notices_misuse),
                cmocka_unit_test(test_writer_goes_as_deep_as_the_reader),
                cmocka_unit_test(test_writer_reports_a_full_buffer),
                cmocka_unit_test(test_values_are_copied_whole),
        };

        return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
