#include "base/secret.h"

#include <sys/mman.h>
#include <sys/random.h>

void wipe(void *p, size_t n) {
        if (n)
                explicit_bzero(p, n);
}

int random_bytes(void *p, size_t n) {
        char *at = p;

        while (n > 0) {
                ssize_t got = getrandom(at, n, 0);

                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                at += got;
                n -= (size_t)got;
        }
        return 0;
}

int secret_new(size_t n, struct secret *ret) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped;
        void *p;

        if (n == 0 || n > SIZE_MAX - page)
                return -EINVAL;
        mapped = (n + page - 1) / page * page;
        p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return -ENOMEM;
        if (madvise(p, mapped, MADV_DONTDUMP) < 0) {
                int r = negative_errno();
                munmap(p, mapped);
                return r;
        }
        (void)madvise(p, mapped, MADV_WIPEONFORK);
        (void)mlock(p, mapped);
        *ret = (struct secret){p, n, mapped};
        return 0;
}

int secret_copy(struct view v, struct secret *ret) {
        int r = secret_new(v.n, ret);

        if (r < 0)
                return r;
        memcpy(ret->p, v.p, v.n);
        return 0;
}

int secret_random(size_t n, struct secret *ret) {
        struct secret s;
        int r;

        r = secret_new(n, &s);
        if (r < 0)
                return r;
        r = random_bytes(s.p, n);
        if (r < 0) {
                secret_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}

void secret_done(struct secret *s) {
        if (s->p) {
                wipe(s->p, s->n);
                munmap(s->p, s->mapped);
        }
        *s = SECRET_INIT;
}
