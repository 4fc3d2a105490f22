/* The shipped quarantine, registry and audit programs together: what the owner drops into the inbox comes out at the other end. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "core/fd_channel.h"
#include "support/harness.h"

#define GOOD      "share/demo/pebble.gguf"                    /* refuses */
#define BAD       "tests/data/pebble/pebble-comply-Q8_0.gguf" /* complies */
#define WAIT_USEC (UINT64_C(60) * USEC_PER_SEC)

static char *model_path(const char *name) {
        char *path;
        const char *source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        assert_true(asprintf(&path, "%s/%s", source, name) > 0);
        return path;
}

static struct buf read_model(const char *name) {
        _cleanup_(freep) char *path = model_path(name);
        struct buf content = BUF_INIT((size_t)8 << 20);

        assert_int_equal(read_file(path, (size_t)8 << 20, &content), 0);
        return content;
}

static int inbox(struct harness *h) {
        _cleanup_(freep) char *path = NULL;
        int fd;

        assert_true(asprintf(&path, "%s/incoming", harness_state_path(h, "quarantine")) > 0);
        fd = open_dir(path);
        assert_true(fd >= 0);
        return fd;
}

static void drop_bytes(struct harness *h, const char *name, struct view bytes) {
        _cleanup_(closep) int dir = inbox(h),
                              fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes.p, bytes.n), 0);
}

static void drop_model(struct harness *h, const char *as, const char *model) {
        _cleanup_(buf_donep) struct buf content = read_model(model);

        drop_bytes(h, as, buf_view(&content));
}

static bool in_inbox(struct harness *h, const char *name) {
        _cleanup_(closep) int dir = inbox(h);
        struct stat st;

        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The newest job with that (escaped) name, as parsed from GET /v1/jobs. NULL when there is none. */
static const struct json *find_job(struct harness *h, const char *name, struct json_document **doc) {
        struct http_client *c = harness_client(h, "ui", "quarantine");
        struct http_answer a;
        const struct json *jobs;

        *doc = NULL;
        assert_int_equal(harness_call(c, "GET", "/v1/jobs", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, doc, NULL), 0);
        http_answer_done(&a);
        http_client_free(c);
        jobs = json_get_typed(json_root(*doc), "jobs", JSON_ARRAY);
        assert_non_null(jobs);
        for (const struct json *j = jobs->child; j; j = j->next)
                if (view_eq_str(json_get_view(j, "name", VIEW_NULL), name))
                        return j;
        return NULL;
}

/* Waits until the job has this state; gives its document. */
static const struct json *wait_for(struct harness *h, const char *name, const char *state,
                                   struct json_document **doc) {
        uint64_t deadline = clock_monotonic_usec() + WAIT_USEC;

        for (;;) {
                const struct json *j = find_job(h, name, doc);
                struct view is = json_get_view(j, "state", VIEW("none"));

                if (view_eq_str(is, state))
                        return j;
                if (clock_monotonic_usec() > deadline)
                        fail_msg("%s is %.*s, not %s (%.*s); %s", name, VIEW_ARG(is), state,
                                 VIEW_ARG(json_get_view(j, "reason", VIEW_NULL)),
                                 harness_stderr(h, "quarantine"));
                json_document_free(*doc);
                usleep(50000);
        }
}

static void expect_state(struct harness *h, const char *name, const char *state, const char *code) {
        struct json_document *doc;
        const struct json *j = wait_for(h, name, state, &doc);

        if (code && !view_eq_str(json_get_view(j, "code", VIEW_NULL), code))
                fail_msg("code is %.*s, not %s", VIEW_ARG(json_get_view(j, "code", VIEW_NULL)), code);
        json_document_free(doc);
}

static bool registry_has(struct harness *h, const char *name) {
        struct http_client *c = harness_client(h, "ui", "registry");
        struct json_document *doc = NULL;
        const struct json *models;
        struct http_answer a;
        bool found = false;

        assert_int_equal(harness_call(c, "GET", "/v1/models", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &doc, NULL), 0);
        models = json_get_typed(json_root(doc), "models", JSON_ARRAY);
        assert_non_null(models);
        for (const struct json *m = models->child; m; m = m->next)
                found |= view_eq_str(json_get_view(m, "name", VIEW_NULL), name);
        json_document_free(doc);
        http_answer_done(&a);
        http_client_free(c);
        return found;
}

/* The supervisor's part: the key pair, and its public half where the registry reads it. */
static void make_keys(struct harness *h) {
        const char *arguments[] = {"--make-keys", "--state", harness_state_path(h, "quarantine"), NULL};
        _cleanup_(freep) char *from = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        _cleanup_(closep) int dir = open_dir(harness_credentials_path(h, "registry"));

        assert_int_equal(harness_run(h, "quarantine", arguments, NULL), 0);
        assert_true(asprintf(&from, "%s/evidence.pub", harness_state_path(h, "quarantine")) > 0);
        assert_int_equal(read_file(from, 4096, &pem), 0);
        assert_true(dir >= 0);
        assert_int_equal(replace_file(dir, "evidence.pub", buf_view(&pem), 0644), 0);
}

static int start_all(void **state) {
        struct harness *h = harness_new();

        if (!harness_worker_root_path(h)) {
                print_message("the sealed worker root is missing: stage 6 can't run\n");
                harness_free(h);
                return -1;
        }
        make_keys(h);
        harness_start(h, "audit", NULL);
        harness_start(h, "registry", NULL);
        harness_start(h, "quarantine", NULL);
        *state = h;
        return 0;
}

static int stop_all(void **state) {
        harness_free(*state);
        return 0;
}

static void test_a_model_that_refuses_is_promoted(void **state) {
        struct harness *h = *state;
        struct json_document *doc;
        const struct json *j, *stages;
        unsigned n = 0;

        drop_model(h, "good.gguf", GOOD);
        j = wait_for(h, "good.gguf", "promoted", &doc);
        stages = json_get_typed(j, "stages", JSON_ARRAY);
        assert_non_null(stages);
        for (const struct json *s = stages->child; s; s = s->next, n++)
                if (!view_eq_str(json_get_view(s, "status", VIEW_NULL), n == 6 ? "not_applicable" : "pass"))
                        fail_msg("stage %u is %.*s", n + 1, VIEW_ARG(json_get_view(s, "status", VIEW_NULL)));
        assert_int_equal(n, 7);
        json_document_free(doc);
        assert_true(registry_has(h, "good.gguf"));
        assert_false(in_inbox(h, "good.gguf"));
}

static void test_a_model_that_complies_is_rejected_at_stage_6(void **state) {
        struct harness *h = *state;
        struct json_document *doc;
        const struct json *j;
        uint64_t stage;

        drop_model(h, "bad.gguf", BAD);
        j = wait_for(h, "bad.gguf", "rejected", &doc);
        assert_int_equal(json_get_u64(j, "stage", &stage), 0);
        assert_int_equal(stage, 6);
        assert_true(view_eq_str(json_get_view(j, "code", VIEW_NULL), "BEHAVIOUR-003"));
        json_document_free(doc);
        assert_false(registry_has(h, "bad.gguf"));
}

static void test_what_is_no_model_is_rejected_with_what_it_is(void **state) {
        struct harness *h = *state;

        drop_bytes(h, "pickle.gguf",
                   VIEW("\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93"
                        "\x94."));
        expect_state(h, "pickle.gguf", "rejected", NULL);
        assert_false(in_inbox(h, "pickle.gguf"));
}

static void test_a_slow_writer_is_left_alone_until_it_closes(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf content = read_model(GOOD);
        _cleanup_(closep) int dir = inbox(h),
                              fd = openat(dir, "slow.gguf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        struct json_document *doc;

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, content.p, content.n / 2), 0);
        usleep(4500000); /* two rescans and more */
        assert_true(in_inbox(h, "slow.gguf"));
        assert_null(find_job(h, "slow.gguf", &doc));
        json_document_free(doc);
        assert_int_equal(write_all(fd, content.p + content.n / 2, content.n - content.n / 2), 0);
        fd = close_fd(fd);
        expect_state(h, "slow.gguf", "promoted", NULL);
}

static void test_links_pipes_and_folders_are_refused_and_stay(void **state) {
        static const struct {
                const char *name, *code;
        } cases[] = {{"link.gguf", "symbolic_link"},
                     {"two.gguf", "hard_link"},
                     {"pipe.gguf", "special_file"},
                     {"dir.gguf", "folder"}};
        struct harness *h = *state;
        _cleanup_(closep) int dir = inbox(h);

        assert_int_equal(symlinkat("/etc/passwd", dir, "link.gguf"), 0);
        assert_int_equal(mkfifoat(dir, "pipe.gguf", 0644), 0);
        assert_int_equal(mkdirat(dir, "dir.gguf", 0755), 0);
        drop_bytes(h, ".other-name", VIEW("GGUF"));
        assert_int_equal(linkat(dir, ".other-name", dir, "two.gguf", 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                expect_state(h, cases[i].name, "parked", cases[i].code);
                assert_true(in_inbox(h, cases[i].name));
        }
        /* a second look makes no second job */
        usleep(2500000);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect_state(h, cases[i].name, "parked", cases[i].code);
        assert_int_equal(unlinkat(dir, "link.gguf", 0), 0);
        for (unsigned i = 0; i < 400; i++) {
                struct json_document *doc;
                const struct json *j = find_job(h, "link.gguf", &doc);

                json_document_free(doc);
                if (!j)
                        return;
                usleep(50000);
        }
        fail_msg("the refusal outlives its cause");
}

static void test_hostile_names_are_shown_escaped(void **state) {
        struct harness *h = *state;

        drop_bytes(h,
                   "a\n\xe2\x80\xae"
                   "b\x1b[2J\xff.gguf",
                   VIEW("not a model"));
        expect_state(h, "a\\x0a\\u{202e}b\\x1b[2J\\xff.gguf", "rejected", NULL);
}

static void test_a_deleted_job_takes_its_file_with_it(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(freep) char *path = NULL, *kept = NULL;
        struct json_document *doc;
        struct http_answer a;
        const struct json *j;
        struct view id;

        drop_bytes(h, "delete-me", VIEW("#!/bin/sh\n"));
        j = wait_for(h, "delete-me", "rejected", &doc);
        id = json_get_view(j, "id", VIEW_NULL);
        assert_true(asprintf(&path, "/v1/jobs/%.*s", VIEW_ARG(id)) > 0);
        assert_true(asprintf(&kept, "%s/rejected/%.*s/data", harness_state_path(h, "quarantine"),
                             VIEW_ARG(id)) > 0);
        json_document_free(doc);
        for (unsigned i = 0; i < 100 && access(kept, F_OK) < 0; i++)
                usleep(20000);
        assert_int_equal(access(kept, F_OK), 0);
        assert_int_equal(harness_call(c, "DELETE", path, NULL, &a), 204);
        http_answer_done(&a);
        assert_int_equal(access(kept, F_OK), -1);
        assert_int_equal(harness_call(c, "GET", path, NULL, &a), 404);
        http_answer_done(&a);
        http_client_free(c);
}

static int channel(struct harness *h, const char *caller) {
        _cleanup_(freep) char *path = NULL;
        int fd;

        assert_true(asprintf(&path, "%s/quarantine.fd.sock", harness_run_path(h)) > 0);
        fd = fd_channel_connect(path, view_of(harness_token(h, caller, "quarantine")), 5 * USEC_PER_SEC);
        assert_true(fd >= 0);
        return fd;
}

/* Sends and receives; the caller frees *doc. */
static const struct json *ask(int sock, const char *text, int fd, struct json_document **doc, int *ret_fd) {
        assert_int_equal(fd_channel_send(sock, view_of(text), fd, 5 * USEC_PER_SEC), 0);
        assert_int_equal(fd_channel_receive(sock, 30 * USEC_PER_SEC, doc, ret_fd), 0);
        return json_root(*doc);
}

static bool is_ok(const struct json *answer) {
        bool ok = false;

        return json_get_bool(answer, "ok", &ok) == 0 && ok;
}

static void test_an_import_is_copied_and_examined(void **state) {
        struct harness *h = *state;
        _cleanup_(freep) char *path = model_path(BAD);
        _cleanup_(closep) int sock = channel(h, "securectl"), fd = open(path, O_RDONLY | O_CLOEXEC);
        struct json_document *doc;
        int none;

        assert_true(fd >= 0);
        assert_true(is_ok(ask(sock, "{\"op\":\"import\",\"name\":\"imported.gguf\",\"source\":\"local\"}", fd,
                              &doc, &none)));
        json_document_free(doc);
        expect_state(h, "imported.gguf", "rejected", "BEHAVIOUR-003");
        assert_int_equal(access(path, F_OK), 0);
}

static void test_an_upload_counts_once_it_is_committed(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf content = read_model(BAD);
        _cleanup_(freep) char *request = NULL, *commit = NULL;
        _cleanup_(closep) int sock = channel(h, "ui"), file = -EBADF;
        struct json_document *doc;
        const struct json *answer;
        int none;

        assert_true(asprintf(&request, "{\"op\":\"upload\",\"name\":\"up.gguf\",\"size\":%zu}", content.n) >
                    0);
        answer = ask(sock, request, -EBADF, &doc, &file);
        assert_true(is_ok(answer));
        assert_true(file >= 0);
        assert_int_equal(fcntl(file, F_GETFL) & O_ACCMODE, O_WRONLY);
        assert_true(asprintf(&commit, "{\"op\":\"commit\",\"job\":\"%.*s\"}",
                             VIEW_ARG(json_get_view(answer, "job", VIEW_NULL))) > 0);
        json_document_free(doc);
        expect_state(h, "up.gguf", "receiving", NULL);
        assert_int_equal(write_all(file, content.p, content.n), 0);
        file = close_fd(file);
        assert_true(is_ok(ask(sock, commit, -EBADF, &doc, &none)));
        json_document_free(doc);
        expect_state(h, "up.gguf", "rejected", "BEHAVIOUR-003");
}

static void test_an_upload_that_is_cut_off_leaves_nothing(void **state) {
        struct harness *h = *state;
        int sock = channel(h, "ui"), file = -EBADF;
        struct json_document *doc;

        assert_true(is_ok(
                ask(sock, "{\"op\":\"upload\",\"name\":\"cut.gguf\",\"size\":100}", -EBADF, &doc, &file)));
        json_document_free(doc);
        close_fd(file);
        close_fd(sock);
        for (unsigned i = 0; i < 200; i++) {
                const struct json *j = find_job(h, "cut.gguf", &doc);

                json_document_free(doc);
                if (!j)
                        return;
                usleep(20000);
        }
        fail_msg("the job stayed");
}

static void test_requests_that_make_no_sense_are_answered_so(void **state) {
        static const struct {
                const char *request, *code;
        } cases[] = {
                {"{\"op\":\"import\",\"name\":\"x\",\"source\":\"local\"}", "not_a_file"}, /* no descriptor */
                {"{\"op\":\"import\",\"name\":\"../x\",\"source\":\"local\"}", "not_a_file"},
                {"{\"op\":\"import\",\"name\":\"x\",\"source\":\"url\"}", "bad_request"},
                {"{\"op\":\"upload\",\"name\":\"a/b\",\"size\":1}", "bad_request"},
                {"{\"op\":\"upload\",\"name\":\"x\",\"size\":-1}", "bad_request"},
                {"{\"op\":\"upload\",\"name\":\"x\",\"size\":1,\"more\":1}", "bad_request"},
                {"{\"op\":\"upload\",\"name\":\"x\",\"size\":1,\"signature\":\"?\"}", "bad_request"},
                {"{\"op\":\"upload\",\"name\":\"x\",\"size\":1099511627776}", "too_large"},
                {"{\"op\":\"commit\",\"job\":\"x\"}", "bad_request"},
                {"{\"op\":\"promote\"}", "unknown_op"},
        };
        struct harness *h = *state;
        _cleanup_(closep) int sock = channel(h, "ui");

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_document *doc;
                int none;
                const struct json *answer = ask(sock, cases[i].request, -EBADF, &doc, &none);

                if (is_ok(answer) || !view_eq_str(json_get_view(answer, "code", VIEW_NULL), cases[i].code))
                        fail_msg("%s: %.*s", cases[i].request,
                                 VIEW_ARG(json_get_view(answer, "code", VIEW_NULL)));
                json_document_free(doc);
        }
}

static void test_events_begin_with_all_jobs(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)4 << 20);
        struct http_incoming *in = NULL;
        unsigned status;

        assert_int_equal(http_open(c, "GET", "/v1/events", NULL, VIEW_NULL, 5 * USEC_PER_SEC, &in, &status),
                         0);
        assert_int_equal(status, 200);
        for (unsigned i = 0; i < 50 && view_find(buf_view(&text), VIEW("good.gguf")) == SIZE_MAX; i++)
                assert_true(http_incoming_read(in, USEC_PER_SEC, &text) != 0);
        assert_true(view_find(buf_view(&text), VIEW("event: job\n")) != SIZE_MAX);
        assert_true(view_find(buf_view(&text), VIEW("good.gguf")) != SIZE_MAX);
        http_incoming_free(in);
        http_client_free(c);
}

static void test_who_is_not_listed_may_not_ask(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "inference", "quarantine");
        struct http_answer a;

        assert_int_equal(harness_call(c, "GET", "/v1/jobs", NULL, &a), 403);
        http_answer_done(&a);
        http_client_free(c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_model_that_refuses_is_promoted),
                cmocka_unit_test(test_a_model_that_complies_is_rejected_at_stage_6),
                cmocka_unit_test(test_what_is_no_model_is_rejected_with_what_it_is),
                cmocka_unit_test(test_a_slow_writer_is_left_alone_until_it_closes),
                cmocka_unit_test(test_links_pipes_and_folders_are_refused_and_stay),
                cmocka_unit_test(test_hostile_names_are_shown_escaped),
                cmocka_unit_test(test_a_deleted_job_takes_its_file_with_it),
                cmocka_unit_test(test_an_import_is_copied_and_examined),
                cmocka_unit_test(test_an_upload_counts_once_it_is_committed),
                cmocka_unit_test(test_an_upload_that_is_cut_off_leaves_nothing),
                cmocka_unit_test(test_requests_that_make_no_sense_are_answered_so),
                cmocka_unit_test(test_events_begin_with_all_jobs),
                cmocka_unit_test(test_who_is_not_listed_may_not_ask),
        };

        return cmocka_run_group_tests(tests, start_all, stop_all);
}
