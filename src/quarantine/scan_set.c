#include "quarantine/scan_set.h"

#include "base/clock.h"
#include "base/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#define LANES 2

struct set_pass;
struct set_lane {
        struct set_pass *pass;
        struct scan_lane lane;
        unsigned number;
        uint64_t at;            /* bytes that it has passed on, of all its files */
        uint64_t before;        /* of files that are done */
        uint32_t trouble_about; /* member that was read when the worker got into trouble */
        bool saw_trouble;
        pthread_t thread;
        bool running;
};

struct set_pass {
        const struct scan_engine *engine;
        int dir_fd, names_fd;
        const struct set_walk *set;
        const struct scan_watch *watch;
        struct scan_set_result *result;
        struct set_lane lanes[LANES];
        unsigned n_lanes;

        pthread_mutex_t lock; /* of what follows */
        uint32_t *queue; /* positions: first what only lane 0 may read, then weights, the largest first */
        size_t next_small, n_small, next_weight;
        int error;

        struct sha256 *digests;
        struct model_summary *facts; /* of members that lane 1 read */
        bool *has_facts;
};

static bool is_weight(const char *path) {
        return view_ends(view_of(path), VIEW(".safetensors")) || view_ends(view_of(path), VIEW(".gguf"));
}

struct by_size {
        uint64_t size;
        uint32_t position;
};

static int larger_first(const void *a, const void *b) {
        const struct by_size *x = a, *y = b;

        if (x->size != y->size)
                return x->size > y->size ? -1 : 1;
        return x->position < y->position ? -1 : 1;
}

static int fill_queue(struct set_pass *p) {
        _cleanup_(freep) struct by_size *weights = calloc(p->set->n, sizeof *weights);
        size_t n = 0;

        p->queue = calloc(p->set->n, sizeof *p->queue);
        if (!weights || !p->queue)
                return -ENOMEM;
        for (size_t i = 0; i < p->set->n; i++)
                if (is_weight(p->set->files[i].path))
                        weights[n++] = (struct by_size){p->set->files[i].size, (uint32_t)i};
                else
                        p->queue[p->n_small++] = (uint32_t)i;
        qsort(weights, n, sizeof *weights, larger_first);
        for (size_t i = 0; i < n; i++)
                p->queue[p->n_small + i] = weights[i].position;
        p->next_weight = p->n_small;
        p->n_lanes = n > 1 ? LANES : 1;
        return 0;
}

/* "<size> <path>\n" for each member, sealed: what the workers are told before they lock themselves in. */
static int write_names(struct set_pass *p) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        int r = 0;

        for (size_t i = 0; i < p->set->n && r >= 0; i++)
                r = buf_printf(&text, "%llu %s\n", (unsigned long long)p->set->files[i].size,
                               p->set->files[i].path);
        if (r < 0)
                return r;
        p->names_fd = memfd_create("scan-names", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (p->names_fd < 0)
                return negative_errno();
        r = write_all(p->names_fd, text.p, text.n);
        if (r < 0)
                return r;
        return fcntl(p->names_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0
                       ? negative_errno()
                       : 0;
}

static int make_room(struct set_pass *p) {
        p->digests = calloc(p->set->n, sizeof *p->digests);
        p->facts = calloc(p->n_lanes > 1 ? p->set->n : 1, sizeof *p->facts);
        p->has_facts = calloc(p->set->n, sizeof *p->has_facts);
        p->result->kinds = calloc(p->set->n, sizeof *p->result->kinds);
        return p->digests && p->facts && p->has_facts && p->result->kinds ? 0 : -ENOMEM;
}

/* False: nothing is left for this lane, or the pass has failed. */
static bool take_next(struct set_lane *l, uint32_t *ret) {
        struct set_pass *p = l->pass;
        bool found = false;

        (void)pthread_mutex_lock(&p->lock);
        if (p->error == 0 && l->number == 0 && p->next_small < p->n_small) {
                *ret = p->queue[p->next_small++];
                found = true;
        } else if (p->error == 0 && p->next_weight < p->set->n) {
                *ret = p->queue[p->next_weight++];
                found = true;
        }
        (void)pthread_mutex_unlock(&p->lock);
        return found;
}

static void fail(struct set_pass *p, int error) {
        (void)pthread_mutex_lock(&p->lock);
        if (p->error == 0)
                p->error = error;
        (void)pthread_mutex_unlock(&p->lock);
}

static bool on_slot(uint64_t at, void *userdata) {
        struct set_lane *l = userdata;
        struct set_pass *p = l->pass;
        uint64_t sum = 0;
        bool go_on;

        (void)pthread_mutex_lock(&p->lock);
        l->at = l->before + at;
        for (unsigned i = 0; i < p->n_lanes; i++)
                sum += p->lanes[i].at;
        go_on = p->error == 0 &&
                (!p->watch || !p->watch->progress || p->watch->progress(sum, p->watch->userdata));
        (void)pthread_mutex_unlock(&p->lock);
        return go_on;
}

static void note_trouble(struct set_lane *l, uint32_t member) {
        if (l->lane.link.trouble == WORKER_FINE || l->saw_trouble)
                return;
        l->saw_trouble = true;
        l->trouble_about = member;
}

static int read_member(struct set_lane *l, uint32_t at) {
        struct set_pass *p = l->pass;
        const struct set_file *f = &p->set->files[at];
        _cleanup_(closep) int fd = set_walk_open(p->dir_fd, f);
        int r;

        if (fd < 0)
                return fd;
        worker_link_begin_file(&l->lane.link, at + 1);
        r = scan_lane_file(&l->lane, fd, f->size, worker_link_end_file, &p->digests[at]);
        if (r < 0)
                return r;
        l->before += f->size;
        note_trouble(l, at + 1);
        if (l->lane.link.trouble != WORKER_FINE)
                return 0;
        p->result->kinds[at] = l->lane.link.facts.kind;
        if (l->number > 0) {
                p->facts[at] = l->lane.link.facts;
                p->has_facts[at] = true;
        }
        return 0;
}

static void read_members(struct set_lane *l) {
        uint32_t at;

        scan_lane_wait_ready(&l->lane);
        note_trouble(l, 0);
        while (take_next(l, &at)) {
                int r = read_member(l, at);

                if (r < 0)
                        fail(l->pass, r);
        }
}

static void end_lane(struct set_lane *l) {
        worker_link_send_end(&l->lane.link);
        scan_lane_hear(&l->lane);
        note_trouble(l, 0);
}

static void *run_second(void *userdata) {
        struct set_lane *l = userdata;

        read_members(l);
        end_lane(l);
        return NULL;
}

static int start_lane(struct set_pass *p, unsigned number) {
        struct worker_link_config config = {.hearer = p->watch ? p->watch->tensors : NULL,
                                            .early = p->watch ? p->watch->early : NULL,
                                            .size = p->set->size,
                                            .set = p->set,
                                            .names_fd = p->names_fd,
                                            .lane = number};
        struct set_lane *l = &p->lanes[number];

        l->pass = p;
        l->number = number;
        l->lane.progress = on_slot;
        l->lane.userdata = l;
        return scan_lane_start(&l->lane, p->engine, &config);
}

static int start_lanes(struct set_pass *p) {
        int r = 0;

        for (unsigned i = 0; i < p->n_lanes && r >= 0; i++)
                r = start_lane(p, i);
        if (r < 0 || p->n_lanes == 1)
                return r;
        r = pthread_create(&p->lanes[1].thread, NULL, run_second, &p->lanes[1]);
        p->lanes[1].running = r == 0;
        return -r;
}

static int read_all(struct set_pass *p) {
        int r = start_lanes(p);

        if (r < 0)
                return r;
        read_members(&p->lanes[0]);
        if (p->lanes[1].running)
                (void)pthread_join(p->lanes[1].thread, NULL);
        if (p->error < 0)
                return p->error;
        for (size_t i = 0; i < p->set->n; i++)
                if (p->has_facts[i])
                        worker_link_send_fact(&p->lanes[0].lane.link, (uint32_t)i + 1, &p->facts[i]);
        end_lane(&p->lanes[0]);
        return 0;
}

/* Nothing came, went or changed, from before the first byte was read until after the last. */
static int check_unchanged(const struct set_pass *p) {
        _cleanup_(set_walk_donep) struct set_walk now = {0};
        struct fault why = FAULT_NONE;
        int r = set_walk_claim(p->dir_fd, &now, &why); /* a second name changes the time, too */

        if (r == -ENOMEM || r == -EIO)
                return r;
        return r >= 0 && set_walk_equal(p->set, &now) ? 0 : -ESTALE;
}

static int make_listing(struct set_pass *p) {
        struct set_listing *l = &p->result->listing;
        int r = 0;

        for (size_t i = 0; i < p->set->n && r >= 0; i++)
                r = set_listing_add(l, view_of(p->set->files[i].path), p->set->files[i].size, &p->digests[i]);
        if (r >= 0)
                r = set_listing_sort(l);
        return r < 0 ? r : set_listing_digest(l, &p->result->whole.sha256);
}

/* Which lane read a member is chance, and must not show: by member, and for one member as it was found. */
static void sort_findings(struct collector *c) {
        for (size_t i = 1; i < c->n; i++) {
                struct finding f = c->list[i];
                size_t at = i;

                for (; at > 0 && c->list[at - 1].member > f.member; at--)
                        c->list[at] = c->list[at - 1];
                c->list[at] = f;
        }
}

static void join_results(struct set_pass *p) {
        struct scan_result *whole = &p->result->whole;

        whole->summary = p->lanes[0].lane.link.summary;
        for (unsigned i = 0; i < p->n_lanes; i++) {
                const struct worker_link *l = &p->lanes[i].lane.link;

                for (size_t k = 0; k < l->findings.n; k++)
                        collector_put(&whole->findings, &l->findings.list[k]);
                whole->findings.dropped += l->findings.dropped;
                whole->windows += l->windows;
        }
        sort_findings(&whole->findings);
        for (unsigned i = 0; i < p->n_lanes; i++) {
                const struct set_lane *l = &p->lanes[i];

                if (l->lane.link.trouble == WORKER_FINE || whole->trouble != WORKER_FINE)
                        continue;
                whole->trouble = l->lane.link.trouble;
                scan_result_distrust(whole, &l->lane.link, l->trouble_about);
        }
}

static int run(struct set_pass *p) {
        int r = fill_queue(p);

        if (r >= 0)
                r = make_room(p);
        if (r >= 0)
                r = write_names(p);
        if (r >= 0)
                r = read_all(p);
        if (r >= 0)
                r = check_unchanged(p);
        if (r >= 0)
                r = make_listing(p);
        return r;
}

static void pass_done(struct set_pass *p) {
        for (unsigned i = 0; i < LANES; i++)
                scan_lane_done(&p->lanes[i].lane);
        close_fd(p->names_fd);
        free(p->queue);
        free(p->digests);
        free(p->facts);
        free(p->has_facts);
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
}

void scan_set_result_free(struct scan_set_result *r) {
        if (!r)
                return;
        set_listing_done(&r->listing);
        free(r->kinds);
        free(r);
}

int scan_set(const struct scan_engine *e, int dir_fd, const struct set_walk *set,
             const struct scan_watch *watch, struct scan_set_result *ret) {
        struct set_pass *p; /* large: two collectors */
        uint64_t start = clock_monotonic_usec();
        int r;

        if (set->n == 0)
                return -EINVAL;
        if (set->size > ARTIFACT_BYTES_MAX)
                return -EFBIG;
        p = calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        p->engine = e;
        p->dir_fd = dir_fd;
        p->names_fd = -EBADF;
        p->set = set;
        p->watch = watch;
        p->result = ret;
        for (unsigned i = 0; i < LANES; i++)
                p->lanes[i].lane.ring = RING_INIT;
        (void)pthread_mutex_init(&p->lock, NULL);
        r = run(p);
        if (r >= 0) {
                join_results(p);
                ret->whole.bytes = set->size;
                ret->whole.usec = clock_monotonic_usec() - start;
        }
        pass_done(p);
        if (r >= 0)
                scan_engine_make_spare(e);
        return r;
}
