#include "quarantine/scan_lane.h"

#include "base/clock.h"
#include "quarantine/hash_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

int scan_spare_new(struct scan_spare **ret) {
        struct scan_spare *s = calloc(1, sizeof *s);

        if (!s)
                return -ENOMEM;
        (void)pthread_mutex_init(&s->lock, NULL);
        s->ring = RING_INIT;
        *ret = s;
        return 0;
}

static void drop_spare(struct scan_spare *s) {
        worker_link_done(&s->link);
        ring_done(&s->ring);
        s->is_there = false;
}

struct scan_spare *scan_spare_free(struct scan_spare *s) {
        if (!s)
                return NULL;
        drop_spare(s);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
}

static void fill_config(const struct scan_engine *e, const struct ring *ring, struct worker_link_config *c) {
        c->launcher = e->launcher;
        c->rules_fd = e->rules_fd;
        c->weights = e->weights;
        c->ring = ring;
        c->start_usec = e->start_usec;
        c->stall_usec = e->stall_usec;
}

void scan_engine_make_spare(const struct scan_engine *e) {
        struct worker_link_config config = {.size = WORKER_SPARE_BYTES};
        struct scan_spare *s = e->spare;
        int r = 0;

        if (!s)
                return;
        (void)pthread_mutex_lock(&s->lock);
        if (!s->is_there) {
                r = ring_new(RING_SLOTS, RING_SLOT_BYTES, &s->ring);
                fill_config(e, &s->ring, &config);
                if (r >= 0)
                        r = worker_link_prepare(&config, &s->link);
                s->is_there = r >= 0;
                if (r < 0)
                        ring_done(&s->ring);
        }
        (void)pthread_mutex_unlock(&s->lock);
}

static void wait_for_link(struct worker_link *l) {
        struct pollfd p = {.fd = l->sock, .events = POLLIN};

        (void)poll(&p, 1, MAX_OF(MIN_OF(clock_poll_timeout(l->deadline_usec), 1000), 10));
        worker_link_attend(l);
}

/* One that is still at it is as far as a new one would be, or further. */
static bool take_spare(const struct scan_engine *e, const struct worker_link_config *c, struct scan_lane *l) {
        struct scan_spare *s = e->spare;
        bool taken = false;

        if (!s || c->lane > 0 || c->size > WORKER_SPARE_BYTES)
                return false;
        (void)pthread_mutex_lock(&s->lock);
        if (s->is_there) {
                worker_link_attend(&s->link);
                while (!worker_link_is_over(&s->link) && !s->link.prepared)
                        wait_for_link(&s->link);
                taken = !worker_link_is_over(&s->link);
        }
        if (taken) {
                l->ring = s->ring;
                l->link = s->link;
                s->ring = RING_INIT;
                s->link.launcher = NULL; /* it is not ours any more */
                s->is_there = false;
                s->used++;
        } else if (s->is_there)
                drop_spare(s);
        (void)pthread_mutex_unlock(&s->lock);
        return taken;
}

int scan_lane_start(struct scan_lane *l, const struct scan_engine *e, const struct worker_link_config *c) {
        struct worker_link_config config = *c;
        int r = 0;

        l->ring = RING_INIT;
        fill_config(e, &l->ring, &config);
        if (!take_spare(e, c, l)) {
                r = ring_new(RING_SLOTS, RING_SLOT_BYTES, &l->ring);
                if (r >= 0)
                        r = worker_link_prepare(&config, &l->link);
        }
        if (r >= 0)
                worker_link_begin(&config, &l->link);
        return r;
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
