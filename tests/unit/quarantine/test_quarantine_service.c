/* The shipped quarantine, registry and audit programs together: what the owner drops into the inbox comes out at the other end. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/digest.h"
#include "core/fd_channel.h"
#include "quarantine/limits.h"

/* The sandbox of the registry, which was started before quarantine, must know the folder of claims already. */
static void test_the_first_model_on_a_new_state_is_linked_not_copied(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf content = rig_read_model(GOOD);
        _cleanup_(closep) int dir = rig_inbox(h);
        char hex[SHA256_HEX_SIZE], path[512];
        struct http_client *c;
        struct http_answer a;
        struct stat before, after;
        struct sha256 digest;

        assert_int_equal(sha256_of(buf_view(&content), &digest), 0);
        sha256_hex(&digest, hex);
        rig_drop_bytes(h, ".first", buf_view(&content)); /* names with a dot are passed over */
        assert_int_equal(fstatat(dir, ".first", &before, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(renameat(dir, ".first", dir, "first.gguf"), 0);
        rig_expect_state(h, "first.gguf", "promoted", NULL);
        (void)snprintf(path, sizeof path, "%s/objects/sha256/%.2s/%s", harness_state_path(h, "registry"), hex,
                       hex + 2);
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_nlink, 1);
        (void)snprintf(path, sizeof path, "/v1/models/%s", hex);
        c = harness_client(h, "ui", "registry");
        assert_int_equal(harness_call(c, "DELETE", path, NULL, &a), 204); /* others import it again */
        http_answer_done(&a);
        http_client_free(c);
}

static void test_a_model_that_refuses_is_promoted(void **state) {
        struct harness *h = *state;
        struct json_document *doc;
        const struct json *j, *stages;
        unsigned n = 0;

        rig_drop_model(h, "good.gguf", GOOD);
        j = rig_wait_for(h, "good.gguf", "promoted", &doc);
        stages = json_get_typed(j, "stages", JSON_ARRAY);
        assert_non_null(stages);
        for (const struct json *s = stages->child; s; s = s->next, n++)
                if (!view_eq_str(json_get_view(s, "status", VIEW_NULL), n == 6 ? "not_applicable" : "pass"))
                        fail_msg("stage %u is %.*s", n + 1, VIEW_ARG(json_get_view(s, "status", VIEW_NULL)));
        assert_int_equal(n, 7);
        json_document_free(doc);
        assert_true(rig_registry_has(h, "good.gguf"));
        assert_false(rig_in_inbox(h, "good.gguf"));
}

static void test_a_model_that_complies_is_rejected_at_stage_6(void **state) {
        struct harness *h = *state;
        struct json_document *doc;
        const struct json *j;
        uint64_t stage;

        rig_drop_model(h, "bad.gguf", BAD);
        j = rig_wait_for(h, "bad.gguf", "rejected", &doc);
        assert_int_equal(json_get_u64(j, "stage", &stage), 0);
        assert_int_equal(stage, 6);
        assert_true(view_eq_str(json_get_view(j, "code", VIEW_NULL), "BEHAVIOUR-003"));
        json_document_free(doc);
        assert_false(rig_registry_has(h, "bad.gguf"));
}

static void test_what_is_no_model_is_rejected_with_what_it_is(void **state) {
        struct harness *h = *state;

        rig_drop_bytes(
                h, "pickle.gguf",
                VIEW("\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93"
                     "\x94."));
        rig_expect_state(h, "pickle.gguf", "rejected", NULL);
        assert_false(rig_in_inbox(h, "pickle.gguf"));
}

static void test_a_slow_writer_is_left_alone_until_it_closes(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf content = rig_read_model(GOOD);
        _cleanup_(closep) int dir = rig_inbox(h),
                              fd = openat(dir, "slow.gguf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        struct json_document *doc;

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, content.p, content.n / 2), 0);
        usleep(4500000); /* two rescans and more */
        assert_true(rig_in_inbox(h, "slow.gguf"));
        assert_null(rig_find_job(h, "slow.gguf", &doc));
        json_document_free(doc);
        assert_int_equal(write_all(fd, content.p + content.n / 2, content.n - content.n / 2), 0);
        fd = close_fd(fd);
        rig_expect_state(h, "slow.gguf", "promoted", NULL);
}

static void test_links_pipes_and_folders_are_refused_and_stay(void **state) {
        static const struct {
                const char *name, *code;
        } cases[] = {{"link.gguf", "symbolic_link"},
                     {"two.gguf", "hard_link"},
                     {"pipe.gguf", "special_file"},
                     {"dir.gguf", "special_file"}};
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h);

        assert_int_equal(symlinkat("/etc/passwd", dir, "link.gguf"), 0);
        assert_int_equal(mkfifoat(dir, "pipe.gguf", 0644), 0);
        assert_int_equal(mkdirat(dir, "dir.gguf", 0755), 0);
        assert_int_equal(mkfifoat(dir, "dir.gguf/pipe", 0644), 0);
        rig_drop_bytes(h, ".other-name", VIEW("GGUF"));
        assert_int_equal(linkat(dir, ".other-name", dir, "two.gguf", 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                rig_expect_state(h, cases[i].name, "parked", cases[i].code);
                assert_true(rig_in_inbox(h, cases[i].name));
        }
        /* a second look makes no second job */
        usleep(2500000);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                rig_expect_state(h, cases[i].name, "parked", cases[i].code);
        assert_int_equal(unlinkat(dir, "link.gguf", 0), 0);
        for (unsigned i = 0; i < 400; i++) {
                struct json_document *doc;
                const struct json *j = rig_find_job(h, "link.gguf", &doc);

                json_document_free(doc);
                if (!j)
                        return;
                usleep(50000);
        }
        fail_msg("the refusal outlives its cause");
}

static void test_hostile_names_are_shown_escaped(void **state) {
        struct harness *h = *state;

        rig_drop_bytes(h,
                       "a\n\xe2\x80\xae"
                       "b\x1b[2J\xff.gguf",
                       VIEW("not a model"));
        rig_expect_state(h, "a\\x0a\\u{202e}b\\x1b[2J\\xff.gguf", "rejected", NULL);
}

static void test_a_deleted_job_takes_its_file_with_it(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(freep) char *path = NULL, *kept = NULL;
        struct json_document *doc;
        struct http_answer a;
        const struct json *j;
        struct view id;

        rig_drop_bytes(h, "delete-me", VIEW("#!/bin/sh\n"));
        j = rig_wait_for(h, "delete-me", "rejected", &doc);
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

static void test_documents_of_a_job_are_given_out(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(freep) char *folder = NULL, *path = NULL, *none = NULL, *statement = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)4 << 20);
        _cleanup_(closep) int dir = -EBADF;
        struct json_document *doc;
        struct http_answer a;
        struct view id;

        rig_drop_bytes(h, "documented", VIEW("#!/bin/sh\n"));
        id = json_get_view(rig_wait_for(h, "documented", "rejected", &doc), "id", VIEW_NULL);
        assert_true(asprintf(&folder, "%s/rejected/%.*s", harness_state_path(h, "quarantine"), VIEW_ARG(id)) >
                    0);
        assert_true(asprintf(&path, "/v1/jobs/%.*s/documents/tensors", VIEW_ARG(id)) > 0);
        assert_true(asprintf(&statement, "/v1/jobs/%.*s/documents/statement", VIEW_ARG(id)) > 0);
        assert_true(asprintf(&none, "/v1/jobs/%.*s/documents/data", VIEW_ARG(id)) > 0);
        json_document_free(doc);
        for (unsigned i = 0; i < 100 && dir < 0; i++, usleep(20000))
                dir = open_dir(folder);
        assert_int_equal(buf_append_str(&text, "{\"a\":\""), 0);
        while (text.n < (size_t)1 << 20) /* several pieces */
                assert_int_equal(buf_append_str(&text, "0123456789abcdefghijklmnopqrstuvwxyz"), 0);
        assert_int_equal(buf_append_str(&text, "\"}"), 0);
        assert_int_equal(replace_file(dir, "tensors.json", buf_view(&text), 0400), 0);
        assert_int_equal(harness_call(c, "GET", path, NULL, &a), 200);
        assert_true(view_eq(buf_view(&a.body), buf_view(&text)));
        http_answer_done(&a);
        assert_int_equal(harness_call(c, "GET", none, NULL, &a), 404);
        http_answer_done(&a);
        assert_int_equal(harness_call(c, "GET", statement, NULL, &a), 200);
        assert_int_not_equal(view_find(buf_view(&a.body), VIEW("application/vnd.in-toto+json")), SIZE_MAX);
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
        _cleanup_(freep) char *path = rig_model_path(BAD);
        _cleanup_(closep) int sock = channel(h, "securectl"), fd = open(path, O_RDONLY | O_CLOEXEC);
        struct json_document *doc;
        int none;

        assert_true(fd >= 0);
        assert_true(is_ok(ask(sock, "{\"op\":\"import\",\"name\":\"imported.gguf\",\"source\":\"local\"}", fd,
                              &doc, &none)));
        json_document_free(doc);
        rig_expect_state(h, "imported.gguf", "rejected", "BEHAVIOUR-003");
        assert_int_equal(access(path, F_OK), 0);
}

static void test_an_upload_counts_once_it_is_committed(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf content = rig_read_model(BAD);
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
        rig_expect_state(h, "up.gguf", "receiving", NULL);
        assert_int_equal(write_all(file, content.p, content.n), 0);
        file = close_fd(file);
        assert_true(is_ok(ask(sock, commit, -EBADF, &doc, &none)));
        json_document_free(doc);
        rig_expect_state(h, "up.gguf", "rejected", "BEHAVIOUR-003");
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
                const struct json *j = rig_find_job(h, "cut.gguf", &doc);

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

/* Beside two models lie things that are no signatures: both wait and say why, what comes behind them goes on, and when the things
 * are gone, so do they. */
static void test_a_signature_that_can_not_be_read_is_told_and_holds_nobody_up(void **state) {
        struct harness *h = *state;
        static const char *const names[] = {"folder.gguf", "huge.gguf"};
        _cleanup_(buf_donep) struct buf huge = BUF_INIT((size_t)64 << 20);
        _cleanup_(closep) int dir = rig_inbox(h);

        while (huge.n <= BUNDLE_BYTES_MAX)
                assert_int_equal(buf_append_str(&huge, "MEUCIQD not a signature, but very long; "), 0);
        assert_int_equal(mkdirat(dir, "folder.gguf.sig", 0755), 0);
        rig_drop_bytes(h, "huge.gguf.sig", buf_view(&huge));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                rig_drop_bytes(h, names[i], VIEW("#!/bin/sh\n"));
        rig_drop_bytes(h, "behind", VIEW("#!/bin/sh\n"));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                rig_expect_state(h, names[i], "parked", "bad_signature_file");
                assert_true(rig_in_inbox(h, names[i]));
        }
        rig_expect_state(h, "behind", "rejected", NULL);
        assert_int_equal(unlinkat(dir, "folder.gguf.sig", AT_REMOVEDIR), 0);
        assert_int_equal(unlinkat(dir, "huge.gguf.sig", 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                rig_expect_state(h, names[i], "rejected", NULL);
}

/* The child of quarantine that starts workers. */
static pid_t launcher_of(pid_t parent) {
        DIR *d = opendir("/proc");
        struct dirent *e;
        pid_t found = 0;

        assert_non_null(d);
        while (!found && (e = readdir(d))) {
                char path[300], text[256] = "", state;
                int pid, ppid;
                _cleanup_(closep) int fd = -EBADF;

                (void)snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 &&
                    sscanf(text, "%d (launcher) %c %d", &pid, &state, &ppid) == 3 && ppid == (int)parent)
                        found = (pid_t)pid;
        }
        closedir(d);
        return found;
}

/* Without it nothing can be examined any more: the supervisor must be given the chance to start a new quarantine. */
static void test_quarantine_without_its_launcher_ends_and_loses_nothing(void **state) {
        struct harness *h = *state;
        uint64_t deadline = clock_monotonic_usec() + 20 * USEC_PER_SEC;
        pid_t launcher = launcher_of(harness_pid(h, "quarantine"));

        assert_true(launcher > 0);
        assert_int_equal(kill(launcher, SIGKILL), 0);
        rig_drop_model(h, "orphan.gguf", GOOD);
        while (harness_pid(h, "quarantine") > 0) {
                assert_true(clock_monotonic_usec() < deadline);
                usleep(20000);
        }
        harness_start(h, "quarantine", NULL);
        rig_expect_state(h, "orphan.gguf", "promoted", NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_first_model_on_a_new_state_is_linked_not_copied), /* the first */
                cmocka_unit_test(test_a_model_that_refuses_is_promoted),
                cmocka_unit_test(test_a_model_that_complies_is_rejected_at_stage_6),
                cmocka_unit_test(test_what_is_no_model_is_rejected_with_what_it_is),
                cmocka_unit_test(test_a_slow_writer_is_left_alone_until_it_closes),
                cmocka_unit_test(test_links_pipes_and_folders_are_refused_and_stay),
                cmocka_unit_test(test_a_signature_that_can_not_be_read_is_told_and_holds_nobody_up),
                cmocka_unit_test(test_hostile_names_are_shown_escaped),
                cmocka_unit_test(test_a_deleted_job_takes_its_file_with_it),
                cmocka_unit_test(test_an_import_is_copied_and_examined),
                cmocka_unit_test(test_documents_of_a_job_are_given_out),
                cmocka_unit_test(test_an_upload_counts_once_it_is_committed),
                cmocka_unit_test(test_an_upload_that_is_cut_off_leaves_nothing),
                cmocka_unit_test(test_requests_that_make_no_sense_are_answered_so),
                cmocka_unit_test(test_events_begin_with_all_jobs),
                cmocka_unit_test(test_quarantine_without_its_launcher_ends_and_loses_nothing),
                cmocka_unit_test(test_who_is_not_listed_may_not_ask),
        };

        return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
