/* securectl: reading arguments, and how values look on a terminal. */
#include "support/cm.h"

#include "securectl/chat_stream.h"
#include "securectl/explain.h"
#include "securectl/link.h"
#include "securectl/options.h"
#include "securectl/show.h"

struct parsed {
        bool json, yes;
        const char *model;
        int operands;
        struct fault fault;
};

/* Reads `arguments` (NULL-terminated, without the command's name) in place. */
static int read_options(const char *arguments[], struct parsed *p) {
        const struct option_spec specs[] = {
                {"json", 0, &p->json, NULL, NULL, ""},
                {"yes", 'y', &p->yes, NULL, NULL, ""},
                {"model", 'm', NULL, &p->model, "MODEL", ""},
                {NULL},
        };
        int argc = 0;

        while (arguments[argc])
                argc++;
        return options_read(specs, argc, (char **)(uintptr_t)arguments, &p->operands, &p->fault);
}

static void test_options_stand_anywhere_and_operands_keep_their_order(void **state) {
        const char *arguments[] = {"cmd", "first", "--json", "-m", "pebble", "second", "-y", "third", NULL};
        struct parsed p = {0};

        assert_int_equal(read_options(arguments, &p), 0);
        assert_true(p.json && p.yes);
        assert_string_equal(p.model, "pebble");
        assert_int_equal(p.operands, 3);
        assert_string_equal(arguments[1], "first");
        assert_string_equal(arguments[2], "second");
        assert_string_equal(arguments[3], "third");
}

static void test_values_come_behind_equals_or_as_the_next_argument(void **state) {
        const char *equals[] = {"cmd", "--model=a=b", NULL}, *next[] = {"cmd", "--model", "--json", NULL},
                   *empty[] = {"cmd", "--model=", NULL};
        struct parsed p = {0};

        assert_int_equal(read_options(equals, &p), 0);
        assert_string_equal(p.model, "a=b");
        assert_int_equal(read_options(next, &p), 0);
        assert_string_equal(p.model, "--json"); /* a value may look like an option */
        assert_false(p.json);
        assert_int_equal(read_options(empty, &p), 0);
        assert_string_equal(p.model, "");
}

static void test_double_dash_ends_the_options(void **state) {
        const char *arguments[] = {"cmd", "--json", "--", "--yes", "-", "--", NULL};
        struct parsed p = {0};

        assert_int_equal(read_options(arguments, &p), 0);
        assert_true(p.json);
        assert_false(p.yes);
        assert_int_equal(p.operands, 3);
        assert_string_equal(arguments[1], "--yes");
        assert_string_equal(arguments[2], "-");
        assert_string_equal(arguments[3], "--");
}

static void test_wrong_options_are_named_and_escaped(void **state) {
        static const struct {
                const char *argument, *text;
        } table[] = {
                {"--jso", "--jso is not an option of this command; see --help"},
                {"-x", "-x is not an option of this command; see --help"},
                {"-yy", "-yy is not an option of this command; see --help"},
                {"--json=1", "--json=1 takes no value; see --help"},
                {"--model", "--model needs a value; see --help"},
                {"-m", "-m needs a value; see --help"},
                {"--\x1b[2J", "--\\x1b[2J is not an option of this command; see --help"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                const char *arguments[] = {"cmd", table[i].argument, NULL};
                struct parsed p = {0};

                assert_int_equal(read_options(arguments, &p), -EINVAL);
                assert_string_equal(p.fault.text, table[i].text);
        }
}

static void test_sizes(void **state) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } table[] = {
                {0, "0 bytes"},
                {1023, "1023 bytes"},
                {1024, "1.0 KiB"},
                {1536, "1.5 KiB"},
                {(1 << 20) - 1, "1023.9 KiB"}, /* never more than there is */
                {1 << 20, "1.0 MiB"},
                {UINT64_C(128) << 30, "128.0 GiB"},
                {UINT64_MAX, "15.9 EiB"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(64);

                assert_int_equal(show_size(&out, table[i].bytes), 0);
                assert_string_equal(out.p, table[i].text);
        }
}

static void test_durations(void **state) {
        static const struct {
                uint64_t msec;
                const char *text;
        } table[] = {{0, "0.0 s"},           {450, "0.4 s"},         {9999, "9.9 s"},
                     {10000, "10 s"},        {59999, "59 s"},        {60000, "1 min 0 s"},
                     {200000, "3 min 20 s"}, {3600000, "1 h 0 min"}, {7500000, "2 h 5 min"}};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(64);

                assert_int_equal(show_duration(&out, table[i].msec), 0);
                assert_string_equal(out.p, table[i].text);
        }
}

static void test_a_bar_is_full_only_at_the_end(void **state) {
        static const struct {
                uint64_t done, total;
                const char *text;
        } table[] = {
                {0, 0, "[..........]   0%"},
                {0, 100, "[..........]   0%"},
                {50, 100, "[#####.....]  50%"},
                {99, 100, "[#########.]  99%"},
                {999999, 1000000, "[#########.]  99%"},
                {100, 100, "[##########] 100%"},
                {200, 100, "[##########] 100%"},
                {UINT64_MAX - 1, UINT64_MAX, "[#########.]  99%"},
                {UINT64_MAX / 2, UINT64_MAX, "[####......]  49%"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(64);

                assert_int_equal(show_bar(&out, table[i].done, table[i].total, 10), 0);
                assert_string_equal(out.p, table[i].text);
        }
}

static void test_lines_of_a_model_keep_breaks_and_lose_controls(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(256);

        assert_int_equal(show_lines(&out, VIEW("one\n\ttwo\x1b]0;title\x07\r\n\n\xe2\x80\xaez é")), 0);
        assert_string_equal(out.p, "one\n\ttwo\\x1b]0;title\\x07\\x0d\n\n\\u{202e}z é");
        buf_clear(&out);
        assert_int_equal(show_lines(&out, VIEW("")), 0);
        assert_string_equal(buf_str(&out), "");
}

static struct json_document *parse(const char *text) {
        struct json_document *doc = NULL;

        assert_int_equal(json_parse(view_of(text), NULL, &doc, NULL), 0);
        return doc;
}

static void test_progress_names_stage_and_amount(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
        struct json_document *doc = parse(
                "{\"name\":\"a\\u001b[31m.gguf\",\"state\":\"scanning\",\"stage\":5,"
                "\"size\":4194304,\"bytes_done\":2097152}");

        assert_int_equal(show_job_progress(&out, json_root(doc), 200), 0);
        assert_string_equal(out.p, "a\\x1b[31m.gguf  stage 5 of 7, static scan  [##########..........]  50%  "
                                   "2.0 MiB of 4.0 MiB");
        json_document_free(doc);
}

static void test_progress_fits_the_terminal(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
        struct json_document *doc = parse(
                "{\"name\":\"ééééééééé\",\"state\":\"waiting\",\"size\":1,\"bytes_done\":0}");

        assert_int_equal(show_job_progress(&out, json_root(doc), 5), 0);
        assert_string_equal(out.p, "ééééé"); /* cut between characters */
        json_document_free(doc);
}

static void test_progress_survives_an_answer_of_the_wrong_shape(void **state) {
        static const char *const answers[] = {"{}", "[]",
                                              "{\"name\":7,\"state\":[],\"size\":-1,\"stage\":\"x\"}",
                                              "{\"state\":\"scanning\",\"stage\":99}"};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
                struct json_document *doc = parse(answers[i]);

                assert_int_equal(show_job_progress(&out, json_root(doc), 200), 0);
                assert_non_null(strstr(out.p, "?  unknown state") ? out.p : strstr(out.p, "?  is examined"));
                json_document_free(doc);
        }
}

static const char stages_json[] =
        "[{\"stage\":2,\"status\":\"fail\",\"ms\":1500,\"findings\":["
        "{\"rule\":\"A-001\",\"severity\":\"info\",\"message\":\"one\",\"at\":null,\"tensor\":\"\"},"
        "{\"rule\":\"A-002\",\"severity\":\"warning\",\"message\":\"two\",\"at\":null,\"tensor\":\"\"},"
        "{\"rule\":\"A-003\",\"severity\":\"reject\",\"message\":\"three\\u0007\",\"at\":64,\"tensor\":\"t\"}"
        "]},"
        "{\"stage\":6,\"status\":\"not_run\",\"ms\":0,\"findings\":[]},"
        "{\"stage\":7,\"status\":\"not_applicable\",\"ms\":0,\"findings\":[{\"rule\":\"X\",\"message\":"
        "\"why\"}]}]";

static void test_stages_show_what_decided_first(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
        struct json_document *doc = parse(stages_json);

        assert_int_equal(show_stages(&out, json_root(doc), 2), 0);
        assert_string_equal(out.p, "  FAIL 2 format gate     1.5 s\n"
                                   "         A-003: three\\x07, tensor t (at byte 64)\n"
                                   "         A-001: one\n"
                                   "         … and 1 more: `securectl jobs show ID`\n"
                                   "  open 6 behavioral test not run\n"
                                   "  -    7 diffusion scan  does not apply\n");
        buf_clear(&out);
        assert_int_equal(show_stages(&out, NULL, 2), 0);
        assert_int_equal(out.n, 0);
        json_document_free(doc);
}

static void test_tokens_are_found_by_target(void **state) {
        static const char text[] =
                "{\"inbound\":[],\"outbound\":[{\"target\":\"registry\",\"token\":\"aa\"},"
                "{\"target\":\"audit\",\"token\":\"bb\"},{\"target\":\"empty\",\"token\":\"\"}]}";
        struct secret token = SECRET_INIT;

        assert_int_equal(link_find_token(view_of(text), "audit", &token), 0);
        assert_true(view_eq(secret_view(&token), VIEW("bb")));
        secret_done(&token);
        assert_int_equal(link_find_token(view_of(text), "aud", &token), -ENOENT);
        assert_int_equal(link_find_token(view_of(text), "empty", &token), -ENOENT);
        assert_int_equal(link_find_token(VIEW("{}"), "audit", &token), -ENOENT);
        assert_int_equal(link_find_token(VIEW("not json"), "audit", &token), -EBADMSG);
}

static void test_chat_requests_hold_the_whole_conversation(void **state) {
        _cleanup_(buf_donep) struct buf history = BUF_INIT(4096), body = BUF_INIT(4096);
        struct chat_request q = {.model = "pebble",
                                 .system = "be \"brief\"",
                                 .temperature = "0.5",
                                 .seed = "7",
                                 .stream = true};

        assert_int_equal(chat_add_message(&history, "user", VIEW("a\nb")), 0);
        assert_int_equal(chat_add_message(&history, "assistant", VIEW("c")), 0);
        q.messages = buf_view(&history);
        assert_int_equal(chat_write_request(&q, &body), 0);
        assert_string_equal(
                body.p,
                "{\"model\":\"pebble\",\"stream\":true,\"temperature\":0.5,\"seed\":7,\"messages\":["
                "{\"role\":\"system\",\"content\":\"be \\\"brief\\\"\"},"
                "{\"role\":\"user\",\"content\":\"a\\nb\"},{\"role\":\"assistant\",\"content\":\"c\"}]}");
}

static void test_a_message_that_does_not_fit_changes_nothing(void **state) {
        _cleanup_(buf_donep) struct buf history = BUF_INIT(64);
        char before[65];

        assert_int_equal(chat_add_message(&history, "user", VIEW("short")), 0);
        memcpy(before, history.p, history.n + 1);
        assert_int_equal(chat_add_message(&history, "user", VIEW("much longer than what is left")), -EFBIG);
        assert_string_equal(history.p, before);
        assert_int_equal(history.n, strlen(before));
}

static void test_chat_events(void **state) {
        struct chat_delta d = {0};

        assert_int_equal(chat_read_event(VIEW("{\"choices\":[{\"delta\":{\"content\":\"hi\\n\"}}]}"), &d), 0);
        assert_true(view_eq(d.content, VIEW("hi\n")));
        assert_null(d.error.p);
        assert_false(d.is_end);
        chat_delta_done(&d);
        assert_int_equal(chat_read_event(VIEW("{\"choices\":[]}"), &d), 0);
        assert_int_equal(d.content.n, 0);
        chat_delta_done(&d);
        assert_int_equal(chat_read_event(VIEW("{\"error\":{\"code\":\"x\",\"message\":\"gone\"}}"), &d), 0);
        assert_true(view_eq(d.error, VIEW("gone")));
        chat_delta_done(&d);
        assert_int_equal(chat_read_event(VIEW("[DONE]"), &d), 0);
        assert_true(d.is_end);
        chat_delta_done(&d);
        assert_int_equal(chat_read_event(VIEW("[DONE"), &d), -EBADMSG);
        assert_int_equal(chat_read_event(VIEW("{\"a\":1,\"a\":2}"), &d), -EBADMSG);
}

static void test_a_rule_is_explained_in_lines_that_fit(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(8192);
        char any_case[] = "yaRA-034", scan[] = "SCAN-001";
        char *ids[] = {any_case, scan};
        struct view rest, line;
        size_t unknown;

        assert_int_equal(explain_write(&out, ids, 2, false, &unknown), 0);
        assert_true(view_starts(buf_view(&out), VIEW("YARA-034: EICAR test file")));
        assert_non_null(strstr(out.p, "\n\nSCAN-001: left out on request\n  any stage, info: "));
        rest = buf_view(&out);
        while (view_split(&rest, '\n', &line))
                assert_true(line.n <= 100 && !view_ends(line, VIEW(" ")));
}

static void test_unknown_rules_are_pointed_at(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(8192);
        char known[] = "KIND-001", longer[] = "KIND-001-AND-MUCH-MORE-THAN-A-RULE-HAS", empty[] = "";
        char *first[] = {known, longer}, *second[] = {empty};
        size_t unknown = 7;

        assert_int_equal(explain_write(&out, first, 2, false, &unknown), -ENOENT);
        assert_int_equal(unknown, 1);
        assert_int_equal(explain_write(&out, second, 1, true, &unknown), -ENOENT);
        assert_int_equal(unknown, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options_stand_anywhere_and_operands_keep_their_order),
                cmocka_unit_test(test_values_come_behind_equals_or_as_the_next_argument),
                cmocka_unit_test(test_double_dash_ends_the_options),
                cmocka_unit_test(test_wrong_options_are_named_and_escaped),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_a_bar_is_full_only_at_the_end),
                cmocka_unit_test(test_lines_of_a_model_keep_breaks_and_lose_controls),
                cmocka_unit_test(test_progress_names_stage_and_amount),
                cmocka_unit_test(test_progress_fits_the_terminal),
                cmocka_unit_test(test_progress_survives_an_answer_of_the_wrong_shape),
                cmocka_unit_test(test_stages_show_what_decided_first),
                cmocka_unit_test(test_tokens_are_found_by_target),
                cmocka_unit_test(test_chat_requests_hold_the_whole_conversation),
                cmocka_unit_test(test_a_message_that_does_not_fit_changes_nothing),
                cmocka_unit_test(test_chat_events),
                cmocka_unit_test(test_a_rule_is_explained_in_lines_that_fit),
                cmocka_unit_test(test_unknown_rules_are_pointed_at),
        };

        return cmocka_run_group_tests_name("securectl", tests, NULL, NULL);
}
