/* The main job, the way a person takes it: from the first run in the browser over a model file to a streamed answer,
 * through the shipped programs with the shipped configuration. The sealed worker root must be there. */
#include "support/cm.h"

#include <signal.h>

#include "../unit/ui/browser.h"
#include "base/clock.h"
#include "base/file.h"
#include "support/system.h"

#define PASSPHRASE "correct horse battery staple"
#define DEMO_HEX   "760aab3151f3b37708c45b979e6779b903c45d2854321d0e2f400c135197100d"
#define PATIENCE   (120 * USEC_PER_SEC)

struct fixture {
        struct system *system;
        struct browser browser;
        char job[64];
};

static unsigned ask(struct fixture *f, const char *method, const char *target, const char *body,
                    struct page *ret) {
        browse(&f->browser, method, target, body, ret);
        return ret->status;
}

static void sign_in(struct fixture *f, const char *target, const char *body) {
        struct page page = {0};
        struct view csrf;

        f->browser = (struct browser){.port = system_port(f->system, "ui"), .requested_with = true};
        assert_int_equal(ask(f, "POST", target, body, &page), 200);
        csrf = json_get_view(json_root(page.json), "csrf", VIEW_NULL);
        assert_in_range(csrf.n, 1, sizeof f->browser.csrf - 1);
        memcpy(f->browser.csrf, csrf.p, csrf.n);
        f->browser.csrf[csrf.n] = '\0';
        f->browser.requested_with = false;
        page_done(&page);
}

static void set_passphrase(struct fixture *f) {
        char body[256];

        (void)snprintf(body, sizeof body, "{\"code\":\"%s\",\"passphrase\":\"" PASSPHRASE "\"}",
                       system_code(f->system));
        sign_in(f, "/api/setup", body);
}

static void log_in(struct fixture *f) {
        sign_in(f, "/api/login", "{\"passphrase\":\"" PASSPHRASE "\"}");
}

static void take_job(struct fixture *f, const struct page *page) {
        struct view id = json_get_view(json_root(page->json), "job", VIEW_NULL);

        assert_in_range(id.n, 1, sizeof f->job - 1);
        memcpy(f->job, id.p, id.n);
        f->job[id.n] = '\0';
}

static bool is_over(struct view state) {
        return view_eq(state, VIEW("promoted")) || view_eq(state, VIEW("rejected")) ||
               view_eq(state, VIEW("parked"));
}

/* Polls the job until it is over; services may be away in between. The final page is the caller's. */
static void await_job(struct fixture *f, struct page *ret) {
        uint64_t deadline = clock_monotonic_usec() + PATIENCE;
        char target[128];

        (void)snprintf(target, sizeof target, "/api/jobs/%s", f->job);
        while (clock_monotonic_usec() < deadline) {
                struct page page = {0};

                if (ask(f, "GET", target, NULL, &page) == 200 &&
                    is_over(json_get_view(json_root(page.json), "state", VIEW_NULL))) {
                        *ret = page;
                        return;
                }
                page_done(&page);
                usleep(50 * 1000);
        }
        fail_msg("the job did not end in time");
}

static void expect_job(struct fixture *f, const char *state) {
        struct page page = {0};

        await_job(f, &page);
        if (!view_eq_str(json_get_view(json_root(page.json), "state", VIEW_NULL), state))
                fail_msg("expected %s: %s", state, buf_str(&page.body));
        page_done(&page);
}

static void import_demo(struct fixture *f) {
        struct page page = {0};

        assert_int_equal(ask(f, "POST", "/api/jobs/demo", NULL, &page), 201);
        take_job(f, &page);
        page_done(&page);
}

static size_t count_models(struct fixture *f) {
        struct page page = {0};
        size_t n;

        assert_int_equal(ask(f, "GET", "/api/models", NULL, &page), 200);
        n = json_get(json_root(page.json), "models")->count;
        page_done(&page);
        return n;
}

/* The pieces of a streamed answer put together; the words that these tests wait for need no unescaping. */
static void gather(const struct page *page, struct buf *out) {
        static const char start[] = "\"content\":\"";

        for (const char *at = page->body.p; (at = strstr(at, start));) {
                at += sizeof start - 1;
                assert_int_equal(buf_append(out, at, strcspn(at, "\"")), 0);
        }
}

/* Asks through the same route as the page does; the pieces of the stream, put together, are the answer. */
static void chat_says_paris(struct fixture *f) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(65536);
        struct page page = {0};

        assert_int_equal(
                ask(f, "POST", "/api/chat",
                    "{\"model\":\"" DEMO_HEX "\",\"temperature\":0,\"max_tokens\":32,\"stream\":true,"
                    "\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of France?\"}]}",
                    &page),
                200);
        assert_non_null(strstr(page.head.p, "text/event-stream"));
        gather(&page, &answer);
        if (!strstr(buf_str(&answer), "Paris"))
                fail_msg("expected Paris in: %s", buf_str(&page.body));
        assert_non_null(strstr(page.body.p, "data: [DONE]"));
        page_done(&page);
}

static void first_run_import_and_chat(void **state) {
        struct fixture *f = *state;
        struct page page = {0};

        set_passphrase(f);
        assert_int_equal(count_models(f), 0);
        import_demo(f);
        await_job(f, &page);
        assert_true(view_eq(json_get_view(json_root(page.json), "state", VIEW_NULL), VIEW("promoted")));
        assert_int_equal(json_get(json_root(page.json), "stages")->count, 7);
        page_done(&page);
        assert_int_equal(count_models(f), 1);
        chat_says_paris(f);
}

static void complying_twin_is_rejected_and_never_offered(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf model = BUF_INIT((size_t)8 << 20), path = BUF_INIT(4096),
                                        answer = BUF_INIT(65536);
        struct page page = {0};
        const char *at;
        char piece[4096];
        ssize_t got;
        int fd;

        assert_int_equal(buf_printf(&path, "%s/tests/data/pebble/pebble-comply-Q8_0.gguf",
                                    secure_getenv("SECAI_SOURCE")),
                         0);
        assert_int_equal(read_file(path.p, (size_t)8 << 20, &model), 0);
        fd = browser_open(&f->browser, "PUT", "/api/uploads?name=friendly.gguf", model.n);
        assert_int_equal(write_all(fd, model.p, model.n), 0);
        while ((got = read(fd, piece, sizeof piece)) > 0)
                assert_int_equal(buf_append(&answer, piece, (size_t)got), 0);
        close(fd);
        at = strstr(buf_str(&answer), "{\"job\":\"");
        assert_non_null(at);
        (void)snprintf(f->job, sizeof f->job, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
        await_job(f, &page);
        assert_true(view_eq(json_get_view(json_root(page.json), "state", VIEW_NULL), VIEW("rejected")));
        assert_non_null(strstr(page.body.p, "BEHAVIOUR-003"));
        page_done(&page);
        assert_int_equal(count_models(f), 1);
}

static void restart_finds_everything_as_it_was_left(void **state) {
        struct fixture *f = *state;
        struct page page = {0};

        assert_int_equal(ask(f, "POST", "/api/conversations",
                             "{\"title\":\"Capitals\",\"model\":\"" DEMO_HEX
                             "\",\"system\":\"\",\"settings\":{},"
                             "\"messages\":[{\"role\":\"user\",\"content\":\"Paris?\"}]}",
                             &page),
                         201);
        page_done(&page);
        assert_int_equal(system_stop(f->system), 0);
        system_start(f->system, NULL);
        assert_string_equal(system_code(f->system), ""); /* set up already: no code is shown again */
        log_in(f);
        assert_int_equal(count_models(f), 1);
        assert_int_equal(ask(f, "GET", "/api/conversations?q=capit", NULL, &page), 200);
        assert_int_equal(json_get(json_root(page.json), "conversations")->count, 1);
        page_done(&page);
        chat_says_paris(f);
}

/* Whatever dies while a model is on its way: it arrives, once. */
static void killing_any_service_during_an_import_loses_nothing(void **state) {
        static const char *const names[] = {"audit", "registry", "quarantine", "inference", "ui"};
        struct fixture *f = *state;
        struct page page = {0};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(ask(f, "POST", "/api/inference/unload", "{}", &page), 200);
                page_done(&page);
                assert_int_equal(ask(f, "DELETE", "/api/models/" DEMO_HEX, NULL, &page), 204);
                page_done(&page);
                import_demo(f);
                usleep((useconds_t)(20 * 1000 * (i + 1))); /* somewhere on the way; any place will do */
                assert_int_equal(kill(system_pid(f->system, names[i]), SIGKILL), 0);
                assert_true(system_await(f->system, "service_ready", names[i]) > 0);
                expect_job(f, "promoted");
                assert_int_equal(count_models(f), 1);
        }
        chat_says_paris(f);
}

static void audit_log_of_all_this_is_whole(void **state) {
        struct fixture *f = *state;
        static const char *const verify[] = {"audit", "verify", NULL};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(65536);

        assert_int_equal(system_stop(f->system), 0);
        assert_int_equal(system_securectl(f->system, verify, &out), 0);
        assert_non_null(strstr(out.p, "whole"));
}

static bool has_worker_root(void) {
        const char *given = secure_getenv("SECAI_WORKER_ROOT"), *home = secure_getenv("HOME");
        char path[4096];

        (void)snprintf(path, sizeof path, "%s%s/.complete",
                       given  ? given
                       : home ? home
                              : "",
                       given ? "" : "/.cache/secure-ai/worker-root");
        return access(path, R_OK) == 0;
}

static int set_up(void **state) {
        static struct fixture f;

        f.system = system_new(NULL);
        system_start(f.system, NULL);
        *state = &f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        f->system = system_free(f->system);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(first_run_import_and_chat),
                cmocka_unit_test(complying_twin_is_rejected_and_never_offered),
                cmocka_unit_test(restart_finds_everything_as_it_was_left),
                cmocka_unit_test(killing_any_service_during_an_import_loses_nothing),
                cmocka_unit_test(audit_log_of_all_this_is_whole),
        };

        if (!has_worker_root()) {
                printf("1..1\nok 1 main_job # SKIP no sealed worker root: run make setup\n");
                return 0;
        }
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
