#include "securectl/lock.h"

#include <fcntl.h>

#include "base/file.h"

#define LOCK_NAME "supervisor.pid"

static int ask(int fd, pid_t *ret_holder) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (fcntl(fd, F_GETLK, &l) < 0)
                return negative_errno();
        *ret_holder = l.l_type == F_UNLCK ? 0 : l.l_pid;
        return 0;
}

static int write_pid(int fd) {
        char text[32];
        int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

        if (ftruncate(fd, 0) < 0)
                return negative_errno();
        return write_all(fd, text, (size_t)n);
}

int lock_take(int state_root_fd, pid_t *ret_holder) {
        _cleanup_(closep) int fd = open_beneath(state_root_fd, LOCK_NAME, O_RDWR | O_CREAT, 0600);
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int r;

        if (fd < 0)
                return fd;
        if (fcntl(fd, F_SETLK, &l) < 0) {
                r = errno == EACCES || errno == EAGAIN ? -EBUSY : negative_errno();
                if (r == -EBUSY && ask(fd, ret_holder) < 0)
                        *ret_holder = 0;
                return r;
        }
        r = write_pid(fd);
        return r < 0 ? r : TAKE_FD(fd);
}

int lock_holder(int state_root_fd, pid_t *ret_holder) {
        _cleanup_(closep) int fd = open_beneath(state_root_fd, LOCK_NAME, O_RDWR, 0);

        if (fd == -ENOENT) {
                *ret_holder = 0;
                return 0;
        }
        return fd < 0 ? fd : ask(fd, ret_holder);
}
