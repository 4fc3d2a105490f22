#include "base/log.h"
#include "quarantine/claim_set.h"
#include "quarantine/runner.h"

#include <dirent.h>
#include <fcntl.h>

static int set_state(struct quarantine *q, struct job *j, enum job_state state, const char *code,
                     const char *reason) {
        int r;

        j->state = state;
        j->not_before_usec = 0;
        buf_clear(&j->code);
        buf_clear(&j->reason);
        r = buf_append_str(&j->code, code);
        if (r >= 0)
                r = buf_append_str(&j->reason, reason);
        return r < 0 ? r : jobs_put(q->jobs, j);
}

/* The claim was being made. What is complete is a claim; what is not is still in the inbox, or with who sent it. */
static int recover_receiving(struct quarantine *q, struct job *j) {
        int r;

        if (claim_exists(&q->claims, j->id)) { /* a folder has left the inbox by then */
                r = j->from_inbox ? claim_drop_inbox(&q->claims, buf_str(&j->name), j->inbox_id) : 0;
                if (r < 0) /* one file in the inbox must not keep the service from starting */
                        log_warning("inbox_not_cleared",
                                    "job %s has its file, which stays in the inbox, too: %s", j->id,
                                    strerror(-r));
                return set_state(q, j, JOB_WAITING, "", "");
        }
        r = j->from_inbox ? claim_set_give_back(&q->claims, j->id, buf_str(&j->name)) : 0;
        if (r >= 0)
                r = claim_remove(&q->claims, j->id);
        if (r < 0)
                return r;
        if (j->from_inbox)
                return jobs_delete(q->jobs, view_of(j->id));
        return set_state(q, j, JOB_PARKED, "interrupted",
                         "quarantine was interrupted while it received the file; send it again");
}

static int recover_job(struct quarantine *q, struct job *j) {
        switch (j->state) {
        case JOB_RECEIVING:
                return recover_receiving(q, j);
        case JOB_SCANNING:
        case JOB_WAITING:
                return set_state(q, j, JOB_WAITING, "", "");
        case JOB_PROMOTING:
                return set_state(q, j, JOB_PROMOTING, "", "");
        case JOB_REJECTED:
                return claim_exists(&q->claims, j->id) ? claim_reject(&q->claims, j->id) : 0;
        case JOB_PROMOTED:
                return claim_remove(&q->claims, j->id);
        default:
                return 0;
        }
}

static int recover_rows(struct quarantine *q) {
        _cleanup_(buf_donep) struct buf ids = BUF_INIT((size_t)64 << 20);
        int r;

        r = jobs_list(q->jobs, JOB_STATE_MAX, true, 1000000, &ids);
        for (size_t at = 0; at < ids.n && r >= 0; at += JOB_ID_SIZE - 1) {
                _cleanup_(job_donep) struct job j = JOB_INIT;

                r = jobs_get(q->jobs, view_make(ids.p + at, JOB_ID_SIZE - 1), &j);
                if (r >= 0)
                        r = recover_job(q, &j);
        }
        return r;
}

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

/* A claim without a row (the table was lost): examined again under a name of its own, never thrown away. */
static int adopt(struct quarantine *q, const char *folder) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        int r;

        if (!claim_exists(&q->claims, folder)) {
                r = claim_set_give_back(&q->claims, folder, folder);
                return r < 0 ? r : claim_remove(&q->claims, folder);
        }
        j.state = JOB_RECEIVING;
        r = buf_printf(&j.name, "recovered-%s", folder);
        if (r >= 0)
                r = jobs_add(q->jobs, &j);
        if (r >= 0 && renameat2(q->claims.claims, folder, q->claims.claims, j.id, RENAME_NOREPLACE) < 0)
                r = negative_errno();
        if (r >= 0)
                r = set_state(q, &j, JOB_WAITING, "", "");
        if (r >= 0)
                log_warning("claim_adopted", "claim %s had no row in the table; it is job %s now", folder,
                            j.id);
        return r;
}

static int recover_folders(struct quarantine *q) {
        int fd = openat(q->claims.claims, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        _cleanup_(closedirp) DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *e;

        if (!d) {
                r = negative_errno();
                close_fd(fd);
                return r;
        }
        while (r >= 0 && (e = readdir(d))) {
                _cleanup_(job_donep) struct job j = JOB_INIT;

                if (e->d_name[0] == '.')
                        continue;
                r = jobs_get(q->jobs, view_of(e->d_name), &j);
                if (r == -ENOENT)
                        r = adopt(q, e->d_name);
        }
        return r;
}

int runner_recover(struct quarantine *q) {
        int r = recover_rows(q);

        return r < 0 ? r : recover_folders(q);
}
