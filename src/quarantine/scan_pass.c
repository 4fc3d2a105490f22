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

/* Lets the reader go on as far as the worker has let go of slots. A worker in trouble holds none: hashing goes on without it. One
 * that is not ready yet gets nothing: it must have locked itself first. */
static void allow_reading(struct pass *p) {
        if (p->link.trouble != WORKER_FINE)
                hash_thread_allow(p->hash, UINT64_MAX);
        else if (p->link.phase != WORKER_PHASE_STARTING)
                hash_thread_allow(p->hash, p->link.taken + RING_SLOTS);
}

static void wait_for_news(struct pass *p) {
        struct pollfd fds[2] = {{.fd = hash_thread_event_fd(p->hash), .events = POLLIN},
                                {.fd = p->link.sock, .events = POLLIN}};
        nfds_t n = worker_link_is_over(&p->link) ? 1 : 2;
        int timeout = n == 2 ? MAX_OF(MIN_OF(clock_poll_timeout(p->link.deadline_usec), 1000), 10) : 1000;
        eventfd_t count;

        if (poll(fds, n, timeout) > 0 && fds[0].revents)
                (void)eventfd_read(hash_thread_event_fd(p->hash), &count);
}

/* Tells the worker of the slots that have been filled since. */
static int pass_on(struct pass *p, const struct scan_watch *watch) {
        uint64_t filled = 0;
        int r;

        r = hash_thread_filled(p->hash, &filled);
        if (r < 0)
                return r;
        for (; p->slots < filled; p->slots++) {
                size_t n = (size_t)MIN_OF((uint64_t)RING_SLOT_BYTES, p->size - p->at);

                worker_link_send_slot(&p->link, n);
                p->at += n;
                if (watch && watch->progress && !watch->progress(p->at, watch->userdata))
                        return -ECANCELED;
        }
        return 0;
}

static int feed_all(struct pass *p, const struct scan_watch *watch) {
        while (p->at < p->size) {
                uint64_t before = p->slots;
                int r;

                worker_link_attend(&p->link);
                allow_reading(p);
                r = pass_on(p, watch);
                if (r < 0)
                        return r;
                if (p->slots == before)
                        wait_for_news(p);
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
                r = hash_thread_new(&p->ring, p->fd, p->size, &p->hash);
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
