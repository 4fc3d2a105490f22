/* Chats over HTTP against a worker that behaves, and against many that don't. */
#include "rig.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "inference/limits.h"

static struct rig rig;

static int stop(void **state) {
        rig_stop(&rig);
        return 0;
}
static int start(void **state) {
        const struct rig_options o = {
                .deadlines = {.first_usec = 400 * USEC_PER_MSEC,
                              .silence_usec = 400 * USEC_PER_MSEC,
                              .total_usec = 20 * USEC_PER_SEC},
        };

        rig_start(&rig, &o);
        return 0;
}

#define ASK_STREAM                                                                                           \
        "{\"model\":\"" SHA_A "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}"
#define ASK_WHOLE "{\"model\":\"" SHA_A "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

static unsigned chat(const char *body, struct http_answer *a) {
        return rig_call(&rig, "POST", "/v1/chat/completions", body, a);
}

static void has(const struct http_answer *a, const char *text) {
        if (!strstr(buf_str(&a->body), text))
                fail_msg("\"%s\" is not in: %.600s", text, buf_str(&a->body));
}

static void streams_text_usage_timings_and_done(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(chat(ASK_STREAM, &a), 200);
        assert_string_equal(a.content_type, "text/event-stream");
        has(&a, "\"object\":\"chat.completion.chunk\"");
        has(&a, "\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null");
        has(&a, "\"delta\":{},\"finish_reason\":\"stop\"");
        has(&a, "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}");
        has(&a, "\"timings\":{\"prompt_n\":3,\"predicted_per_second\":12.5}");
        has(&a, "\"model\":\"" SHA_A "\"");
        assert_true(view_ends(buf_view(&a.body), VIEW("data: [DONE]\n\n")));
}

static void answers_whole_when_no_stream_is_asked_for(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;

        assert_int_equal(chat(ASK_WHOLE, &a), 200);
        assert_string_equal(a.content_type, "application/json");
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        has(&a, "\"object\":\"chat.completion\"");
        has(&a, "\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"");
        has(&a, "\"total_tokens\":5");
}

static void slow_whole(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("slow"));
        for (int i = 0; i < 12; i++) {
                usleep(200000);
                rig_send(fd, RIG_CHUNK("er"));
        }
        rig_send(fd, RIG_STOP RIG_DONE);
}

static void a_slow_whole_answer_is_valid_json_too(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;

        rig.script = slow_whole; /* longer than the wait for a status */
        assert_int_equal(chat(ASK_WHOLE, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        has(&a, "slowererererererererererer");
}

static void the_worker_gets_what_was_checked_and_nothing_else(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(
                chat("{\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},{\"content\":\"\\u0041b\","
                     "\"role\":\"user\"}],\"model\":\"" SHA_A
                     "\",\"temperature\":0.5,\"seed\":7,\"top_p\":null,"
                     "\"max_tokens\":12,\"stop\":[\"X\"],\"stream\":false}",
                     &a),
                200);
        assert_string_equal(
                rig.last_body,
                "{\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":"
                "\"Ab\"}],\"temperature\":0.5,\"seed\":7,\"stop\":[\"X\"],\"max_tokens\":12,"
                "\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
}

/* --- requests that are refused --- */

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"

static void a_refused_request_names_its_rule_and_wakes_nobody(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(chat("{" MESSAGES ",\"grammar\":\"root ::= x\"}", &a), 400);
        has(&a, "\"code\":\"bad_request\"");
        has(&a, "\"detail\":{\"rule\":\"CHAT-001\",\"at\":");
        has(&a, "\\\"grammar\\\" is not a setting");
        assert_int_equal(rig.chats, 0);
        assert_int_equal(rig.spawned, 0);
}

static void accepts_all_that_is_on_the_list(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(
                chat("{" MESSAGES ",\"model\":\"" SHA_A
                     "\",\"temperature\":0,\"top_p\":1,\"top_k\":40,\"min_p\":0.05,"
                     "\"max_tokens\":1048576,\"max_completion_tokens\":5,\"seed\":4294967295,\"stop\":\"Q\","
                     "\"stream\":null,\"stream_options\":{\"include_usage\":true},\"frequency_penalty\":-2,"
                     "\"presence_penalty\":2,\"repeat_penalty\":1.1,\"response_format\":{\"type\":\"json_"
                     "schema\","
                     "\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}}",
                     &a),
                200);
        assert_non_null(strstr(rig.last_body, "\"schema\":{\"type\":\"object\"}"));
        assert_non_null(strstr(rig.last_body, "\"max_tokens\":5,"));
}

static void a_message_more_than_the_limit_is_refused(void **state) {
        for (unsigned n = CHAT_MESSAGES_MAX; n <= CHAT_MESSAGES_MAX + 1; n++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};
                _cleanup_(buf_donep) struct buf body = BUF_INIT(1 << 20);

                assert_int_equal(buf_append_str(&body, "{\"model\":\"" SHA_A "\",\"messages\":["), 0);
                for (unsigned i = 0; i < n; i++)
                        assert_int_equal(
                                buf_printf(&body, "%s{\"role\":\"user\",\"content\":\"\"}", i ? "," : ""), 0);
                assert_int_equal(buf_append_str(&body, "]}"), 0);
                assert_int_equal(chat(buf_str(&body), &a), n > CHAT_MESSAGES_MAX ? 400 : 200);
        }
}

/* --- workers that don't behave: each answer is cut with a clear error, and the service goes on --- */

static void bad_json(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":[},\n\n");
}
static void duplicate_keys(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":[],\"choices\":[]}\n\n");
}
static void bad_utf8(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") RIG_CHUNK("\xff\xfe"));
}
static void wrong_types(struct rig *r, int fd) {
        rig_send(fd,
                 RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":[{\"delta\":{\"content\":{\"a\":1}}}]}\n\n");
}
static void two_choices(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":[{\"delta\":{}},{\"delta\":{}}]}\n\n");
}
static void odd_reason(struct rig *r, int fd) {
        rig_send(fd,
                 RIG_HEADERS RIG_CHUNK(
                         "ok") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n");
}
static void done_too_early(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") RIG_DONE);
}
static void deep_json(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":");
        for (int i = 0; i < 1000; i++)
                rig_send(fd, "[[[[[[[[[[");
        rig_send(fd, "\n\n");
}
static void huge_event(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choices\":[{\"delta\":{\"content\":\"");
        for (int i = 0; i < 3000; i++)
                rig_send(fd, "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
                             "901234567890123456789");
        rig_send(fd, "\"}}]}\n\n");
}
static void endless_line(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok"));
        for (int i = 0; i < 4000; i++)
                rig_send(fd, ": "
                             "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
                             "901234567890123456789");
}
static void crash_in_the_middle(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") "data: {\"choi");
}
static void ends_without_done(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok") RIG_STOP);
}
static void wait_for_end(int fd) {
        char byte;

        while (recv(fd, &byte, 1, 0) > 0)
                ;
}
static void hangs_after_a_word(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK("ok"));
        wait_for_end(fd);
}
static void says_that_it_failed(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS RIG_CHUNK(
                             "ok") "data: {\"error\":{\"code\":500,\"message\":\"no <b>\\u202e luck\"}}\n\n");
}

static const struct {
        rig_script script;
        const char *code;
} mischief[] = {
        {bad_json, "worker_answer_invalid"},       {duplicate_keys, "worker_answer_invalid"},
        {bad_utf8, "worker_answer_invalid"},       {wrong_types, "worker_answer_invalid"},
        {two_choices, "worker_answer_invalid"},    {odd_reason, "worker_answer_invalid"},
        {done_too_early, "worker_answer_invalid"}, {deep_json, "worker_answer_invalid"},
        {huge_event, "worker_answer_invalid"},     {endless_line, "worker_answer_invalid"},
        {crash_in_the_middle, "worker_died"},      {ends_without_done, "worker_died"},
        {hangs_after_a_word, "worker_timeout"},    {says_that_it_failed, "worker_answer_invalid"},
};

static void a_stream_that_goes_wrong_ends_with_an_error_event(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(mischief); i++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0}, good = {0};
                char code[64];

                rig.script = mischief[i].script;
                assert_int_equal(chat(ASK_STREAM, &a), 200);
                has(&a, "\"content\":\"ok\"");
                (void)snprintf(code, sizeof(code), "data: {\"error\":{\"code\":\"%s\"", mischief[i].code);
                if (!strstr(buf_str(&a.body), code))
                        fail_msg("case %zu: no %s in %.600s", i, code, buf_str(&a.body));
                assert_null(strstr(buf_str(&a.body), "[DONE]"));
                assert_null(strstr(buf_str(&a.body), "\xe2\x80\xae")); /* text is escaped */
                rig.script = NULL;
                assert_int_equal(chat(ASK_STREAM, &good), 200);
                has(&good, "[DONE]");
        }
}

static void a_whole_answer_that_goes_wrong_is_an_error_status(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(mischief); i++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};
                unsigned status;

                rig.script = mischief[i].script;
                status = chat(ASK_WHOLE, &a);
                assert_true(status == 502 || status == 504);
                has(&a, mischief[i].code);
        }
}

static void endless_headers(struct rig *r, int fd) {
        rig_send(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 20000; i++)
                rig_send(fd, "X-A: 0123456789012345678901234567890123456789\r\n");
        wait_for_end(fd);
}
static void no_http(struct rig *r, int fd) {
        rig_send(fd, "220 welcome\r\n\r\n");
}
static void silence(struct rig *r, int fd) {
        wait_for_end(fd);
}
static void fails_500(struct rig *r, int fd) {
        rig_send(fd,
                 "HTTP/1.1 500 X\r\nContent-Length: 36\r\n\r\n{\"error\":{\"message\":\"out of memory\"}}");
}
static void context_exceeded(struct rig *r, int fd) {
        rig_send(fd, "HTTP/1.1 400 X\r\nContent-Length: 70\r\n\r\n"
                     "{\"error\":{\"message\":\"too long\",\"type\":\"exceed_context_size_error\"}}   ");
}
static void endless_error(struct rig *r, int fd) {
        rig_send(fd, "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n");
        for (int i = 0; i < 5000; i++)
                rig_send(fd, "0123456789012345678901234567890123456789");
}

static const struct {
        rig_script script;
        unsigned status;
        const char *code;
} beginnings[] = {
        {endless_headers, 502, "worker_answer_invalid"},
        {no_http, 502, "worker_answer_invalid"},
        {silence, 504, "worker_timeout"},
        {fails_500, 502, "worker_failed"},
        {context_exceeded, 400, "context_exceeded"},
        {endless_error, 400, "refused_by_model"},
};

static void what_fails_before_the_first_word_has_its_own_status(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
                for (int stream = 0; stream < 2; stream++) {
                        _cleanup_(http_answer_donep) struct http_answer a = {0};

                        rig.script = beginnings[i].script;
                        if (chat(stream ? ASK_STREAM : ASK_WHOLE, &a) != beginnings[i].status)
                                fail_msg("case %zu: status %u, %s", i, a.status, buf_str(&a.body));
                        has(&a, beginnings[i].code);
                }
        }
}

static void flood(struct rig *r, int fd) {
        char chunk[40000];
        int n = snprintf(chunk, sizeof(chunk), "data: {\"choices\":[{\"delta\":{\"content\":\"");

        memset(chunk + n, 'x', 32768);
        (void)snprintf(chunk + n + 32768, sizeof(chunk) - (size_t)n - 32768, "\"}}]}\n\n");
        rig_send(fd, RIG_HEADERS);
        for (int i = 0; i < 600; i++) /* 19 MB of text */
                rig_send(fd, chunk);
        rig_send(fd, RIG_STOP RIG_DONE);
}

static void a_flood_is_cut_at_the_limit(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        rig.script = flood;
        assert_int_equal(chat(ASK_STREAM, &a), 200);
        has(&a, "worker_answer_invalid");
        assert_true(a.body.n < ANSWER_TEXT_MAX + (ANSWER_TEXT_MAX >> 2));
}

/* --- clients and workers that go away --- */

static int gone = 0;
static void talks_until_cut(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS);
        for (int i = 0; i < 5000; i++) {
                if (send(fd, RIG_CHUNK("la"), sizeof(RIG_CHUNK("la")) - 1, MSG_NOSIGNAL) < 0)
                        break;
                usleep(1000);
        }
        __atomic_store_n(&gone, 1, __ATOMIC_SEQ_CST);
}

static void the_worker_is_cut_when_the_client_goes_away(void **state) {
        _cleanup_(buf_donep) struct buf some = BUF_INIT(1 << 20);
        struct http_incoming *in = NULL;
        struct worker_status s;
        unsigned status = 0;

        gone = 0;
        rig.script = talks_until_cut;
        assert_int_equal(http_open(rig.client, "POST", "/v1/chat/completions", "application/json",
                                   VIEW(ASK_STREAM), 10 * USEC_PER_SEC, &in, &status),
                         0);
        assert_int_equal(status, 200);
        assert_int_equal(http_incoming_read(in, 10 * USEC_PER_SEC, &some), 1);
        http_incoming_free(in);
        for (int i = 0; i < 2000 && !__atomic_load_n(&gone, __ATOMIC_SEQ_CST); i++)
                usleep(1000);
        assert_int_equal(gone, 1);
        for (int i = 0; i < 2000; i++) {
                worker_get_status(rig.worker, &s);
                if (s.busy == 0)
                        return;
                usleep(1000);
        }
        fail_msg("the use was not given back");
}

static void a_chat_after_the_worker_was_killed_works(void **state) {
        for (int i = 0; i < 3; i++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(chat(ASK_STREAM, &a), 200);
                has(&a, "[DONE]");
                rig_kill_worker(&rig);
        }
}

static unsigned resets;
static void resets_the_first_time(struct rig *r, int fd) {
        if (resets++ > 0)
                rig_good_answer(r, fd);
}

static void begins_the_first_time(struct rig *r, int fd) {
        if (resets++ > 0)
                rig_good_answer(r, fd);
        else
                rig_send(fd, RIG_HEADERS "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n");
}
static void never_says_a_word(struct rig *r, int fd) {
        rig_send(fd, RIG_HEADERS);
}

static void a_request_that_the_worker_dropped_before_a_word_is_sent_once_more(void **state) {
        const rig_script scripts[] = {resets_the_first_time, begins_the_first_time};

        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                resets = 0;
                rig.chats = 0;
                rig.script = scripts[i];
                assert_int_equal(chat(ASK_STREAM, &a), 200);
                has(&a, "[DONE]");
                assert_int_equal(rig.chats, 2);
        }
}

static void but_not_more_often(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        rig.script = never_says_a_word;
        assert_int_equal(chat(ASK_STREAM, &a), 502);
        has(&a, "worker_died");
        assert_int_equal(rig.chats, 2);
}

/* --- status and control --- */

static void status_load_and_unload_over_http(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0}, b = {0}, c = {0}, d = {0};

        assert_int_equal(rig_call(&rig, "GET", "/v1/status", NULL, &a), 200);
        assert_string_equal(
                buf_str(&a.body),
                "{\"state\":\"idle\",\"model\":null,\"worker_pid\":0,\"restarts\":0,\"threads\":0,"
                "\"context\":0,\"memory_limit\":0,\"busy\":0,\"backend\":\"cpu\",\"reason\":null}");
        assert_int_equal(rig_call(&rig, "POST", "/v1/load", "{\"model\":\"" SHA_A "\",\"context\":512}", &b),
                         200);
        has(&b, "\"state\":\"ready\",\"model\":\"" SHA_A "\"");
        has(&b, "\"context\":512");
        assert_int_equal(rig_call(&rig, "POST", "/v1/load", "{\"model\":\"" SHA_A "\",\"context\":1}", &c),
                         400);
        assert_int_equal(rig_call(&rig, "POST", "/v1/unload", NULL, &d), 200);
        has(&d, "\"state\":\"idle\"");
}

static void names_need_the_registry(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(chat("{\"model\":\"pebble\"," MESSAGES "}", &a), 503);
        has(&a, "registry_unavailable");
}

#define RUN(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void) {
        const struct CMUnitTest tests[] = {
                RUN(streams_text_usage_timings_and_done),
                RUN(answers_whole_when_no_stream_is_asked_for),
                RUN(a_slow_whole_answer_is_valid_json_too),
                RUN(the_worker_gets_what_was_checked_and_nothing_else),
                RUN(a_refused_request_names_its_rule_and_wakes_nobody),
                RUN(accepts_all_that_is_on_the_list),
                RUN(a_message_more_than_the_limit_is_refused),
                RUN(a_stream_that_goes_wrong_ends_with_an_error_event),
                RUN(a_whole_answer_that_goes_wrong_is_an_error_status),
                RUN(what_fails_before_the_first_word_has_its_own_status),
                RUN(a_flood_is_cut_at_the_limit),
                RUN(the_worker_is_cut_when_the_client_goes_away),
                RUN(a_chat_after_the_worker_was_killed_works),
                RUN(a_request_that_the_worker_dropped_before_a_word_is_sent_once_more),
                RUN(but_not_more_often),
                RUN(status_load_and_unload_over_http),
                RUN(names_need_the_registry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
