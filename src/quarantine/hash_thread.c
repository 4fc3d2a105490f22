#include "quarantine/hash_thread.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct hash_thread {
        const struct ring *ring;
        int fd;
        uint64_t size;
        struct digest *digest;
        pthread_t thread;
        bool running;
        pthread_mutex_t lock;
        pthread_cond_t more, ended;
        uint64_t allowed, filled;
        bool stop, over;
        int error;
        int event;
};

static bool wait_until_allowed(struct hash_thread *h, uint64_t index) {
        bool go_on;

        (void)pthread_mutex_lock(&h->lock);
        while (!h->stop && h->allowed <= index)
                (void)pthread_cond_wait(&h->more, &h->lock);
        go_on = !h->stop;
        (void)pthread_mutex_unlock(&h->lock);
        return go_on;
}

static int fill(const struct hash_thread *h, uint64_t index, size_t n) {
        unsigned char *slot = ring_slot(h->ring, index);

        for (size_t got = 0; got < n;) {
                ssize_t r = pread(h->fd, slot + got, n - got, (off_t)(index * h->ring->slot_bytes + got));

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return r < 0 ? negative_errno() : -ESTALE;
                got += (size_t)r;
        }
        return 0;
}

static void announce(struct hash_thread *h) {
        (void)pthread_mutex_lock(&h->lock);
        h->filled++;
        (void)pthread_mutex_unlock(&h->lock);
        (void)eventfd_write(h->event, 1);
}

static int read_and_hash(struct hash_thread *h) {
        for (uint64_t i = 0, at = 0; at < h->size; i++) {
                size_t n = (size_t)MIN_OF((uint64_t)h->ring->slot_bytes, h->size - at);
                int r;

                if (!wait_until_allowed(h, i))
                        return -ECANCELED;
                r = fill(h, i, n);
                if (r < 0)
                        return r;
                announce(h);
                r = digest_update(h->digest, view_make(ring_slot(h->ring, i), n));
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}

static void *run(void *userdata) {
        struct hash_thread *h = userdata;
        int r = read_and_hash(h);

        (void)pthread_mutex_lock(&h->lock);
        h->error = r;
        h->over = true;
        (void)pthread_cond_signal(&h->ended);
        (void)pthread_mutex_unlock(&h->lock);
        (void)eventfd_write(h->event, 1);
        return NULL;
}

int hash_thread_new(const struct ring *ring, int fd, uint64_t size, struct hash_thread **ret) {
        _cleanup_(hash_thread_freep) struct hash_thread *h = NULL;
        int r;

        h = calloc(1, sizeof *h);
        if (!h)
                return -ENOMEM;
        h->ring = ring;
        h->fd = fd;
        h->size = size;
        (void)pthread_mutex_init(&h->lock, NULL);
        (void)pthread_cond_init(&h->more, NULL);
        (void)pthread_cond_init(&h->ended, NULL);
        h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (h->event < 0)
                return negative_errno();
        r = digest_new(&h->digest);
        if (r < 0)
                return r;
        r = pthread_create(&h->thread, NULL, run, h);
        if (r != 0)
                return -r;
        h->running = true;
        *ret = TAKE_PTR(h);
        return 0;
}

void hash_thread_allow(struct hash_thread *h, uint64_t slots) {
        (void)pthread_mutex_lock(&h->lock);
        if (slots > h->allowed) {
                h->allowed = slots;
                (void)pthread_cond_signal(&h->more);
        }
        (void)pthread_mutex_unlock(&h->lock);
}

int hash_thread_filled(struct hash_thread *h, uint64_t *ret_slots) {
        int r;

        (void)pthread_mutex_lock(&h->lock);
        r = h->error;
        if (r >= 0)
                *ret_slots = h->filled;
        (void)pthread_mutex_unlock(&h->lock);
        return r;
}

int hash_thread_event_fd(const struct hash_thread *h) {
        return h->event;
}

int hash_thread_finish(struct hash_thread *h, struct sha256 *ret) {
        int r;

        (void)pthread_mutex_lock(&h->lock);
        while (!h->over)
                (void)pthread_cond_wait(&h->ended, &h->lock);
        r = h->error;
        (void)pthread_mutex_unlock(&h->lock);
        return r < 0 ? r : digest_final(h->digest, ret);
}

struct hash_thread *hash_thread_free(struct hash_thread *h) {
        if (!h)
                return NULL;
        if (h->running) {
                (void)pthread_mutex_lock(&h->lock);
                h->stop = true;
                (void)pthread_cond_signal(&h->more);
                (void)pthread_mutex_unlock(&h->lock);
                (void)pthread_join(h->thread, NULL);
        }
        (void)pthread_mutex_destroy(&h->lock);
        (void)pthread_cond_destroy(&h->more);
        (void)pthread_cond_destroy(&h->ended);
        digest_free(h->digest);
        close_fd(h->event);
        free(h);
        return NULL;
}
