/* Folders through the shipped programs: from the inbox and over the channel to the registry, or to where they belong. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/fd_channel.h"
#include "core/set_walk.h"
#include "support/modelgen.h"
#include "support/setgen.h"
#include "support/split_gguf.h"
#include "support/temp_dir.h"

#define SHARDS      3u
#define SHARD_BYTES ((size_t)200000)
#define DEEP        1500
#define ENTRIES     20100

/* Made under a hidden name, so that it appears all at once. */
static int drop_begin(struct harness *h) {
        _cleanup_(closep) int inbox = rig_inbox(h);

        return setgen_folder(inbox, ".new");
}

static void drop_end(struct harness *h, const char *name) {
        _cleanup_(closep) int inbox = rig_inbox(h);

        assert_int_equal(renameat(inbox, ".new", inbox, name), 0);
}

static void drop_sharded(struct harness *h, const char *name, unsigned mark) {
        _cleanup_(closep) int dir = drop_begin(h);

        setgen_sharded(dir, SHARDS, SHARD_BYTES, mark);
        drop_end(h, name);
}

static uint64_t members_in_registry(struct harness *h, const char *name) {
        struct http_client *c = harness_client(h, "ui", "registry");
        struct json_document *doc = NULL;
        struct http_answer a;
        uint64_t members = UINT64_MAX;

        assert_int_equal(harness_call(c, "GET", "/v1/models", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &doc, NULL), 0);
        for (const struct json *m = json_get_typed(json_root(doc), "models", JSON_ARRAY)->child; m;
             m = m->next)
                if (view_eq_str(json_get_view(m, "name", VIEW_NULL), name))
                        assert_int_equal(json_get_u64(m, "members", &members), 0);
        json_document_free(doc);
        http_answer_done(&a);
        http_client_free(c);
        return members;
}

static unsigned count_entries(struct harness *h, const char *folder) {
        _cleanup_(freep) char *path = NULL;
        const struct dirent *e;
        unsigned n = 0;
        DIR *d;

        assert_true(asprintf(&path, "%s/%s", harness_state_path(h, "quarantine"), folder) > 0);
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d)))
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static void test_an_image_model_from_the_inbox_is_promoted_with_all_its_files(void **state) {
        struct harness *h = *state;
        _cleanup_(freep) char *source = rig_model_path("tests/data/pebble-sd");
        _cleanup_(closep) int inbox = rig_inbox(h);
        struct json_document *doc;
        const struct json *j, *stage;

        setgen_copy(source, inbox, ".copying");
        assert_int_equal(renameat(inbox, ".copying", inbox, "pebble-sd"), 0);
        j = rig_wait_for(h, "pebble-sd", "promoted", &doc);
        stage = json_get_typed(j, "stages", JSON_ARRAY)->child;
        for (unsigned i = 1; i < 7; i++)
                stage = stage->next;
        assert_true(view_eq_str(json_get_view(stage, "status", VIEW_NULL), "pass")); /* stage 7 */
        json_document_free(doc);
        assert_int_equal(members_in_registry(h, "pebble-sd"), 14);
        assert_false(rig_in_inbox(h, "pebble-sd"));
        for (unsigned i = 0; count_entries(h, "claims") > 0; i++) {
                assert_true(i < 200);
                usleep(20000);
        }
}

static void test_a_sharded_model_from_the_inbox_is_promoted(void **state) {
        struct harness *h = *state;

        drop_sharded(h, "sharded", 1);
        rig_expect_state(h, "sharded", "promoted", NULL);
        assert_int_equal(members_in_registry(h, "sharded"), SHARDS + 2);
}

static void test_a_model_in_parts_is_run_and_promoted(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf whole = rig_read_model(GOOD);
        _cleanup_(closep) int dir = drop_begin(h);
        struct json_document *doc;
        const struct json *j, *stage;

        assert_int_equal(split_gguf_files(buf_view(&whole), 3, dir, "pebble"), 0);
        drop_end(h, "parts");
        j = rig_wait_for(h, "parts", "promoted", &doc);
        stage = json_get_typed(j, "stages", JSON_ARRAY)->child;
        for (unsigned i = 1; i < 6; i++)
                stage = stage->next;
        assert_true(view_eq_str(json_get_view(stage, "status", VIEW_NULL), "pass")); /* stage 6 */
        json_document_free(doc);
        assert_int_equal(members_in_registry(h, "parts"), 3);
}

/* As such models are shared: one file with what is said of it. */
static void test_one_gguf_file_with_its_readme_is_run_and_promoted(void **state) {
        struct harness *h = *state;
        _cleanup_(buf_donep) struct buf whole = rig_read_model(GOOD);
        _cleanup_(closep) int dir = drop_begin(h);

        setgen_write(dir, "pebble-Q8_0.gguf", buf_view(&whole));
        setgen_write(dir, "README.md", VIEW("# Pebble\n"));
        drop_end(h, "one");
        rig_expect_state(h, "one", "promoted", NULL);
        assert_int_equal(members_in_registry(h, "one"), 2);
}

static void test_a_folder_that_holds_what_it_may_not_is_rejected_and_can_be_deleted(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = drop_begin(h);
        _cleanup_(freep) char *path = NULL;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        struct json_document *doc;
        const struct json *j;
        struct http_answer a;

        setgen_sharded(dir, SHARDS, SHARD_BYTES, 2);
        setgen_write(dir, "pytorch_model.bin",
                     VIEW("\x80\x04"
                          "cos\nsystem\n(S'true'\ntR."));
        drop_end(h, "with-pickle");
        j = rig_wait_for(h, "with-pickle", "rejected", &doc);
        assert_int_not_equal(view_find(json_get_view(j, "reason", VIEW(" ")), VIEW(" ")), SIZE_MAX);
        assert_int_equal(count_entries(h, "rejected"), 1);
        assert_true(asprintf(&path, "/v1/jobs/%.*s", VIEW_ARG(json_get_view(j, "id", VIEW_NULL))) > 0);
        json_document_free(doc);
        assert_int_equal(harness_call(c, "DELETE", path, NULL, &a), 204);
        http_answer_done(&a);
        http_client_free(c);
        assert_int_equal(count_entries(h, "rejected"), 0);
        assert_false(rig_in_inbox(h, "with-pickle"));
}

static void make_deep(int dir) {
        int fd = dup(dir);

        for (unsigned i = 0; i < DEEP; i++) {
                int next;

                assert_int_equal(mkdirat(fd, "d", 0755), 0);
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        close(fd);
}
static void make_many(int dir) {
        for (unsigned i = 0; i < ENTRIES; i++) {
                char name[16];
                int fd;

                (void)snprintf(name, sizeof name, "%u", i);
                fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                close(fd);
        }
}
static void make_link(int dir) {
        assert_int_equal(symlinkat("/etc/passwd", dir, "config.json"), 0);
}
static void make_pipe(int dir) {
        assert_int_equal(mkfifoat(dir, "pipe", 0644), 0);
}
static void make_second_name(int dir) {
        setgen_write(dir, "a.json", VIEW("{}"));
        assert_int_equal(linkat(dir, "a.json", dir, "b.json", 0), 0);
}
static void make_newline(int dir) {
        setgen_write(dir, "a\nb.json", VIEW("{}"));
}
static void make_download(int dir) {
        setgen_write(dir, "model.safetensors.incomplete", VIEW("x"));
}

/* They stay where they are, a row says why, and what comes behind them goes through. */
static void test_folders_that_can_be_no_model_are_told_once_and_hold_up_nobody(void **state) {
        static const struct {
                const char *name, *code;
                void (*make)(int dir);
        } cases[] = {
                {"deep", "too_deep", make_deep},
                {"many", "too_many_files", make_many},
                {"link", "symbolic_link", make_link},
                {"pipe", "special_file", make_pipe},
                {"second-name", "hard_link", make_second_name},
                {"newline", "bad_name", make_newline},
                {"download", "unfinished", make_download},
        };
        struct harness *h = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(closep) int dir = drop_begin(h);

                cases[i].make(dir);
                drop_end(h, cases[i].name);
        }
        drop_sharded(h, "behind-them", 3);
        rig_expect_state(h, "behind-them", "promoted", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                rig_expect_state(h, cases[i].name, "parked", cases[i].code);
                assert_true(rig_in_inbox(h, cases[i].name));
        }
}

static void test_a_folder_in_which_a_file_is_still_written_is_left_alone(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = drop_begin(h), writer = -EBADF;
        struct json_document *doc;

        setgen_sharded(dir, SHARDS, SHARD_BYTES, 4);
        writer = openat(dir, "config.json", O_WRONLY | O_APPEND | O_CLOEXEC);
        drop_end(h, "written");
        sleep(5);
        assert_null(rig_find_job(h, "written", &doc));
        json_document_free(doc);
        assert_true(rig_in_inbox(h, "written"));
        writer = close_fd(writer);
        rig_expect_state(h, "written", "promoted", NULL);
}

/* --- over the channel --- */

static int channel(struct harness *h, const char *caller) {
        _cleanup_(freep) char *path = NULL;
        int fd;

        assert_true(asprintf(&path, "%s/quarantine.fd.sock", harness_run_path(h)) > 0);
        fd = fd_channel_connect(path, view_of(harness_token(h, caller, "quarantine")), 5 * USEC_PER_SEC);
        assert_true(fd >= 0);
        return fd;
}

/* The answer's code, "ok", and the descriptor that came with it. */
static void ask(int sock, const char *text, int fd, char code[64], int *ret_fd) {
        struct json_document *doc;
        bool ok = false;

        assert_int_equal(fd_channel_send(sock, view_of(text), fd, 5 * USEC_PER_SEC), 0);
        assert_int_equal(fd_channel_receive(sock, 60 * USEC_PER_SEC, &doc, ret_fd), 0);
        assert_int_equal(json_get_bool(json_root(doc), "ok", &ok), 0);
        (void)snprintf(code, 64, "%.*s",
                       VIEW_ARG(ok ? json_get_view(json_root(doc), "job", VIEW("ok"))
                                   : json_get_view(json_root(doc), "code", VIEW("?"))));
        json_document_free(doc);
}

static void expect(int sock, const char *text, int fd, const char *expected) {
        char code[64];
        int none;

        ask(sock, text, fd, code, &none);
        close_fd(none);
        if (strcmp(code, expected) != 0)
                fail_msg("%s: %s, not %s", text, code, expected);
}

static void begin_set(int sock, const char *name, size_t files, uint64_t size, char job[64]) {
        _cleanup_(freep) char *text = NULL;
        int none;

        assert_true(asprintf(&text, "{\"op\":\"upload_set\",\"name\":\"%s\",\"files\":%zu,\"size\":%llu}",
                             name, files, (unsigned long long)size) > 0);
        ask(sock, text, -EBADF, job, &none);
        assert_int_equal(strlen(job), 24);
}

static char *file_request(const char *path, uint64_t size) {
        char *text;

        assert_true(asprintf(&text, "{\"op\":\"file\",\"path\":\"%s\",\"size\":%llu}", path,
                             (unsigned long long)size) > 0);
        return text;
}

static void commit(int sock, const char *job) {
        _cleanup_(freep) char *text = NULL;

        assert_true(asprintf(&text, "{\"op\":\"commit\",\"job\":\"%s\"}", job) > 0);
        expect(sock, text, -EBADF, "ok");
}

static void send_folder(int sock, int dir, const char *name, bool by_descriptor) {
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        char job[64];

        assert_int_equal(set_walk(dir, &w, NULL), 0);
        begin_set(sock, name, w.n, w.size, job);
        for (size_t i = 0; i < w.n; i++) {
                _cleanup_(freep) char *text = file_request(w.files[i].path, w.files[i].size);
                _cleanup_(closep) int fd = set_walk_open(dir, &w.files[i]), writer = -EBADF;
                _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)8 << 20);
                char code[64];

                ask(sock, text, by_descriptor ? fd : -EBADF, code, &writer);
                assert_string_equal(code, "ok");
                assert_int_equal(writer >= 0, !by_descriptor);
                if (by_descriptor)
                        continue;
                assert_int_equal(fcntl(writer, F_GETFL) & O_ACCMODE, O_WRONLY);
                assert_int_equal(buf_read_file(&content, fd), 0);
                assert_int_equal(write_all(writer, content.p, content.n), 0);
        }
        commit(sock, job);
}

static void test_a_folder_comes_file_by_file(void **state) {
        struct harness *h = *state;
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int one = channel(h, "ui"), two = channel(h, "securectl"),
                              first = setgen_folder(t.fd, "1"), second = setgen_folder(t.fd, "2"),
                              in = setgen_folder(second, "original");

        setgen_sharded(first, SHARDS, SHARD_BYTES, 5);
        setgen_sharded(second, SHARDS, SHARD_BYTES, 6);
        setgen_write(in, "params.json", VIEW("{\"dim\":4}"));
        send_folder(one, first, "written-set", false);
        send_folder(two, second, "copied-set", true);
        rig_expect_state(h, "written-set", "promoted", NULL);
        rig_expect_state(h, "copied-set", "promoted", NULL);
        assert_int_equal(members_in_registry(h, "written-set"), SHARDS + 2);
        assert_int_equal(members_in_registry(h, "copied-set"), SHARDS + 3);
}

static void test_files_that_make_no_sense_in_a_folder_are_refused(void **state) {
        static const struct {
                const char *path, *code;
        } cases[] = {
                {"../a", "bad_path"},
                {"/a", "bad_path"},
                {"a/../b", "bad_path"},
                {"", "bad_path"},
                {"a\\nb", "bad_path"},
                {".git/x", "bad_path"},
                {"x", "ok"},
                {"x", "bad_path"},
                {"x/y", "bad_path"},
                {"d/y", "ok"},
                {"d", "bad_path"},
                {"z", "ok"},
                {"too-many", "size_differs"},
        };
        struct harness *h = *state;
        _cleanup_(closep) int sock = channel(h, "ui"), outside = channel(h, "ui");
        char job[64];

        expect(outside, "{\"op\":\"file\",\"path\":\"a\",\"size\":1}", -EBADF, "bad_request");
        expect(outside, "{\"op\":\"upload_set\",\"name\":\"a\",\"files\":0,\"size\":1}", -EBADF,
               "bad_request");
        expect(outside, "{\"op\":\"upload_set\",\"name\":\"a\",\"files\":20001,\"size\":1}", -EBADF,
               "bad_request");
        expect(outside, "{\"op\":\"upload_set\",\"name\":\"a/b\",\"files\":1,\"size\":1}", -EBADF,
               "bad_request");
        begin_set(sock, "odd", 3, 3, job);
        expect(sock, "{\"op\":\"file\",\"path\":\"big\",\"size\":4}", -EBADF, "size_differs");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(freep) char *text = file_request(cases[i].path, 1);

                expect(sock, text, -EBADF, cases[i].code);
        }
        {
                _cleanup_(freep) char *text = NULL;

                assert_true(asprintf(&text, "{\"op\":\"commit\",\"job\":\"%s\"}", job) > 0);
                expect(sock, text, -EBADF, "size_differs"); /* nothing was written */
        }
}

static void test_a_folder_that_is_cut_off_leaves_nothing(void **state) {
        struct harness *h = *state;
        int sock = channel(h, "ui"), writer;
        struct json_document *doc;
        _cleanup_(freep) char *path = NULL;
        char job[64], code[64];

        begin_set(sock, "cut-set", 2, 100, job);
        assert_true(asprintf(&path, "%s/claims/%s", harness_state_path(h, "quarantine"), job) > 0);
        assert_int_equal(access(path, F_OK), 0);
        ask(sock, "{\"op\":\"file\",\"path\":\"d/a\",\"size\":50}", -EBADF, code, &writer);
        assert_string_equal(code, "ok");
        close_fd(writer);
        close_fd(sock);
        for (unsigned i = 0; i < 200; i++) {
                const struct json *j = rig_find_job(h, "cut-set", &doc);

                json_document_free(doc);
                if (!j && access(path, F_OK) < 0)
                        return;
                usleep(20000);
        }
        fail_msg("the job or its folder stayed");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_image_model_from_the_inbox_is_promoted_with_all_its_files),
                cmocka_unit_test(test_a_sharded_model_from_the_inbox_is_promoted),
                cmocka_unit_test(test_a_model_in_parts_is_run_and_promoted),
                cmocka_unit_test(test_one_gguf_file_with_its_readme_is_run_and_promoted),
                cmocka_unit_test(test_a_folder_that_holds_what_it_may_not_is_rejected_and_can_be_deleted),
                cmocka_unit_test(test_a_folder_in_which_a_file_is_still_written_is_left_alone),
                cmocka_unit_test(test_a_folder_comes_file_by_file),
                cmocka_unit_test(test_files_that_make_no_sense_in_a_folder_are_refused),
                cmocka_unit_test(test_a_folder_that_is_cut_off_leaves_nothing),
                cmocka_unit_test(test_folders_that_can_be_no_model_are_told_once_and_hold_up_nobody),
        };

        return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
