#include "audit/writer.h"

#include <pthread.h>

#include "audit/limits.h"

struct waiter {
        struct log_item item;
        bool done;
        struct waiter *next;
};

struct writer {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool writing; /* somebody commits, without the lock */
        struct waiter *first, **last;
        struct log_store *store; /* used by whoever set `writing` */
        struct log_end end;
};

int writer_new(struct log_store *store, struct writer **ret) {
        struct writer *w = calloc(1, sizeof *w);

        if (!w)
                return -ENOMEM;
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->changed, NULL);
        w->last = &w->first;
        w->store = store;
        w->end = log_store_end(store);
        *ret = w;
        return 0;
}

struct writer *writer_free(struct writer *w) {
        if (!w)
                return NULL;
        log_store_close(w->store);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
}

static size_t take_batch(struct writer *w, struct waiter *batch[AUDIT_BATCH_RECORDS]) {
        size_t n = 0;

        while (n < AUDIT_BATCH_RECORDS && w->first) {
                batch[n++] = w->first;
                w->first = w->first->next;
        }
        if (!w->first)
                w->last = &w->first;
        return n;
}

/* Called with the lock and left with it; commits one batch without it. */
static void lead(struct writer *w) {
        struct waiter *batch[AUDIT_BATCH_RECORDS];
        struct log_item items[AUDIT_BATCH_RECORDS];
        struct log_end end;
        size_t n = take_batch(w, batch);

        w->writing = true;
        pthread_mutex_unlock(&w->lock);
        for (size_t i = 0; i < n; i++)
                items[i] = batch[i]->item;
        log_store_commit(w->store, items, n);
        end = log_store_end(w->store);
        pthread_mutex_lock(&w->lock);
        for (size_t i = 0; i < n; i++) {
                batch[i]->item = items[i];
                batch[i]->done = true;
        }
        w->end = end;
        w->writing = false;
        pthread_cond_broadcast(&w->changed);
}

int writer_append(struct writer *w, const struct audit_entry *e, uint64_t *ret_sequence) {
        struct waiter me = {.item.entry = e};

        pthread_mutex_lock(&w->lock);
        *w->last = &me; /* taken off the list before `done` is set, so never left behind */
        /* cppcheck-suppress autoVariables */
        w->last = &me.next;
        while (!me.done) {
                if (w->writing)
                        pthread_cond_wait(&w->changed, &w->lock);
                else
                        lead(w);
        }
        pthread_mutex_unlock(&w->lock);
        if (me.item.result >= 0)
                *ret_sequence = me.item.sequence;
        return me.item.result;
}

struct log_end writer_end(struct writer *w) {
        struct log_end end;

        pthread_mutex_lock(&w->lock);
        end = w->end;
        pthread_mutex_unlock(&w->lock);
        return end;
}
