#include "quarantine/ring.h"

#include "base/num.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int ring_new(unsigned slots, size_t slot_bytes, struct ring *ret) {
        _cleanup_(closep) int fd = -EBADF;
        size_t n;
        void *p;

        if (size_mul(slots, slot_bytes, &n) < 0 || n == 0)
                return -EINVAL;
        fd = memfd_create("scan-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return negative_errno();
        if (ftruncate(fd, (off_t)n) < 0)
                return negative_errno();
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
                int r = negative_errno();

                (void)munmap(p, n);
                return r;
        }
        *ret = (struct ring){.fd = TAKE_FD(fd), .p = p, .slot_bytes = slot_bytes, .slots = slots};
        return 0;
}

void ring_done(struct ring *r) {
        if (r->p)
                (void)munmap(r->p, r->slots * r->slot_bytes);
        close_fd(r->fd);
        *r = RING_INIT;
}

/* One reservation for both mappings: a slot's worth of addresses in front for the copy of the last slot. */
int ring_view_map(int fd, unsigned slots, size_t slot_bytes, struct ring_view *ret) {
        size_t n, all;
        struct stat st;
        unsigned char *base;

        if (size_mul(slots, slot_bytes, &n) < 0 || n == 0 || size_add(n, slot_bytes, &all) < 0)
                return -EINVAL;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size < 0 || (uint64_t)st.st_size != n)
                return -EPROTO;
        base = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED)
                return negative_errno();
        if (mmap(base, slot_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)(n - slot_bytes)) ==
                    MAP_FAILED ||
            mmap(base + slot_bytes, n, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
                int r = negative_errno();

                (void)munmap(base, all);
                return r;
        }
        *ret = (struct ring_view){.p = base + slot_bytes, .slot_bytes = slot_bytes, .slots = slots};
        return 0;
}

void ring_view_done(struct ring_view *v) {
        if (v->p)
                (void)munmap((void *)(uintptr_t)(v->p - v->slot_bytes), (v->slots + 1) * v->slot_bytes);
        *v = (struct ring_view){0};
}
