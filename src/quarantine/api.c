#include "quarantine/api.h"

#include "base/clock.h"
#include "base/file.h"
#include "quarantine/job_documents.h"
#include "quarantine/job_json.h"

#include <poll.h>

#define LIST_BYTES_MAX ((size_t)32 << 20)
#define EVENTS_BATCH   ((size_t)128 << 10)
#define EVENTS_WAIT    (UINT64_C(3) * USEC_PER_SEC)
#define DOCUMENT_PIECE ((size_t)128 << 10)
#define ID_CHARS       (JOB_ID_SIZE - 1)

static int write_list(struct quarantine *q, struct buf *ids, struct json_writer *w) {
        json_object_begin(w);
        json_key(w, "jobs");
        json_array_begin(w);
        for (size_t at = 0; at < ids->n; at += ID_CHARS) {
                _cleanup_(job_donep) struct job j = JOB_INIT;
                int r = jobs_get(q->jobs, view_make(ids->p + at, ID_CHARS), &j);

                if (r == -ENOENT)
                        continue;
                if (r >= 0)
                        r = job_json_write(q, &j, false, w);
                if (r < 0)
                        return r;
        }
        json_array_end(w);
        json_member_string(w, "incoming", q->incoming_path);
        json_object_end(w);
        return json_write_end(w);
}

static int get_jobs(struct http_request *r, void *userdata) {
        _cleanup_(buf_donep) struct buf ids = BUF_INIT(JOBS_LISTED_MAX * (size_t)ID_CHARS),
                                        out = BUF_INIT(LIST_BYTES_MAX);
        struct json_writer w = JSON_WRITER(&out);
        struct quarantine *q = userdata;
        int e;

        e = jobs_list(q->jobs, JOB_STATE_MAX, false, JOBS_LISTED_MAX, &ids);
        if (e >= 0)
                e = write_list(q, &ids, &w);
        return e < 0 ? e : http_reply_json(r, 200, buf_view(&out));
}

/* 0 with the job, or 1 when the request has been answered (404), or negative. */
static int find_job(struct quarantine *q, struct http_request *r, struct job *ret) {
        struct view id = http_path_part(r, 0);
        int e = id.n == ID_CHARS ? jobs_get(q->jobs, id, ret) : -ENOENT;

        if (e != -ENOENT)
                return e;
        e = http_reply_error(r, 404, "unknown_job", NULL, "there is no such job");
        return e < 0 ? e : 1;
}

static int get_job(struct http_request *r, void *userdata) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(4 * JOB_TEXT_MAX);
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct json_writer w = JSON_WRITER(&out);
        struct quarantine *q = userdata;
        int e;

        e = find_job(q, r, &j);
        if (e != 0)
                return e < 0 ? e : 0;
        e = job_json_write(q, &j, true, &w);
        if (e >= 0)
                e = json_write_end(&w);
        return e < 0 ? e : http_reply_json(r, 200, buf_view(&out));
}

/* --- documents --- */

struct document_reader {
        int fd;
        uint64_t at, size;
};

static void document_reader_free(void *userdata) {
        struct document_reader *d = userdata;

        close_fd(d->fd);
        free(d);
}

static int document_next(void *userdata, struct buf *out) {
        struct document_reader *d = userdata;
        size_t n = (size_t)MIN_OF((uint64_t)DOCUMENT_PIECE, d->size - d->at);
        int r = buf_reserve(out, n);

        if (r >= 0)
                r = pread_all(d->fd, out->p + out->n, n, d->at);
        if (r < 0)
                return r;
        out->n += n;
        out->p[out->n] = '\0';
        d->at += n;
        return d->at < d->size;
}

static int open_document(struct quarantine *q, const char *job, struct view name, int *ret_fd,
                         uint64_t *ret_size) {
        _cleanup_(closep) int folder = -EBADF;
        enum document d;
        int r = document_from_name(name, &d);

        if (r < 0)
                return r;
        folder = job_documents_folder(&q->claims, job);
        return folder < 0 ? folder : document_open(folder, d, ret_fd, ret_size);
}

static int reply_document(struct http_request *r, int fd, uint64_t size) {
        struct document_reader *d = calloc(1, sizeof *d);
        struct http_stream stream = {
                .content_type = "application/json",
                .next = document_next,
                .destroy = document_reader_free,
                .userdata = d,
        };

        if (!d) {
                close_fd(fd);
                return -ENOMEM;
        }
        *d = (struct document_reader){.fd = fd, .size = size};
        return http_reply_stream(r, 200, &stream);
}

static int get_document(struct http_request *r, void *userdata) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct quarantine *q = userdata;
        uint64_t size;
        int e, fd;

        e = find_job(q, r, &j);
        if (e != 0)
                return e < 0 ? e : 0;
        e = open_document(q, j.id, http_path_part(r, 1), &fd, &size);
        if (e == -ENOENT)
                return http_reply_error(r, 404, "unknown_document", NULL,
                                        "this job has no such document; those of a promoted model are with "
                                        "the registry");
        return e < 0 ? e : reply_document(r, fd, size);
}

static int delete_job(struct http_request *r, void *userdata) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct quarantine *q = userdata;
        int e;

        e = find_job(q, r, &j);
        if (e != 0)
                return e < 0 ? e : 0;
        if (!job_state_is_final(j.state))
                return http_reply_error(r, 409, "job_active", NULL,
                                        "the job is still %s; it can be deleted when it has ended",
                                        job_state_name(j.state));
        e = quarantine_audit(q, "job_deleted", "info", NULL, &j);
        if (e < 0)
                return http_reply_error(r, 503, "audit_unavailable", NULL,
                                        "the audit log does not answer; nothing is deleted without it");
        e = claim_remove(
                &q->claims,
                j.id); /* file first: a row without file says so, a file without row would come back */
        if (e >= 0)
                e = jobs_delete(q->jobs, view_of(j.id));
        if (e < 0)
                return e;
        live_touch(q->live, j.id);
        return http_reply(r, 204, NULL, VIEW_NULL);
}

static int retry_job(struct http_request *r, void *userdata) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        struct quarantine *q = userdata;
        int e;

        e = find_job(q, r, &j);
        if (e != 0)
                return e < 0 ? e : 0;
        if (j.state != JOB_PARKED)
                return http_reply_error(r, 409, "job_not_parked", NULL,
                                        "the job is %s; only parked ones can be tried again",
                                        job_state_name(j.state));
        if (!claim_exists(&q->claims, j.id))
                return http_reply_error(r, 409, "no_file", NULL,
                                        "quarantine does not hold this job's file: %s", buf_str(&j.reason));
        j.state = JOB_WAITING;
        j.tries = j.starts = 0;
        j.not_before_usec = 0;
        buf_clear(&j.code);
        buf_clear(&j.reason);
        buf_clear(&j.evidence);
        buf_clear(&j.evidence_signature);
        e = quarantine_audit(q, "job_retried", "info", NULL, &j);
        if (e < 0)
                return http_reply_error(r, 503, "audit_unavailable", NULL, "the audit log does not answer");
        e = jobs_put(q->jobs, &j);
        if (e == -ENOENT)
                return http_reply_error(r, 404, "unknown_job", NULL, "the job was deleted meanwhile");
        if (e < 0)
                return e;
        live_touch(q->live, j.id);
        return http_reply_json(r, 202, VIEW("{\"state\":\"waiting\"}"));
}

/* --- events --- */

struct events {
        struct quarantine *q;
        uint64_t position;
        struct buf ids; /* still to be told */
        size_t told;
        uint64_t not_before_usec;
};

static void events_free(void *userdata) {
        struct events *e = userdata;

        buf_done(&e->ids);
        free(e);
}

static int read_everything(struct events *e) {
        buf_clear(&e->ids);
        e->told = 0;
        e->position = live_now(e->q->live);
        return jobs_list(e->q->jobs, JOB_STATE_MAX, false, JOBS_LISTED_MAX, &e->ids);
}

static int append_job(struct events *e, const struct job *j, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(JOB_TEXT_MAX);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        r = job_json_write(e->q, j, false, &w);
        if (r >= 0)
                r = json_write_end(&w);
        return r < 0 ? r : sse_append(out, "job", buf_view(&text));
}

static int append_event(struct events *e, struct view id, struct buf *out) {
        _cleanup_(job_donep) struct job j = JOB_INIT;
        char text[64];
        int r = jobs_get(e->q->jobs, id, &j);

        if (r >= 0)
                return append_job(e, &j, out);
        if (r != -ENOENT)
                return r;
        (void)snprintf(text, sizeof text, "{\"id\":\"%.*s\"}", VIEW_ARG(id));
        return sse_append(out, "deleted", view_of(text));
}

static int append_batch(struct events *e, struct buf *out) {
        while (e->told < e->ids.n && out->n < EVENTS_BATCH) {
                int r = append_event(e, view_make(e->ids.p + e->told, ID_CHARS), out);

                if (r < 0)
                        return r;
                e->told += ID_CHARS;
        }
        return 0;
}

/* Between two batches lies EVENT_GAP_USEC: a job that changes a thousand times a second is told ten times. */
static void keep_the_gap(struct events *e) {
        uint64_t now = clock_monotonic_usec();

        if (now < e->not_before_usec)
                (void)poll(NULL, 0, (int)((e->not_before_usec - now) / USEC_PER_MSEC) + 1);
        e->not_before_usec = clock_monotonic_usec() + EVENT_GAP_USEC;
}

static int events_next(void *userdata, struct buf *out) {
        struct events *e = userdata;
        int r = 0;

        if (live_is_stopping(e->q->live))
                return 0;
        if (e->told >= e->ids.n) {
                buf_clear(&e->ids);
                e->told = 0;
                keep_the_gap(e);
                r = live_wait(e->q->live, &e->position, EVENTS_WAIT, &e->ids);
                if (r == -EOVERFLOW || r == -EFBIG)
                        r = read_everything(e);
                if (r < 0)
                        return r;
        }
        if (e->ids.n == 0)
                r = buf_append_str(out, ": keep-alive\n\n");
        else
                r = append_batch(e, out);
        return r < 0 ? r : 1;
}

static int get_events(struct http_request *r, void *userdata) {
        struct events *e = calloc(1, sizeof *e);
        struct http_stream stream = {
                .content_type = "text/event-stream",
                .next = events_next,
                .destroy = events_free,
                .userdata = e,
        };
        int x;

        if (!e)
                return -ENOMEM;
        e->q = userdata;
        e->ids = BUF_INIT(1024 * (size_t)ID_CHARS);
        x = read_everything(e);
        if (x < 0) {
                events_free(e);
                return x;
        }
        return http_reply_stream(r, 200, &stream);
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = service_health},
        {.method = "GET", .path = "/v1/jobs", .handler = get_jobs, .permission = "quarantine.read"},
        {.method = "GET", .path = "/v1/jobs/{id}", .handler = get_job, .permission = "quarantine.read"},
        {.method = "GET",
         .path = "/v1/jobs/{id}/documents/{name}",
         .handler = get_document,
         .permission = "quarantine.read"},
        {.method = "GET", .path = "/v1/events", .handler = get_events, .permission = "quarantine.read"},
        {.method = "DELETE",
         .path = "/v1/jobs/{id}",
         .handler = delete_job,
         .permission = "quarantine.delete"},
        {.method = "POST",
         .path = "/v1/jobs/{id}/retry",
         .handler = retry_job,
         .permission = "quarantine.retry"},
        {0},
};

static int authorize(struct http_request *r, const struct http_route *route, void *userdata) {
        const struct quarantine *q = userdata;

        return service_authorize(r, route, q->service);
}

int api_start(struct quarantine *q, const int *listen_fds, size_t n, struct http_server **ret) {
        struct http_server_config config = {
                .name = "quarantine",
                .routes = routes,
                .authorize = authorize,
                .userdata = q,
        };

        return http_server_new(&config, listen_fds, n, ret);
}
