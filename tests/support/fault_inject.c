#include "support/fault_inject.h"

#include <fcntl.h>
#include <sys/stat.h>

#define WALK_MAX 10000

static unsigned armed_kinds, calls_left;
static bool fired, trickling, interrupt_next;

void fault_inject_arm(unsigned kinds, unsigned n) {
        armed_kinds = kinds;
        calls_left = n;
        fired = false;
}

void fault_inject_trickle(bool on) {
        trickling = on;
        interrupt_next = true;
}

bool fault_inject_disarm(void) {
        armed_kinds = 0;
        trickling = false;
        return fired;
}

unsigned fault_inject_walk(unsigned kinds, int (*operation)(void *), void (*check)(int result, void *),
                           void *userdata) {
        for (unsigned n = 1; n <= WALK_MAX; n++) {
                int result;

                fault_inject_arm(kinds, n);
                result = operation(userdata);
                if (!fault_inject_disarm()) {
                        check(result, userdata);
                        return n - 1;
                }
                check(result, userdata);
        }
        abort(); /* the operation never ends */
}

static bool fails(enum fault_kind kind, int error) {
        if (!(armed_kinds & kind) || calls_left == 0 || --calls_left > 0)
                return false;
        fired = true;
        errno = error;
        return true;
}

/* For trickling: true when this call is to be interrupted; else *n becomes at most one byte. */
static bool is_interrupted(size_t *n) {
        if (!trickling)
                return false;
        interrupt_next = !interrupt_next;
        if (!interrupt_next) {
                errno = EINTR;
                return true;
        }
        *n = MIN_OF(*n, (size_t)1);
        return false;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
        return fails(FAULT_ALLOCATION, ENOMEM) ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n) {
        return fails(FAULT_ALLOCATION, ENOMEM) ? NULL : __real_calloc(count, n);
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) {
        return fails(FAULT_ALLOCATION, ENOMEM) ? NULL : __real_realloc(p, n);
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n) {
        return fails(FAULT_READ, EIO) || is_interrupted(&n) ? -1 : __real_read(fd, p, n);
}

ssize_t __real_pread64(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at) {
        return fails(FAULT_READ, EIO) || is_interrupted(&n) ? -1 : __real_pread64(fd, p, n, at);
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
        return fails(FAULT_WRITE, ENOSPC) || is_interrupted(&n) ? -1 : __real_write(fd, p, n);
}

ssize_t __real_pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t at) {
        return fails(FAULT_WRITE, ENOSPC) || is_interrupted(&n) ? -1 : __real_pwrite64(fd, p, n, at);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
        return fails(FAULT_FSYNC, EIO) ? -1 : __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd) {
        return fails(FAULT_FSYNC, EIO) ? -1 : __real_fdatasync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
        return fails(FAULT_RENAME, ENOSPC) ? -1 : __real_rename(from, to);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to) {
        return fails(FAULT_RENAME, ENOSPC) ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode) {
        return fails(FAULT_CHMOD, EPERM) ? -1 : __real_fchmod(fd, mode);
}
