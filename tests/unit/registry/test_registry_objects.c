#include "support/cm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "core/sandbox_parts.h"
#include "registry/admission.h"
#include "registry/objects.h"
#include "registry/sandbox.h"
#include "support/temp_dir.h"

struct store {
        struct temp_dir temp;
        int state, inbox;
        struct objects *objects;
};

static struct store store_make(void) {
        struct store s = {.temp = temp_dir_new()};

        s.state = open_or_make_dir(s.temp.fd, "state", 0700);
        s.inbox = open_or_make_dir(s.temp.fd, "inbox", 0700);
        assert_true(s.state >= 0 && s.inbox >= 0);
        assert_int_equal(objects_open_store(s.state, &s.objects), 0);
        return s;
}

static void store_done(struct store *s) {
        objects_free(s->objects);
        close_fd(s->state);
        close_fd(s->inbox);
        temp_dir_done(&s->temp);
}

static int file_with(struct store *s, const char *name, struct view content, int flags) {
        int fd;

        assert_int_equal(replace_file(s->inbox, name, content, 0600), 0);
        fd = open_beneath(s->inbox, name, flags, 0);
        assert_true(fd >= 0);
        return fd;
}

static struct sha256 digest_of(struct view v) {
        struct sha256 d;

        assert_int_equal(sha256_of(v, &d), 0);
        return d;
}

static ino_t inode_of(int fd) {
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

static void test_our_own_file_is_linked_not_copied(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY), kept = -EBADF;
        struct stat st;

        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0);
        kept = objects_open(s.objects, &d);
        assert_true(kept >= 0);
        assert_int_equal(fstat(kept, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0400);
        assert_int_equal(inode_of(kept), inode_of(fd));
        assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);
        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0); /* again */
        assert_int_equal(objects_remove(s.objects, &d), 0);
        assert_int_equal(objects_remove(s.objects, &d), 0);
        assert_int_equal(objects_open(s.objects, &d), -ENOENT);
        store_done(&s);
}

static void test_a_file_with_a_second_name_is_copied(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY), kept = -EBADF;

        assert_int_equal(linkat(s.inbox, "a", s.inbox, "b", 0), 0);
        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0);
        kept = objects_open(s.objects, &d);
        assert_true(kept >= 0);
        assert_true(inode_of(kept) != inode_of(fd));
        store_done(&s);
}

/* An unnamed file can't be linked by us once its links are gone: its content is taken over all the same. */
static void test_a_file_that_can_t_be_linked_is_copied(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY), kept = -EBADF;
        struct buf back = BUF_INIT(64);

        assert_int_equal(unlinkat(s.inbox, "a", 0), 0);
        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0);
        kept = objects_open(s.objects, &d);
        assert_true(kept >= 0);
        assert_true(inode_of(kept) != inode_of(fd));
        assert_int_equal(buf_read_file(&back, kept), 0);
        assert_string_equal(buf_str(&back), "content");
        buf_done(&back);
        store_done(&s);
}

static void test_what_is_not_as_stated_is_refused_and_leaves_nothing(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content")), other = digest_of(VIEW("other"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY);
        _cleanup_(closep) int writer = open_beneath(s.inbox, "a", O_WRONLY, 0);

        assert_int_equal(objects_admit(s.objects, fd, 7, &d), -ETXTBSY);
        assert_int_equal(objects_admit(s.objects, writer, 7, &d), -EBADFD);
        writer = close_fd(writer);
        assert_int_equal(objects_admit(s.objects, fd, 8, &d), -EMSGSIZE);
        assert_int_equal(objects_admit(s.objects, fd, 7, &other), -EBADMSG);
        assert_int_equal(objects_admit(s.objects, s.inbox, 7, &d), -EBADFD);
        assert_int_equal(unlinkat(s.inbox, "a", 0), 0);
        assert_int_equal(objects_admit(s.objects, fd, 7, &other), -EBADMSG); /* the copying way */
        assert_int_equal(objects_open(s.objects, &d), -ENOENT);
        assert_int_equal(objects_open(s.objects, &other), -ENOENT);
        {
                _cleanup_(closep) int incoming = open_beneath(s.state, "objects/incoming",
                                                              O_RDONLY | O_DIRECTORY, 0);
                struct stat st;

                assert_int_equal(fstat(incoming, &st), 0);
                assert_int_equal(fstatat(incoming, "in-0", &st, 0), -1);
        }
        store_done(&s);
}

static void test_a_damaged_object_is_replaced(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY), kept = -EBADF,
                              again = -EBADF;
        char byte = 0;

        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0);
        kept = objects_open(s.objects, &d);
        assert_int_equal(fchmod(kept, 0600), 0);
        {
                char path[64];
                _cleanup_(closep) int writer = -EBADF;

                (void)snprintf(path, sizeof path, "/proc/self/fd/%d", kept);
                writer = open(path, O_WRONLY | O_CLOEXEC);
                assert_int_equal(pwrite(writer, "X", 1, 0), 1);
        }
        again = file_with(&s, "b", VIEW("content"), O_RDONLY);
        assert_int_equal(objects_admit(s.objects, again, 7, &d), 0);
        kept = close_fd(kept);
        kept = objects_open(s.objects, &d);
        assert_int_equal(pread(kept, &byte, 1, 0), 1);
        assert_int_equal(byte, 'c');
        store_done(&s);
}

static int count_one(const struct sha256 *digest, void *userdata) {
        ++*(unsigned *)userdata;
        return 0;
}

static void test_half_written_copies_are_gone_after_a_start(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        _cleanup_(closep) int fd = file_with(&s, "a", VIEW("content"), O_RDONLY), incoming = -EBADF;
        unsigned n = 0;

        assert_int_equal(objects_admit(s.objects, fd, 7, &d), 0);
        incoming = open_beneath(s.state, "objects/incoming", O_RDONLY | O_DIRECTORY, 0);
        assert_int_equal(replace_file(incoming, "in-7", VIEW("half"), 0600), 0);
        objects_free(s.objects);
        s.objects = NULL;
        assert_int_equal(objects_open_store(s.state, &s.objects), 0);
        assert_int_equal(faccessat(incoming, "in-7", F_OK, 0), -1);
        assert_int_equal(objects_each(s.objects, count_one, &n), 0);
        assert_int_equal(n, 1);
        store_done(&s);
}

/* --- several at once --- */

static void test_many_files_are_admitted_side_by_side(void **state) {
        struct store s = store_make();
        struct admission *a = NULL;
        struct sha256 d[40];
        char text[16];

        assert_int_equal(admission_new(s.objects, &a), 0);
        assert_int_equal(admission_wait(a), 0); /* nothing */
        for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
                (void)snprintf(text, sizeof text, "content %u", i);
                d[i] = digest_of(view_of(text));
                assert_int_equal(
                        admission_put(a, file_with(&s, "a", view_of(text), O_RDONLY), strlen(text), &d[i]),
                        0);
        }
        assert_int_equal(admission_wait(a), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
                _cleanup_(closep) int kept = objects_open(s.objects, &d[i]);

                assert_true(kept >= 0);
        }
        admission_free(a);
        store_done(&s);
}

static void test_one_wrong_file_among_many_is_told_and_stays_so(void **state) {
        struct store s = store_make();
        struct sha256 good = digest_of(VIEW("good")), other = digest_of(VIEW("other"));
        struct admission *a = NULL;
        int r = 0;

        assert_int_equal(admission_new(s.objects, &a), 0);
        assert_int_equal(admission_put(a, file_with(&s, "a", VIEW("bad!"), O_RDONLY), 4, &good), 0);
        assert_int_equal(admission_wait(a), -EBADMSG);
        r = admission_put(a, file_with(&s, "b", VIEW("other"), O_RDONLY), 5, &other);
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(admission_wait(a), -EBADMSG);
        assert_int_equal(objects_open(s.objects, &good), -ENOENT);
        assert_int_equal(objects_open(s.objects, &other), -ENOENT);
        admission_free(a);
        store_done(&s);
}

static void test_an_admission_that_ends_early_leaves_no_descriptor(void **state) {
        struct store s = store_make();
        struct sha256 d = digest_of(VIEW("content"));
        int before = file_with(&s, "probe", VIEW("x"), O_RDONLY), after;

        close_fd(before);
        for (unsigned round = 0; round < 5; round++) {
                struct admission *a = NULL;

                assert_int_equal(admission_new(s.objects, &a), 0);
                for (unsigned i = 0; i < 6; i++)
                        assert_int_equal(
                                admission_put(a, file_with(&s, "a", VIEW("content"), O_RDONLY), 7, &d), 0);
                admission_free(a); /* without waiting */
        }
        after = file_with(&s, "probe", VIEW("x"), O_RDONLY);
        assert_int_equal(after, before); /* the lowest free number is the same */
        close_fd(after);
        store_done(&s);
}

/* In a child: 0, or the number of the step that was not as it must be. */
static int try_what_the_sandbox_forbids(struct store *s) {
        char state_path[128], claims[128];
        struct registry_paths paths = {.state = state_path, .config = "/etc", .claims = claims};
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        struct sha256 d = digest_of(VIEW("content"));
        int fd = file_with(s, "a", VIEW("content"), O_RDONLY);

        (void)snprintf(state_path, sizeof state_path, "%s/state", s->temp.path);
        (void)snprintf(claims, sizeof claims, "%s/claims", s->temp.path); /* is not there: optional */
        if (registry_sandbox_enter(&paths, &report, &fault) < 0)
                return 1;
        if (open_beneath(s->inbox, "a", O_RDONLY, 0) != -EACCES ||
            open("/usr/bin/env", O_RDONLY | O_CLOEXEC) >= 0)
                return 2;
        if (!SANDBOX_SANITIZER && (socket(AF_INET, SOCK_STREAM, 0) >= 0 || fork() >= 0))
                return 3;
        /* a descriptor that was passed in is taken in all the same */
        if (objects_admit(s->objects, fd, 7, &d) < 0)
                return 4;
        fd = objects_open(s->objects, &d);
        return fd < 0 ? 5 : 0;
}

/* The same, with the folder of claims allowed: 0 when the inode was linked. */
static int try_linking_in_the_sandbox(struct store *s) {
        char state_path[128], claims[128];
        struct registry_paths paths = {.state = state_path, .config = "/etc", .claims = claims};
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        struct sha256 d = digest_of(VIEW("content"));
        int fd = file_with(s, "a", VIEW("content"), O_RDONLY), kept;

        (void)snprintf(state_path, sizeof state_path, "%s/state", s->temp.path);
        (void)snprintf(claims, sizeof claims, "%s/inbox", s->temp.path);
        if (registry_sandbox_enter(&paths, &report, &fault) < 0)
                return 1;
        if (objects_admit(s->objects, fd, 7, &d) < 0)
                return 2;
        kept = objects_open(s->objects, &d);
        return kept < 0 || inode_of(kept) != inode_of(fd) ? 3 : 0;
}

static void test_claims_are_linked_from_within_the_sandbox(void **state) {
        struct store s = store_make();
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(try_linking_in_the_sandbox(&s));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        store_done(&s);
}

static void test_the_sandbox_leaves_the_store_and_nothing_else(void **state) {
        struct store s = store_make();
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(try_what_the_sandbox_forbids(&s));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        store_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_our_own_file_is_linked_not_copied),
                cmocka_unit_test(test_a_file_with_a_second_name_is_copied),
                cmocka_unit_test(test_a_file_that_can_t_be_linked_is_copied),
                cmocka_unit_test(test_claims_are_linked_from_within_the_sandbox),
                cmocka_unit_test(test_what_is_not_as_stated_is_refused_and_leaves_nothing),
                cmocka_unit_test(test_a_damaged_object_is_replaced),
                cmocka_unit_test(test_half_written_copies_are_gone_after_a_start),
                cmocka_unit_test(test_many_files_are_admitted_side_by_side),
                cmocka_unit_test(test_one_wrong_file_among_many_is_told_and_stays_so),
                cmocka_unit_test(test_an_admission_that_ends_early_leaves_no_descriptor),
                cmocka_unit_test(test_the_sandbox_leaves_the_store_and_nothing_else),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
