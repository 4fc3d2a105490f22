#include "base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int open_beneath(int dir_fd, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOCTTY),
                .mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };

        for (int tries = 0; tries < 16; tries++) {
                long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);

                if (fd >= 0)
                        return (int)fd;
                /* EAGAIN: the kernel saw a rename while it resolved ".."; bounded retries */
                if (errno != EINTR && errno != EAGAIN)
                        return negative_errno();
        }
        return -EAGAIN;
}

int open_dir(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? negative_errno() : fd;
}

int open_or_make_dir(int dir_fd, const char *name, mode_t mode) {
        if (!file_name_is_safe(view_of(name)))
                return -EINVAL;
        if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
                return negative_errno();
        return open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

int make_path(const char *path, mode_t mode) {
        _cleanup_(freep) char *copy = view_dup(view_of(path));

        if (!copy)
                return -ENOMEM;
        for (char *p = copy + (copy[0] == '/'); *p; p++)
                if (*p == '/') {
                        *p = '\0';
                        if (mkdir(copy, mode) < 0 && errno != EEXIST)
                                return negative_errno();
                        *p = '/';
                }
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
                return negative_errno();
        return 0;
}

int write_all(int fd, const void *p, size_t n) {
        const char *at = p;

        while (n > 0) {
                ssize_t put = write(fd, at, n);

                if (put < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                if (put == 0)
                        return -EIO;
                at += put;
                n -= (size_t)put;
        }
        return 0;
}

int pread_all(int fd, void *p, size_t n, uint64_t at) {
        char *out = p;

        if (at > INT64_MAX || n > INT64_MAX - at)
                return -EOVERFLOW;
        while (n > 0) {
                ssize_t got = pread(fd, out, n, (off_t)at);

                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                if (got == 0)
                        return -EIO;
                out += got;
                at += (uint64_t)got;
                n -= (size_t)got;
        }
        return 0;
}

int fsync_dir(int dir_fd) {
        return fsync(dir_fd) < 0 ? negative_errno() : 0;
}

static int write_new_file(int dir_fd, const char *name, struct view content, mode_t mode) {
        _cleanup_(closep) int fd = open_beneath(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
        int r;

        if (fd < 0)
                return fd;
        if (fchmod(fd, mode) < 0) /* the umask must not decide about secrets or shared files */
                return negative_errno();
        r = write_all(fd, content.p, content.n);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? negative_errno() : 0;
}

int replace_file(int dir_fd, const char *name, struct view content, mode_t mode) {
        static _Atomic unsigned counter;
        char temporary[64];
        int r;

        if (!file_name_is_safe(view_of(name)))
                return -EINVAL;
        (void)snprintf(temporary, sizeof temporary, ".new-%ld-%u", (long)getpid(),
                       atomic_fetch_add(&counter, 1));
        (void)unlinkat(dir_fd, temporary, 0); /* left by a process of the same number that died */
        r = write_new_file(dir_fd, temporary, content, mode);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = negative_errno();
        if (r < 0) {
                (void)unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return fsync_dir(dir_fd);
}

static int read_whole(int fd, size_t max, struct buf *ret_content) {
        _cleanup_(buf_donep) struct buf content = BUF_INIT(max);
        int r = buf_read_file(&content, fd);

        if (r < 0)
                return r;
        *ret_content = TAKE_BUF(content);
        return 0;
}

int read_file_beneath(int dir_fd, const char *name, size_t max, struct buf *ret_content) {
        _cleanup_(closep) int fd = open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK, 0);

        return fd < 0 ? fd : read_whole(fd, max, ret_content);
}

int read_file(const char *path, size_t max, struct buf *ret_content) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        return fd < 0 ? negative_errno() : read_whole(fd, max, ret_content);
}

bool file_name_is_safe(struct view name) {
        return name.n > 0 && name.n <= 255 && view_find_char(name, '/') == SIZE_MAX &&
               view_find_char(name, '\0') == SIZE_MAX && !view_eq(name, VIEW(".")) &&
               !view_eq(name, VIEW(".."));
}
