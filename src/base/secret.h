/* secret: bytes that must not reach swap, a core dump or a log. Locked, excluded from dumps, wiped when done.
 * There is no print function on purpose. */
#pragma once

#include "base/view.h"

struct secret {
        unsigned char *p;
        size_t n;
        size_t mapped;
};

#define SECRET_INIT ((struct secret){NULL, 0, 0})

/* `n` zero bytes on pages of their own. -ENOMEM; a memory lock that the limits refuse is not a failure (the
 * appliance has no swap), exclusion from dumps is required. */
SAI_NODISCARD int secret_new(size_t n, struct secret *ret);
SAI_NODISCARD int secret_copy(struct view v, struct secret *ret);
/* From the kernel's random generator. */
SAI_NODISCARD int secret_random(size_t n, struct secret *ret);
void secret_done(struct secret *s); /* wipes and unmaps */
static inline void secret_donep(struct secret *s) {
        secret_done(s);
}
static inline struct view secret_view(const struct secret *s) {
        return (struct view){(const char *)s->p, s->n};
}
/* Wipes memory that is about to go out of scope; not optimised away. */
void wipe(void *p, size_t n);
/* Fills `p` from the kernel's random generator; waits for it at boot. */
SAI_NODISCARD int random_bytes(void *p, size_t n);
