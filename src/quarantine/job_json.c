#include "quarantine/job_json.h"

#include "base/clock.h"
#include "quarantine/job_documents.h"

static void write_time(struct json_writer *w, const char *key, uint64_t usec) {
        char text[CLOCK_TEXT_SIZE];

        clock_format(usec, text);
        json_member_string(w, key, text);
}

static void write_text_or_null(struct json_writer *w, const char *key, struct view v) {
        json_key(w, key);
        if (v.n == 0)
                json_put_null(w);
        else
                json_put_view(w, v);
}

static int write_name(struct json_writer *w, const struct job *j) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(4 * ARTIFACT_NAME_MAX + 8);
        int r = buf_append_escaped(&shown, buf_view(&j->name), ARTIFACT_NAME_MAX);

        if (r >= 0)
                json_member_view(w, "name", buf_view(&shown));
        return r;
}

/* The gravest come last in no stage: a cut list keeps rejections. */
static void thin_out(struct stage *s) {
        size_t kept = 0;

        for (size_t i = 0; i < s->n && s->n > JOB_JSON_FINDINGS; i++)
                if (s->findings[i].severity == FINDING_REJECT && kept < JOB_JSON_FINDINGS)
                        s->findings[kept++] = s->findings[i];
        if (s->n > JOB_JSON_FINDINGS)
                s->n = MAX_OF(kept, (size_t)JOB_JSON_FINDINGS);
}

static void write_stages(struct json_writer *w, struct verdict *v, bool whole) {
        for (unsigned i = 1; i <= STAGES && !whole; i++)
                thin_out(&v->stages[i]);
        json_key(w, "stages");
        verdict_write_stages(w, v);
}

static void write_progress(const struct quarantine *q, const struct job *j, struct json_writer *w) {
        struct live_progress p = {.stage = j->stage, .bytes = job_state_is_final(j->state) ? j->size : 0};

        if (j->state == JOB_RECEIVING)
                p.bytes = claim_received(&q->claims, j->id);
        (void)live_progress_get(q->live, j->id, &p);
        json_member_u64(w, "stage", p.stage);
        json_member_u64(w, "bytes_done", p.bytes);
        json_key(w, "found");
        if (p.found[0])
                json_put_view(w, view_of(p.found));
        else
                json_put_null(w);
}

static void write_documents(const struct quarantine *q, const struct job *j, struct json_writer *w) {
        _cleanup_(closep) int folder = job_documents_folder(&q->claims, j->id);
        bool exists[DOCUMENT_MAX] = {false};

        if (folder >= 0)
                job_documents_look(folder, exists);
        json_key(w, "documents");
        json_array_begin(w);
        for (int d = 0; d < DOCUMENT_MAX; d++)
                if (exists[d])
                        json_put_string(w, document_name((enum document)d));
        json_array_end(w);
}

int job_json_write(const struct quarantine *q, const struct job *j, bool whole, struct json_writer *w) {
        _cleanup_(verdict_donep) struct verdict v = {0};
        int r;

        if (j->verdict.n > 0 && verdict_restore(buf_view(&j->verdict), &v) < 0)
                v = (struct verdict){0};
        json_object_begin(w);
        json_member_string(w, "id", j->id);
        r = write_name(w, j);
        json_member_u64(w, "size", j->size);
        write_text_or_null(w, "sha256", view_of(j->sha256));
        json_member_string(w, "source", source_kind_name(j->source));
        json_member_string(w, "state", job_state_name(j->state));
        write_progress(q, j, w);
        if (whole) {
                json_key(w, "verdict");
                if (v.is_known)
                        verdict_write(w, &v);
                else
                        json_put_null(w);
        }
        write_stages(w, &v, whole);
        json_member_u64(w, "tries", j->tries);
        write_text_or_null(w, "reason", buf_view(&j->reason));
        write_text_or_null(w, "code", buf_view(&j->code));
        write_time(w, "created_at", j->created_usec);
        write_time(w, "updated_at", j->updated_usec);
        json_member_bool(w, "duplicate", j->duplicate);
        write_documents(q, j, w);
        json_object_end(w);
        return r;
}
