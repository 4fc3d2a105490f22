/* ring: shared memory through which the bytes of an artifact reach the worker without being copied twice. Sealed: it
 * can't shrink, and who gets the descriptor can map it read-only only (F_SEAL_FUTURE_WRITE). */
#pragma once

#include "base/view.h"

struct ring {
        int fd;
        unsigned char *p;
        size_t slot_bytes;
        unsigned slots;
};

#define RING_INIT ((struct ring){.fd = -EBADF})

/* `slot_bytes` is a multiple of the page size. */
SAI_NODISCARD int ring_new(unsigned slots, size_t slot_bytes, struct ring *ret);
void ring_done(struct ring *r);
static inline void ring_donep(struct ring *r) {
        ring_done(r);
}
static inline unsigned char *ring_slot(const struct ring *r, uint64_t index) {
        return r->p + (size_t)(index % r->slots) * r->slot_bytes;
}

/* The worker's side: maps `fd` read-only with a second copy of the last slot in front of the first, so that slot i - 1 always
 * lies directly before slot i. -EPROTO when the memory has not `slots` * `slot_bytes` bytes. */
struct ring_view {
        const unsigned char *p; /* slot 0; p - slot_bytes is the last one again */
        size_t slot_bytes;
        unsigned slots;
};
SAI_NODISCARD int ring_view_map(int fd, unsigned slots, size_t slot_bytes, struct ring_view *ret);
void ring_view_done(struct ring_view *v);
static inline const unsigned char *ring_view_slot(const struct ring_view *v, uint64_t index) {
        return v->p + (size_t)(index % v->slots) * v->slot_bytes;
}
