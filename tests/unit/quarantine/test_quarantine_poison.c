/* Poison: an inbox full of files that want to harm who reads them, and files that change while they are looked at. None is
 * promoted wrongly, none is lost, the queue moves on, and memory stays within its bound. SECAI_POISON_FILES sets how many files
 * (default 60); the times are printed, not judged. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "core/sandbox_parts.h"
#include "support/modelgen.h"
#include "support/modelgen_random.h"

#define FILES        UINT64_C(60)
#define FILES_MAX    UINT64_C(100000)
#define QUEUE_USEC   (UINT64_C(120) * USEC_PER_SEC) /* without any progress: stuck */
#define MEMORY_KB    UINT64_C(65536)
#define DEEP         1500u
#define CROWD        20500u /* more than a set may have */
#define SPARSE_BYTES ((off_t)1 << 40)

static uint64_t files_n(void) {
        const char *asked = secure_getenv("SECAI_POISON_FILES");
        uint64_t n;

        return asked && u64_parse(view_of(asked), FILES_MAX, &n) == 0 && n > 0 ? n : FILES;
}

/* Each different from all others, none acceptable. */
static void make_poison(uint64_t i, struct buf *out) {
        static const char *const heads[] = {"#!/bin/sh\n",
                                            "\x7f"
                                            "ELF\2\1\1",
                                            "MZ\x90",
                                            "PK\3\4",
                                            "\x80\4\x95",
                                            "GGUF\3",
                                            "GGUF",
                                            "{",
                                            "\x1f\x8b\x08",
                                            "BZh9",
                                            "\xfd"
                                            "7zXZ",
                                            "\x89HDF\r\n\x1a\n",
                                            "\x93NUMPY\1",
                                            "%PDF-1.7",
                                            "tggj",
                                            "(lp0\n",
                                            "version https://git-lfs"};
        struct modelgen_case c;

        switch (i % 4) {
        case 0:
                assert_int_equal(modelgen_bad_gguf((size_t)(i / 4 % modelgen_bad_gguf_n()), out, &c), 0);
                break;
        case 1:
                assert_int_equal(
                        modelgen_bad_safetensors((size_t)(i / 4 % modelgen_bad_safetensors_n()), out, &c), 0);
                break;
        default:
                assert_int_equal(buf_append_str(out, heads[i % ARRAY_SIZE(heads)]), 0);
                break;
        }
        assert_int_equal(buf_printf(out, "poison %llu", (unsigned long long)i), 0);
}

static uint64_t count_entries(struct harness *h, const char *folder) {
        _cleanup_(freep) char *path = NULL;
        uint64_t n = 0;
        DIR *d;

        assert_true(asprintf(&path, "%s/%s", harness_state_path(h, "quarantine"), folder) > 0);
        d = opendir(path);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
                n += e->d_name[0] != '.';
        if (d)
                closedir(d);
        return n;
}

static uint64_t memory_kb(struct harness *h) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
        char path[64];
        const char *at;

        (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)harness_pid(h, "quarantine"));
        assert_int_equal(read_file(path, 65536, &text), 0);
        at = strstr(buf_str(&text), "VmHWM:");
        assert_non_null(at);
        return strtoull(at + 6, NULL, 10);
}

static uint64_t count_rows(struct harness *h, const char *where) {
        _cleanup_(freep) char *path = NULL, *sql = NULL;
        sqlite3_stmt *q;
        sqlite3 *db;
        uint64_t n;

        assert_true(asprintf(&path, "%s/jobs.db", harness_state_path(h, "quarantine")) > 0);
        assert_true(asprintf(&sql, "SELECT count(*) FROM job WHERE %s", where) > 0);
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        n = (uint64_t)sqlite3_column_int64(q, 0);
        (void)sqlite3_finalize(q);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return n;
}

/* Waits as long as there is progress; returns the microseconds that it took. */
static uint64_t drain(struct harness *h) {
        uint64_t begin = clock_monotonic_usec(), last = begin, before = UINT64_MAX;

        for (;;) {
                uint64_t left = count_entries(h, "incoming") + count_entries(h, "claims"),
                         now = clock_monotonic_usec();

                if (left == 0)
                        return now - begin;
                if (left != before)
                        last = now;
                before = left;
                if (now - last > QUEUE_USEC)
                        fail_msg("the queue stands still with %llu files; %s", (unsigned long long)left,
                                 harness_stderr(h, "quarantine"));
                usleep(200000);
        }
}

static void drop_poison(struct harness *h, uint64_t from, uint64_t to) {
        for (uint64_t i = from; i < to; i++) {
                _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)16 << 20);
                char name[64];

                (void)snprintf(name, sizeof name, "poison-%06llu.gguf", (unsigned long long)i);
                make_poison(i, &content);
                rig_drop_bytes(h, name, buf_view(&content));
        }
}

static void test_an_inbox_full_of_poison_is_worked_off_and_a_model_behind_it_comes_through(void **state) {
        struct harness *h = *state;
        uint64_t n = files_n(), first, second, kb;

        drop_poison(h, 0, n / 2);
        first = drain(h);
        drop_poison(h, n / 2, n);
        rig_drop_model(h, "behind.gguf", GOOD);
        second = drain(h);
        /* the list that the page shows has the newest jobs only: the table knows all */
        assert_int_equal(count_rows(h, "CAST(name AS TEXT) = 'behind.gguf' AND state = 4"), 1);
        assert_true(rig_registry_has(h, "behind.gguf"));
        assert_int_equal(count_rows(h, "CAST(name AS TEXT) LIKE 'poison-%' AND state = 5"), n);
        assert_int_equal(count_entries(h, "rejected"), n);
        kb = memory_kb(h);
        printf("# %llu files: %.1f ms each in the first half, %.1f ms in the second; quarantine's peak %llu "
               "KiB\n",
               (unsigned long long)n, (double)first / 1000 / (double)(n / 2),
               (double)second / 1000 / (double)(n - n / 2), (unsigned long long)kb);
        if (!SANDBOX_SANITIZER)
                assert_true(kb <= MEMORY_KB);
}

/* --- files that are never still --- */

/* Swaps a good model and a script under one name, by rename, until it is killed. */
static pid_t start_swapping(struct harness *h) {
        _cleanup_(buf_donep) struct buf good = rig_read_model(GOOD);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        for (unsigned i = 0;; i++) {
                int dir = rig_inbox(h);
                struct view content = i % 2 ? VIEW("#!/bin/sh\necho swapped\n") : buf_view(&good);
                int fd = openat(dir, ".next", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

                if (fd < 0 || write_all(fd, content.p, content.n) < 0 || close(fd) < 0 ||
                    renameat(dir, ".next", dir, "swapped.gguf") < 0)
                        _exit(1);
                close(dir);
                usleep(i % 7 * 300000);
        }
}

static void test_a_name_that_is_swapped_all_the_time_promotes_the_good_content_only(void **state) {
        struct harness *h = *state;
        uint64_t before = count_entries(h, "rejected"), deadline = clock_monotonic_usec() + 90 * USEC_PER_SEC;
        pid_t swapper = start_swapping(h);

        while (count_entries(h, "rejected") < before + 3 && clock_monotonic_usec() < deadline)
                usleep(100000);
        (void)kill(swapper, SIGKILL);
        (void)waitpid(swapper, NULL, 0);
        (void)drain(h);
        assert_true(count_entries(h, "rejected") >= before + 3);
        /* states: 4 promoted, 5 rejected (jobs.h). Whatever was promoted is what it was judged as: the one good content */
        assert_int_equal(count_rows(h, "CAST(name AS TEXT) = 'swapped.gguf' AND state = 4 AND size < 1000"),
                         0);
        assert_int_equal(count_rows(h, "CAST(name AS TEXT) = 'swapped.gguf' AND state = 5 AND size > 1000"),
                         0);
}

static void test_a_mapped_file_waits_until_nobody_can_write_to_it(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h);
        int fd = openat(dir, "mapped.gguf", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        char *p;

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 4096), 0);
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(p != MAP_FAILED);
        close(fd);
        usleep(3500000); /* longer than a file must rest */
        assert_true(rig_in_inbox(h, "mapped.gguf"));
        memcpy(p, "#!/bin/sh\n", 10);
        assert_int_equal(munmap(p, 4096), 0);
        rig_expect_state(h, "mapped.gguf", "rejected", NULL);
        assert_false(rig_in_inbox(h, "mapped.gguf"));
}

static void test_a_second_name_keeps_a_file_out_until_it_is_gone(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h);

        rig_drop_bytes(h, ".first", VIEW("#!/bin/sh\n# linked\n"));
        assert_int_equal(linkat(dir, ".first", dir, "linked.gguf", 0), 0);
        rig_expect_state(h, "linked.gguf", "parked", NULL);
        assert_true(rig_in_inbox(h, "linked.gguf"));
        assert_int_equal(unlinkat(dir, ".first", 0), 0);
        rig_expect_state(h, "linked.gguf", "rejected", NULL);
}

static void wait_for_an_end(struct harness *h, const char *name) {
        uint64_t deadline = clock_monotonic_usec() + 60 * USEC_PER_SEC;

        char was[32] = "";

        for (;;) {
                struct json_document *doc;
                struct view is = json_get_view(rig_find_job(h, name, &doc), "state", VIEW("none"));
                bool done = view_eq(is, VIEW("rejected")) || view_eq(is, VIEW("parked"));

                (void)snprintf(was, sizeof was, "%.*s", VIEW_ARG(is));
                json_document_free(doc);
                if (done)
                        return;
                if (clock_monotonic_usec() >= deadline)
                        fail_msg("%s is %s; %s", name, was, harness_stderr(h, "quarantine"));
                usleep(100000);
        }
}

static void test_sparse_terabytes_are_refused_by_their_size(void **state) {
        struct harness *h = *state;
        uint64_t kept = count_entries(h, "rejected");
        _cleanup_(closep) int dir = rig_inbox(h);
        int fd = openat(dir, ".sparse", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r;
        assert_true(fd >= 0);
        r = ftruncate(fd, SPARSE_BYTES);
        close(fd);
        if (r < 0) {
                assert_int_equal(unlinkat(dir, ".sparse", 0), 0);
                skip();
        }
        assert_int_equal(renameat(dir, ".sparse", dir, "sparse.gguf"), 0);
        wait_for_an_end(h, "sparse.gguf");
        assert_false(rig_registry_has(h, "sparse.gguf"));
        (void)unlinkat(dir, "sparse.gguf", 0);
        assert_int_equal(count_entries(h, "rejected"), kept); /* it went itself, and pushed nobody out */
}

/* --- folders that want to be walked for ever --- */

static void make_deep(int dir, const char *name) {
        int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (unsigned i = 0; i < DEEP; i++) {
                const char *next = i == 0 ? name : "d";
                int below;

                assert_int_equal(mkdirat(at, next, 0755), 0);
                below = openat(at, next, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(at);
                at = below;
        }
        close(at);
}

static void make_crowd(int dir, const char *name) {
        int at;

        assert_int_equal(mkdirat(dir, name, 0755), 0);
        at = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < CROWD; i++) {
                char file[32];
                int fd;

                (void)snprintf(file, sizeof file, "%u.json", i);
                fd = openat(at, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                close(fd);
        }
        close(at);
}

static void test_endless_folders_are_refused_and_hold_nobody_up(void **state) {
        struct harness *h = *state;
        _cleanup_(closep) int dir = rig_inbox(h);

        make_deep(dir, ".deep");
        make_crowd(dir, ".crowd");
        assert_int_equal(renameat(dir, ".deep", dir, "deep"), 0);
        assert_int_equal(renameat(dir, ".crowd", dir, "crowd"), 0);
        rig_drop_bytes(h, "after", VIEW("#!/bin/sh\n# after\n"));
        rig_expect_state(h, "after", "rejected", NULL);
        wait_for_an_end(h, "deep");
        wait_for_an_end(h, "crowd");
        assert_true(harness_pid(h, "quarantine") > 0);
        assert_false(rig_registry_has(h, "deep"));
        assert_false(rig_registry_has(h, "crowd"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(
                        test_an_inbox_full_of_poison_is_worked_off_and_a_model_behind_it_comes_through),
                cmocka_unit_test(test_a_name_that_is_swapped_all_the_time_promotes_the_good_content_only),
                cmocka_unit_test(test_a_mapped_file_waits_until_nobody_can_write_to_it),
                cmocka_unit_test(test_a_second_name_keeps_a_file_out_until_it_is_gone),
                cmocka_unit_test(test_sparse_terabytes_are_refused_by_their_size),
                cmocka_unit_test(test_endless_folders_are_refused_and_hold_nobody_up),
        };

        return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
