#include "support/cm.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "audit/limits.h"
#include "audit/records.h"
#include "audit/sandbox.h"
#include "audit/setup.h"
#include "base/file.h"
#include "base/num.h"
#include "core/audit_state.h"
#include "core/sandbox_parts.h"
#include "log_fixture.h"

#define KILLS 60

static void assert_ok(const struct log_fixture *f) {
        struct audit_report p = log_fixture_verify(f);

        if (!p.ok)
                fail_msg("%s: %s line %llu: %s", p.code, p.file, (unsigned long long)p.line, p.text);
}

static void test_a_new_log_opens_records_and_verifies(void **state) {
        struct log_fixture f;
        struct log_store *s;

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        assert_int_equal(log_store_end(s).sequence, 1); /* log_opened */
        log_fixture_append(s, 3);
        assert_int_equal(log_store_end(s).sequence, 4);
        log_store_close(s);
        assert_ok(&f);
        assert_int_equal(log_fixture_verify(&f).records, 5); /* and a checkpoint at the end */
        log_fixture_done(&f);
}

static void test_making_keys_twice_changes_nothing(void **state) {
        struct log_fixture f;
        struct fault fault = FAULT_NONE;
        struct buf before, after;
        struct stat st;

        log_fixture_make(&f);
        before = file_get(f.state_dir, AUDIT_VERIFY_KEY_NAME);
        log_store_close(log_fixture_open(&f));
        assert_int_equal(setup_make_keys(f.state_path, f.log_path, &fault), 0);
        after = file_get(f.state_dir, AUDIT_VERIFY_KEY_NAME);
        assert_true(view_eq(buf_view(&before), buf_view(&after)));
        assert_int_equal(fstatat(f.state_dir, AUDIT_VERIFY_KEY_NAME, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0400);
        assert_ok(&f);
        buf_done(&before);
        buf_done(&after);
        log_fixture_done(&f);
}

static void test_keys_are_not_made_for_a_log_whose_state_is_gone(void **state) {
        struct log_fixture f;
        struct fault fault = FAULT_NONE;

        log_fixture_make(&f);
        log_store_close(log_fixture_open(&f));
        assert_int_equal(unlinkat(f.writer_dir, AUDIT_STATE_NAME, 0), 0);
        assert_int_equal(setup_make_keys(f.state_path, f.log_path, &fault), -EUCLEAN);
        log_fixture_done(&f);
}

static void test_a_second_writer_is_refused(void **state) {
        struct log_fixture f;
        struct log_store *s, *second = NULL;
        struct fault fault = FAULT_NONE;

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        assert_int_equal(log_fixture_try_open(&f, &second, &fault), -EBUSY);
        assert_string_equal(fault.rule, "AUDIT-002");
        log_store_close(s);
        log_store_close(log_fixture_open(&f));
        log_fixture_done(&f);
}

static void test_rotation_keeps_the_chain(void **state) {
        struct log_fixture f;
        struct log_store *s;
        struct audit_report p;
        struct stat st;

        log_fixture_make(&f);
        f.rotate_bytes = 4096;
        f.checkpoint_each = 7;
        for (unsigned i = 0; i < 3; i++) {
                s = log_fixture_open(&f);
                for (unsigned k = 0; k < 12; k++)
                        log_fixture_append(s, 3);
                log_store_close(s);
                assert_ok(&f);
        }
        p = log_fixture_verify(&f);
        assert_true(p.files >= 6);
        assert_int_equal(fstatat(f.log_dir, "audit.log.000001", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0400);
        log_fixture_done(&f);
}

static void test_a_rotation_cut_by_a_crash_is_finished(void **state) {
        static const bool with_new_file[] = {false, true};

        for (size_t i = 0; i < ARRAY_SIZE(with_new_file); i++) {
                struct log_fixture f;
                struct log_store *s;

                log_fixture_make(&f);
                s = log_fixture_open(&f);
                log_fixture_append(s, 3);
                log_store_close(s);
                assert_int_equal(renameat(f.log_dir, "audit.log", f.log_dir, "audit.log.000001"), 0);
                if (with_new_file[i])
                        file_put(f.log_dir, "audit.log", VIEW(""));
                assert_ok(&f);
                s = log_fixture_open(&f);
                log_fixture_append(s, 3);
                log_store_close(s);
                assert_ok(&f);
                assert_int_equal(log_fixture_verify(&f).files, 2);
                log_fixture_done(&f);
        }
}

/* The state of before a batch with the log of after it, cut at every kind of place: what a crash leaves. */
static void test_a_batch_ahead_of_the_state_is_taken_over_at_any_cut(void **state) {
        struct log_fixture f;
        struct log_store *s;
        struct buf old_state, log;
        uint64_t old_size;
        unsigned recoveries = 0;

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        log_fixture_append(s, 5);
        old_state = file_get(f.writer_dir, AUDIT_STATE_NAME);
        old_size = log_store_end(s).offset;
        log_fixture_append(s, 3);
        log = file_get(f.log_dir, AUDIT_FILE_NAME);
        log_store_close(s);
        for (size_t cut = old_size; cut <= log.n; cut += cut + 37 > log.n && cut < log.n ? log.n - cut : 37) {
                struct log_fixture copy;
                struct audit_report p;

                log_fixture_copy(&f, &copy);
                file_put(copy.log_dir, AUDIT_FILE_NAME, view_make(log.p, cut));
                file_put(copy.writer_dir, AUDIT_STATE_NAME, buf_view(&old_state));
                (void)unlinkat(copy.log_dir, AUDIT_HEAD_NAME, 0); /* it was published later */
                s = log_fixture_open(&copy);
                log_fixture_append(s, 2);
                log_store_close(s);
                p = log_fixture_verify(&copy);
                assert_true(p.ok);
                assert_int_equal(p.recoveries, cut > old_size);
                recoveries += (unsigned)p.recoveries;
                log_fixture_done(&copy);
        }
        assert_true(recoveries > 10);
        buf_done(&old_state);
        buf_done(&log);
        log_fixture_done(&f);
}

static void test_what_a_recovery_cut_off_is_recorded_with_its_digest(void **state) {
        struct log_fixture f;
        struct buf log, now;
        struct sha256 digest;
        char hex[SHA256_HEX_SIZE];

        log_fixture_make(&f);
        log_store_close(log_fixture_open(&f));
        log = file_get(f.log_dir, AUDIT_FILE_NAME);
        assert_int_equal(buf_append_str(&log, "{\"sequence\":torn"), 0);
        file_put(f.log_dir, AUDIT_FILE_NAME, buf_view(&log));
        assert_ok(&f); /* a crash's torn tail is not tampering … */
        assert_int_equal(log_fixture_verify(&f).torn_bytes, 16);
        log_store_close(log_fixture_open(&f));
        now = file_get(f.log_dir, AUDIT_FILE_NAME);
        assert_int_equal(sha256_of(VIEW("{\"sequence\":torn"), &digest), 0);
        sha256_hex(&digest, hex);
        assert_true(view_find(buf_view(&now), VIEW("\"event\":\"log_recovered\"")) != SIZE_MAX);
        assert_true(view_find(buf_view(&now), view_of(hex)) != SIZE_MAX);
        assert_true(view_find(buf_view(&now), VIEW("\"cut_bytes\":16")) != SIZE_MAX);
        assert_ok(&f);
        assert_int_equal(faccessat(f.writer_dir, "recovery.json", F_OK, 0), -1);
        buf_done(&log);
        buf_done(&now);
        log_fixture_done(&f);
}

static void test_a_log_that_does_not_fit_the_state_is_not_opened(void **state) {
        static const struct {
                const char *name;
                int what; /* 0 cut, 1 delete, 2 empty, 3 last line changed, 4 huge tail, 5 no state */
                const char *rule;
        } cases[] = {
                {"cut", 0, "AUDIT-010"},     {"deleted", 1, "AUDIT-007"},   {"emptied", 2, "AUDIT-010"},
                {"changed", 3, "AUDIT-009"}, {"huge tail", 4, "AUDIT-011"}, {"no state", 5, "AUDIT-003"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct log_fixture f;
                struct log_store *s = NULL;
                struct fault fault = FAULT_NONE;
                struct buf log;

                log_fixture_make(&f);
                log_store_close(log_fixture_open(&f));
                log = file_get(f.log_dir, AUDIT_FILE_NAME);
                if (cases[i].what == 0)
                        log.n -= 3;
                if (cases[i].what == 2)
                        log.n = 0;
                if (cases[i].what == 3)
                        log.p[log.n - 5] ^= 1;
                file_put(f.log_dir, AUDIT_FILE_NAME, buf_view(&log));
                if (cases[i].what == 1)
                        assert_int_equal(unlinkat(f.log_dir, AUDIT_FILE_NAME, 0), 0);
                if (cases[i].what == 4) {
                        int fd = open_beneath(f.log_dir, AUDIT_FILE_NAME, O_RDWR, 0);

                        assert_int_equal(ftruncate(fd, (off_t)(log.n + AUDIT_TAIL_MAX + 1)), 0);
                        close_fd(fd);
                }
                if (cases[i].what == 5)
                        assert_int_equal(unlinkat(f.writer_dir, AUDIT_STATE_NAME, 0), 0);
                assert_int_equal(log_fixture_try_open(&f, &s, &fault), -EUCLEAN);
                assert_string_equal(fault.rule, cases[i].rule);
                buf_done(&log);
                log_fixture_done(&f);
        }
}

static void test_starting_over_keeps_the_broken_log_aside(void **state) {
        struct log_fixture f, fresh;
        struct fault fault = FAULT_NONE;
        struct log_store *s = NULL;

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        assert_int_equal(setup_start_over(f.state_path, f.log_path, &fault), -EBUSY);
        log_store_close(s);
        assert_int_equal(unlinkat(f.log_dir, AUDIT_FILE_NAME, 0), 0);
        file_put(f.log_dir, "audit.log.000001", VIEW("left over\n"));
        assert_int_equal(setup_start_over(f.state_path, f.log_path, &fault), 0);
        fresh = f;
        fresh.writer_dir = open_beneath(f.state_dir, AUDIT_WRITER_DIR_NAME, O_RDONLY | O_DIRECTORY, 0);
        log_store_close(log_fixture_open(&fresh));
        assert_ok(&fresh);
        assert_int_equal(faccessat(f.log_dir, "set-aside-1/audit.log.000001", F_OK, 0), 0);
        assert_int_equal(faccessat(f.state_dir, "set-aside-1/verify.key", F_OK, 0), 0);
        close_fd(fresh.writer_dir);
        log_fixture_done(&f);
}

/* Child: appends for ever, one or several records a batch, and tells the parent what was acknowledged. */
static void append_until_killed(const struct log_fixture *f, int out) {
        struct log_store *s = NULL;
        struct fault fault = FAULT_NONE;
        unsigned batch = 1;

        if (log_fixture_try_open(f, &s, &fault) < 0)
                _exit(9);
        for (;;) {
                uint64_t sequence;

                log_fixture_append(s, batch);
                batch = batch % 5 + 1;
                sequence = log_store_end(s).sequence;
                if (write(out, &sequence, sizeof sequence) != sizeof sequence)
                        _exit(8);
        }
}

/* Kills a writer after `acks` acknowledgements; returns the highest sequence that was acknowledged. */
static uint64_t kill_one_writer(const struct log_fixture *f, unsigned acks) {
        uint64_t sequence = 0, highest = 0;
        int p[2], status;
        pid_t pid;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                close(p[0]);
                append_until_killed(f, p[1]);
        }
        close(p[1]);
        for (unsigned i = 0; i < acks; i++) {
                assert_int_equal(read(p[0], &sequence, sizeof sequence), sizeof sequence);
                highest = sequence;
        }
        kill(pid, SIGKILL);
        while (read(p[0], &sequence, sizeof sequence) == sizeof sequence)
                highest = sequence;
        close(p[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        return highest;
}

static void test_killing_the_writer_loses_no_acknowledged_record(void **state) {
        struct log_fixture f;
        struct log_store *s;

        log_fixture_make(&f);
        f.rotate_bytes = 16384;
        f.checkpoint_each = 9;
        log_store_close(log_fixture_open(&f));
        for (unsigned i = 0; i < KILLS; i++) {
                uint64_t acknowledged = kill_one_writer(&f, i % 4);
                struct audit_report p = log_fixture_verify(&f);

                if (!p.ok)
                        fail_msg("kill %u: %s %s:%llu %s", i, p.code, p.file, (unsigned long long)p.line,
                                 p.text);
                assert_true(p.records >= acknowledged);
        }
        s = log_fixture_open(&f);
        log_store_close(s);
        assert_ok(&f);
        log_fixture_done(&f);
}

static uint64_t size_of_log(const struct log_fixture *f) {
        struct stat st;

        assert_int_equal(fstatat(f->log_dir, AUDIT_FILE_NAME, &st, 0), 0);
        return (uint64_t)st.st_size;
}

static int append_one(struct log_store *s) {
        static const struct audit_entry e = {
                .caller = VIEW_INIT("tester"), .event = VIEW_INIT("act"), .decision = VIEW_INIT("allow")};
        struct log_item item = {.entry = &e};

        log_store_commit(s, &item, 1);
        return item.result;
}

/* A limit on the file's size makes writes stop half-way, as a full disk does. */
static void test_a_write_that_stops_half_way_counts_for_nothing(void **state) {
        struct log_fixture f;
        struct log_store *s;
        struct rlimit before, small;

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        log_fixture_append(s, 30); /* past the size of the state file, which is under the limit too */
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        (void)sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        for (uint64_t room = 0; room < 300; room += 41) {
                uint64_t size = log_store_end(s).offset;

                small = (struct rlimit){.rlim_cur = size + room, .rlim_max = before.rlim_max};
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
                assert_int_equal(append_one(s), -ENOSPC);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
                assert_int_equal(size_of_log(&f), size);
                assert_int_equal(append_one(s), 0);
        }
        log_store_close(s);
        assert_ok(&f);
        assert_int_equal(log_fixture_verify(&f).records, 1 + 30 + 8 + 1);
        log_fixture_done(&f);
}

static bool put_text(const char *path, const char *text) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write_all(fd, text, strlen(text)) >= 0;
}

/* A mount namespace; for those who are not root inside a user namespace where they are. */
static bool enter_mount_namespace(void) {
        unsigned uid = geteuid(), gid = getegid();
        char uids[32], gids[32];

        if (uid == 0)
                return unshare(CLONE_NEWNS) >= 0;
        (void)snprintf(uids, sizeof uids, "0 %u 1", uid);
        (void)snprintf(gids, sizeof gids, "0 %u 1", gid);
        return unshare(CLONE_NEWUSER | CLONE_NEWNS) >= 0 && put_text("/proc/self/setgroups", "deny") &&
               put_text("/proc/self/uid_map", uids) && put_text("/proc/self/gid_map", gids);
}

/* In a mount namespace of its own: 0 fine, 77 the kernel forbids it, other: line that failed. */
static int fill_small_disk(void) {
        struct log_fixture f = {.rotate_bytes = AUDIT_ROTATE_BYTES, .checkpoint_each = 16};
        struct fault fault = FAULT_NONE;
        struct log_store *s = NULL;
        struct audit_report report;
        uint64_t refused_at;
        int r = 0;

        if (!enter_mount_namespace() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/tmp", "tmpfs", 0, "size=256k") < 0)
                return 77;
        if (setup_make_keys("/tmp/state", "/tmp/log", &fault) < 0)
                return 1;
        f.state_dir = open_dir("/tmp/state");
        f.log_dir = open_dir("/tmp/log");
        f.writer_dir = open_dir("/tmp/state/writer");
        if (log_fixture_try_open(&f, &s, &fault) < 0)
                return 2;
        for (unsigned i = 0; i < 4000 && r == 0; i++)
                r = append_one(s);
        if (r != -ENOSPC)
                return 3;
        refused_at = log_store_end(s).sequence;
        if (append_one(s) != -ENOSPC || log_store_end(s).sequence != refused_at)
                return 4;
        if (audit_verify(f.log_dir, f.state_dir, &report) < 0 || !report.ok || report.records != refused_at)
                return 5;
        if (mount("none", "/tmp", NULL, MS_REMOUNT, "size=1m") < 0)
                return 77;
        for (unsigned i = 0; i < 40; i++)
                if (append_one(s) < 0)
                        return 6;
        log_store_close(s);
        return audit_verify(f.log_dir, f.state_dir, &report) < 0 || !report.ok ||
                               report.records < refused_at + 40
                       ? 7
                       : 0;
}

static void test_a_full_disk_refuses_and_recovers_when_there_is_room(void **state) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(fill_small_disk());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
                print_message("SKIPPED: this machine lets nobody mount a small file system\n");
                skip();
        }
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* In a child: 0, or the number of the step that was not as it must be. */
static int try_what_the_sandbox_forbids(const struct log_fixture *f) {
        char writer_path[128];
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;

        (void)snprintf(writer_path, sizeof writer_path, "%s/writer", f->state_path);
        if (audit_sandbox_enter(writer_path, f->log_path, &report, &fault) < 0)
                return 1;
        if (open_beneath(f->state_dir, AUDIT_VERIFY_KEY_NAME, O_RDONLY, 0) != -EACCES)
                return 2;
        if (open_beneath(f->state_dir, AUDIT_REMEMBERED_NAME, O_WRONLY | O_CREAT, 0600) != -EACCES)
                return 3;
        if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ||
            (!SANDBOX_SANITIZER && (socket(AF_INET, SOCK_STREAM, 0) >= 0 || fork() >= 0)))
                return 4;
        if (open_beneath(f->log_dir, AUDIT_FILE_NAME, O_RDWR, 0) < 0 ||
            replace_file(f->log_dir, AUDIT_HEAD_NAME, VIEW("{}"), 0600) < 0)
                return 5;
        return 0;
}

static void test_the_sandbox_keeps_the_verification_key_out_of_reach(void **state) {
        struct log_fixture f;
        int status;
        pid_t pid;

        log_fixture_make(&f);
        pid = fork();
        if (pid == 0)
                _exit(try_what_the_sandbox_forbids(&f));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        log_fixture_done(&f);
}

static void test_a_record_too_large_is_refused_alone(void **state) {
        static char large[AUDIT_LINE_MAX];
        struct log_fixture f;
        struct log_store *s;
        struct audit_entry good = {.caller = VIEW("t"), .event = VIEW("act"), .decision = VIEW("allow")},
                           bad = good;
        struct log_item items[3] = {{.entry = &good}, {.entry = &bad}, {.entry = &good}};

        memset(large, 'a', sizeof large);
        bad.subject = view_make(large, sizeof large);
        log_fixture_make(&f);
        s = log_fixture_open(&f);
        log_store_commit(s, items, 3);
        assert_int_equal(items[0].result, 0);
        assert_int_equal(items[1].result, -EFBIG);
        assert_int_equal(items[2].result, 0);
        assert_int_equal(items[2].sequence, items[0].sequence + 1);
        log_store_close(s);
        assert_ok(&f);
        log_fixture_done(&f);
}

static uint64_t count_records(struct view list, uint64_t first) {
        struct view rest = list;
        uint64_t n = 0;

        while (rest.n) {
                char want[40];
                size_t end;

                (void)snprintf(want, sizeof want, "{\"sequence\":%llu,", (unsigned long long)(first + n));
                assert_true(view_starts(rest, view_of(want)));
                end = view_find(rest, VIEW("\"},{\"sequence\""));
                rest = end == SIZE_MAX ? VIEW_NULL : view_sub(rest, end + 3, SIZE_MAX);
                n++;
        }
        return n;
}

static void test_records_are_found_by_sequence_across_files(void **state) {
        struct log_fixture f;
        struct log_store *s;
        struct log_end end;

        log_fixture_make(&f);
        f.rotate_bytes = 150000; /* larger than the reader's window */
        s = log_fixture_open(&f);
        log_fixture_append(s, 2000);
        end = log_store_end(s);
        assert_true(end.rotated >= 3);
        for (uint64_t after = 0; after <= end.sequence; after += 61) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT((size_t)1 << 20);

                assert_int_equal(records_read(f.log_dir, &end, after, 10, &out), 0);
                assert_int_equal(count_records(buf_view(&out), after + 1), MIN_OF(10, end.sequence - after));
        }
        log_store_close(s);
        log_fixture_done(&f);
}

static void test_reading_stops_at_whole_records_and_never_past_the_end(void **state) {
        struct log_fixture f;
        struct log_store *s;
        struct log_end end;
        struct buf out = BUF_INIT(2000);

        log_fixture_make(&f);
        s = log_fixture_open(&f);
        log_fixture_append(s, 20);
        end = log_store_end(s);
        log_fixture_append(s, 20);
        assert_int_equal(records_read(f.log_dir, &end, 0, 1000, &out), 0);
        assert_true(out.n < 2000 && count_records(buf_view(&out), 1) >= 2);
        buf_clear(&out);
        assert_int_equal(records_read(f.log_dir, &end, end.sequence, 1000, &out), 0);
        assert_int_equal(out.n, 0);
        assert_int_equal(records_read(f.log_dir, &end, end.sequence - 1, 1000, &out), 0);
        assert_int_equal(count_records(buf_view(&out), end.sequence), 1);
        buf_done(&out);
        log_store_close(s);
        log_fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_new_log_opens_records_and_verifies),
                cmocka_unit_test(test_making_keys_twice_changes_nothing),
                cmocka_unit_test(test_keys_are_not_made_for_a_log_whose_state_is_gone),
                cmocka_unit_test(test_a_second_writer_is_refused),
                cmocka_unit_test(test_rotation_keeps_the_chain),
                cmocka_unit_test(test_a_rotation_cut_by_a_crash_is_finished),
                cmocka_unit_test(test_a_batch_ahead_of_the_state_is_taken_over_at_any_cut),
                cmocka_unit_test(test_what_a_recovery_cut_off_is_recorded_with_its_digest),
                cmocka_unit_test(test_a_log_that_does_not_fit_the_state_is_not_opened),
                cmocka_unit_test(test_starting_over_keeps_the_broken_log_aside),
                cmocka_unit_test(test_killing_the_writer_loses_no_acknowledged_record),
                cmocka_unit_test(test_a_write_that_stops_half_way_counts_for_nothing),
                cmocka_unit_test(test_a_full_disk_refuses_and_recovers_when_there_is_room),
                cmocka_unit_test(test_the_sandbox_keeps_the_verification_key_out_of_reach),
                cmocka_unit_test(test_a_record_too_large_is_refused_alone),
                cmocka_unit_test(test_records_are_found_by_sequence_across_files),
                cmocka_unit_test(test_reading_stops_at_whole_records_and_never_past_the_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
