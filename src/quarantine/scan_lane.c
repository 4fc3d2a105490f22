#include "quarantine/scan_lane.h"

#include "base/clock.h"
#include "quarantine/hash_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

int scan_lane_start(struct scan_lane *l, const struct scan_engine *e, const struct worker_link_config *c) {
        struct worker_link_config config = *c;
        int r;

        l->ring = RING_INIT;
        r = ring_new(RING_SLOTS, RING_SLOT_BYTES, &l->ring);
        if (r < 0)
                return r;
        config.launcher = e->launcher;
        config.rules_fd = e->rules_fd;
        config.weights = e->weights;
        config.ring = &l->ring;
        config.start_usec = e->start_usec;
        config.stall_usec = e->stall_usec;
        return worker_link_start(&config, &l->link);
}

void scan_lane_done(struct scan_lane *l) {
        worker_link_done(&l->link);
        l->hash = hash_thread_free(l->hash);
        ring_done(&l->ring);
}

/* Lets the reader go on as far as the worker has let go of slots. A worker in trouble holds none: hashing goes on without it. One
 * that is not ready yet gets nothing: it must have locked itself first. */
static void allow_reading(struct scan_lane *l) {
        if (l->link.trouble != WORKER_FINE)
                hash_thread_allow(l->hash, UINT64_MAX);
        else if (l->link.phase != WORKER_PHASE_STARTING)
                hash_thread_allow(l->hash, l->link.taken + RING_SLOTS);
}

static void wait_for_news(struct scan_lane *l) {
        struct pollfd fds[2] = {{.fd = l->link.sock, .events = POLLIN},
                                {.fd = l->hash ? hash_thread_event_fd(l->hash) : -1, .events = POLLIN}};
        bool hears = !worker_link_is_over(&l->link);
        int timeout = hears ? MAX_OF(MIN_OF(clock_poll_timeout(l->link.deadline_usec), 1000), 10) : 1000;
        eventfd_t count;

        if (!hears)
                fds[0].fd = -1;
        if (poll(fds, 2, timeout) > 0 && fds[1].revents)
                (void)eventfd_read(fds[1].fd, &count);
}

/* Tells the worker of the slots that have been filled since. */
static int pass_on(struct scan_lane *l) {
        uint64_t filled = 0;
        int r;

        r = hash_thread_filled(l->hash, &filled);
        if (r < 0)
                return r;
        for (; l->slots < filled; l->slots++) {
                size_t n = (size_t)MIN_OF((uint64_t)RING_SLOT_BYTES, l->size - l->at);

                worker_link_send_slot(&l->link, n);
                l->at += n;
                if (l->progress && !l->progress(l->at, l->userdata))
                        return -ECANCELED;
        }
        return 0;
}

static int feed_all(struct scan_lane *l) {
        while (l->at < l->size) {
                uint64_t before = l->slots;
                int r;

                worker_link_attend(&l->link);
                allow_reading(l);
                r = pass_on(l);
                if (r < 0)
                        return r;
                if (l->slots == before)
                        wait_for_news(l);
        }
        return 0;
}

void scan_lane_wait_ready(struct scan_lane *l) {
        while (!worker_link_is_over(&l->link) && l->link.phase == WORKER_PHASE_STARTING) {
                wait_for_news(l);
                worker_link_attend(&l->link);
        }
}

void scan_lane_hear(struct scan_lane *l) {
        while (!worker_link_is_over(&l->link) && l->link.phase != WORKER_PHASE_RESTING) {
                wait_for_news(l);
                worker_link_attend(&l->link);
        }
}

static int check_size(int fd, uint64_t size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        return st.st_size >= 0 && (uint64_t)st.st_size == size ? 0 : -ESTALE;
}

int scan_lane_file(struct scan_lane *l, int fd, uint64_t size, void (*end)(struct worker_link *),
                   struct sha256 *ret) {
        int r;

        l->fd = fd;
        l->size = size;
        l->slots = l->at = 0;
        r = hash_thread_new(&l->ring, fd, size, &l->hash);
        if (r >= 0)
                r = feed_all(l);
        if (r < 0)
                return r;
        scan_lane_wait_ready(l); /* an empty file: nothing was read, but it must have locked itself */
        end(&l->link);
        scan_lane_hear(l);
        r = hash_thread_finish(l->hash, ret);
        l->hash = hash_thread_free(l->hash);
        return r < 0 ? r : check_size(fd, size);
}
