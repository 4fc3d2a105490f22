/* file, secret */
#include "support/cm.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/secret.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"

static void write_file(int dir_fd, const char *name, const char *text) {
        _cleanup_(closep) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static unsigned count_entries(const char *path) {
        unsigned n = 0;
        struct dirent *entry;
        DIR *dir = opendir(path);

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
        closedir(dir);
        return n;
}

/* A tree with everything that could lead out of it: inside/ is the folder that is given. */
static int make_escape_tree(struct temp_dir *dir) {
        int inside;

        write_file(dir->fd, "outside", "secret");
        assert_int_equal(mkdirat(dir->fd, "inside", 0700), 0);
        inside = openat(dir->fd, "inside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(inside >= 0);
        write_file(inside, "file", "fine");
        assert_int_equal(mkdirat(inside, "sub", 0700), 0);
        write_file(inside, "sub/deep", "fine");
        assert_int_equal(symlinkat("file", inside, "link"), 0);
        assert_int_equal(symlinkat("../outside", inside, "link_out"), 0);
        assert_int_equal(symlinkat("/etc/passwd", inside, "link_absolute"), 0);
        assert_int_equal(symlinkat("/proc/self/fd/0", inside, "link_magic"), 0);
        assert_int_equal(symlinkat("..", inside, "up"), 0);
        return inside;
}

static void test_open_beneath_neither_follows_links_nor_leaves(void **state) {
        static const struct {
                const char *path;
                int result; /* 0: opens */
        } table[] = {
                {"file", 0},
                {"sub/deep", 0},
                {"sub/../file", 0},
                {"./file", 0},
                {"../outside", -EXDEV},
                {"sub/../../outside", -EXDEV},
                {"/etc/passwd", -EXDEV},
                {"link", -ELOOP},
                {"link_out", -ELOOP},
                {"link_absolute", -ELOOP},
                {"link_magic", -ELOOP},
                {"up/outside", -ELOOP},
                {"up/inside/file", -ELOOP},
                {"absent", -ENOENT},
                {"file/x", -ENOTDIR},
                {"", -ENOENT},
        };
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int inside = make_escape_tree(&dir);

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(closep) int fd = open_beneath(inside, table[i].path, O_RDONLY, 0);

                if (table[i].result < 0)
                        assert_int_equal(fd, table[i].result);
                else {
                        assert_true(fd >= 0);
                        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
                }
        }
        assert_int_equal(open_beneath(inside, "link_out", O_WRONLY | O_CREAT, 0600), -ELOOP);
        assert_int_equal(open_beneath(inside, "../new", O_WRONLY | O_CREAT, 0600), -EXDEV);
        assert_int_equal(faccessat(dir.fd, "new", F_OK, 0), -1);
}

static void test_reading_a_file_beneath_refuses_pipes_and_folders(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);

        assert_int_equal(mkfifoat(dir.fd, "pipe", 0600), 0);
        assert_int_equal(read_file_beneath(dir.fd, "pipe", 100, &text),
                         -EBADFD); /* and does not wait for a writer */
        assert_int_equal(mkdirat(dir.fd, "folder", 0700), 0);
        assert_int_equal(read_file_beneath(dir.fd, "folder", 100, &text), -EBADFD);
        write_file(dir.fd, "file", "12345");
        assert_int_equal(read_file_beneath(dir.fd, "file", 4, &text), -EFBIG);
        assert_int_equal(read_file_beneath(dir.fd, "file", 5, &text), 0);
        assert_string_equal(text.p, "12345");
}

static void test_file_names_that_are_paths_are_not_safe(void **state) {
        char longest[256];

        memset(longest, 'x', sizeof longest);
        assert_true(file_name_is_safe(view_make(longest, 255)));
        assert_false(file_name_is_safe(view_make(longest, 256)));
        assert_true(file_name_is_safe(VIEW("...")));
        assert_true(file_name_is_safe(VIEW("a b")));
        assert_false(file_name_is_safe(VIEW("")));
        assert_false(file_name_is_safe(VIEW(".")));
        assert_false(file_name_is_safe(VIEW("..")));
        assert_false(file_name_is_safe(VIEW("a/b")));
        assert_false(file_name_is_safe(VIEW("a\0b")));
}

static void test_make_path_makes_all_parents(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf path = BUF_INIT(4096);
        struct stat st;

        assert_int_equal(buf_printf(&path, "%s/a/b/c", dir.path), 0);
        assert_int_equal(make_path(path.p, 0700), 0);
        assert_int_equal(make_path(path.p, 0700), 0);
        assert_int_equal(stat(path.p, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        write_file(dir.fd, "file", "x");
        buf_clear(&path);
        assert_int_equal(buf_printf(&path, "%s/file/b", dir.path), 0);
        assert_int_equal(make_path(path.p, 0700), -ENOTDIR);
}

static void test_open_or_make_dir_takes_one_component(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fd = open_or_make_dir(dir.fd, "new", 0700);

        assert_true(fd >= 0);
        assert_int_equal(open_or_make_dir(dir.fd, "../x", 0700), -EINVAL);
        assert_int_equal(open_or_make_dir(dir.fd, "a/b", 0700), -EINVAL);
        assert_int_equal(symlinkat("/tmp", dir.fd, "link"), 0);
        assert_int_equal(open_or_make_dir(dir.fd, "link", 0700), -ELOOP);
}

static void test_whole_transfers_survive_one_byte_at_a_time(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fd = openat(dir.fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char text[10];
        int written, got;

        fault_inject_trickle(true);
        written = write_all(fd, "0123456789", 10);
        got = pread_all(fd, text, 5, 5);
        (void)fault_inject_disarm();
        assert_int_equal(written, 0);
        assert_int_equal(got, 0);
        assert_memory_equal(text, "56789", 5);
        assert_int_equal(pread_all(fd, text, 6, 5), -EIO);
        assert_int_equal(pread_all(fd, text, 6, UINT64_MAX), -EOVERFLOW);
}

static void test_replace_file_sets_mode_whatever_the_umask(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        mode_t old = umask(0777);
        struct stat st;
        int r = replace_file(dir.fd, "f", VIEW("text"), 0640);

        umask(old);
        assert_int_equal(r, 0);
        assert_int_equal(fstatat(dir.fd, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(replace_file(dir.fd, "../f", VIEW("x"), 0600), -EINVAL);
}

static void test_replace_file_replaces_a_link_not_its_target(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf target = BUF_INIT(0);
        struct stat st;

        write_file(dir.fd, "target", "kept");
        assert_int_equal(symlinkat("target", dir.fd, "f"), 0);
        assert_int_equal(replace_file(dir.fd, "f", VIEW("new"), 0600), 0);
        assert_int_equal(fstatat(dir.fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(read_file_beneath(dir.fd, "target", 100, &target), 0);
        assert_string_equal(target.p, "kept");
}

static int replace_for_walk(void *userdata) {
        struct temp_dir *dir = userdata;

        return replace_file(dir->fd, "f", VIEW("the new content"), 0600);
}

/* Whatever fails: the old content or the new, nothing between, and no file left lying about. */
static void check_replaced(int result, void *userdata) {
        struct temp_dir *dir = userdata;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);

        assert_int_equal(read_file_beneath(dir->fd, "f", 100, &text), 0);
        if (result == 0)
                assert_string_equal(text.p, "the new content");
        else
                assert_true(view_eq(buf_view(&text), VIEW("old")) ||
                            view_eq(buf_view(&text), VIEW("the new content")));
        assert_int_equal(count_entries(dir->path), 1);
        write_file(dir->fd, "f", "old");
}

static void test_replace_file_is_atomic_at_every_failure(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();

        write_file(dir.fd, "f", "old");
        /* chmod, write, fsync of the file, rename, fsync of the folder */
        assert_int_equal(fault_inject_walk(FAULT_ALL, replace_for_walk, check_replaced, &dir), 5);
}

static void test_secret_is_zeroed_copied_and_gone(void **state) {
        struct secret s = SECRET_INIT, copy = SECRET_INIT;

        assert_int_equal(secret_new(5000, &s), 0);
        assert_int_equal(s.n, 5000);
        for (size_t i = 0; i < s.n; i++)
                assert_int_equal(s.p[i], 0);
        memcpy(s.p, "key", 3);
        assert_int_equal(secret_copy(secret_view(&s), &copy), 0);
        assert_true(view_eq(secret_view(&s), secret_view(&copy)));
        secret_done(&s);
        assert_null(s.p);
        assert_int_equal(s.n, 0);
        secret_done(&s);
        secret_done(&copy);
        assert_int_equal(secret_new(0, &s), -EINVAL);
        assert_int_equal(secret_new(SIZE_MAX, &s), -EINVAL);
}

/* A child gets zeros in place of the secret: MADV_WIPEONFORK. */
static void test_secret_does_not_reach_children(void **state) {
        struct secret s = SECRET_INIT;
        int status;
        pid_t pid;

        assert_int_equal(secret_copy(VIEW("key"), &s), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(s.p[0] == 0 && s.p[1] == 0 && s.p[2] == 0 ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_memory_equal(s.p, "key", 3);
        secret_done(&s);
}

/* VmFlags of the mapping: "dd" is excluded from core dumps. */
static void test_secret_is_excluded_from_core_dumps(void **state) {
        struct secret s = SECRET_INIT;
        char line[512], start[32];
        bool in_mapping = false, excluded = false;
        FILE *maps;

        assert_int_equal(secret_random(32, &s), 0);
        (void)snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)s.p);
        maps = fopen("/proc/self/smaps", "re");
        assert_non_null(maps);
        while (fgets(line, sizeof line, maps)) {
                if (strncmp(line, "VmFlags:", 8) == 0 && in_mapping) {
                        excluded = strstr(line, " dd ") != NULL;
                        break;
                }
                in_mapping = in_mapping || strncmp(line, start, strlen(start)) == 0;
        }
        (void)fclose(maps);
        secret_done(&s);
        assert_true(in_mapping && excluded);
}

static void test_random_bytes_differ(void **state) {
        char a[32] = {0}, b[32] = {0};

        assert_int_equal(random_bytes(a, sizeof a), 0);
        assert_int_equal(random_bytes(b, sizeof b), 0);
        assert_memory_not_equal(a, b, sizeof a);
        wipe(a, sizeof a);
        for (size_t i = 0; i < sizeof a; i++)
                assert_int_equal(a[i], 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open_beneath_neither_follows_links_nor_leaves),
                cmocka_unit_test(test_reading_a_file_beneath_refuses_pipes_and_folders),
                cmocka_unit_test(test_file_names_that_are_paths_are_not_safe),
                cmocka_unit_test(test_make_path_makes_all_parents),
                cmocka_unit_test(test_open_or_make_dir_takes_one_component),
                cmocka_unit_test(test_whole_transfers_survive_one_byte_at_a_time),
                cmocka_unit_test(test_replace_file_sets_mode_whatever_the_umask),
                cmocka_unit_test(test_replace_file_replaces_a_link_not_its_target),
                cmocka_unit_test(test_replace_file_is_atomic_at_every_failure),
                cmocka_unit_test(test_secret_is_zeroed_copied_and_gone),
                cmocka_unit_test(test_secret_does_not_reach_children),
                cmocka_unit_test(test_secret_is_excluded_from_core_dumps),
                cmocka_unit_test(test_random_bytes_differ),
        };

        return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
