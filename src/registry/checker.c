#include "registry/checker.h"

#include <fcntl.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/file.h"
#include "registry/digest_count.h"
#include "registry/limits.h"

#define ANY_SIZE  UINT64_MAX
#define LOOK_USEC (60 * USEC_PER_SEC) /* between looks for models that are due */

struct checker {
        struct catalog *catalog;
        struct manifest *manifest;
        struct objects *objects;
        struct checker_config config;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool stopping, wake;
        bool running; /* with current and bytes */
        struct sha256 current;
        uint64_t bytes;
};

/* Waits until then (monotonic), or until it is to stop or to look again (`or_wake`). True: stop. */
static bool wait_until(struct checker *c, uint64_t until_usec, bool or_wake) {
        struct timespec t = {.tv_sec = (time_t)(until_usec / USEC_PER_SEC),
                             .tv_nsec = (long)(until_usec % USEC_PER_SEC * 1000)};
        bool stop;

        pthread_mutex_lock(&c->lock);
        while (!c->stopping && !(or_wake && c->wake) && clock_monotonic_usec() < until_usec)
                (void)pthread_cond_timedwait(&c->changed, &c->lock, &t);
        if (or_wake)
                c->wake = false;
        stop = c->stopping;
        pthread_mutex_unlock(&c->lock);
        return stop;
}

static void set_progress(struct checker *c, uint64_t bytes) {
        pthread_mutex_lock(&c->lock);
        c->bytes = bytes;
        pthread_mutex_unlock(&c->lock);
}

/* When this many bytes may have been read, having begun at `start`. */
static uint64_t due_at(const struct checker *c, uint64_t start, uint64_t bytes) {
        uint64_t speed = c->config.bytes_per_second;

        if (speed == 0)
                return start;
        return start + bytes / speed * USEC_PER_SEC + bytes % speed * USEC_PER_SEC / speed;
}

static int read_slice(int fd, char *buffer, uint64_t at, size_t n, struct digest *d) {
        int r = pread_all(fd, buffer, n, at);

        if (r >= 0)
                r = digest_update(d, view_make(buffer, n));
        (void)posix_fadvise(fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
        return r;
}

/* 0 and *ret, -ECANCELED when it is to stop. `before`: bytes of the same model that were read already. */
static int hash_slowly(struct checker *c, int fd, uint64_t size, uint64_t before, struct sha256 *ret) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        _cleanup_(freep) char *buffer = malloc(REGISTRY_VERIFY_SLICE);
        uint64_t start = clock_monotonic_usec();
        int r = buffer ? digest_new(&d) : -ENOMEM;

        for (uint64_t at = 0; at < size && r >= 0;) {
                size_t n = (size_t)MIN_OF(size - at, (uint64_t)REGISTRY_VERIFY_SLICE);

                r = read_slice(fd, buffer, at, n, d);
                at += n;
                set_progress(c, before + at);
                if (wait_until(c, due_at(c, start, at), false))
                        return -ECANCELED;
        }
        return r < 0 ? r : digest_final(d, ret);
}

/* 0 = good, 1 = damaged (missing, another size, another content, unreadable), negative = not decided. */
static int check_object(struct checker *c, const struct sha256 *digest, uint64_t size, uint64_t before) {
        _cleanup_(closep) int fd = objects_open(c->objects, digest);
        struct sha256 found;
        off_t length;
        int r;

        if (fd < 0)
                return fd == -ENOENT ? 1 : fd;
        length = lseek(fd, 0, SEEK_END);
        if (length < 0 || (size != ANY_SIZE && (uint64_t)length != size))
                return 1;
        r = hash_slowly(c, fd, (uint64_t)length, before, &found);
        if (r == -EIO)
                return 1; /* the disk can't give it back */
        return r < 0 ? r : memcmp(found.b, digest->b, SHA256_SIZE) != 0;
}

/* The files of a set, each once. */
struct files {
        struct digest_count seen;
        struct part *list; /* without names */
        size_t n, room;
};

static void files_donep(struct files *f) {
        digest_count_done(&f->seen);
        free(f->list);
}

static int note_file(const struct part *p, void *userdata) {
        struct files *f = userdata;
        struct digest_entry *e = digest_count_get(&f->seen, &p->sha256);

        if (!e)
                return -ENOMEM;
        if (e->count++ > 0)
                return 0;
        if (f->n == f->room) {
                size_t room = MAX_OF(2 * f->room, (size_t)64);
                struct part *list = realloc(f->list, room * sizeof *list);

                if (!list)
                        return -ENOMEM;
                f->list = list;
                f->room = room;
        }
        f->list[f->n] = *p;
        f->list[f->n++].name = VIEW_NULL;
        return 0;
}

/* A single file, or a set's listing and all its files. */
static int check_artifact(struct checker *c, const struct sha256 *digest, uint64_t size) {
        _cleanup_(files_donep) struct files f = {0};
        uint64_t before = 0;
        int r = manifest_each_member(c->manifest, digest, note_file, &f);

        if (r >= 0)
                r = check_object(c, digest, f.n > 0 ? ANY_SIZE : size, 0);
        for (size_t i = 0; i < f.n && r == 0; i++) {
                r = check_object(c, &f.list[i].sha256, f.list[i].size, before);
                before += f.list[i].size;
        }
        return r;
}

static int check_model(struct checker *c, const struct sha256 *digest, uint64_t size) {
        int r = manifest_set_check(c->manifest, digest, CHECK_RUNNING);

        if (r >= 0)
                r = check_artifact(c, digest, size);
        if (r >= 0)
                r = catalog_checked(c->catalog, digest, r == 0);
        return r == -ENOENT ? 0 : r; /* deleted meanwhile */
}

static void begin(struct checker *c, const struct sha256 *digest) {
        pthread_mutex_lock(&c->lock);
        c->running = true;
        c->current = *digest;
        c->bytes = 0;
        pthread_mutex_unlock(&c->lock);
}

static void end(struct checker *c) {
        pthread_mutex_lock(&c->lock);
        c->running = false;
        pthread_mutex_unlock(&c->lock);
}

/* 0 = one was checked, -ENOENT = nothing to do, others: try again later. */
static int check_next(struct checker *c) {
        struct sha256 digest;
        uint64_t size, now = clock_real_usec();
        int r = catalog_report_damage(c->catalog), told = r;

        if (r < 0)
                r = 0; /* the audit log is away: the models are still looked after */
        if (c->config.interval_usec && now > c->config.interval_usec)
                r = manifest_make_due(c->manifest, now - c->config.interval_usec);
        if (r >= 0)
                r = manifest_next_pending(c->manifest, &digest, &size);
        if (r < 0)
                return r == -ENOENT && told < 0 ? told : r;
        begin(c, &digest);
        r = check_model(c, &digest, size);
        end(c);
        return r;
}

static void *checker_main(void *userdata) {
        struct checker *c = userdata;
        bool stop = false;

        while (!stop) {
                int r = check_next(c);
                uint64_t pause = r >= 0 ? 0 : r == -ENOENT ? LOOK_USEC : REGISTRY_RETRY_USEC;

                stop = wait_until(c, clock_monotonic_usec() + pause, true);
        }
        return NULL;
}

static void init_lock(struct checker *c) {
        pthread_condattr_t a;

        pthread_condattr_init(&a);
        pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        pthread_cond_init(&c->changed, &a);
        pthread_condattr_destroy(&a);
        pthread_mutex_init(&c->lock, NULL);
}

int checker_start(struct catalog *catalog, struct manifest *manifest, struct objects *objects,
                  const struct checker_config *config, struct checker **ret) {
        struct checker *c = calloc(1, sizeof *c);
        int r;

        if (!c)
                return -ENOMEM;
        c->catalog = catalog;
        c->manifest = manifest;
        c->objects = objects;
        c->config = *config;
        init_lock(c);
        r = -pthread_create(&c->thread, NULL, checker_main, c);
        if (r < 0) {
                free(c);
                return r;
        }
        *ret = c;
        return 0;
}

struct checker *checker_stop(struct checker *c) {
        if (!c)
                return NULL;
        pthread_mutex_lock(&c->lock);
        c->stopping = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        pthread_cond_destroy(&c->changed);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
}

void checker_wake(struct checker *c) {
        pthread_mutex_lock(&c->lock);
        c->wake = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

uint64_t checker_progress(struct checker *c, const struct sha256 *digest, bool *ret_running) {
        uint64_t bytes = 0;

        pthread_mutex_lock(&c->lock);
        *ret_running = c->running && memcmp(c->current.b, digest->b, SHA256_SIZE) == 0;
        if (*ret_running)
                bytes = c->bytes;
        pthread_mutex_unlock(&c->lock);
        return bytes;
}
