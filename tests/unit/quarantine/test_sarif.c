/* The SARIF log: read back by the strict parser, with the members that SARIF 2.1.0 requires. */
#include "support/cm.h"

#include "model/catalogue.h"
#include "quarantine/sarif.h"

#define OUT_MAX ((size_t)8 << 20)

static void say(struct verdict *v, unsigned stage, enum finding_severity severity, const char *rule,
                uint64_t at, const char *tensor) {
        struct finding f = {
                .stage = stage, .severity = severity, .at = at, .message = "what is wrong \"here\""};

        (void)snprintf(f.rule, sizeof f.rule, "%s", rule);
        (void)snprintf(f.tensor, sizeof f.tensor, "%s", tensor);
        assert_int_equal(stage_put(&v->stages[stage], &f), 0);
        stage_settle(&v->stages[stage]);
}

static struct json_document *parse(const struct buf *out) {
        struct json_document *doc = NULL;
        struct fault why = FAULT_NONE;

        if (json_parse(buf_view(out), NULL, &doc, &why) < 0)
                fail_msg("%s at %llu", why.text, (unsigned long long)why.at);
        return doc;
}

static const struct json *list(const struct json *o, const char *name, uint32_t count) {
        const struct json *l = json_get_typed(o, name, JSON_ARRAY);

        assert_non_null(l);
        assert_int_equal(l->count, count);
        return l;
}

static struct view text_of(const struct json *o, const char *message) {
        return json_get_view(json_get_typed(o, message, JSON_OBJECT), "text", VIEW_NULL);
}

static const struct json *physical(const struct json *result) {
        return json_get_typed(list(result, "locations", 1)->child, "physicalLocation", JSON_OBJECT);
}

static struct view uri_of(const struct json *result) {
        return json_get_view(json_get(physical(result), "artifactLocation"), "uri", VIEW_NULL);
}

static const struct json *run_of(const struct json_document *doc) {
        const struct json *root = json_root(doc);

        assert_true(view_eq_str(json_get_view(root, "version", VIEW_NULL), "2.1.0"));
        return list(root, "runs", 1)->child;
}

static void an_empty_log_has_the_required_members_and_all_rules(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUT_MAX);
        const struct json *run, *driver, *rule;
        struct json_document *doc;
        struct sarif s;
        size_t i = 0;

        sarif_begin(&s, &out);
        assert_int_equal(sarif_end(&s, 0), 0);
        sarif_done(&s);
        doc = parse(&out);
        run = run_of(doc);
        driver = json_get_typed(json_get_typed(run, "tool", JSON_OBJECT), "driver", JSON_OBJECT);
        assert_true(json_get_view(driver, "name", VIEW_NULL).n > 0);
        rule = list(driver, "rules", (uint32_t)catalogue_count())->child;
        for (; rule; rule = rule->next, i++) {
                assert_true(view_eq_str(json_get_view(rule, "id", VIEW_NULL), catalogue_at(i)->id));
                assert_true(view_eq_str(text_of(rule, "shortDescription"), catalogue_at(i)->title));
                assert_true(view_eq_str(text_of(rule, "fullDescription"), catalogue_at(i)->meaning));
                assert_true(view_eq_str(text_of(rule, "help"), catalogue_at(i)->action));
        }
        (void)list(run, "results", 0);
        (void)list(run, "artifacts", 0);
        assert_true(json_get(list(run, "invocations", 1)->child, "executionSuccessful")->boolean);
        json_document_free(doc);
}

static void findings_become_results_with_rule_level_and_place(void **state) {
        static const char *const level[] = {"note", "warning", "error"};
        _cleanup_(verdict_donep) struct verdict v = {.is_known = true, .last_stage = STAGES};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUT_MAX);
        const struct json *run, *result;
        struct json_document *doc;
        uint64_t n, rule;
        struct sarif s;
        size_t at;

        say(&v, 2, FINDING_REJECT, "GGUF-G12", 0, "blk.0.weight");
        say(&v, 4, FINDING_INFO, "PROVENANCE-002", UINT64_MAX, "");
        say(&v, 5, FINDING_WARNING, "OWN-001", UINT64_C(1) << 40, "");
        sarif_begin(&s, &out);
        assert_int_equal(sarif_put(&s, "/a b/\xff%?#:\n.gguf", 4096, &v), 0);
        assert_int_equal(sarif_put(&s, "c:d.gguf", 0, &v), 0);
        assert_int_equal(sarif_end(&s, 1), 0);
        sarif_done(&s);
        doc = parse(&out);
        run = run_of(doc);
        result = list(run, "results", 6)->child;

        assert_true(view_eq_str(uri_of(result), "file:///a%20b/%FF%25%3F%23%3A%0A.gguf"));
        assert_true(view_eq_str(json_get_view(result, "ruleId", VIEW_NULL), "GGUF-G12"));
        assert_int_equal(json_get_u64(result, "ruleIndex", &rule), 0);
        assert_true(catalogue_find(VIEW("GGUF-G12"), &at));
        assert_int_equal(rule, at);
        assert_true(view_eq_str(json_get_view(result, "level", VIEW_NULL), level[FINDING_REJECT]));
        assert_true(view_eq_str(text_of(result, "message"), "what is wrong \"here\""));
        assert_int_equal(json_get_u64(json_get(physical(result), "region"), "byteOffset", &n), 0);
        assert_int_equal(n, 0);
        assert_true(view_eq_str(
                json_get_view(list(list(result, "locations", 1)->child, "logicalLocations", 1)->child, "name",
                              VIEW_NULL),
                "blk.0.weight"));

        result = result->next; /* of the file as a whole: no region */
        assert_true(view_eq_str(json_get_view(result, "level", VIEW_NULL), level[FINDING_INFO]));
        assert_null(json_get(physical(result), "region"));

        result = result->next; /* an owner's rule: not in the catalogue */
        assert_true(view_eq_str(json_get_view(result, "level", VIEW_NULL), level[FINDING_WARNING]));
        assert_null(json_get(result, "ruleIndex"));
        assert_int_equal(json_get_u64(json_get(physical(result), "region"), "byteOffset", &n), 0);
        assert_true(n == UINT64_C(1) << 40);

        assert_true(view_eq_str(uri_of(result->next), "c%3Ad.gguf"));
        assert_int_equal(json_get_u64(json_get(physical(result->next), "artifactLocation"), "index", &n), 0);
        assert_int_equal(n, 1);
        json_document_free(doc);
}

static void a_file_given_twice_has_two_entries_that_differ(void **state) {
        _cleanup_(verdict_donep) struct verdict v = {.is_known = true, .last_stage = STAGES};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUT_MAX);
        struct json_document *doc;
        const struct json *file;
        uint64_t number;
        struct sarif s;

        sarif_begin(&s, &out);
        for (uint64_t i = 1; i <= 2; i++)
                assert_int_equal(sarif_put(&s, "m.gguf", 5, &v), 0);
        assert_int_equal(sarif_end(&s, 0), 0);
        sarif_done(&s);
        doc = parse(&out);
        file = list(run_of(doc), "artifacts", 2)->child;
        for (uint64_t i = 1; i <= 2; i++, file = file->next) {
                assert_int_equal(json_get_u64(json_get(file, "properties"), "number", &number), 0);
                assert_int_equal(number, i);
        }
        json_document_free(doc);
}

static void a_finding_about_a_member_of_a_set_names_its_path(void **state) {
        _cleanup_(verdict_donep) struct verdict v = {.is_known = true, .last_stage = STAGES}, again = {0};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUT_MAX), text = BUF_INIT(OUT_MAX);
        struct json_writer w = JSON_WRITER(&text);
        struct json_document *doc;
        uint32_t member = 0;
        struct sarif s;

        assert_int_equal(member_names_add(&v.names, VIEW("config.json"), &member), 0);
        assert_int_equal(member_names_add(&v.names, VIEW("unet/a \xe2\x80\xae.bin"), &member), 0);
        assert_int_equal(member, 2);
        say(&v, 2, FINDING_REJECT, "FORMAT-001", 4, "");
        v.stages[2].findings[0].member = member;
        sarif_begin(&s, &out);
        assert_int_equal(sarif_put(&s, "/sd", 4096, &v), 0);
        assert_int_equal(sarif_end(&s, 1), 0);
        sarif_done(&s);
        doc = parse(&out);
        assert_true(view_eq_str(uri_of(list(run_of(doc), "results", 1)->child),
                                "file:///sd/unet/a%20%E2%80%AE.bin"));
        json_document_free(doc);

        verdict_store(&w, &v);
        assert_int_equal(json_write_end(&w), 0);
        assert_int_equal(verdict_restore(buf_view(&text), &again), 0);
        assert_true(view_eq_str(member_name(&again.names, again.stages[2].findings[0].member),
                                "unet/a \\u{202e}.bin"));
}

static void a_file_that_was_not_finished_is_not_a_pass(void **state) {
        _cleanup_(verdict_donep) struct verdict v = {.last_stage = STAGES};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUT_MAX);
        const struct json *run, *file, *properties;
        struct json_document *doc;
        struct sarif s;

        sarif_begin(&s, &out);
        assert_int_equal(sarif_put(&s, "m.gguf", 5, &v), 0);
        assert_int_equal(sarif_end(&s, 2), 0);
        sarif_done(&s);
        doc = parse(&out);
        run = run_of(doc);
        file = list(run, "artifacts", 1)->child;
        properties = json_get(file, "properties");
        assert_null(json_get(file, "hashes")); /* it was not read to its end */
        assert_true(view_eq_str(json_get_view(properties, "verdict", VIEW_NULL), "reject"));
        assert_false(json_get(properties, "finished")->boolean);
        assert_false(json_get(list(run, "invocations", 1)->child, "executionSuccessful")->boolean);
        json_document_free(doc);
}

static void a_log_that_grew_too_large_says_so(void **state) {
        _cleanup_(verdict_donep) struct verdict v = {.last_stage = STAGES};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(100);
        struct sarif s;

        sarif_begin(&s, &out);
        assert_int_equal(sarif_put(&s, "m.gguf", 5, &v), -EFBIG);
        assert_int_equal(sarif_end(&s, 0), -EFBIG);
        sarif_done(&s);
}

static void stages_are_called_the_same_everywhere(void **state) {
        for (unsigned i = 1; i <= STAGES; i++)
                assert_string_equal(stage_name(i), catalogue_stage_name(i));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_log_has_the_required_members_and_all_rules),
                cmocka_unit_test(findings_become_results_with_rule_level_and_place),
                cmocka_unit_test(a_file_given_twice_has_two_entries_that_differ),
                cmocka_unit_test(a_finding_about_a_member_of_a_set_names_its_path),
                cmocka_unit_test(a_file_that_was_not_finished_is_not_a_pass),
                cmocka_unit_test(a_log_that_grew_too_large_says_so),
                cmocka_unit_test(stages_are_called_the_same_everywhere),
        };

        return cmocka_run_group_tests_name("sarif", tests, NULL, NULL);
}
