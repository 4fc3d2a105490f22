#include "ui/lockout.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/file.h"
#include "ui/limits.h"
#include "wire/json.h"

#define FILE_BYTES_MAX ((size_t)1024)

struct lockout {
        int state_dir;
        const char *name;
        uint64_t tries, pause_usec;
        pthread_mutex_t mutex;
        const char *boot_id;
        uint64_t wrong;        /* since the last right one or the last pause */
        uint64_t pauses;       /* since the last right one */
        uint64_t locked_until; /* boot clock; 0: not locked */
};

static uint64_t pause_of(const struct lockout *l, uint64_t pauses) {
        uint64_t max = UI_LOCK_MAX_S * USEC_PER_SEC, pause = MIN_OF(l->pause_usec, max);

        for (uint64_t i = 1; i < pauses && pause < max; i++)
                pause *= 2;
        return MIN_OF(pause, max);
}

static int save(struct lockout *l) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_BYTES_MAX);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        json_object_begin(&w);
        json_member_string(&w, "boot", l->boot_id);
        json_member_u64(&w, "wrong", l->wrong);
        json_member_u64(&w, "pauses", l->pauses);
        json_member_u64(&w, "locked_until", l->locked_until);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : replace_file(l->state_dir, l->name, buf_view(&text), 0600);
}

static int read_state(struct lockout *l, const struct json *o) {
        static const char *const known[] = {"boot", "wrong", "pauses", "locked_until", NULL};
        bool same_boot;

        if (o->type != JSON_OBJECT || json_unknown_member(o, known) ||
            json_get_u64(o, "wrong", &l->wrong) < 0 || json_get_u64(o, "pauses", &l->pauses) < 0 ||
            json_get_u64(o, "locked_until", &l->locked_until) < 0)
                return -EUCLEAN;
        same_boot = view_eq_str(json_get_view(o, "boot", VIEW_NULL), l->boot_id);
        if (l->locked_until > 0 && !same_boot)
                l->locked_until = clock_boot_usec() + pause_of(l, l->pauses);
        return 0;
}

static int load(struct lockout *l) {
        _cleanup_(buf_donep) struct buf text = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int r = read_file_beneath(l->state_dir, l->name, FILE_BYTES_MAX, &text);

        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = json_parse(buf_view(&text), NULL, &d, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EUCLEAN;
        r = read_state(l, json_root(d));
        return r < 0 ? r : save(l); /* a pause that began anew must not begin anew again */
}

int lockout_new(int state_dir, const char *name, const char *boot_id, uint64_t tries, uint64_t pause_usec,
                struct lockout **ret, struct fault *reterr) {
        struct lockout *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        l->state_dir = state_dir;
        l->name = name;
        l->tries = tries;
        l->pause_usec = pause_usec;
        l->boot_id = boot_id;
        pthread_mutex_init(&l->mutex, NULL);
        r = load(l);
        if (r < 0) {
                lockout_free(l);
                return fault_set(reterr, r, "UI-002", 0,
                                 "%s can't be read or written (%s); it counts wrong passphrases. Restore it, "
                                 "or delete "
                                 "it when you know why",
                                 name, strerror(-r));
        }
        *ret = l;
        return 0;
}

struct lockout *lockout_free(struct lockout *l) {
        if (!l)
                return NULL;
        pthread_mutex_destroy(&l->mutex);
        free(l);
        return NULL;
}

static uint64_t remaining(const struct lockout *l) {
        uint64_t now = clock_boot_usec();

        return l->locked_until > now ? l->locked_until - now : 0;
}

static int take(struct lockout *l) {
        uint64_t wrong = l->wrong, pauses = l->pauses, locked_until = l->locked_until;
        int r;

        if (remaining(l) > 0)
                return -EAGAIN;
        if (l->locked_until > 0) { /* the pause is over */
                l->locked_until = 0;
                l->wrong = 0;
        }
        if (++l->wrong >= l->tries) {
                l->pauses++;
                l->locked_until = clock_boot_usec() + pause_of(l, l->pauses);
        }
        r = save(l);
        if (r < 0) {
                l->wrong = wrong;
                l->pauses = pauses;
                l->locked_until = locked_until;
        }
        return r;
}

int lockout_take(struct lockout *l) {
        int r;

        pthread_mutex_lock(&l->mutex);
        r = take(l);
        pthread_mutex_unlock(&l->mutex);
        return r;
}

int lockout_right(struct lockout *l) {
        int r;

        pthread_mutex_lock(&l->mutex);
        l->wrong = l->pauses = l->locked_until = 0;
        r = save(l);
        pthread_mutex_unlock(&l->mutex);
        return r;
}

uint64_t lockout_tries_left(struct lockout *l) {
        uint64_t n;

        pthread_mutex_lock(&l->mutex);
        n = l->wrong < l->tries ? l->tries - l->wrong : 0;
        pthread_mutex_unlock(&l->mutex);
        return n;
}

uint64_t lockout_remaining_usec(struct lockout *l) {
        uint64_t n;

        pthread_mutex_lock(&l->mutex);
        n = remaining(l);
        pthread_mutex_unlock(&l->mutex);
        return n;
}
