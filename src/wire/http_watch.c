/* The library's own timeout restarts with every byte, so that a peer which sends one byte a second is never late.
 * These deadlines are absolute: a socket that is past its own is shut down from outside, and the thread that serves
 * it sees the end of the connection. */
#include "wire/http_internal.h"

#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

struct http_watch {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        pthread_t thread;
        struct http_watched *first;
        uint64_t wake_at; /* when the thread will look next; UINT64_MAX: sleeps until told */
        bool stop;
};

#define LATE_BODY                                                                                            \
        "{\"error\":{\"code\":\"request_timeout\",\"message\":\"The request took too long to arrive; send "  \
        "it "                                                                                                \
        "again.\",\"detail\":{}}}"

/* Nothing may block here: every other deadline waits. */
static void say_late(int fd) {
        char text[512];
        int n = snprintf(text, sizeof(text),
                         "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                         sizeof(LATE_BODY) - 1, LATE_BODY);

        if (n > 0 && (size_t)n < sizeof(text))
                (void)send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void cut(struct http_watched *e) {
        if (e->answer)
                say_late(e->fd);
        (void)shutdown(e->fd, SHUT_RDWR);
        e->deadline = 0;
        e->expired = true;
}

/* Cuts what is late and returns the next deadline. */
static uint64_t sweep(struct http_watch *w, uint64_t now) {
        uint64_t next = UINT64_MAX;

        for (struct http_watched *e = w->first; e; e = e->next) {
                if (e->deadline == 0)
                        continue;
                if (e->deadline <= now)
                        cut(e);
                else if (e->deadline < next)
                        next = e->deadline;
        }
        return next;
}

static void *watch_main(void *userdata) {
        struct http_watch *w = userdata;

        pthread_mutex_lock(&w->mutex);
        while (!w->stop) {
                w->wake_at = sweep(w, clock_monotonic_usec());
                if (w->wake_at == UINT64_MAX) {
                        pthread_cond_wait(&w->changed, &w->mutex);
                } else {
                        struct timespec at = {(time_t)(w->wake_at / USEC_PER_SEC),
                                              (long)(w->wake_at % USEC_PER_SEC) * 1000};

                        pthread_cond_timedwait(&w->changed, &w->mutex, &at);
                }
        }
        pthread_mutex_unlock(&w->mutex);
        return NULL;
}

int http_watch_new(struct http_watch **ret) {
        struct http_watch *w = calloc(1, sizeof(*w));
        pthread_condattr_t attributes;
        int r;

        if (!w)
                return -ENOMEM;
        pthread_mutex_init(&w->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&w->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        w->wake_at = UINT64_MAX;
        r = pthread_create(&w->thread, NULL, watch_main, w);
        if (r != 0) {
                pthread_cond_destroy(&w->changed);
                pthread_mutex_destroy(&w->mutex);
                free(w);
                return -r;
        }
        *ret = w;
        return 0;
}

struct http_watch *http_watch_free(struct http_watch *w) {
        if (!w)
                return NULL;
        pthread_mutex_lock(&w->mutex);
        w->stop = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->mutex);
        free(w);
        return NULL;
}

static void set_deadline(struct http_watch *w, struct http_watched *e, uint64_t timeout_usec) {
        e->deadline = timeout_usec > 0 ? clock_monotonic_usec() + timeout_usec : 0;
        if (e->deadline > 0 && e->deadline < w->wake_at)
                pthread_cond_signal(&w->changed);
}

void http_watch_add(struct http_watch *w, struct http_watched *e, uint64_t timeout_usec) {
        pthread_mutex_lock(&w->mutex);
        e->yields = true;
        e->previous = NULL;
        e->next = w->first;
        if (w->first)
                w->first->previous = e;
        w->first = e;
        set_deadline(w, e, timeout_usec);
        pthread_mutex_unlock(&w->mutex);
}

void http_watch_remove(struct http_watch *w, struct http_watched *e) {
        pthread_mutex_lock(&w->mutex);
        if (e->previous)
                e->previous->next = e->next;
        else
                w->first = e->next;
        if (e->next)
                e->next->previous = e->previous;
        pthread_mutex_unlock(&w->mutex);
}

bool http_watch_phase(struct http_watch *w, struct http_watched *e, uint64_t timeout_usec, bool answer) {
        bool alive;

        pthread_mutex_lock(&w->mutex);
        alive = !e->expired;
        if (alive) {
                e->answer = answer;
                set_deadline(w, e, timeout_usec);
        }
        pthread_mutex_unlock(&w->mutex);
        return alive;
}

void http_watch_begun(struct http_watch *w, struct http_watched *e) {
        pthread_mutex_lock(&w->mutex);
        e->answer = true;
        pthread_mutex_unlock(&w->mutex);
}

void http_watch_yields(struct http_watch *w, struct http_watched *e, bool yields) {
        pthread_mutex_lock(&w->mutex);
        e->yields = yields;
        pthread_mutex_unlock(&w->mutex);
}

/* New ones are put first, so the last in the list is the oldest. */
bool http_watch_cut_oldest(struct http_watch *w, const struct http_watched *e) {
        struct http_watched *oldest = NULL;

        pthread_mutex_lock(&w->mutex);
        for (struct http_watched *c = w->first; c; c = c->next)
                if (c != e && c->yields && !c->expired)
                        oldest = c;
        if (oldest)
                cut(oldest);
        pthread_mutex_unlock(&w->mutex);
        return oldest != NULL;
}
