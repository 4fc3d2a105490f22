#include "quarantine/live.h"

#include "base/clock.h"

#include <pthread.h>
#include <time.h>

#define CHANGES_KEPT 1024
#define ACTIVE_MAX   64

struct live {
        pthread_mutex_t lock;
        pthread_cond_t changed, work;
        char changes[CHANGES_KEPT][JOB_ID_SIZE];
        uint64_t count, work_count;
        struct {
                char id[JOB_ID_SIZE];
                struct live_progress progress;
                uint64_t told_usec;
        } active[ACTIVE_MAX];
        bool stopping;
};

int live_new(struct live **ret) {
        struct live *l = calloc(1, sizeof *l);
        pthread_condattr_t attributes;

        if (!l)
                return -ENOMEM;
        (void)pthread_mutex_init(&l->lock, NULL);
        (void)pthread_condattr_init(&attributes);
        (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&l->changed, &attributes);
        (void)pthread_cond_init(&l->work, &attributes);
        (void)pthread_condattr_destroy(&attributes);
        *ret = l;
        return 0;
}

struct live *live_free(struct live *l) {
        if (!l)
                return NULL;
        (void)pthread_mutex_destroy(&l->lock);
        (void)pthread_cond_destroy(&l->changed);
        (void)pthread_cond_destroy(&l->work);
        free(l);
        return NULL;
}

static void touch(struct live *l, const char *id) {
        (void)snprintf(l->changes[l->count % CHANGES_KEPT], JOB_ID_SIZE, "%s", id);
        l->count++;
        (void)pthread_cond_broadcast(&l->changed);
}

static void touch_work(struct live *l, const char *id) {
        touch(l, id);
        l->work_count++;
        (void)pthread_cond_broadcast(&l->work);
}

void live_touch(struct live *l, const char *id) {
        (void)pthread_mutex_lock(&l->lock);
        touch_work(l, id);
        (void)pthread_mutex_unlock(&l->lock);
}

/* Index of the job's entry, or of a free one when `make`; ACTIVE_MAX: none. */
static size_t find_active(struct live *l, const char *id, bool make) {
        size_t empty = ACTIVE_MAX;

        for (size_t i = 0; i < ACTIVE_MAX; i++) {
                if (strcmp(l->active[i].id, id) == 0)
                        return i;
                if (empty == ACTIVE_MAX && !l->active[i].id[0])
                        empty = i;
        }
        return make ? empty : ACTIVE_MAX;
}

static void set_active(struct live *l, size_t i, const char *id, struct live_progress now) {
        bool is_new = !l->active[i].id[0] || l->active[i].progress.stage != now.stage;
        uint64_t usec = clock_monotonic_usec();

        (void)snprintf(l->active[i].id, JOB_ID_SIZE, "%s", id);
        l->active[i].progress.stage = now.stage;
        l->active[i].progress.bytes = now.bytes;
        if (!is_new && usec - l->active[i].told_usec < EVENT_GAP_USEC)
                return;
        l->active[i].told_usec = usec;
        touch(l, id);
}

void live_progress_set(struct live *l, const char *id, unsigned stage, uint64_t bytes) {
        size_t i;

        (void)pthread_mutex_lock(&l->lock);
        i = find_active(l, id, true);
        if (i < ACTIVE_MAX)
                set_active(l, i, id, (struct live_progress){.stage = stage, .bytes = bytes});
        (void)pthread_mutex_unlock(&l->lock);
}

void live_found(struct live *l, const char *id, const char *rule) {
        size_t i;

        (void)pthread_mutex_lock(&l->lock);
        i = find_active(l, id, false);
        if (i < ACTIVE_MAX && !l->active[i].progress.found[0]) {
                (void)snprintf(l->active[i].progress.found, FINDING_RULE_MAX, "%s", rule);
                touch(l, id);
        }
        (void)pthread_mutex_unlock(&l->lock);
}

void live_progress_end(struct live *l, const char *id) {
        size_t i;

        (void)pthread_mutex_lock(&l->lock);
        i = find_active(l, id, false);
        if (i < ACTIVE_MAX)
                memset(&l->active[i], 0, sizeof l->active[i]);
        touch_work(l, id);
        (void)pthread_mutex_unlock(&l->lock);
}

bool live_progress_get(struct live *l, const char *id, struct live_progress *ret) {
        size_t i;

        (void)pthread_mutex_lock(&l->lock);
        i = find_active(l, id, false);
        if (i < ACTIVE_MAX)
                *ret = l->active[i].progress;
        (void)pthread_mutex_unlock(&l->lock);
        return i < ACTIVE_MAX;
}

void live_stop(struct live *l) {
        (void)pthread_mutex_lock(&l->lock);
        l->stopping = true;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_cond_broadcast(&l->work);
        (void)pthread_mutex_unlock(&l->lock);
}

bool live_is_stopping(struct live *l) {
        bool stopping;

        (void)pthread_mutex_lock(&l->lock);
        stopping = l->stopping;
        (void)pthread_mutex_unlock(&l->lock);
        return stopping;
}

uint64_t live_now(struct live *l) {
        uint64_t now;

        (void)pthread_mutex_lock(&l->lock);
        now = l->count;
        (void)pthread_mutex_unlock(&l->lock);
        return now;
}

static void wait_locked(struct live *l, pthread_cond_t *what, const uint64_t *count, uint64_t position,
                        uint64_t timeout_usec) {
        uint64_t until = clock_monotonic_usec() + timeout_usec;
        struct timespec t = {.tv_sec = (time_t)(until / USEC_PER_SEC),
                             .tv_nsec = (long)(until % USEC_PER_SEC * 1000)};

        while (!l->stopping && *count == position)
                if (pthread_cond_timedwait(what, &l->lock, &t) == ETIMEDOUT)
                        return;
}

static bool is_listed(const struct buf *ids, const char *id) {
        for (size_t i = 0; i + JOB_ID_SIZE - 1 <= ids->n; i += JOB_ID_SIZE - 1)
                if (memcmp(ids->p + i, id, JOB_ID_SIZE - 1) == 0)
                        return true;
        return false;
}

static int collect(struct live *l, uint64_t from, struct buf *ids) {
        for (uint64_t i = from; i < l->count; i++) {
                const char *id = l->changes[i % CHANGES_KEPT];
                int r = strlen(id) != JOB_ID_SIZE - 1 || is_listed(ids, id) ? 0 : buf_append_str(ids, id);

                if (r < 0)
                        return r;
        }
        return 0;
}

int live_wait(struct live *l, uint64_t *position, uint64_t timeout_usec, struct buf *ids) {
        size_t before = ids->n;
        int r;

        (void)pthread_mutex_lock(&l->lock);
        wait_locked(l, &l->changed, &l->count, *position, timeout_usec);
        r = l->count - *position > CHANGES_KEPT ? -EOVERFLOW : collect(l, *position, ids);
        *position = l->count;
        (void)pthread_mutex_unlock(&l->lock);
        return r < 0 ? r : ids->n > before;
}

void live_pause(struct live *l, uint64_t *position, uint64_t timeout_usec) {
        (void)pthread_mutex_lock(&l->lock);
        wait_locked(l, &l->work, &l->work_count, *position, timeout_usec);
        *position = l->work_count;
        (void)pthread_mutex_unlock(&l->lock);
}
