#include "support/cm.h"

#include "audit/event.h"
#include "audit/limits.h"

struct result {
        int code;
        char text[AUDIT_LINE_MAX];
        struct fault fault;
};

/* Reads a body as the service would; `text` becomes rule|subject|detail. */
static void read_body(struct view body, struct result *ret) {
        _cleanup_(event_donep) struct event e = EVENT_INIT;
        struct json_document *d = NULL;

        *ret = (struct result){0};
        assert_int_equal(json_parse(body, &(struct json_limits){.memory = (size_t)8 << 20}, &d, NULL), 0);
        ret->code = event_read(json_root(d), VIEW("tester"), &e, &ret->fault);
        if (ret->code >= 0)
                (void)snprintf(ret->text, sizeof ret->text, "%.*s|%.*s|%.*s", (int)e.entry.rule.n,
                               e.entry.rule.p ? e.entry.rule.p : "", (int)e.entry.subject.n,
                               e.entry.subject.p, (int)e.entry.detail.n,
                               e.entry.detail.p ? e.entry.detail.p : "");
        json_document_free(d);
}

static void test_bodies_are_checked_and_brought_into_bounds(void **state) {
        static const struct {
                const char *name, *body, *expected; /* expected NULL: refused */
        } cases[] = {
                {"least", "{\"event\":\"a\",\"decision\":\"allow\"}", "||"},
                {"full",
                 "{\"event\":\"model_promoted\",\"decision\":\"deny\",\"rule\":\"GGUF-014\",\"subject\":"
                 "\"x\","
                 "\"detail\":{\"n\":1,\"list\":[true,null,\"t\"]}}",
                 "GGUF-014|x|{\"n\":1,\"list\":[true,null,\"t\"]}"},
                {"rule null", "{\"event\":\"a\",\"decision\":\"info\",\"rule\":null}", "||"},
                {"control characters are escaped",
                 "{\"event\":\"a\",\"decision\":\"info\",\"subject\":\"a\\nb\\u202ec\"}",
                 "|a\\x0ab\\u{202e}c|"},
                {"detail texts too",
                 "{\"event\":\"a\",\"decision\":\"info\",\"detail\":{\"k\\u0007\":\"a\\nb\"}}",
                 "||{\"k\\\\x07\":\"a\\\\x0ab\"}"},
                {"no event", "{\"decision\":\"allow\"}", NULL},
                {"no decision", "{\"event\":\"a\"}", NULL},
                {"capital letter", "{\"event\":\"Model\",\"decision\":\"allow\"}", NULL},
                {"space", "{\"event\":\"a b\",\"decision\":\"allow\"}", NULL},
                {"begins with a digit", "{\"event\":\"1a\",\"decision\":\"allow\"}", NULL},
                {"empty event", "{\"event\":\"\",\"decision\":\"allow\"}", NULL},
                {"event is a number", "{\"event\":1,\"decision\":\"allow\"}", NULL},
                {"unknown decision", "{\"event\":\"a\",\"decision\":\"maybe\"}", NULL},
                {"unknown member", "{\"event\":\"a\",\"decision\":\"allow\",\"caller\":\"ui\"}", NULL},
                {"checkpoint is the log's", "{\"event\":\"checkpoint\",\"decision\":\"info\"}", NULL},
                {"log_ is the log's", "{\"event\":\"log_recovered\",\"decision\":\"info\"}", NULL},
                {"rule with a space", "{\"event\":\"a\",\"decision\":\"allow\",\"rule\":\"a b\"}", NULL},
                {"empty rule", "{\"event\":\"a\",\"decision\":\"allow\",\"rule\":\"\"}", NULL},
                {"subject is a number", "{\"event\":\"a\",\"decision\":\"allow\",\"subject\":1}", NULL},
                {"detail is a list", "{\"event\":\"a\",\"decision\":\"allow\",\"detail\":[]}", NULL},
                {"not an object", "[]", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct result r;

                read_body(view_of(cases[i].body), &r);
                if (cases[i].expected ? r.code < 0 || strcmp(r.text, cases[i].expected) != 0
                                      : r.code != -EINVAL)
                        fail_msg("%s: %d %s", cases[i].name, r.code, r.code < 0 ? r.fault.text : r.text);
                assert_true(cases[i].expected || r.fault.text[0]);
        }
}

/* {"event":"<n letters>", …} and so on: accepted at the limit, refused one past it. */
static void test_limits_hold_at_n_and_one_past_it(void **state) {
        static const struct {
                const char *before, *after;
                size_t n;
        } cases[] = {
                {"{\"decision\":\"info\",\"event\":\"", "\"}", 64},
                {"{\"event\":\"a\",\"decision\":\"info\",\"rule\":\"", "\"}", AUDIT_RULE_MAX},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t more = 0; more < 2; more++) {
                        _cleanup_(buf_donep) struct buf b = BUF_INIT(4096);
                        struct result r;

                        assert_int_equal(buf_append_str(&b, cases[i].before), 0);
                        for (size_t k = 0; k < cases[i].n + more; k++)
                                assert_int_equal(buf_append_char(&b, 'a'), 0);
                        assert_int_equal(buf_append_str(&b, cases[i].after), 0);
                        read_body(buf_view(&b), &r);
                        assert_int_equal(r.code, more ? -EINVAL : 0);
                }
}

static void test_long_text_is_cut_and_deep_or_large_detail_refused(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(65536);
        struct result r;

        assert_int_equal(buf_append_str(&b, "{\"event\":\"a\",\"decision\":\"info\",\"subject\":\""), 0);
        for (size_t k = 0; k <= AUDIT_SUBJECT_MAX; k++)
                assert_int_equal(buf_append_char(&b, 'a'), 0);
        assert_int_equal(buf_append_str(&b, "\"}"), 0);
        read_body(buf_view(&b), &r);
        assert_int_equal(r.code, 0);
        assert_int_equal(strlen(r.text), 2 + AUDIT_SUBJECT_MAX + 3); /* "…" is three bytes */

        buf_clear(&b);
        assert_int_equal(buf_append_str(&b, "{\"event\":\"a\",\"decision\":\"info\",\"detail\":"), 0);
        for (size_t k = 0; k <= AUDIT_DETAIL_DEPTH; k++)
                assert_int_equal(buf_append_str(&b, "{\"k\":"), 0);
        assert_int_equal(buf_append_char(&b, '1'), 0);
        for (size_t k = 0; k <= AUDIT_DETAIL_DEPTH; k++)
                assert_int_equal(buf_append_char(&b, '}'), 0);
        assert_int_equal(buf_append_char(&b, '}'), 0);
        read_body(buf_view(&b), &r);
        assert_int_equal(r.code, -EINVAL);

        buf_clear(&b);
        assert_int_equal(buf_append_str(&b, "{\"event\":\"a\",\"decision\":\"info\",\"detail\":{\"l\":[0"),
                         0);
        for (size_t k = 0; k < AUDIT_DETAIL_MAX / 2; k++)
                assert_int_equal(buf_append_str(&b, ",0"), 0);
        assert_int_equal(buf_append_str(&b, "]}}"), 0);
        read_body(buf_view(&b), &r);
        assert_int_equal(r.code, -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bodies_are_checked_and_brought_into_bounds),
                cmocka_unit_test(test_limits_hold_at_n_and_one_past_it),
                cmocka_unit_test(test_long_text_is_cut_and_deep_or_large_detail_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
