#include "quarantine/runner.h"

#include "base/clock.h"
#include "base/log.h"
#include "quarantine/claim_set.h"
#include "quarantine/evidence.h"
#include "quarantine/job_documents.h"
#include "quarantine/promote.h"

#include <fcntl.h>
#include <pthread.h>

#define PAUSE_USEC (UINT64_C(500) * USEC_PER_MSEC)

struct runner {
        struct quarantine *q;
        pthread_t threads[CONCURRENCY_MAX];
        unsigned n;
};

/* One job in the hands of one thread. */
struct work {
        struct quarantine *q;
        struct job job;
        struct verdict verdict;
        int fd; /* of the file, or of the folder */
        bool is_set;
        struct set_walk set; /* what is in the folder */
        uint64_t size;
        char file_id[128];
        struct document_writer
                *tensors; /* while the pass runs; its document is ended before the verdict is kept */
};

static void work_done(struct work *w) {
        job_done(&w->job);
        verdict_done(&w->verdict);
        set_walk_done(&w->set);
        w->fd = close_fd(w->fd);
}

/* Every orderly end comes by here: `starts` counts only those that were cut off. A row that can't be written (a full disk) would
 * stay taken until the next start, so this waits until it can. */
static int save(struct work *w) {
        uint64_t position = live_now(w->q->live);
        int r, last = 0;

        w->job.starts = 0;
        for (;;) {
                r = jobs_put(w->q->jobs, &w->job);
                if (r < 0 && r != last)
                        log_error("job_not_saved", "job %s: %s", w->job.id, strerror(-r));
                if (r >= 0 || r == -ENOENT || live_is_stopping(w->q->live))
                        break;
                last = r;
                live_pause(w->q->live, &position, PAUSE_USEC);
        }
        live_touch(w->q->live, w->job.id);
        return r;
}

static void set_reason(struct job *j, const char *code, const char *text) {
        buf_clear(&j->code);
        buf_clear(&j->reason);
        if (buf_append_str(&j->code, code) < 0 || buf_append_escaped(&j->reason, view_of(text), 500) < 0)
                buf_clear(&j->reason);
}

static void park(struct work *w, const char *code, const char *text) {
        w->job.state = JOB_PARKED;
        set_reason(&w->job, code, text);
        if (quarantine_audit(w->q, "job_parked", "deny", code, &w->job) < 0)
                log_warning("not_audited", "job %s was parked while the audit log did not answer", w->job.id);
        (void)save(w);
}

static uint64_t back_off(unsigned times) {
        uint64_t usec = RETRY_LEAST_USEC << MIN_OF(times, 6U);

        return clock_real_usec() + MIN_OF(usec, RETRY_MOST_USEC);
}

/* Another try later, or to the side when there were enough. */
static void try_later(struct work *w, enum job_state state, const char *code, const char *text) {
        set_reason(&w->job, code, text);
        w->job.tries++;
        if (w->job.tries >= w->q->setup.policy->max_tries) {
                park(w, code, text);
                return;
        }
        w->job.state = state;
        w->job.not_before_usec = back_off(w->job.tries);
        (void)save(w);
}

/* Waits without being held against the file: the fault is in what surrounds it. */
static void wait_for_better_times(struct work *w, enum job_state state, const char *code, const char *text) {
        set_reason(&w->job, code, text);
        w->job.state = state;
        w->job.not_before_usec = back_off(3);
        (void)save(w);
}

/* --- scanning --- */

static bool on_progress(unsigned stage, uint64_t bytes, void *userdata) {
        struct work *w = userdata;

        live_progress_set(w->q->live, w->job.id, stage, bytes);
        return !live_is_stopping(w->q->live);
}

static void on_early(void *userdata, const struct finding *f) {
        struct work *w = userdata;

        live_found(w->q->live, w->job.id, f->rule);
}

static int store_verdict(struct work *w) {
        struct json_writer writer = JSON_WRITER(&w->job.verdict);

        buf_clear(&w->job.verdict);
        verdict_store(&writer, &w->verdict);
        (void)snprintf(w->job.file_id, sizeof w->job.file_id, "%s", w->file_id);
        if (w->verdict.is_known)
                sha256_hex(&w->verdict.sha256, w->job.sha256);
        return json_write_end(&writer);
}

static int put_tensors(void *userdata, struct view text) {
        return document_writer_put(userdata, text);
}

static int begin_tensors(struct work *w, const struct artifact *a, struct tensors_document **ret) {
        _cleanup_(closep) int folder = job_documents_folder(&w->q->claims, w->job.id);
        struct tensors_output out = {.put = put_tensors};
        int r = folder < 0 ? folder : document_writer_new(folder, DOCUMENT_TENSORS, &w->tensors);

        out.userdata = w->tensors;
        return r < 0 ? r : tensors_document_new(&out, a->set, ret);
}

static int end_tensors(struct work *w) {
        struct sha256 digest;
        int r = w->tensors ? document_writer_end(w->tensors, &digest) : 0;

        w->tensors = document_writer_free(w->tensors);
        return r;
}

static int on_finished(const struct verdict *v, unsigned upto, void *userdata) {
        struct work *w = userdata;
        int r;

        w->job.stage = upto;
        r = end_tensors(w);
        if (r >= 0)
                r = store_verdict(w);
        if (r >= 0 && v->members.n > 0 && upto == STAGE_STATIC)
                r = claim_write_listing(&w->q->claims, w->job.id, &v->members);
        return r < 0 ? r : jobs_put(w->q->jobs, &w->job);
}

static bool is_of_today(const struct work *w, const struct verdict *v) {
        return strcmp(v->policy_digest, w->q->setup.policy->digest_hex) == 0 &&
               strcmp(v->scanner, w->q->setup.pipeline.scanner) == 0;
}

/* The listing is not in the row: it lies beside the claim. False: it is not the one of this verdict. */
static bool restore_members(const struct work *w, struct verdict *v) {
        struct sha256 digest;

        if (!w->is_set)
                return true;
        return claim_read_listing(&w->q->claims, w->job.id, &v->members) >= 0 &&
               set_listing_digest(&v->members, &digest) >= 0 &&
               memcmp(&digest, &v->sha256, sizeof digest) == 0;
}

/* Stages that a former run finished count again when file, policy and scanner are the same. */
static void resume(struct work *w) {
        struct verdict v;

        if (w->job.verdict.n == 0 || strcmp(w->job.file_id, w->file_id) != 0 ||
            verdict_restore(buf_view(&w->job.verdict), &v) < 0)
                return;
        if (v.is_known && !verdict_is_reject(&v) && is_of_today(w, &v) && restore_members(w, &v)) {
                w->verdict = v;
                return;
        }
        verdict_done(&v);
}

/* The registry may have been away for days: what passed by another policy or scanner is judged again. */
static void check_judgement(struct work *w) {
        struct verdict v;
        bool counts;

        if (verdict_restore(buf_view(&w->job.verdict), &v) >= 0) {
                counts = is_of_today(w, &v) && w->job.evidence.n > 0;
                verdict_done(&v);
                if (counts)
                        return;
        }
        buf_clear(&w->job.evidence);
        buf_clear(&w->job.evidence_signature);
        w->job.state = JOB_SCANNING;
}

static const struct finding *first_reject(const struct verdict *v) {
        for (unsigned i = 1; i <= STAGES; i++)
                for (size_t k = 0; k < v->stages[i].n; k++)
                        if (v->stages[i].findings[k].severity == FINDING_REJECT)
                                return &v->stages[i].findings[k];
        return NULL;
}

static unsigned first_failed(const struct verdict *v) {
        for (unsigned i = 1; i <= STAGES; i++)
                if (v->stages[i].status == STAGE_FAIL)
                        return i;
        return 0;
}

static bool evict(struct quarantine *q, struct job *j) {
        if (quarantine_audit(q, "rejected_file_evicted", "info", NULL, j) < 0 ||
            claim_remove(&q->claims, j->id) < 0)
                return false;
        j->kept = false;
        return jobs_put(q->jobs, j) >= 0;
}

/* Frees what rejected files take beyond the limit: first the newest, when it is too large alone (it must not push out all others),
 * then the oldest. */
static void evict_rejected(struct quarantine *q, struct job *newest) {
        _cleanup_(buf_donep) struct buf ids = BUF_INIT(JOBS_KEPT_MAX * (size_t)JOB_ID_SIZE);
        uint64_t bytes, most = MIN_OF(q->setup.policy->rejected_bytes, REJECTED_BYTES_MAX);

        if (newest->size > most)
                (void)evict(q, newest);
        if (jobs_kept_bytes(q->jobs, &bytes) < 0 || bytes <= most ||
            jobs_list(q->jobs, JOB_REJECTED, true, JOBS_KEPT_MAX, &ids) < 0)
                return;
        for (size_t at = 0; at < ids.n && bytes > most; at += JOB_ID_SIZE - 1) {
                _cleanup_(job_donep) struct job j = JOB_INIT;

                if (jobs_get(q->jobs, view_make(ids.p + at, JOB_ID_SIZE - 1), &j) >= 0 && j.kept &&
                    evict(q, &j))
                        bytes -= MIN_OF(bytes, j.size);
        }
}

static int write_documents(struct work *w) {
        _cleanup_(closep) int folder = job_documents_folder(&w->q->claims, w->job.id);

        if (folder < 0)
                return folder;
        return job_documents_make(folder, &w->verdict, w->is_set ? &w->verdict.members : NULL, w->q->key);
}

static int make_evidence(struct work *w) {
        _cleanup_(closep) int folder = job_documents_folder(&w->q->claims, w->job.id);
        struct job_documents documents;
        int r = folder < 0 ? folder : job_documents_list(folder, &documents);

        return r < 0 ? r : evidence_make(w->q->key, &w->verdict, &documents, &w->job);
}

static void reject(struct work *w) {
        const struct finding *f = first_reject(&w->verdict);
        int r;

        /* what was never read has no digest to speak of; a refusal stands without papers, too */
        r = w->verdict.is_known ? write_documents(w) : 0;
        if (r < 0)
                log_warning("statement_not_written", "job %s: %s", w->job.id, strerror(-r));
        w->job.stage = first_failed(&w->verdict);
        set_reason(&w->job, f ? f->rule : "rejected", f ? f->message : "a stage failed");
        r = quarantine_audit(w->q, "artifact_rejected", "deny", f ? f->rule : NULL, &w->job);
        if (r < 0) {
                wait_for_better_times(w, JOB_WAITING, "audit_unavailable",
                                      "the audit log does not answer; nothing is decided without it");
                return;
        }
        w->job.state = JOB_REJECTED;
        w->job.kept = true;
        if (save(w) < 0)
                return;
        r = claim_reject(&w->q->claims, w->job.id);
        if (r < 0)
                log_warning("rejected_not_moved", "job %s: %s; done at the next start", w->job.id,
                            strerror(-r));
        evict_rejected(w->q, &w->job);
}

static void not_finished(struct work *w) {
        const struct stage *s = &w->verdict.stages[STAGE_BEHAVIOUR];
        const char *text = s->n ? s->findings[s->n - 1].message : "the behavioural test did not run";

        if (!w->q->setup.pipeline.behaviour.has_worker_root)
                park(w, "not_finished", text);
        else
                try_later(w, JOB_WAITING, "not_finished", text);
}

static void pass(struct work *w) {
        int r;

        w->job.stage = STAGES;
        r = write_documents(w);
        if (r >= 0)
                r = make_evidence(w);
        if (r >= 0)
                r = quarantine_audit(w->q, "artifact_passed", "allow", NULL, &w->job);
        if (r < 0) {
                wait_for_better_times(w, JOB_WAITING, "audit_unavailable",
                                      "evidence, documents or audit record could not be written; nothing is "
                                      "promoted without them");
                return;
        }
        w->job.state = JOB_PROMOTING; /* still taken: this thread goes on with it */
        if (save(w) < 0)
                w->job.state =
                        JOB_SCANNING; /* deleted meanwhile, or we stop: nothing is promoted without a row */
}

static void conclude(struct work *w, enum worker_trouble trouble) {
        if (store_verdict(w) < 0)
                wait_for_better_times(w, JOB_WAITING, "out_of_memory", "the verdict could not be kept");
        else if (trouble != WORKER_FINE)
                try_later(w, JOB_WAITING, "worker_failed", worker_trouble_text(trouble));
        else if (verdict_is_reject(&w->verdict))
                reject(w);
        else if (verdict_is_pass(&w->verdict))
                pass(w);
        else
                not_finished(w);
}

static void scan(struct work *w) {
        _cleanup_(closep) int folder = job_documents_folder(&w->q->claims, w->job.id);
        struct finding_sink early = {.put = on_early, .userdata = w};
        struct pipeline_watch watch = {
                .progress = on_progress, .finished = on_finished, .early = &early, .userdata = w};
        struct artifact a = {
                .fd = w->fd,
                .size = w->size,
                .name = buf_view(&w->job.name),
                .set = w->is_set ? &w->set : NULL,
                .source = w->job.source,
                .url = buf_view(&w->job.url),
        };
        _cleanup_(tensors_document_freep) struct tensors_document *tensors = NULL;
        enum worker_trouble trouble = WORKER_FINE;
        int r = 0;

        if (w->job.signature.n > 0)
                a.signature = buf_view(&w->job.signature);
        if (folder >= 0)
                watch.folder = &folder;
        resume(w);
        if (!w->verdict.is_known)
                r = begin_tensors(w, &a, &tensors);
        watch.tensors = tensors;
        if (r >= 0)
                r = pipeline_run(&w->q->setup.pipeline, &a, STAGES, &watch, &w->verdict, &trouble);
        w->tensors = document_writer_free(w->tensors);
        if (r >= 0 && !(w->is_set ? claim_set_is_same(w->fd, w->file_id) : claim_is_same(w->fd, w->file_id)))
                r = -ESTALE;
        if (r == -ECANCELED) {
                w->job.state = JOB_WAITING;
                w->job.not_before_usec = 0;
                (void)save(w);
        } else if (r < 0 && !launcher_is_there(w->q->setup.launcher))
                wait_for_better_times(w, JOB_WAITING, "launcher_gone",
                                      "the helper that starts workers has died; quarantine starts anew");
        else if (r < 0)
                try_later(w, JOB_WAITING, r == -ESTALE ? "file_changed" : "scan_failed",
                          r == -ESTALE ? "the file changed while it was examined" : strerror(-r));
        else
                conclude(w, trouble);
}

/* --- promoting --- */

static void promoted(struct work *w, const struct promote_result *p) {
        int r;

        w->job.state = JOB_PROMOTED;
        w->job.duplicate = p->duplicate;
        set_reason(&w->job, "", "");
        if (quarantine_audit(w->q, "artifact_promoted", "allow", NULL, &w->job) < 0)
                log_warning("not_audited", "job %s: the registry took it while the audit log did not answer",
                            w->job.id);
        if (save(w) < 0)
                return; /* asked again: the registry knows this job and says yes again */
        r = claim_remove(&w->q->claims, w->job.id);
        if (r < 0)
                log_warning("claim_not_removed", "job %s: %s; done at the next start", w->job.id,
                            strerror(-r));
        if (jobs_trim(w->q->jobs, JOBS_KEPT_MAX) < 0)
                log_warning("jobs_not_trimmed", "old rows could not be removed");
}

static void hand_over(struct work *w) {
        struct promote_result result;

        live_progress_set(w->q->live, w->job.id, STAGES, w->size);
        switch (promote(w->q, &w->job, w->fd, w->is_set ? &w->set : NULL, &result)) {
        case PROMOTE_TAKEN:
                promoted(w, &result);
                break;
        case PROMOTE_REFUSED:
                park(w, result.code, result.text);
                break;
        case PROMOTE_LATER:
                wait_for_better_times(w, JOB_PROMOTING, result.code, result.text);
                break;
        }
}

/* --- threads --- */

static int open_claim(struct work *w) {
        int r = claim_open_data(&w->q->claims, w->job.id, &w->fd, &w->size, w->file_id);

        if (r != -ENOENT)
                return r;
        r = claim_open_set(&w->q->claims, w->job.id, &w->fd, &w->set, w->file_id);
        if (r < 0)
                return r;
        w->is_set = true;
        w->size = w->set.size;
        return 0;
}

static void process(struct work *w) {
        int r = open_claim(w);

        if (r == -ENOENT)
                park(w, "file_missing", "the file is gone from quarantine's folder");
        else if (r < 0)
                try_later(w, w->job.state == JOB_PROMOTING ? JOB_PROMOTING : JOB_WAITING, "unreadable",
                          strerror(-r));
        else if (w->job.starts > INTERRUPTED_MAX)
                park(w, "interrupted", "quarantine was cut off each time it looked at this file");
        else {
                w->job.size = w->size;
                if (w->job.state == JOB_PROMOTING)
                        check_judgement(w);
                if (w->job.state == JOB_SCANNING)
                        scan(w);
                if (w->job.state == JOB_PROMOTING && w->job.evidence.n > 0)
                        hand_over(w);
        }
}

static int run_one(struct quarantine *q) {
        struct work w = {.q = q, .job = JOB_INIT, .fd = -EBADF};
        int r = jobs_take(q->jobs, clock_real_usec(), &w.job);

        if (r >= 0) {
                live_progress_set(q->live, w.job.id, w.job.stage, 0);
                process(&w);
                live_progress_end(q->live, w.job.id);
        }
        work_done(&w);
        return r;
}

static void *run(void *userdata) {
        struct quarantine *q = userdata;
        uint64_t position = 0;

        while (!live_is_stopping(q->live)) {
                int r = run_one(q);

                if (r < 0 && r != -ENOENT)
                        log_error("jobs_unreadable", "the table of jobs can't be read: %s", strerror(-r));
                if (r < 0)
                        live_pause(q->live, &position, PAUSE_USEC);
        }
        return NULL;
}

int runner_start(struct quarantine *q, struct runner **ret) {
        struct runner *r = calloc(1, sizeof *r);

        if (!r)
                return -ENOMEM;
        r->q = q;
        for (; r->n < q->setup.policy->concurrency; r->n++) {
                int error = pthread_create(&r->threads[r->n], NULL, run, q);

                if (error != 0 && r->n == 0) {
                        free(r);
                        return -error;
                }
                if (error != 0)
                        break;
        }
        *ret = r;
        return 0;
}

struct runner *runner_free(struct runner *r) {
        if (!r)
                return NULL;
        for (unsigned i = 0; i < r->n; i++)
                (void)pthread_join(r->threads[i], NULL);
        free(r);
        return NULL;
}
