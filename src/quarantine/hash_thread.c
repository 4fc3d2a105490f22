#include "quarantine/hash_thread.h"

#include "quarantine/limits.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct hash_thread {
        const struct ring *ring;
        struct digest *digest;
        pthread_t thread;
        bool running;
        pthread_mutex_t lock;
        pthread_cond_t more, less;
        size_t bytes[RING_SLOTS];
        uint64_t published, done;
        bool stop;
        int error;
        int event;
};

/* Waits for a slot: its bytes, or 0 to stop. */
static size_t next_slot(struct hash_thread *h, uint64_t index) {
        size_t n;

        (void)pthread_mutex_lock(&h->lock);
        while (!h->stop && h->published == index)
                (void)pthread_cond_wait(&h->more, &h->lock);
        n = h->stop ? 0 : h->bytes[index % RING_SLOTS];
        (void)pthread_mutex_unlock(&h->lock);
        return n;
}

static void slot_done(struct hash_thread *h, int result) {
        (void)pthread_mutex_lock(&h->lock);
        h->done++;
        if (result < 0)
                h->error = result;
        (void)pthread_cond_signal(&h->less);
        (void)pthread_mutex_unlock(&h->lock);
        (void)eventfd_write(h->event, 1);
}

static void *run(void *userdata) {
        struct hash_thread *h = userdata;

        for (uint64_t i = 0;; i++) {
                size_t n = next_slot(h, i);

                if (n == 0)
                        return NULL;
                slot_done(h, digest_update(h->digest, view_make(ring_slot(h->ring, i), n)));
        }
}

int hash_thread_new(const struct ring *ring, struct hash_thread **ret) {
        _cleanup_(hash_thread_freep) struct hash_thread *h = NULL;
        int r;

        if (ring->slots > RING_SLOTS)
                return -EINVAL;
        h = calloc(1, sizeof *h);
        if (!h)
                return -ENOMEM;
        h->ring = ring;
        (void)pthread_mutex_init(&h->lock, NULL);
        (void)pthread_cond_init(&h->more, NULL);
        (void)pthread_cond_init(&h->less, NULL);
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

void hash_thread_publish(struct hash_thread *h, size_t n) {
        (void)pthread_mutex_lock(&h->lock);
        h->bytes[h->published % RING_SLOTS] = n;
        h->published++;
        (void)pthread_cond_signal(&h->more);
        (void)pthread_mutex_unlock(&h->lock);
}

uint64_t hash_thread_done_slots(struct hash_thread *h) {
        uint64_t done;

        (void)pthread_mutex_lock(&h->lock);
        done = h->done;
        (void)pthread_mutex_unlock(&h->lock);
        return done;
}

int hash_thread_event_fd(const struct hash_thread *h) {
        return h->event;
}

int hash_thread_finish(struct hash_thread *h, struct sha256 *ret) {
        int r;

        (void)pthread_mutex_lock(&h->lock);
        while (h->done < h->published)
                (void)pthread_cond_wait(&h->less, &h->lock);
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
        (void)pthread_cond_destroy(&h->less);
        digest_free(h->digest);
        close_fd(h->event);
        free(h);
        return NULL;
}
