/* A full disk: nothing is lost, nothing is judged, and when there is room again all goes on. The disk is a small tmpfs over /tmp in a
 * mount namespace of this test. */
#include "rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "core/fd_channel.h"
#include "support/modelgen.h"
#include "support/setgen.h"

#define DISK       "size=100m"
#define PAGE_BYTES ((size_t)4096)

static bool write_text(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write_all(fd, text, strlen(text)) == 0;

        close_fd(fd);
        return ok;
}

/* A checkout below /tmp would vanish under the small disk: it is put back at its place. */
static bool put_back(const char *path, int fd) {
        char from[64];

        (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
        return make_path(path, 0700) == 0 && mount(from, path, NULL, MS_BIND | MS_REC, NULL) == 0;
}

static bool cover_tmp(void) {
        const char *paths[] = {secure_getenv("SECAI_STAGE"), secure_getenv("SECAI_SOURCE")};
        int fds[ARRAY_SIZE(paths)] = {-EBADF, -EBADF};
        bool ok;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                if (paths[i] && view_starts(view_of(paths[i]), VIEW("/tmp/")))
                        fds[i] = open_dir(paths[i]);
        ok = mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, DISK) == 0;
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                ok = ok && (fds[i] < 0 || put_back(paths[i], fds[i]));
                close_fd(fds[i]);
        }
        return ok;
}

/* False where the kernel forbids it. */
static bool make_small_disk(void) {
        char map[64], group_map[64];
        uid_t uid = geteuid();
        gid_t gid = getegid();

        if (uid != 0) {
                (void)snprintf(map, sizeof map, "%u %u 1", (unsigned)uid, (unsigned)uid);
                (void)snprintf(group_map, sizeof group_map, "%u %u 1", (unsigned)gid, (unsigned)gid);
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_text("/proc/self/setgroups", "deny") ||
                    !write_text("/proc/self/uid_map", map) || !write_text("/proc/self/gid_map", group_map))
                        return false;
        } else if (unshare(CLONE_NEWNS) < 0)
                return false;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && cover_tmp();
}

/* Takes what is left, down to the last byte. */
static void fill_disk(void) {
        static const size_t steps[] = {(size_t)1 << 20, 4096, 1};
        static char bytes[(size_t)1 << 20];
        _cleanup_(closep) int fd = open("/tmp/filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                while (write(fd, bytes, steps[i]) > 0)
                        ;
        assert_int_equal(errno, ENOSPC);
}

static void test_a_full_disk_judges_nobody(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = -EBADF;
        struct json_document *doc;
        const struct json *j;
        struct view is;

        rig_drop_model(h, ".waiting", GOOD);
        fill_disk();
        dir = rig_inbox(h);
        assert_int_equal(renameat(dir, ".waiting", dir, "full.gguf"), 0);
        usleep(5000000);
        j = rig_find_job(h, "full.gguf", &doc);
        is = json_get_view(j, "state", VIEW("none"));
        if (view_eq(is, VIEW("rejected")) || (!j && !rig_in_inbox(h, "full.gguf")))
                fail_msg("the file is lost or judged: %.*s", VIEW_ARG(is));
        json_document_free(doc);
        assert_int_equal(unlink("/tmp/filler"), 0);
        rig_expect_state(h, "full.gguf", "promoted", NULL);
}

static void test_a_folder_waits_for_room_too(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h), folder = setgen_folder(dir, ".new");

        setgen_sharded(folder, 3, 300000, 0);
        fill_disk();
        assert_int_equal(renameat(dir, ".new", dir, "full-folder"), 0);
        usleep(6000000);
        assert_int_equal(unlink("/tmp/filler"), 0);
        rig_expect_state(h, "full-folder", "promoted", NULL);
}

/* A row that can't be written must not stay "scanning" until the next start. */
static void test_a_disk_that_fills_during_a_scan_leaves_no_job_behind(void **state) {
        struct harness *h = *state;
        struct json_document *doc;

        rig_drop_model(h, "midway.gguf", GOOD);
        rig_wait_for(h, "midway.gguf", "scanning", &doc);
        json_document_free(doc);
        fill_disk();
        usleep(8000000); /* the scan ends meanwhile */
        assert_int_equal(unlink("/tmp/filler"), 0);
        rig_expect_state(h, "midway.gguf", "promoted", NULL);
}

/* The disk is full after ever more writes: of the inbox, the claim, the table, the log, the registry. */
static void test_wherever_the_disk_gets_full_the_file_comes_through_in_the_end(void **state) {
        static const size_t left[] = {1, 3, 4, 6, 16, 128};
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h);

        for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
                _cleanup_(buf_donep) struct buf model = BUF_INIT(65536);
                struct json_document *doc;
                char header[128], name[32];
                struct stat st;
                struct view is;

                (void)snprintf(header, sizeof header,
                               "{\"w\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", i + 1,
                               i + 1);
                assert_int_equal(modelgen_safetensors(view_of(header), i + 1, &model), 0);
                (void)snprintf(name, sizeof name, "left-%zu.safetensors", left[i]);
                rig_drop_bytes(h, ".next", buf_view(&model));
                fill_disk();
                assert_int_equal(stat("/tmp/filler", &st), 0);
                assert_int_equal(truncate("/tmp/filler", st.st_size - (off_t)(left[i] * PAGE_BYTES)), 0);
                assert_int_equal(renameat(dir, ".next", dir, name), 0);
                usleep(2500000);
                is = json_get_view(rig_find_job(h, name, &doc), "state", VIEW("none"));
                assert_false(view_eq(is, VIEW("rejected")));
                json_document_free(doc);
                assert_int_equal(unlink("/tmp/filler"), 0);
                rig_expect_state(h, name, "promoted", NULL);
        }
}

/* Bytes of the log's last page that are in use. */
static size_t log_in_page(struct harness *h) {
        _cleanup_(freep) char *path = NULL;
        struct stat st;

        assert_true(asprintf(&path, "%s/../log/audit.log", harness_state_path(h, "audit")) > 0);
        assert_int_equal(stat(path, &st), 0);
        return (size_t)st.st_size % PAGE_BYTES;
}

static void append_to_log(struct harness *h, size_t padding) {
        struct http_client *c = harness_client(h, "quarantine", "audit");
        struct http_answer a;
        char body[PAGE_BYTES];

        (void)snprintf(body, sizeof body,
                       "{\"event\":\"padding\",\"decision\":\"info\",\"subject\":\"%0*d\"}", (int)padding, 0);
        assert_int_equal(harness_call(c, "POST", "/v1/append", body, &a), 200);
        http_answer_done(&a);
        http_client_free(c);
}

/* The next record needs a page of its own. */
static void fill_page_of_log(struct harness *h) {
        size_t before = log_in_page(h), record, left;

        append_to_log(h, 1);
        record = (log_in_page(h) - before) % PAGE_BYTES;
        while (left = PAGE_BYTES - log_in_page(h), left > 2 * record || left < record + 50)
                append_to_log(h, 1);
        append_to_log(h, left - record - 10);
        assert_true(PAGE_BYTES - log_in_page(h) < record / 2);
}

/* The record of a deletion has room of its own, so that room can be made where there is none. */
static void test_on_a_full_disk_a_rejected_file_can_be_deleted(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(buf_donep) struct buf junk = BUF_INIT((size_t)4 << 20);
        struct json_document *doc;
        const struct json *job;
        struct http_answer a;
        char path[128];
        struct statvfs before, after;

        assert_int_equal(buf_append_str(&junk, "#!/bin/sh\n"), 0);
        assert_int_equal(buf_reserve(&junk, (size_t)2 << 20), 0);
        memset(junk.p + junk.n, 'x', (size_t)2 << 20);
        junk.n += (size_t)2 << 20;
        rig_drop_bytes(h, "junk", buf_view(&junk));
        job = rig_wait_for(h, "junk", "rejected", &doc);
        (void)snprintf(path, sizeof path, "/v1/jobs/%.*s", VIEW_ARG(json_get_view(job, "id", VIEW_NULL)));
        json_document_free(doc);
        usleep(500000); /* its last move */
        fill_page_of_log(h);
        fill_disk();
        assert_int_equal(statvfs("/tmp", &before), 0);
        assert_int_equal(before.f_bavail, 0);
        assert_int_equal(harness_call(c, "DELETE", path, NULL, &a), 204);
        http_answer_done(&a);
        assert_int_equal(statvfs("/tmp", &after), 0);
        assert_true(after.f_bavail * after.f_frsize > (1 << 20)); /* tables and log took some of it */
        assert_int_equal(harness_call(c, "GET", path, NULL, &a), 404);
        http_answer_done(&a);
        http_client_free(c);
        assert_int_equal(unlink("/tmp/filler"), 0);
}

static void test_an_upload_that_does_not_fit_is_refused_at_once(void **state) {
        struct harness *h = *state;
        _cleanup_(freep) char *path = NULL;
        struct json_document *doc;
        int sock, none;

        assert_true(asprintf(&path, "%s/quarantine.fd.sock", harness_run_path(h)) > 0);
        sock = fd_channel_connect(path, view_of(harness_token(h, "ui", "quarantine")), 5000000);
        assert_true(sock >= 0);
        assert_int_equal(fd_channel_send(sock,
                                         VIEW("{\"op\":\"upload\",\"name\":\"big\",\"size\":1000000000}"),
                                         -EBADF, 5000000),
                         0);
        assert_int_equal(fd_channel_receive(sock, 5000000, &doc, &none), 0);
        assert_true(view_eq(json_get_view(json_root(doc), "code", VIEW_NULL), VIEW("disk_full")));
        json_document_free(doc);
        assert_null(rig_find_job(h, "big", &doc));
        json_document_free(doc);
        close_fd(sock);
}

static void test_not_possible_here(void **state) {
        print_message("# NO TEST OF A FULL DISK: this kernel lets nobody mount a tmpfs in a namespace\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_full_disk_judges_nobody),
                cmocka_unit_test(test_a_folder_waits_for_room_too),
                cmocka_unit_test(test_a_disk_that_fills_during_a_scan_leaves_no_job_behind),
                cmocka_unit_test(test_wherever_the_disk_gets_full_the_file_comes_through_in_the_end),
                cmocka_unit_test(test_on_a_full_disk_a_rejected_file_can_be_deleted),
                cmocka_unit_test(test_an_upload_that_does_not_fit_is_refused_at_once),
        };
        const struct CMUnitTest none[] = {cmocka_unit_test(test_not_possible_here)};

        if (!make_small_disk())
                return cmocka_run_group_tests(none, NULL, NULL);
        return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
