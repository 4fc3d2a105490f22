/* answer: one chat answer on its way from the worker to a client. Not thread-safe: one request's thread at a time.
 * Freeing it early (the client has gone) cuts the worker's computation. */
#pragma once

#include "inference/chat_request.h"
#include "inference/worker.h"

struct answer_deadlines {
        uint64_t first_usec;   /* to the first byte */
        uint64_t silence_usec; /* between two events */
        uint64_t total_usec;
};
extern const struct answer_deadlines answer_default_deadlines;

struct answer; /* opaque */
/* Gets the worker (see worker_acquire), sends the request to it, and returns without waiting for the answer. Everything is copied
 * out of `request`. */
SAI_NODISCARD int answer_new(struct worker *w, const struct chat_request *request, const char *sha256,
                             const struct answer_deadlines *deadlines, struct answer **ret,
                             struct refusal *ret_why);
struct answer *answer_free(struct answer *a); /* NULL is fine */
static inline void answer_freep(struct answer **a) {
        *a = answer_free(*a);
}
/* Appends what is ready for the client (stream: whole events; else pieces of one object, once it is complete) and waits at
 * most `wait_usec` for something. 1: more to come, 0: that was all, -EAGAIN: nothing yet; or another negative errno and
 * *ret_why: the answer is broken. */
SAI_NODISCARD int answer_step(struct answer *a, uint64_t wait_usec, struct buf *out, struct refusal *ret_why);
