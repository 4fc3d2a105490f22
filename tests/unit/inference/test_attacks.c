/* Requests and workers' answers from files: tests/attacks/chat, tests/attacks/answer. */
#include "support/attack_files.h"
#include "support/cm.h"
#include "inference/chat_request.h"
#include "inference/limits.h"
#include "inference/relay.h"
#include "wire/http_client.h"

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void expect(const struct attack_file *f, int r, const struct fault *fault) {
        if (f->is_accepted && r < 0)
                fail_msg("%s: refused: %s %s", f->name, fault->rule, fault->text);
        if (!f->is_accepted && r >= 0)
                fail_msg("%s: accepted", f->name);
        if (!f->is_accepted && (!fault->rule || strcmp(fault->rule, f->rule) != 0))
                fail_msg("%s: refused by %s: %s", f->name, fault->rule, fault->text);
}

static void check_request(const struct attack_file *f) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct chat_request request;
        struct fault fault = FAULT_NONE;
        int r;

        assert_int_equal(json_parse(view_make(f->content, f->n), NULL, &d, NULL), 0);
        r = chat_request_read(json_root(d), &request, &fault);
        expect(f, r, &fault);
        if (r < 0) /* what people read has no control characters and no bidi marks in it */
                for (const char *p = fault.text; *p; p++)
                        assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
}

static void chat_requests_from_files(void **state) {
        static struct attack_file *files; /* kept until the end */
        size_t n = attack_files_load("chat", &files);

        assert_true(n >= 40);
        for (size_t i = 0; i < n; i++)
                check_request(&files[i]);
}

/* The bytes arrive in pieces of `step`. */
static int relay_all(const struct attack_file *f, bool stream, size_t step, struct fault *fault) {
        struct sse_reader s = {.pending = BUF_INIT(2 * ANSWER_EVENT_MAX)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(1 << 20), data = BUF_INIT(1 << 20),
                                        out = BUF_INIT(1 << 20);
        struct relay relay;
        int r = relay_init(&relay, stream, VIEW(SHA));

        assert_int_equal(r, 0);
        r = 1;
        for (size_t at = 0; at < f->n && r > 0; at += step) {
                assert_int_equal(buf_append(&s.pending, f->content + at, MIN_OF(step, f->n - at)), 0);
                while (r > 0 && sse_next(&s, &event, &data) == 1)
                        r = relay_event(&relay, buf_view(&data), &out, fault);
        }
        if (r == 0 && !stream)
                r = relay_write(&relay, &out);
        relay_done(&relay);
        buf_done(&s.pending);
        return r > 0 ? -ENODATA : r;
}

static void workers_answers_from_files(void **state) {
        static const size_t steps[] = {1 << 20, 4096, 7};
        static struct attack_file *files; /* kept until the end */
        size_t n = attack_files_load("answer", &files);

        assert_true(n >= 30);
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < 2 * ARRAY_SIZE(steps); k++) {
                        struct fault fault = FAULT_NONE;
                        int r = relay_all(&files[i], k % 2, steps[k / 2], &fault);

                        expect(&files[i], r, &fault);
                }
        }
}

/* n and n + 1 of the limit on all text of an answer. */
static void the_whole_text_has_a_limit(void **state) {
        _cleanup_(buf_donep) struct buf event = BUF_INIT(1 << 20), out = BUF_INIT(ANSWER_TEXT_MAX * 2);
        struct fault fault = FAULT_NONE;
        struct relay relay;

        assert_int_equal(relay_init(&relay, false, VIEW(SHA)), 0);
        assert_int_equal(buf_append_str(&event, "{\"choices\":[{\"delta\":{\"content\":\""), 0);
        for (int i = 0; i < 32768; i++)
                assert_int_equal(buf_append_char(&event, 'x'), 0);
        assert_int_equal(buf_append_str(&event, "\"}}]}"), 0);
        for (size_t i = 0; i < ANSWER_TEXT_MAX / 32768; i++)
                assert_int_equal(relay_event(&relay, buf_view(&event), &out, &fault), 1);
        assert_int_equal(
                relay_event(&relay, VIEW("{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}"), &out, &fault),
                -EFBIG);
        assert_string_equal(fault.rule, "ANSWER-006");
        relay_done(&relay);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(chat_requests_from_files),
                cmocka_unit_test(workers_answers_from_files),
                cmocka_unit_test(the_whole_text_has_a_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
