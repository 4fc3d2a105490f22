/* What people read: the table of several artifacts, and what was not tested. */
#include "support/cm.h"

#include "base/text.h"
#include "quarantine/report.h"
#include "quarantine/untested.h"

static void say(struct verdict *v, unsigned stage, enum finding_severity severity, const char *rule,
                const char *text) {
        assert_int_equal(stage_say(&v->stages[stage], stage, severity, rule, "%s", text), 0);
}

static struct verdict verdict_of(const char *name) {
        struct verdict v = {.is_known = true, .last_stage = STAGES};

        (void)snprintf(v.name, sizeof v.name, "%s", name);
        v.summary.kind = MODEL_KIND_GGUF;
        v.summary.size = 3 << 20;
        for (unsigned i = 1; i < STAGES; i++)
                v.stages[i].status = STAGE_PASS;
        v.stages[STAGES].status = STAGE_NOT_APPLICABLE;
        say(&v, STAGES, FINDING_INFO, "DIFFUSION-000", "this is a single file.");
        return v;
}

static bool tells(const struct verdict *v, const char *text) {
        struct untested u;

        untested_find(v, &u);
        for (size_t i = 0; i < u.n; i++)
                if (strstr(u.text[i], text))
                        return true;
        return false;
}

static void a_pass_says_what_it_does_not_cover(void **state) {
        _cleanup_(verdict_donep) struct verdict v = verdict_of("m.gguf");

        assert_true(tells(&v, "Image models (stage 7) does not apply: this is a single file."));
        assert_true(tells(&v, "no trusted signature covers it"));
        assert_true(tells(&v, "within 64 KiB"));
        assert_true(tells(&v, "sample of prompts"));
        assert_false(tells(&v, "did not run"));
        say(&v, STAGE_PROVENANCE, FINDING_INFO, "PROVENANCE-001", "signed by me");
        assert_false(tells(&v, "no trusted signature"));
        say(&v, STAGE_STATIC, FINDING_WARNING, "SCAN-002", "3 further findings are not listed");
        assert_true(tells(&v, "SCAN-002"));
}

static void stages_that_did_not_run_are_told_with_the_reason(void **state) {
        _cleanup_(verdict_donep) struct verdict v = verdict_of("m.gguf"), bad = verdict_of("b.gguf"),
                                                less = verdict_of("l.gguf");

        v.stages[STAGE_BEHAVIOUR].status = STAGE_NOT_RUN;
        say(&v, STAGE_BEHAVIOUR, FINDING_INFO, "BEHAVIOUR-104", "this machine was too slow.");
        assert_true(tells(&v, "Behaviour (stage 6) did not run: this machine was too slow."));
        assert_false(tells(&v, "sample of prompts"));
        bad.stages[STAGE_FORMAT].status = STAGE_FAIL;
        bad.stages[STAGE_BEHAVIOUR].status = STAGE_NOT_RUN;
        assert_true(tells(
                &bad, "Behaviour (stage 6) did not run, since stage 2 had refused the artifact already."));
        assert_false(tells(&bad, "64 KiB"));
        less.last_stage = STAGE_STATIC;
        less.stages[STAGE_BEHAVIOUR].status = STAGE_NOT_RUN;
        assert_true(tells(&less, "Behaviour (stage 6) was not asked for."));
}

static void what_was_not_tested_stands_in_the_document_and_the_text(void **state) {
        _cleanup_(verdict_donep) struct verdict v = verdict_of("m.gguf");
        _cleanup_(buf_donep) struct buf out = BUF_INIT(1 << 20);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct json_writer w = JSON_WRITER(&out);
        const struct json *list;
        struct untested u;

        untested_find(&v, &u);
        verdict_write(&w, &v);
        assert_int_equal(json_write_end(&w), 0);
        assert_int_equal(json_parse(buf_view(&out), NULL, &doc, NULL), 0);
        list = json_get_typed(json_root(doc), "not_tested", JSON_ARRAY);
        assert_non_null(list);
        assert_int_equal(list->count, u.n);
        assert_true(view_eq_str(list->child->text, u.text[0]));
        buf_clear(&out);
        assert_int_equal(report_write(&v, &out), 0);
        assert_non_null(strstr(buf_str(&out), "What was not tested:\n    - Image models"));
}

static size_t column_of(const char *line, const char *word) {
        const char *at = strstr(line, word);
        size_t n = 0;

        assert_non_null(at);
        for (const char *p = line; p < at; p++)
                n += ((unsigned char)*p & 0xc0) != 0x80;
        return n;
}

static void the_table_has_one_line_an_artifact_in_columns(void **state) {
        static const char *const names[] = {
                "a.gguf", "a name that is much longer than its column is wide.gguf",
                "\xc3\xa4\xc3\xb6\xc3\xbc \xe6\xa8\xa1\xe5\x9e\x8b "
                "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
                "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3"
                "\xbc"
                "\xc3\xa4\xc3\xb6\xc3\xbc"};
        _cleanup_(buf_donep) struct buf head = BUF_INIT(4096);

        assert_int_equal(report_head(&head), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(verdict_donep) struct verdict v = verdict_of(names[i]);
                _cleanup_(buf_donep) struct buf line = BUF_INIT(4096);

                v.summary.kind = MODEL_KIND_SAFETENSORS;
                say(&v, 5, FINDING_WARNING, "TEST-001", "a warning");
                say(&v, 5, FINDING_REJECT, "TEST-002", "the reason");
                say(&v, 6, FINDING_REJECT, "TEST-003", "another");
                v.stages[5].status = STAGE_FAIL;
                assert_int_equal(report_line(&v, &line), 0);
                assert_int_equal(utf8_first_fault(buf_view(&line)), SIZE_MAX);
                assert_int_equal(strcspn(line.p, "\n"), line.n - 1);
                assert_int_equal(column_of(line.p, "safetensors "), column_of(head.p, "KIND"));
                assert_int_equal(column_of(line.p, "3.0 MiB"), column_of(head.p, "SIZE"));
                assert_int_equal(column_of(line.p, "TEST-002: the reason"),
                                 column_of(head.p, "FIRST REASON"));
                assert_true(view_starts(buf_view(&line), VIEW("REJECTED ")));
        }
        {
                _cleanup_(verdict_donep) struct verdict v = verdict_of("a.bin");
                _cleanup_(buf_donep) struct buf line = BUF_INIT(4096);

                assert_int_equal(report_line(&v, &line), 0);
                assert_true(view_starts(buf_view(&line), VIEW("pass ")));
                assert_true(view_ends(buf_view(&line), VIEW("3.0 MiB\n")));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pass_says_what_it_does_not_cover),
                cmocka_unit_test(stages_that_did_not_run_are_told_with_the_reason),
                cmocka_unit_test(what_was_not_tested_stands_in_the_document_and_the_text),
                cmocka_unit_test(the_table_has_one_line_an_artifact_in_columns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
