#include "quarantine/inbox.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define SIGHTINGS_MAX  1024
#define ROW_PAUSE_USEC (UINT64_C(500) * USEC_PER_MSEC)
#define STOP_STEP_USEC (UINT64_C(250) * USEC_PER_MSEC)

struct inbox {
        struct quarantine *q;
        pthread_t thread;
        int watch;
        struct sighting sightings[SIGHTINGS_MAX];
        size_t n;
        bool unsettled; /* something must be looked at again soon */
};

static struct sighting *sighting_of(struct inbox *i, const char *name) {
        struct sighting *s;

        for (size_t k = 0; k < i->n; k++)
                if (strcmp(i->sightings[k].name, name) == 0)
                        return &i->sightings[k];
        if (i->n == SIGHTINGS_MAX)
                return NULL; /* its turn comes when others have gone */
        s = &i->sightings[i->n++];
        *s = (struct sighting){.since_usec = clock_monotonic_usec()};
        (void)snprintf(s->name, sizeof s->name, "%s", name);
        return s;
}

static void forget_unseen(struct inbox *i) {
        size_t kept = 0;

        for (size_t k = 0; k < i->n; k++)
                if (i->sightings[k].seen)
                        i->sightings[kept++] = i->sightings[k];
        i->n = kept;
}

/* A row that says why an entry is refused; the entry itself stays where it is. */
static int put_refusal(struct inbox *i, const char *name, const struct inbox_entry *e) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        char known[JOB_ID_SIZE];
        int r;

        r = jobs_find_refusal(i->q->jobs, e->id, known);
        if (r != -ENOENT)
                return r;
        j.from_inbox = true;
        j.source = SOURCE_LOCAL;
        j.state = JOB_PARKED;
        j.size = e->size;
        (void)snprintf(j.inbox_id, sizeof j.inbox_id, "%s", e->id);
        r = buf_append_str(&j.name, name);
        if (r >= 0)
                r = buf_append_str(&j.code, e->code);
        if (r >= 0)
                r = buf_append_str(&j.reason, e->reason);
        if (r >= 0)
                r = jobs_add(i->q->jobs, &j);
        if (r >= 0) {
                log_warning("inbox_entry_refused", "%s: %s", name, e->reason);
                live_touch(i->q->live, j.id);
        }
        return r;
}

static int make_row(struct inbox *i, const char *name, const struct inbox_entry *e, struct job *j) {
        int r;

        j->from_inbox = true;
        j->source = SOURCE_LOCAL;
        j->state = JOB_RECEIVING;
        j->size = e->size;
        (void)snprintf(j->inbox_id, sizeof j->inbox_id, "%s", e->id);
        r = buf_append_str(&j->name, name);
        if (r >= 0) {
                r = claim_read_signature(&i->q->claims, name, &j->signature);
                if (r == -ENOENT || r == -ELOOP)
                        r = 0;
                else if (r < 0 && r != -ENOMEM)
                        return -EUCLEAN; /* what lies there is no signature */
        }
        return r < 0 ? r : jobs_add(i->q->jobs, j);
}

/* A file that could be read but not taken away: told once, and not copied again with every look at the inbox. The mark keeps it
 * apart from refusals of the same file for other reasons, which may have been mended. */
static struct inbox_entry stuck_entry(const struct inbox_entry *e) {
        struct inbox_entry s = {
                .fd = -EBADF,
                .size = e->size,
                .code = "not_removable",
                .reason = "quarantine may not remove this file from the inbox; make file and folder writable "
                          "for it, then delete this job",
        };

        (void)snprintf(s.id, sizeof s.id, "%.100s:stays", e->id);
        return s;
}

/* Not examined as if it had no signature: somebody meant it to have one. */
static struct inbox_entry unsigned_entry(const struct inbox_entry *e) {
        struct inbox_entry s = {
                .fd = -EBADF,
                .size = e->size,
                .code = "bad_signature_file",
                .reason = "the signature beside this file (.sig or .sigstore.json) is a folder, too large or "
                          "can't be "
                          "read; mend or remove it",
        };

        (void)snprintf(s.id, sizeof s.id, "%.100s:signature", e->id);
        return s;
}

/* Writes or removes the row of a claim, for as long as it takes (a full disk): a row that stayed "received" would be looked at again
 * only by the next start. */
static int settle_row(struct inbox *i, struct job *j, bool stays) {
        uint64_t position = live_now(i->q->live);
        int r, last = 0;

        for (;;) {
                r = stays ? jobs_put(i->q->jobs, j) : jobs_delete(i->q->jobs, view_of(j->id));
                if (r >= 0 || r == -ENOENT || live_is_stopping(i->q->live))
                        return r;
                if (r != last)
                        log_error("job_not_saved", "job %s: %s", j->id, strerror(-r));
                last = r;
                live_pause(i->q->live, &position, ROW_PAUSE_USEC);
        }
}

static int claim_entry(struct inbox *i, const char *name, struct inbox_entry *e) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        int r;

        r = make_row(i, name, e, &j);
        if (r < 0)
                return r;
        r = quarantine_audit(i->q, "job_claimed", "info", NULL, &j);
        if (r >= 0)
                r = claim_take(&i->q->claims, name, e, j.id);
        if (r < 0) {
                int gone = settle_row(i, &j, false);

                return gone < 0 && r != -EBUSY ? gone : r;
        }
        if (j.signature.n > 0)
                claim_drop_signature(&i->q->claims, name);
        j.state = JOB_WAITING;
        r = settle_row(i, &j, true);
        live_touch(i->q->live, j.id);
        return r;
}

static int claim_or_refuse(struct inbox *i, const char *name, struct inbox_entry *e) {
        struct inbox_entry stuck = stuck_entry(e);
        char known[JOB_ID_SIZE];
        int r;

        r = jobs_find_refusal(i->q->jobs, stuck.id, known);
        if (r != -ENOENT)
                return r;
        r = claim_check_room(&i->q->claims,
                             e); /* before the audit log is told of a claim that can't be made */
        if (r >= 0)
                r = claim_entry(i, name, e);
        if (r == -EUCLEAN) {
                stuck = unsigned_entry(e);
                r = -EPERM;
        }
        return r == -EPERM ? put_refusal(i, name, &stuck) : r;
}

static void look_at(struct inbox *i, const char *name) {
        struct sighting *s = sighting_of(i, name);
        struct inbox_entry e;
        int r = 0;

        if (!s)
                return;
        s->seen = true;
        switch (claim_look(&i->q->claims, name, s, &e)) {
        case CLAIM_READY:
                r = claim_or_refuse(i, name, &e);
                close_fd(e.fd);
                break;
        case CLAIM_REFUSED:
                r = put_refusal(i, name, &e);
                break;
        case CLAIM_SETTLING:
                i->unsettled = true;
                break;
        case CLAIM_BUSY:
        case CLAIM_GONE:
                break;
        }
        if (r < 0 && r != -EBUSY)
                log_warning("claim_failed", "%s stays in the inbox: %s", name, strerror(-r));
}

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

static void rescan(struct inbox *i) {
        int fd = openat(i->q->claims.incoming, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closedirp) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *e;

        if (!d) {
                close_fd(fd);
                log_error("inbox_unreadable", "the inbox can't be listed: %s", strerror(errno));
                return;
        }
        i->unsettled = false;
        for (size_t k = 0; k < i->n; k++)
                i->sightings[k].seen = false;
        for (unsigned n = 0; n < INBOX_ENTRIES_MAX && !live_is_stopping(i->q->live) && (e = readdir(d)); n++)
                if (!claim_name_is_ignored(view_of(e->d_name)))
                        look_at(i, e->d_name);
        forget_unseen(i);
}

/* A refusal whose cause is gone from the inbox says nothing any more. */
static void drop_old_refusals(struct inbox *i) {
        _cleanup_(buf_donep) struct buf ids = BUF_INIT(JOBS_LISTED_MAX * (size_t)JOB_ID_SIZE);

        if (jobs_list(i->q->jobs, JOB_PARKED, true, JOBS_LISTED_MAX, &ids) < 0)
                return;
        for (size_t at = 0; at < ids.n; at += JOB_ID_SIZE - 1) {
                _cleanup_(job_donep) struct job j = JOB_INIT;
                struct stat st;

                if (jobs_get(i->q->jobs, view_make(ids.p + at, JOB_ID_SIZE - 1), &j) < 0 || !j.from_inbox ||
                    claim_exists(&i->q->claims, j.id))
                        continue;
                if (fstatat(i->q->claims.incoming, buf_str(&j.name), &st, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno == ENOENT && jobs_delete(i->q->jobs, view_of(j.id)) >= 0)
                        live_touch(i->q->live, j.id);
        }
}

static void wait_for_change(struct inbox *i) {
        uint64_t until = clock_monotonic_usec() + (i->unsettled ? INBOX_SETTLE_USEC / 2 : INBOX_RESCAN_USEC);
        struct pollfd p = {.fd = i->watch, .events = POLLIN};
        char events[4096];

        while (!live_is_stopping(i->q->live) && clock_monotonic_usec() < until) {
                if (poll(&p, 1, (int)(STOP_STEP_USEC / USEC_PER_MSEC)) <= 0)
                        continue;
                while (read(i->watch, events, sizeof events) > 0)
                        ; /* what happened, the rescan sees */
                return;
        }
}

static void *run(void *userdata) {
        struct inbox *i = userdata;

        for (unsigned round = 0; !live_is_stopping(i->q->live); round++) {
                rescan(i);
                if (round % 4 == 0)
                        drop_old_refusals(i);
                wait_for_change(i);
        }
        return NULL;
}

int inbox_start(struct quarantine *q, struct inbox **ret) {
        struct inbox *i = calloc(1, sizeof *i);
        int r;

        if (!i)
                return -ENOMEM;
        i->q = q;
        i->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (i->watch >= 0 && inotify_add_watch(i->watch, q->incoming_path, IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
                log_warning("no_inotify", "the inbox is looked at every two seconds only: %s",
                            strerror(errno));
        r = pthread_create(&i->thread, NULL, run, i);
        if (r != 0) {
                close_fd(i->watch);
                free(i);
                return -r;
        }
        *ret = i;
        return 0;
}

struct inbox *inbox_free(struct inbox *i) {
        if (!i)
                return NULL;
        (void)pthread_join(i->thread, NULL);
        close_fd(i->watch);
        free(i);
        return NULL;
}
