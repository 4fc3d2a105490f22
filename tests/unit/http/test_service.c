/* What every program shares: arguments, passed-in sockets, credentials, callers, start and stop. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/cm.h"
#include "base/file.h"
#include "support/harness.h"

static struct harness *h;

static int set_up(void **state) {
        h = harness_new();
        harness_use_program(h, "probe", secure_getenv("SECAI_PROBE"));
        return 0;
}

static int tear_down(void **state) {
        h = harness_free(h);
        return 0;
}

static unsigned status_as(const char *caller, const char *path, struct buf *ret_body) {
        _cleanup_(http_client_freep) struct http_client *c = harness_client(h, caller, "probe");
        struct http_answer a = {0};
        unsigned status = harness_call(c, "GET", path, NULL, &a);

        if (ret_body)
                *ret_body = TAKE_BUF(a.body);
        http_answer_done(&a);
        return status;
}

static void health_needs_no_token(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = NULL;
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        char path[600];

        harness_start(h, "probe", NULL);
        (void)snprintf(path, sizeof(path), "%s/probe.sock", harness_run_path(h));
        assert_int_equal(http_client_new(path, 0, VIEW_NULL, &c), 0);
        assert_int_equal(harness_call(c, "GET", "/health", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        assert_true(view_eq_str(json_get_view(json_root(d), "status", VIEW_NULL), "ok"));
        assert_true(view_eq_str(json_get_view(json_root(d), "service", VIEW_NULL), "probe"));
}

static void callers_are_named_by_their_token_and_listed_in_the_acl(void **state) {
        _cleanup_(buf_donep) struct buf body = {0};

        harness_start(h, "probe", NULL);
        assert_int_equal(status_as("ui", "/v1/who", &body), 200);
        assert_string_equal(buf_str(&body), "ui");
        /* Known, but service-acl.yaml does not list audit.read for it. */
        assert_int_equal(status_as("inference", "/v1/who", NULL), 403);
        assert_int_equal(status_as("stranger", "/v1/who", NULL), 403);
}

static void nobody_without_a_right_token(void **state) {
        static const char *const tokens[] = {"", "wrong", NULL};
        char path[600];

        harness_start(h, "probe", NULL);
        (void)snprintf(path, sizeof(path), "%s/probe.sock", harness_run_path(h));
        for (const char *const *t = tokens; *t; t++) {
                _cleanup_(http_client_freep) struct http_client *c = NULL;
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(http_client_new(path, 0, view_of(*t), &c), 0);
                assert_int_equal(harness_call(c, "GET", "/v1/who", NULL, &a), 401);
                assert_non_null(strstr(buf_str(&a.body), "unknown_caller"));
        }
}

static void a_token_for_another_service_is_worth_nothing(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = NULL;
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        char path[600];

        harness_start(h, "probe", NULL);
        (void)snprintf(path, sizeof(path), "%s/probe.sock", harness_run_path(h));
        assert_int_equal(http_client_new(path, 0, view_of(harness_token(h, "ui", "registry")), &c), 0);
        assert_int_equal(harness_call(c, "GET", "/v1/who", NULL, &a), 401);
}

static void stops_on_sigterm_and_comes_back_on_the_same_sockets(void **state) {
        int status;

        harness_start(h, "probe", NULL);
        assert_int_equal(status_as("ui", "/v1/who", NULL), 200);
        status = harness_stop(h, "probe");
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        harness_start(h, "probe", NULL);
        assert_int_equal(status_as("ui", "/v1/who", NULL), 200);
        harness_kill(h, "probe");
        harness_start(h, "probe", NULL);
        assert_int_equal(status_as("ui", "/v1/who", NULL), 200);
}

static void write_tokens(const char *text, mode_t mode) {
        _cleanup_(closep) int dir = open_dir(harness_credentials_path(h, "probe"));

        assert_int_equal(replace_file(dir, "tokens.json", view_of(text), mode), 0);
}

static void refuses_to_start(const char *text) {
        int status = harness_try_start(h, "probe", NULL);

        assert_true(status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 2);
        if (!strstr(harness_stderr(h, "probe"), text))
                fail_msg("expected \"%s\" in:\n%s", text, harness_stderr(h, "probe"));
}

static void refuses_tokens_that_others_may_read(void **state) {
        write_tokens("{}", 0644);
        refuses_to_start("only its owner");
}

static void refuses_malformed_tokens(void **state) {
        static const char *const bad[] = {
                "[]",
                "{\"inbound\":{}}",
                "{\"inbound\":[{\"caller\":\"ui\",\"sha256\":\"00\"}]}",
                "{\"inbound\":[{\"sha256\":\"\"}]}",
                "{\"outbound\":[{\"target\":\"ui\"}]}",
                "{\"outbound\":[{\"target\":\"ui\",\"token\":\"t\",\"more\":1}]}",
                "{\"other\":[]}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                write_tokens(bad[i], 0600);
                refuses_to_start("tokens.json");
        }
}

static void refuses_a_broken_acl_with_file_and_line(void **state) {
        char path[600];
        FILE *f;

        (void)snprintf(path, sizeof(path), "%s/service-acl.yaml", harness_copy_config(h));
        f = fopen(path, "ae");
        assert_non_null(f);
        fputs("surprise: true\n", f);
        fclose(f);
        refuses_to_start("service-acl.yaml:");
}

static void refuses_missing_arguments(void **state) {
        int status;

        status = harness_try_start(h, "probe", (const char *const[]){"--nonsense", NULL});
        assert_true(status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 2);
        status = harness_try_start(h, "probe", (const char *const[]){"--state", "/does/not/exist", NULL});
        assert_true(status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 2);
        assert_non_null(strstr(harness_stderr(h, "probe"), "/does/not/exist"));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(health_needs_no_token),
                TEST(callers_are_named_by_their_token_and_listed_in_the_acl),
                TEST(nobody_without_a_right_token),
                TEST(a_token_for_another_service_is_worth_nothing),
                TEST(stops_on_sigterm_and_comes_back_on_the_same_sockets),
                TEST(refuses_tokens_that_others_may_read),
                TEST(refuses_malformed_tokens),
                TEST(refuses_a_broken_acl_with_file_and_line),
                TEST(refuses_missing_arguments),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
