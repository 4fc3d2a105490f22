#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "core/audit_client.h"
#include "core/audit_verify.h"
#include "support/harness.h"

#define RECORD                                                                                               \
        "{\"event\":\"model_promoted\",\"decision\":\"allow\",\"subject\":\"abc\",\"detail\":{\"n\":1}}"

static int make_harness(void **state) {
        struct harness *h = harness_new();

        harness_start(h, "audit", NULL);
        *state = h;
        return 0;
}

static int drop_harness(void **state) {
        harness_free(*state);
        return 0;
}

static unsigned call(struct harness *h, const char *caller, const char *method, const char *path,
                     const char *json, struct buf *ret_body) {
        struct http_client *c = harness_client(h, caller, "audit");
        struct http_answer a;
        unsigned status = harness_call(c, method, path, json, &a);

        if (ret_body)
                *ret_body = TAKE_BUF(a.body);
        http_answer_done(&a);
        http_client_free(c);
        return status;
}

static bool body_has(const struct buf *b, const char *text) {
        return view_find(buf_view(b), view_of(text)) != SIZE_MAX;
}

static struct audit_report verify(struct harness *h) {
        _cleanup_(closep) int state_dir = open_dir(harness_state_path(h, "audit")), log_dir = -EBADF;
        struct audit_report p;

        log_dir = openat(state_dir, "../log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(state_dir >= 0 && log_dir >= 0);
        assert_int_equal(audit_verify(log_dir, state_dir, &p), 0);
        return p;
}

static void test_records_are_appended_and_read_back_with_the_caller_s_name(void **state) {
        struct harness *h = *state;
        struct buf b;

        assert_int_equal(call(h, "registry", "POST", "/v1/append", RECORD, &b), 200);
        assert_string_equal(buf_str(&b), "{\"sequence\":2}");
        buf_done(&b);
        assert_int_equal(call(h, "securectl", "GET", "/v1/records?after=1&limit=5", NULL, &b), 200);
        assert_true(body_has(&b, "{\"records\":[{\"sequence\":2,"));
        assert_true(body_has(
                &b,
                "\"caller\":\"registry\",\"event\":\"model_promoted\",\"decision\":\"allow\",\"rule\":null,"
                "\"subject\":\"abc\",\"detail\":{\"n\":1},\"prev\":\""));
        buf_done(&b);
        assert_int_equal(call(h, "ui", "GET", "/v1/head", NULL, &b), 200);
        assert_true(body_has(&b, "{\"sequence\":2,\"hash\":\""));
        buf_done(&b);
        assert_true(verify(h).ok);
}

static void test_the_audit_client_appends(void **state) {
        struct harness *h = *state;
        struct audit_client *c = NULL;
        char path[128];
        const struct audit_event e = {.event = "model_deleted", .decision = "info", .subject = VIEW("x")};
        const struct audit_event bad = {.event = "Bad Event", .decision = "info"};

        (void)snprintf(path, sizeof path, "%s/audit.sock", harness_run_path(h));
        assert_int_equal(audit_client_new(path, view_of(harness_token(h, "registry", "audit")), &c), 0);
        assert_int_equal(audit_append(c, &e), 0);
        assert_true(audit_append(c, &bad) < 0);
        audit_client_free(c);
}

static void test_bad_requests_are_refused_with_a_code(void **state) {
        static const struct {
                const char *caller, *method, *path, *json;
                unsigned status;
                const char *code;
        } cases[] = {
                {"registry", "POST", "/v1/append", "{\"event\":\"A\",\"decision\":\"allow\"}", 400,
                 "bad_record"},
                {"registry", "POST", "/v1/append", "{\"event\":\"checkpoint\",\"decision\":\"info\"}", 400,
                 "bad_record"},
                {"registry", "POST", "/v1/append", "{\"event\":\"a\",\"decision\":\"allow\"} x", 400, NULL},
                {"registry", "POST", "/v1/append", "{\"event\":\"a\",\"event\":\"b\",\"decision\":\"allow\"}",
                 400, NULL},
                {"inference", "GET", "/v1/records", NULL, 403, "forbidden_route"},
                {"inference", "GET", "/v1/head", NULL, 403, "forbidden_route"},
                {"stranger", "POST", "/v1/append", RECORD, 403, "forbidden_route"},
                {"ui", "GET", "/v1/records?after=x", NULL, 400, "bad_query"},
                {"ui", "GET", "/v1/records?limit=1001", NULL, 400, "bad_query"},
                {"ui", "GET", "/v1/records?after=-1", NULL, 400, "bad_query"},
                {"ui", "GET", "/v1/nothing", NULL, 404, NULL},
        };
        struct harness *h = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b;
                unsigned status = call(h, cases[i].caller, cases[i].method, cases[i].path, cases[i].json, &b);

                if (status != cases[i].status || (cases[i].code && !body_has(&b, cases[i].code)))
                        fail_msg("%s %s: %u %s", cases[i].path, cases[i].json ? cases[i].json : "", status,
                                 buf_str(&b));
                buf_done(&b);
        }
}

static void test_a_body_above_the_limit_is_refused(void **state) {
        static char body[20000];
        struct buf b;

        memset(body, ' ', sizeof body - 1);
        memcpy(body, RECORD, sizeof RECORD - 1);
        assert_int_equal(call(*state, "registry", "POST", "/v1/append", body, &b), 413);
        buf_done(&b);
}

static void test_a_killed_service_goes_on_where_it_was(void **state) {
        struct harness *h = *state;
        struct buf b;
        struct audit_report before, after;

        assert_int_equal(call(h, "registry", "POST", "/v1/append", RECORD, NULL), 200);
        before = verify(h);
        harness_kill(h, "audit");
        harness_start(h, "audit", NULL);
        assert_int_equal(call(h, "registry", "POST", "/v1/append", RECORD, &b), 200);
        buf_done(&b);
        after = verify(h);
        assert_true(after.ok);
        assert_int_equal(after.records, before.records + 2); /* log_opened and ours */
}

static void test_a_clean_stop_leaves_a_signed_checkpoint(void **state) {
        struct harness *h = *state;
        struct audit_report before = verify(h), after;

        assert_int_equal(harness_stop(h, "audit"), 0);
        after = verify(h);
        assert_true(after.ok);
        assert_int_equal(after.checkpoints, before.checkpoints + 1);
        harness_start(h, "audit", NULL);
}

static void test_the_service_does_not_start_on_a_log_that_was_cut(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int fd = -EBADF;
        char path[600];
        struct stat st;

        (void)harness_stop(h, "audit");
        (void)snprintf(path, sizeof path, "%s/../log/audit.log", harness_state_path(h, "audit"));
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
        assert_true(harness_try_start(h, "audit", NULL) != 0);
        assert_non_null(strstr(harness_stderr(h, "audit"), "log_broken"));
        assert_false(verify(h).ok);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_records_are_appended_and_read_back_with_the_caller_s_name),
                cmocka_unit_test(test_the_audit_client_appends),
                cmocka_unit_test(test_bad_requests_are_refused_with_a_code),
                cmocka_unit_test(test_a_body_above_the_limit_is_refused),
                cmocka_unit_test(test_a_killed_service_goes_on_where_it_was),
                cmocka_unit_test(test_a_clean_stop_leaves_a_signed_checkpoint),
                cmocka_unit_test(test_the_service_does_not_start_on_a_log_that_was_cut),
        };

        return cmocka_run_group_tests(tests, make_harness, drop_harness);
}
