/* scan_lane: one locked worker, the ring through which it sees bytes, and the reading and hashing of one file at a time into it.
 * A single file has one lane, a set two. Not thread-safe; one thread a lane. */
#pragma once

#include "core/digest.h"
#include "quarantine/worker_link.h"

#include <pthread.h>

/* A worker that has compiled the rules and locked itself in before there is anything to read, with its ring. One at most;
 * thread-safe. One that has died meanwhile is dropped and never counts against an artifact. */
struct scan_spare {
        pthread_mutex_t lock;
        bool is_there;
        struct ring ring;
        struct worker_link link;
        uint64_t used; /* artifacts that a spare has read */
};
SAI_NODISCARD int scan_spare_new(struct scan_spare **ret);
struct scan_spare *scan_spare_free(struct scan_spare *s); /* kills it; the launcher must still be there */

struct scan_engine {
        struct launcher *launcher;
        struct scan_spare *spare;             /* NULL: none is kept */
        const struct weights_limits *weights; /* of policy; NULL: the built-in ones */
        int rules_fd;                         /* sealed container of the rules, see rules.h */
        uint64_t start_usec, stall_usec;      /* the worker's deadlines; 0: the limits */
};

struct scan_lane {
        struct ring ring;
        struct worker_link link;
        struct hash_thread *hash;
        /* the file under way */
        int fd;
        uint64_t size, slots, at;
        bool (*progress)(uint64_t at, void *userdata); /* false: -ECANCELED; may be NULL */
        void *userdata;
};

/* Has a spare ready for the next artifact; does not wait for it. That there is none is no failure. */
void scan_engine_make_spare(const struct scan_engine *e);
/* Takes the spare (lane 0) or starts a worker; `c` needs no launcher, rules, ring and deadlines. scan_lane_done in any case. */
SAI_NODISCARD int scan_lane_start(struct scan_lane *l, const struct scan_engine *e,
                                  const struct worker_link_config *c);
void scan_lane_done(struct scan_lane *l);
/* Waits until the worker has locked itself in (or is in trouble). */
void scan_lane_wait_ready(struct scan_lane *l);
/* Reads `size` bytes once and hashes them, whatever becomes of the worker. `end` tells the worker that this was all and is called
 * after the last slot; then the worker is heard until it is DONE or RESTING. */
SAI_NODISCARD int scan_lane_file(struct scan_lane *l, int fd, uint64_t size,
                                 void (*end)(struct worker_link *), struct sha256 *ret);
/* Hears a worker to which nothing more is sent. */
void scan_lane_hear(struct scan_lane *l);
