#include "quarantine/scan_pass.h"

#include "base/clock.h"
#include "quarantine/hash_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

struct pass {
        const struct scan_engine *engine;
        int fd;
        uint64_t size;
        struct ring ring;
        struct hash_thread *hash;
        struct worker_link link;
        uint64_t slots, at;
        struct scan_result *result;
};

static void pass_done(struct pass *p) {
        worker_link_done(&p->link);
        p->hash = hash_thread_free(p->hash);
        ring_done(&p->ring);
}

/* Slots that both sides have let go of. A worker in trouble holds none: hashing goes on without it. */
static uint64_t free_below(struct pass *p) {
        uint64_t hashed = hash_thread_done_slots(p->hash);

        return p->link.trouble != WORKER_FINE ? hashed : MIN_OF(hashed, p->link.taken);
}

static void wait_for_news(struct pass *p) {
        struct pollfd fds[2] = {{.fd = hash_thread_event_fd(p->hash), .events = POLLIN},
                                {.fd = p->link.sock, .events = POLLIN}};
        nfds_t n = worker_link_is_over(&p->link) ? 1 : 2;
        int timeout = n == 2 ? clock_poll_timeout(p->link.deadline_usec) : 1000;
        eventfd_t count;

        if (poll(fds, n, timeout) > 0 && fds[0].revents)
                (void)eventfd_read(hash_thread_event_fd(p->hash), &count);
}

static bool may_read(struct pass *p) {
        return (p->link.trouble != WORKER_FINE || p->link.phase != WORKER_PHASE_STARTING) &&
               p->slots - free_below(p) < RING_SLOTS;
}

static int read_slot(struct pass *p, size_t *ret_n) {
        unsigned char *slot = ring_slot(&p->ring, p->slots);
        size_t want = (size_t)MIN_OF((uint64_t)RING_SLOT_BYTES, p->size - p->at), got = 0;

        while (got < want) {
                ssize_t n = pread(p->fd, slot + got, want - got, (off_t)(p->at + got));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return negative_errno();
                if (n == 0)
                        return -ESTALE; /* shorter than when it was claimed */
                got += (size_t)n;
        }
        p->result->reads += got;
        *ret_n = got;
        return 0;
}

static int read_on(struct pass *p) {
        size_t n = 0;
        int r;

        r = read_slot(p, &n);
        if (r < 0)
                return r;
        hash_thread_publish(p->hash, n);
        worker_link_send_slot(&p->link, n);
        p->slots++;
        p->at += n;
        return 0;
}

static int feed_all(struct pass *p, const struct scan_watch *watch) {
        int r;

        while (p->at < p->size) {
                worker_link_attend(&p->link);
                if (!may_read(p)) {
                        wait_for_news(p);
                        continue;
                }
                r = read_on(p);
                if (r < 0)
                        return r;
                if (watch && watch->progress && !watch->progress(p->at, watch->userdata))
                        return -ECANCELED;
        }
        return 0;
}

static void hear_the_end(struct pass *p) {
        while (!worker_link_is_over(&p->link) && p->link.phase == WORKER_PHASE_STARTING) {
                wait_for_news(p);
                worker_link_attend(
                        &p->link); /* an empty artifact: nothing was read, but it must have locked itself */
        }
        worker_link_send_end(&p->link);
        while (!worker_link_is_over(&p->link)) {
                wait_for_news(p);
                worker_link_attend(&p->link);
        }
}

static int check_size(int fd, uint64_t size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        return st.st_size >= 0 && (uint64_t)st.st_size == size ? 0 : -ESTALE;
}

static void put_trouble(struct scan_result *result, const struct worker_link *l) {
        struct finding f = {.stage = 2, .severity = FINDING_REJECT, .at = UINT64_MAX};

        memset(&result->findings, 0, sizeof result->findings);
        result->summary = (struct model_summary){.size = result->bytes};
        (void)snprintf(f.rule, sizeof f.rule, "%s", worker_trouble_rule(l->trouble));
        (void)snprintf(f.message, sizeof f.message, "%s", worker_trouble_text(l->trouble));
        (void)snprintf(result->trouble_text, sizeof result->trouble_text, "%s",
                       l->text[0] ? l->text : f.message);
        collector_put(&result->findings, &f);
}

static int run(struct pass *p, struct view name, const struct scan_watch *watch) {
        struct worker_link_config config = {
                .launcher = p->engine->launcher,
                .rules_fd = p->engine->rules_fd,
                .ring = &p->ring,
                .size = p->size,
                .name = name,
                .start_usec = p->engine->start_usec,
                .stall_usec = p->engine->stall_usec,
        };
        int r;

        r = ring_new(RING_SLOTS, RING_SLOT_BYTES, &p->ring);
        if (r >= 0)
                r = hash_thread_new(&p->ring, &p->hash);
        if (r >= 0)
                r = worker_link_start(&config, &p->link);
        if (r >= 0)
                r = feed_all(p, watch);
        if (r < 0)
                return r;
        hear_the_end(p);
        r = hash_thread_finish(p->hash, &p->result->sha256);
        return r < 0 ? r : check_size(p->fd, p->size);
}

int scan_pass(const struct scan_engine *e, int fd, uint64_t size, struct view name,
              const struct scan_watch *watch, struct scan_result *ret) {
        struct pass p = {.engine = e, .fd = fd, .size = size, .ring = RING_INIT, .result = ret};
        uint64_t start = clock_monotonic_usec();
        int r;

        if (size > ARTIFACT_BYTES_MAX)
                return -EFBIG;
        memset(ret, 0, sizeof *ret);
        r = run(&p, name, watch);
        if (r >= 0) {
                ret->bytes = size;
                ret->trouble = p.link.trouble;
                ret->findings = p.link.findings;
                ret->summary = p.link.summary;
                ret->windows = p.link.windows;
                if (ret->trouble != WORKER_FINE)
                        put_trouble(ret, &p.link);
                ret->usec = clock_monotonic_usec() - start;
        }
        pass_done(&p);
        return r;
}
