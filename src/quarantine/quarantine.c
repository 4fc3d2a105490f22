#include "quarantine/quarantine.h"

static int write_detail(const struct job *j, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "job", j->id);
        json_member_view(&w, "name", buf_view(&j->name));
        json_member_u64(&w, "size", j->size);
        json_member_string(&w, "source", source_kind_name(j->source));
        json_member_string(&w, "state", job_state_name(j->state));
        json_object_end(&w);
        return json_write_end(&w);
}

int quarantine_audit(const struct quarantine *q, const char *event, const char *decision, const char *rule,
                     const struct job *j) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(8192);
        struct audit_event e = {
                .event = event,
                .decision = decision,
                .rule = rule,
                .subject = view_of(j->sha256[0] ? j->sha256 : j->id),
        };
        int r;

        r = write_detail(j, &detail);
        if (r < 0)
                return r;
        e.detail = buf_view(&detail);
        return audit_append(service_audit(q->service), &e);
}
