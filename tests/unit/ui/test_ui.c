/* The shipped ui program with the real audit service; registry, quarantine and inference are played by the test. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/cm.h"
#include "browser.h"
#include "base/clock.h"
#include "base/file.h"

#define PASSPHRASE "correct horse battery staple"
#define WRONG      "{\"passphrase\":\"not the right words\"}"
#define RIGHT      "{\"passphrase\":\"" PASSPHRASE "\"}"

static struct harness *h;

static int set_up(void **state) {
        h = harness_new();
        harness_start(h, "audit", NULL);
        harness_start(h, "ui", NULL);
        return 0;
}

static int tear_down(void **state) {
        /* Under a sanitizer this fails when anything leaked. */
        assert_int_equal(harness_stop(h, "ui"), 0);
        h = harness_free(h);
        return 0;
}

static struct browser visitor(void) {
        return (struct browser){.port = harness_port(h, "ui")};
}

static struct browser owner(void) {
        struct browser b = visitor();

        browser_set_up(&b, h, PASSPHRASE);
        return b;
}

static void assert_code(struct browser *b, const char *method, const char *target, const char *body,
                        unsigned status, const char *code) {
        _cleanup_(page_done) struct page p;
        struct view got;

        browse(b, method, target, body, &p);
        got = p.json ? json_get_view(json_get(json_root(p.json), "error"), "code", VIEW("")) : VIEW("");
        if (p.status != status || !view_eq_str(got, code))
                fail_msg("%s %s: expected %u %s, got %u %s", method, target, status, code, p.status,
                         buf_str(&p.body));
}

static bool state_has(const char *name) {
        char path[600];

        (void)snprintf(path, sizeof(path), "%s/%s", harness_state_path(h, "ui"), name);
        return access(path, F_OK) == 0;
}

/* The audit log as text. */
static bool audit_says(const char *event, const char *decision) {
        _cleanup_(http_client_freep) struct http_client *c = harness_client(h, "ui", "audit");
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *records;

        assert_int_equal(harness_call(c, "GET", "/v1/records?after=0&limit=500", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        records = json_get(json_root(d), "records");
        for (const struct json *r = records->child; r; r = r->next)
                if (view_eq_str(json_get_view(r, "event", VIEW_NULL), event) &&
                    view_eq_str(json_get_view(r, "decision", VIEW_NULL), decision))
                        return true;
        return false;
}

/* --- first run --- */

static void first_run_needs_the_code_from_the_state_folder(void **state) {
        struct browser b = visitor();
        _cleanup_(page_done) struct page p;
        struct stat st;
        char path[600];

        browse(&b, "GET", "/api/session", NULL, &p);
        assert_true(view_eq_str(json_get_view(json_root(p.json), "state", VIEW_NULL), "first_run"));
        (void)snprintf(path, sizeof(path), "%s/first-run-code", harness_state_path(h, "ui"));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        b.requested_with = true;
        assert_code(&b, "POST", "/api/login", RIGHT, 409, "not_set_up");
        assert_code(&b, "POST", "/api/setup",
                    "{\"code\":\"AAAA-AAAA-AAAA\",\"passphrase\":\"" PASSPHRASE "\"}", 403, "wrong_code");
        assert_true(audit_says("setup_code_wrong", "deny"));
        browser_set_up(&b, h, PASSPHRASE);
        assert_false(state_has("first-run-code"));
        assert_true(audit_says("passphrase_set", "allow"));
        assert_code(&b, "POST", "/api/setup",
                    "{\"code\":\"AAAA-AAAA-AAAA\",\"passphrase\":\"" PASSPHRASE "\"}", 409, "already_set_up");
}

static void the_code_survives_a_restart_and_guessing_it_is_limited(void **state) {
        _cleanup_(buf_donep) struct buf before = {0}, after = {0};
        struct browser b = visitor();
        char path[600];

        (void)snprintf(path, sizeof(path), "%s/first-run-code", harness_state_path(h, "ui"));
        assert_int_equal(read_file(path, 100, &before), 0);
        harness_kill(h, "ui");
        harness_start(h, "ui", NULL);
        assert_int_equal(read_file(path, 100, &after), 0);
        assert_string_equal(buf_str(&before), buf_str(&after));
        b.requested_with = true;
        for (unsigned i = 0; i < 4; i++)
                assert_code(&b, "POST", "/api/setup", "{\"code\":\"x\",\"passphrase\":\"" PASSPHRASE "\"}",
                            403, "wrong_code");
        assert_code(&b, "POST", "/api/setup", "{\"code\":\"x\",\"passphrase\":\"" PASSPHRASE "\"}", 429,
                    "locked_out");
}

static void weak_passphrases_are_refused_and_say_why(void **state) {
        static const char *const weak[] = {"short", "aaaaaaaaaaaaaaaa", "12345678901234"};
        _cleanup_(buf_donep) struct buf code = {0};
        char path[600], body[256];

        (void)snprintf(path, sizeof(path), "%s/first-run-code", harness_state_path(h, "ui"));
        assert_int_equal(read_file(path, 100, &code), 0);
        for (size_t i = 0; i < 3 * ARRAY_SIZE(weak); i++) { /* more often than a wrong code may be tried */
                struct browser b = visitor();

                b.requested_with = true;
                (void)snprintf(body, sizeof(body), "{\"code\":\"%.*s\",\"passphrase\":\"%s\"}",
                               (int)(code.n - 1), code.p, weak[i % ARRAY_SIZE(weak)]);
                assert_code(&b, "POST", "/api/setup", body, 422, "weak_passphrase");
        }
}

/* --- sessions --- */

static void the_token_is_in_a_strict_cookie_and_in_no_body(void **state) {
        struct browser b = visitor();
        _cleanup_(page_done) struct page p, again;
        const char *token;

        browser_set_up(&b, h, PASSPHRASE);
        b.requested_with = true;
        browse(&b, "POST", "/api/login", RIGHT, &p);
        assert_int_equal(p.status, 200);
        assert_non_null(strstr(buf_str(&p.head), "HttpOnly; SameSite=Strict; Path=/"));
        token = strchr(b.cookie, '=') + 1;
        assert_int_equal(strlen(token), 64);
        assert_null(strstr(buf_str(&p.body), token));
        browse(&b, "GET", "/api/session", NULL, &again);
        assert_null(strstr(buf_str(&again.body), token));
        assert_true(view_eq_str(json_get_view(json_root(again.json), "state", VIEW_NULL), "open"));
}

static void every_answer_has_the_strict_headers(void **state) {
        static const char *const targets[] = {"/",        "/health",   "/api/session", "/api/models",
                                              "/nowhere", "/assets/x", "/../x"};
        struct browser b = visitor();

        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
                _cleanup_(page_done) struct page p;

                browse(&b, "GET", targets[i], NULL, &p);
                assert_non_null(strstr(buf_str(&p.head),
                                       "Content-Security-Policy: default-src 'none'; script-src 'self'"));
                assert_non_null(strstr(buf_str(&p.head), "X-Frame-Options: DENY"));
                assert_non_null(strstr(buf_str(&p.head), "X-Content-Type-Options: nosniff"));
                assert_non_null(strstr(buf_str(&p.head), "Referrer-Policy: no-referrer"));
        }
}

static void nothing_is_open_without_a_session(void **state) {
        static const struct {
                const char *method, *target;
        } routes[] = {
                {"GET", "/api/models"},         {"GET", "/api/jobs"},
                {"GET", "/api/jobs/events"},    {"GET", "/api/status"},
                {"GET", "/api/rules"},          {"GET", "/api/conversations"},
                {"POST", "/api/conversations"}, {"PUT", "/api/uploads?name=a"},
                {"POST", "/api/jobs/demo"},     {"POST", "/api/chat"},
                {"POST", "/api/logout"},        {"POST", "/api/passphrase"},
                {"DELETE", "/api/models/a"},    {"POST", "/api/models/a/verify"},
                {"GET", "/api/inference"},      {"POST", "/api/inference/load"},
        };
        struct browser o = owner(), b = visitor();

        (void)o;
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                assert_code(&b, routes[i].method, routes[i].target, NULL, 401, "login_required");
        (void)snprintf(b.cookie, sizeof(b.cookie), "secai_session=%064d", 0);
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                assert_code(&b, routes[i].method, routes[i].target, NULL, 401, "login_required");
}

static void acts_need_the_csrf_token_of_their_own_session(void **state) {
        struct browser first = owner(), second = visitor();

        browser_login(&second, PASSPHRASE);
        assert_string_not_equal(first.csrf, second.csrf);
        assert_int_equal(
                browse_status(&first, "POST", "/api/conversations", "{\"title\":\"t\",\"messages\":[]}"),
                201);
        memcpy(second.csrf, first.csrf, sizeof(second.csrf));
        assert_code(&second, "POST", "/api/conversations", "{\"title\":\"t\",\"messages\":[]}", 403, "csrf");
        second.csrf[0] = '\0';
        assert_code(&second, "POST", "/api/logout", NULL, 403, "csrf");
        assert_int_equal(browse_status(&second, "GET", "/api/conversations", NULL), 200);
}

static void login_and_setup_need_the_header_that_pages_send(void **state) {
        struct browser b = visitor();

        assert_code(&b, "POST", "/api/login", RIGHT, 403, "csrf");
        assert_code(&b, "POST", "/api/setup", "{\"code\":\"x\",\"passphrase\":\"y\"}", 403, "csrf");
        b.requested_with = true;
        b.origin = "https://evil.example";
        assert_code(&b, "POST", "/api/login", RIGHT, 403, "bad_origin");
}

static void logout_ends_the_session(void **state) {
        struct browser b = owner(), copy = b;

        assert_int_equal(browse_status(&b, "POST", "/api/logout", NULL), 204);
        assert_code(&copy, "GET", "/api/conversations", NULL, 401, "login_required");
        assert_true(audit_says("logout", "info"));
}

static void sessions_survive_a_restart(void **state) {
        struct browser b = owner();

        harness_kill(h, "ui");
        harness_start(h, "ui", NULL);
        assert_int_equal(browse_status(&b, "GET", "/api/conversations", NULL), 200);
}

static void a_new_passphrase_ends_the_other_sessions(void **state) {
        struct browser here = owner(), there = visitor();

        browser_login(&there, PASSPHRASE);
        assert_code(&here, "POST", "/api/passphrase",
                    "{\"old\":\"wrong one here\",\"new\":\"another good passphrase\"}", 403,
                    "wrong_passphrase");
        assert_int_equal(browse_status(&here, "POST", "/api/passphrase",
                                       "{\"old\":\"" PASSPHRASE "\",\"new\":\"another good passphrase\"}"),
                         200);
        assert_int_equal(browse_status(&here, "GET", "/api/conversations", NULL), 200);
        assert_code(&there, "GET", "/api/conversations", NULL, 401, "login_required");
        browser_login(&there, "another good passphrase");
        there.requested_with = true;
        assert_code(&there, "POST", "/api/login", RIGHT, 403, "wrong_passphrase");
}

/* --- guessing --- */

static void wrong_passphrases_lock_and_the_lock_survives_kill(void **state) {
        struct browser o = owner(), b = visitor();
        _cleanup_(page_done) struct page p;
        uint64_t left;

        (void)o;
        b.requested_with = true;
        for (unsigned i = 0; i < 4; i++) {
                _cleanup_(page_done) struct page wrong;

                browse(&b, "POST", "/api/login", WRONG, &wrong);
                assert_int_equal(wrong.status, 403);
                assert_int_equal(json_get_u64(json_get(json_get(json_root(wrong.json), "error"), "detail"),
                                              "tries_left", &left),
                                 0);
                assert_int_equal(left, 4 - i);
        }
        assert_code(&b, "POST", "/api/login", WRONG, 429, "locked_out");
        assert_code(&b, "POST", "/api/login", RIGHT, 429, "locked_out");
        harness_kill(h, "ui");
        harness_start(h, "ui", NULL);
        assert_code(&b, "POST", "/api/login", RIGHT, 429, "locked_out");
        browse(&b, "GET", "/api/session", NULL, &p);
        assert_true(json_get_view(json_root(p.json), "locked_until", VIEW_NULL).n > 0);
        assert_true(audit_says("login", "deny"));
}

static void parallel_guesses_count_each(void **state) {
        struct browser o = owner(), b = visitor();
        int fds[12];
        unsigned looked_at = 0;

        (void)o;
        b.requested_with = true;
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = browser_open(&b, "POST", "/api/login", strlen(WRONG));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                assert_int_equal(send(fds[i], WRONG, strlen(WRONG), MSG_NOSIGNAL), strlen(WRONG));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                char text[64] = {0};

                assert_true(recv(fds[i], text, sizeof(text) - 1, 0) > 20);
                looked_at += strstr(text, " 403 ") != NULL;
                assert_true(strstr(text, " 403 ") || strstr(text, " 429 "));
                (void)close_fd(fds[i]);
        }
        assert_true(looked_at <= 5);
        assert_code(&b, "POST", "/api/login", RIGHT, 429, "locked_out");
}

static void a_right_passphrase_starts_the_count_anew(void **state) {
        struct browser o = owner(), b = visitor();

        (void)o;
        b.requested_with = true;
        for (unsigned round = 0; round < 2; round++) {
                for (unsigned i = 0; i < 4; i++)
                        assert_code(&b, "POST", "/api/login", WRONG, 403, "wrong_passphrase");
                browser_login(&b, PASSPHRASE);
        }
}

/* --- what can't be recorded is not done --- */

static void without_audit_nobody_logs_in_and_nothing_is_deleted(void **state) {
        struct browser b = owner(), other = visitor();

        harness_kill(h, "audit");
        (void)close_fd(harness_take_socket(h, "audit", "http-unix")); /* nobody listens any more */
        other.requested_with = true;
        assert_code(&other, "POST", "/api/login", RIGHT, 503, "audit_unavailable");
        assert_code(&b, "POST", "/api/logout", NULL, 503, "audit_unavailable");
        assert_code(&b, "POST", "/api/jobs/demo", NULL, 503, "audit_unavailable");
        assert_code(&b, "DELETE", "/api/models/abc", NULL, 503, "audit_unavailable");
        assert_int_equal(browse_status(&b, "GET", "/api/conversations", NULL), 200);
}

/* --- conversations --- */

static void conversations_are_kept_found_changed_and_deleted(void **state) {
        static const char saved[] =
                "{\"title\":\"About \\u00e9clairs\",\"model\":\"m\",\"system\":\"be "
                "short\",\"settings\":{\"temperature\":0.5},"
                "\"messages\":[{\"role\":\"user\",\"content\":\"How do I bake 100% good pastry?\"},"
                "{\"role\":\"assistant\",\"content\":\"With "
                "\\\"care\\\".\",\"tokens\":3,\"tokens_per_second\":41.5}]}";
        static const struct {
                const char *query;
                size_t found;
        } searches[] = {{"", 2},
                        {"%C3%A9clair", 1},
                        {"PASTRY", 1},
                        {"pastr+bake", 1},
                        {"pastry+nothing", 0},
                        {"%22care", 1},
                        {"0%25", 1},
                        {"%25", 1},
                        {"zz", 0},
                        {"_", 0},
                        {"OR", 1},
                        {"*", 0},
                        {"other+title", 1}};
        struct browser b = owner();
        _cleanup_(page_done) struct page created, read;
        char target[128];

        browse(&b, "POST", "/api/conversations", saved, &created);
        assert_int_equal(created.status, 201);
        assert_int_equal(browse_status(&b, "POST", "/api/conversations",
                                       "{\"title\":\"Other title: or\",\"messages\":[]}"),
                         201);
        for (size_t i = 0; i < ARRAY_SIZE(searches); i++) {
                _cleanup_(page_done) struct page list;

                (void)snprintf(target, sizeof(target), "/api/conversations?q=%s", searches[i].query);
                browse(&b, "GET", target, NULL, &list);
                assert_int_equal(list.status, 200);
                if (json_get(json_root(list.json), "conversations")->count != searches[i].found)
                        fail_msg("%s: %s", target, buf_str(&list.body));
        }
        (void)snprintf(target, sizeof(target), "/api/conversations/%.*s",
                       VIEW_ARG(json_get_view(json_root(created.json), "id", VIEW_NULL)));
        browse(&b, "GET", target, NULL, &read);
        assert_int_equal(read.status, 200);
        assert_non_null(strstr(buf_str(&read.body), "\"tokens_per_second\":41.5"));
        assert_non_null(strstr(buf_str(&read.body), "\"settings\":{\"temperature\":0.5}"));
        assert_int_equal(browse_status(&b, "PUT", target, "{\"title\":\"new\",\"messages\":[]}"), 200);
        assert_int_equal(browse_status(&b, "DELETE", target, NULL), 204);
        assert_code(&b, "GET", target, NULL, 404, "unknown_conversation");
        assert_code(&b, "PUT", target, "{\"title\":\"new\",\"messages\":[]}", 404, "unknown_conversation");
        assert_code(&b, "DELETE", target, NULL, 404, "unknown_conversation");
}

static void malformed_conversations_are_refused(void **state) {
        static const char *const bad[] = {
                "{}",
                "{\"title\":1,\"messages\":[]}",
                "{\"title\":\"t\",\"messages\":{}}",
                "{\"title\":\"t\",\"messages\":[],\"more\":1}",
                "{\"title\":\"t\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
                "{\"title\":\"t\",\"messages\":[{\"role\":\"user\"}]}",
                "{\"title\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"cut\":\"other\"}]}",
                "{\"title\":\"t\",\"messages\":[],\"settings\":{\"temperature\":\"hot\"}}",
                "{\"title\":\"t\",\"messages\":[],\"settings\":{\"path\":1}}",
        };
        struct browser b = owner();

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_code(&b, "POST", "/api/conversations", bad[i], 400, "bad_request");
}

/* --- the page --- */

static void the_page_is_served_and_not_sent_twice(void **state) {
        struct browser b = visitor();
        _cleanup_(page_done) struct page p;
        char *tag;

        browse(&b, "GET", "/", NULL, &p);
        assert_int_equal(p.status, 200);
        assert_non_null(strstr(buf_str(&p.head), "Content-Type: text/html; charset=utf-8"));
        tag = strstr(buf_str(&p.head), "ETag: \"");
        assert_non_null(tag);
        assert_code(&b, "GET", "/assets/index.html", NULL, 404, "unknown_route");
}

static void it_stops_when_asked(void **state) {
        int status = harness_stop(h, "ui");

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(first_run_needs_the_code_from_the_state_folder),
                TEST(the_code_survives_a_restart_and_guessing_it_is_limited),
                TEST(weak_passphrases_are_refused_and_say_why),
                TEST(the_token_is_in_a_strict_cookie_and_in_no_body),
                TEST(every_answer_has_the_strict_headers),
                TEST(nothing_is_open_without_a_session),
                TEST(acts_need_the_csrf_token_of_their_own_session),
                TEST(login_and_setup_need_the_header_that_pages_send),
                TEST(logout_ends_the_session),
                TEST(sessions_survive_a_restart),
                TEST(a_new_passphrase_ends_the_other_sessions),
                TEST(wrong_passphrases_lock_and_the_lock_survives_kill),
                TEST(parallel_guesses_count_each),
                TEST(a_right_passphrase_starts_the_count_anew),
                TEST(without_audit_nobody_logs_in_and_nothing_is_deleted),
                TEST(conversations_are_kept_found_changed_and_deleted),
                TEST(malformed_conversations_are_refused),
                TEST(the_page_is_served_and_not_sent_twice),
                TEST(it_stops_when_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
