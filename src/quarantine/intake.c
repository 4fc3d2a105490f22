#include "quarantine/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "quarantine/claim_set.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#define SEND_USEC       (UINT64_C(10) * USEC_PER_SEC)
#define COMMIT_WAIT     (UINT64_C(10) * USEC_PER_SEC) /* for the client's descriptor to be closed everywhere */
#define PARK_PAUSE_USEC (UINT64_C(500) * USEC_PER_MSEC)
#define COMMIT_STEP     (UINT64_C(20) * USEC_PER_MSEC)

static const char *const import_members[] = {"op", "name", "source", "signature", NULL};
static const char *const upload_members[] = {"op", "name", "size", "signature", NULL};
static const char *const commit_members[] = {"op", "job", NULL};

static const char *const upload_set_members[] = {"op", "name", "files", "size", "source", "signature", NULL};
static const char *const file_members[] = {"op", "path", "size", NULL};

/* One upload a connection. */
struct upload {
        char job[JOB_ID_SIZE];
        int reader;
        uint64_t size;
        bool is_set;
        uint64_t files; /* announced */
        uint64_t files_come, bytes_come;
};

static int answer_error(int sock, const char *code, const char *message, bool final) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&out);
        int r;

        json_object_begin(&w);
        json_member_bool(&w, "ok", false);
        json_member_string(&w, "code", code);
        json_member_string(&w, "message", message);
        json_member_bool(&w, "final", final);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : fd_channel_send(sock, buf_view(&out), -EBADF, SEND_USEC);
}

static int answer_errno(int sock, int r) {
        switch (r) {
        case -ENOSPC:
                return answer_error(sock, "disk_full", "there is not enough room on the disk for this file",
                                    false);
        case -EFBIG:
                return answer_error(sock, "too_large",
                                    "the file is larger than policy.yaml allows (limits.artifact_bytes)",
                                    true);
        case -EINVAL:
                return answer_error(sock, "bad_path", "not a path that a file of a folder may have", true);
        case -EEXIST:
                return answer_error(sock, "bad_path", "this path is there already, or is a folder", true);
        case -E2BIG:
                return answer_error(sock, "size_differs", "more files or bytes than were announced", true);
        case -ESTALE:
                return answer_error(sock, "file_changed", "the file changed while it was copied", false);
        case -EBADFD:
                return answer_error(sock, "not_a_file", "only regular files can be imported", true);
        case -EBUSY:
                return answer_error(sock, "still_open",
                                    "somebody can still write to the file; close it before commit", false);
        case -EBADMSG:
                return answer_error(sock, "size_differs", "the file has not the size that was announced",
                                    true);
        default:
                return answer_error(sock, "failed", strerror(-r), false);
        }
}

static int answer_job(int sock, const char *job, int fd) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&out);
        int r;

        json_object_begin(&w);
        json_member_bool(&w, "ok", true);
        if (job)
                json_member_string(&w, "job", job);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : fd_channel_send(sock, buf_view(&out), fd, SEND_USEC);
}

/* Common to both: name and signature. -EBADMSG when they can't be used. */
static int fill_row(const struct json *m, enum source_kind source, uint64_t size, struct job *j) {
        struct view name = json_get_view(m, "name", VIEW_NULL),
                    signature = json_get_view(m, "signature", VIEW_NULL);

        if (name.n == 0 || name.n > ARTIFACT_NAME_MAX || memchr(name.p, '/', name.n) ||
            memchr(name.p, '\0', name.n))
                return -EINVAL;
        j->state = JOB_RECEIVING;
        j->source = source;
        j->size = size;
        if (signature.p && base64_decode(signature, &j->signature) < 0)
                return -EINVAL;
        return buf_append_view(&j->name, name);
}

static int add_row(struct quarantine *q, struct job *j) {
        int r;

        if (j->size > q->setup.policy->artifact_bytes)
                return -EFBIG;
        r = claim_check_space(&q->claims, j->size);
        if (r >= 0)
                r = jobs_add(q->jobs, j);
        if (r >= 0) {
                r = quarantine_audit(q, "job_claimed", "info", NULL, j);
                if (r < 0 && jobs_delete(q->jobs, view_of(j->id)) < 0)
                        log_error("job_not_removed", "job %s stays as received", j->id);
        }
        return r;
}

static int set_waiting(struct quarantine *q, struct job *j) {
        int r;

        j->state = JOB_WAITING;
        r = jobs_put(q->jobs, j);
        live_progress_end(q->live, j->id);
        return r;
}

/* --- import --- */

struct import_watch {
        struct quarantine *q;
        const char *job;
};

static bool on_copied(uint64_t bytes, void *userdata) {
        struct import_watch *w = userdata;

        live_progress_set(w->q->live, w->job, 0, bytes);
        return !live_is_stopping(w->q->live);
}

/* A row that was deleted meanwhile needs no end. */
static bool park_failed(int r) {
        return r < 0 && r != -ENOENT;
}

static void import_failed(struct quarantine *q, struct job *j, int why) {
        const char *code = why == -ENOSPC ? "disk_full" : why == -ESTALE ? "file_changed" : "interrupted";
        const char *text =
                why == -ENOSPC
                        ? "there was not enough room on the disk for a copy; make room and import again"
                : why == -ESTALE ? "the file changed while it was copied; import it again"
                                 : "the copy was not finished; import the file again";

        log_warning("import_failed", "job %s: %s", j->id, strerror(-why));
        if (claim_remove(&q->claims, j->id) < 0 || buf_append_str(&j->code, code) < 0 ||
            buf_append_str(&j->reason, text) < 0)
                log_warning("import_failed", "job %s: its folder could not be removed", j->id);
        j->state = JOB_PARKED;
        for (uint64_t position = live_now(q->live);
             park_failed(jobs_put(q->jobs, j)) && !live_is_stopping(q->live);)
                live_pause(q->live, &position,
                           PARK_PAUSE_USEC); /* a full disk: else it would stay "received" */
        live_progress_end(q->live, j->id);
}

static int check_import(const struct json *m, int fd, struct job *j) {
        enum source_kind source;
        struct stat st;

        if (json_unknown_member(m, import_members) ||
            source_kind_from(json_get_view(m, "source", VIEW_NULL), &source) < 0 ||
            (source != SOURCE_LOCAL && source != SOURCE_DEMO))
                return -EINVAL;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return -EBADFD;
        return fill_row(m, source, (uint64_t)st.st_size, j);
}

static int import(struct quarantine *q, int sock, const struct json *m, int fd) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct import_watch w = {.q = q, .job = j.id};
        int r;

        r = check_import(m, fd, &j);
        if (r == -EINVAL)
                return answer_error(sock, "bad_request",
                                    "import wants name, source (local or demo) and maybe signature (base64)",
                                    true);
        if (r >= 0)
                r = add_row(q, &j);
        if (r < 0)
                return answer_errno(sock, r);
        live_touch(q->live, j.id);
        r = answer_job(sock, j.id, -EBADF); /* the copy goes on even when the client has gone meanwhile */
        {
                int copied = claim_copy(&q->claims, fd, j.size, j.id, on_copied, &w);

                if (copied >= 0)
                        copied = set_waiting(q, &j);
                if (copied < 0)
                        import_failed(q, &j, copied);
        }
        return r;
}

/* --- upload --- */

static void upload_drop(struct quarantine *q, struct upload *u) {
        if (!u)
                return;
        if (u->job[0]) {
                if (claim_remove(&q->claims, u->job) < 0 || jobs_delete(q->jobs, view_of(u->job)) < 0)
                        log_warning("upload_not_removed", "job %s; done at the next start", u->job);
                live_progress_end(q->live, u->job);
                live_touch(q->live, u->job);
        }
        close_fd(u->reader);
        free(u);
}

static int begin_upload(struct quarantine *q, struct job *j, struct upload *u, int *ret_writer) {
        int r;

        r = add_row(q, j);
        if (r < 0)
                return r;
        (void)snprintf(u->job, sizeof u->job, "%s", j->id);
        u->size = j->size;
        return claim_upload_begin(&q->claims, j->id, j->size, &u->reader, ret_writer);
}

static int upload(struct quarantine *q, int sock, const struct json *m, void **session) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        _cleanup_(closep) int writer = -EBADF;
        struct upload *u;
        uint64_t size;
        int r;

        if (*session)
                return answer_error(sock, "bad_request", "this channel has an upload already", true);
        if (json_unknown_member(m, upload_members) || json_get_u64(m, "size", &size) < 0 ||
            size > ARTIFACT_BYTES_MAX || fill_row(m, SOURCE_UPLOAD, size, &j) < 0)
                return answer_error(sock, "bad_request",
                                    "upload wants name, size and maybe signature (base64)", true);
        u = calloc(1, sizeof *u);
        if (!u)
                return -ENOMEM;
        u->reader = -EBADF;
        r = begin_upload(q, &j, u, &writer);
        if (r < 0) {
                upload_drop(q, u);
                return answer_errno(sock, r);
        }
        *session = u;
        live_touch(q->live, j.id);
        return answer_job(sock, j.id, writer);
}

/* --- a folder, file by file --- */

static int check_set(const struct json *m, struct upload *u, struct job *j) {
        enum source_kind source = SOURCE_UPLOAD;

        if (json_unknown_member(m, upload_set_members) || json_get_u64(m, "size", &u->size) < 0 ||
            json_get_u64(m, "files", &u->files) < 0 || u->size > ARTIFACT_BYTES_MAX || u->files == 0 ||
            u->files > SET_MEMBERS_MAX)
                return -EINVAL;
        if (json_get(m, "source") && (source_kind_from(json_get_view(m, "source", VIEW_NULL), &source) < 0 ||
                                      (source != SOURCE_LOCAL && source != SOURCE_UPLOAD)))
                return -EINVAL;
        return fill_row(m, source, u->size, j);
}

static int begin_set(struct quarantine *q, struct job *j, struct upload *u) {
        int r = add_row(q, j);

        if (r < 0)
                return r;
        (void)snprintf(u->job, sizeof u->job, "%s", j->id);
        return claim_set_begin(&q->claims, j->id, j->size);
}

static int upload_set(struct quarantine *q, int sock, const struct json *m, void **session) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct upload *u;
        int r;

        if (*session)
                return answer_error(sock, "bad_request", "this channel has an upload already", true);
        u = calloc(1, sizeof *u);
        if (!u)
                return -ENOMEM;
        u->reader = -EBADF;
        u->is_set = true;
        if (check_set(m, u, &j) < 0) {
                upload_drop(q, u);
                return answer_error(
                        sock, "bad_request",
                        "upload_set wants name, files (1 to 20000), size, and maybe source (upload "
                        "or local) and signature (base64)",
                        true);
        }
        r = begin_set(q, &j, u);
        if (r < 0) {
                upload_drop(q, u);
                return answer_errno(sock, r);
        }
        *session = u;
        live_touch(q->live, j.id);
        return answer_job(sock, j.id, -EBADF);
}

static int take_file(struct quarantine *q, struct upload *u, struct view path, uint64_t size, int source,
                     int *ret_writer) {
        int r;

        if (u->files_come == u->files || size > u->size - u->bytes_come)
                return -E2BIG;
        r = claim_set_file(&q->claims, u->job, path, size, source, ret_writer);
        if (r < 0)
                return r;
        u->files_come++;
        u->bytes_come += size;
        live_progress_set(q->live, u->job, 0, u->bytes_come);
        return 0;
}

static int file(struct quarantine *q, int sock, const struct json *m, int source, void **session) {
        _cleanup_(closep) int writer = -EBADF;
        struct upload *u = *session;
        uint64_t size;
        int r;

        if (!u || !u->is_set || json_unknown_member(m, file_members) || json_get_u64(m, "size", &size) < 0)
                return answer_error(sock, "bad_request",
                                    "file wants path and size, after upload_set on the same channel", true);
        r = take_file(q, u, json_get_view(m, "path", VIEW_NULL), size, source, &writer);
        return r < 0 ? answer_errno(sock, r) : answer_job(sock, NULL, writer);
}

/* --- both --- */

static int commit_once(struct quarantine *q, const struct upload *u) {
        return u->is_set ? claim_set_commit(&q->claims, u->job, u->files, u->size)
                         : claim_upload_commit(&q->claims, u->job, u->reader, u->size);
}

static int commit_when_closed(struct quarantine *q, const struct upload *u) {
        uint64_t deadline = clock_monotonic_usec() + COMMIT_WAIT;

        for (;;) {
                int r = commit_once(q, u);

                if (r != -EBUSY || clock_monotonic_usec() >= deadline || live_is_stopping(q->live))
                        return r;
                (void)poll(NULL, 0, (int)(COMMIT_STEP / USEC_PER_MSEC));
        }
}

static int commit(struct quarantine *q, int sock, const struct json *m, void **session) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct upload *u = *session;
        int r;

        if (!u || json_unknown_member(m, commit_members) ||
            !view_eq_str(json_get_view(m, "job", VIEW_NULL), u->job))
                return answer_error(sock, "bad_request", "commit names no upload of this channel", true);
        r = commit_when_closed(q, u);
        if (r >= 0)
                r = jobs_get(q->jobs, view_of(u->job), &j);
        if (r >= 0)
                r = set_waiting(q, &j);
        if (r < 0) {
                if (r != -EBUSY) {
                        upload_drop(q, u);
                        *session = NULL;
                }
                return answer_errno(sock, r);
        }
        u->job[0] = '\0'; /* no longer ours to drop */
        upload_drop(q, u);
        *session = NULL;
        return answer_job(sock, NULL, -EBADF);
}

static int on_message(int sock, struct view caller, const struct json *m, int *fd, void **session,
                      void *userdata) {
        struct quarantine *q = userdata;
        struct view op = json_get_view(m, "op", VIEW_NULL);

        if (!service_may(q->service, caller, "quarantine.import"))
                return answer_error(sock, "forbidden", "this caller may not import files", true);
        if (view_eq_str(op, "import"))
                return import(q, sock, m, *fd);
        if (view_eq_str(op, "upload"))
                return upload(q, sock, m, session);
        if (view_eq_str(op, "upload_set"))
                return upload_set(q, sock, m, session);
        if (view_eq_str(op, "file"))
                return file(q, sock, m, *fd, session);
        if (view_eq_str(op, "commit"))
                return commit(q, sock, m, session);
        return answer_error(sock, "unknown_op", "known are import, upload, upload_set, file and commit",
                            true);
}

static void on_closed(void *session, void *userdata) {
        upload_drop(userdata, session);
}

int intake_start(struct quarantine *q, int listen_fd, struct fd_channel_server **ret) {
        static const struct fd_channel_handlers handlers = {.message = on_message, .closed = on_closed};

        return fd_channel_serve(q->service, listen_fd, &handlers, API_CLIENTS_MAX, q, ret);
}
