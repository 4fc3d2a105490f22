#include "audit/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "audit/limits.h"
#include "base/file.h"

#define RESERVE_NAME "reserve"

void reserve_open(struct reserve *r, int writer_dir) {
        struct stat st;

        *r = RESERVE_NONE;
        r->fd = open_beneath(writer_dir, RESERVE_NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
        if (r->fd < 0)
                return;
        r->whole = fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode) &&
                   st.st_size == (off_t)AUDIT_RESERVE_BYTES && st.st_blocks > 0;
        reserve_restore(r);
}

void reserve_close(struct reserve *r) {
        r->fd = close_fd(r->fd);
        r->whole = false;
}

bool reserve_release(struct reserve *r) {
        struct stat st;

        if (r->fd < 0 || fstat(r->fd, &st) < 0 || st.st_size == 0)
                return false;
        r->whole = false;
        return ftruncate(r->fd, 0) == 0;
}

static bool is_roomy(int fd) {
        struct statvfs s;

        return fstatvfs(fd, &s) == 0 && s.f_bavail > 0 &&
               s.f_bavail >= AUDIT_RESERVE_SPARE / MAX_OF((uint64_t)s.f_frsize, (uint64_t)1);
}

void reserve_restore(struct reserve *r) {
        static const char zeros[65536];
        int failed = 0;

        if (r->fd < 0 || r->whole || !is_roomy(r->fd) || lseek(r->fd, 0, SEEK_SET) < 0)
                return;
        for (uint64_t n = 0; n < AUDIT_RESERVE_BYTES && failed >= 0; n += sizeof zeros)
                failed = write_all(r->fd, zeros, sizeof zeros);
        r->whole = failed >= 0;
        if (failed < 0)
                (void)reserve_release(r);
}
