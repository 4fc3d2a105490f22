#include "registry/admission.h"

#include <pthread.h>

#include "registry/limits.h"

struct entry {
        int fd;
        uint64_t size;
        struct sha256 digest;
};

struct admission {
        struct objects *objects; /* borrowed */
        pthread_t threads[REGISTRY_ADMIT_THREADS];
        unsigned n_threads;
        pthread_mutex_t lock; /* for what follows */
        pthread_cond_t changed;
        struct entry queue[REGISTRY_ADMIT_QUEUE];
        size_t first, n;
        unsigned busy; /* files that are being admitted */
        bool ending;
        int failure;
};

int admission_new(struct objects *objects, struct admission **ret) {
        struct admission *a = calloc(1, sizeof *a);

        if (!a)
                return -ENOMEM;
        a->objects = objects;
        pthread_mutex_init(&a->lock, NULL);
        pthread_cond_init(&a->changed, NULL);
        *ret = a;
        return 0;
}

/* With the lock. After a failure or at the end the rest is not looked at any more. */
static void drop_queue(struct admission *a) {
        for (; a->n > 0; a->n--, a->first = (a->first + 1) % REGISTRY_ADMIT_QUEUE)
                close_fd(a->queue[a->first].fd);
}

/* With the lock, which is free meanwhile. */
static void admit_next(struct admission *a) {
        struct entry e = a->queue[a->first];
        int r;

        a->first = (a->first + 1) % REGISTRY_ADMIT_QUEUE;
        a->n--;
        a->busy++;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        r = objects_admit(a->objects, e.fd, e.size, &e.digest);
        close_fd(e.fd);
        pthread_mutex_lock(&a->lock);
        a->busy--;
        if (r < 0 && a->failure == 0) {
                a->failure = r;
                drop_queue(a);
        }
        pthread_cond_broadcast(&a->changed);
}

static void *admission_main(void *userdata) {
        struct admission *a = userdata;

        pthread_mutex_lock(&a->lock);
        while (!a->ending) {
                if (a->n > 0)
                        admit_next(a);
                else
                        (void)pthread_cond_wait(&a->changed, &a->lock);
        }
        pthread_mutex_unlock(&a->lock);
        return NULL;
}

/* One thread is enough to go on with. */
static int start_threads(struct admission *a) {
        pthread_attr_t attributes;
        int r = 0;

        if (a->n_threads > 0)
                return 0;
        pthread_attr_init(&attributes);
        (void)pthread_attr_setstacksize(&attributes, REGISTRY_ADMIT_STACK);
        while (r == 0 && a->n_threads < REGISTRY_ADMIT_THREADS) {
                r = pthread_create(&a->threads[a->n_threads], &attributes, admission_main, a);
                a->n_threads += r == 0;
        }
        pthread_attr_destroy(&attributes);
        return a->n_threads > 0 ? 0 : -r;
}

int admission_put(struct admission *a, int fd, uint64_t size, const struct sha256 *digest) {
        int r = start_threads(a);

        if (r < 0) {
                close_fd(fd);
                return r;
        }
        pthread_mutex_lock(&a->lock);
        while (a->n == REGISTRY_ADMIT_QUEUE && a->failure == 0)
                (void)pthread_cond_wait(&a->changed, &a->lock);
        r = a->failure;
        if (r == 0) {
                a->queue[(a->first + a->n) % REGISTRY_ADMIT_QUEUE] = (struct entry){fd, size, *digest};
                a->n++;
                pthread_cond_broadcast(&a->changed);
        }
        pthread_mutex_unlock(&a->lock);
        if (r < 0)
                close_fd(fd);
        return r;
}

int admission_wait(struct admission *a) {
        int r;

        pthread_mutex_lock(&a->lock);
        while (a->n > 0 || a->busy > 0)
                (void)pthread_cond_wait(&a->changed, &a->lock);
        r = a->failure;
        pthread_mutex_unlock(&a->lock);
        return r;
}

struct admission *admission_free(struct admission *a) {
        if (!a)
                return NULL;
        pthread_mutex_lock(&a->lock);
        a->ending = true;
        drop_queue(a);
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        for (unsigned i = 0; i < a->n_threads; i++)
                pthread_join(a->threads[i], NULL);
        pthread_cond_destroy(&a->changed);
        pthread_mutex_destroy(&a->lock);
        free(a);
        return NULL;
}
