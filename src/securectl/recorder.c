#include "securectl/recorder.h"

void recorder_add(struct recorder *r, const char *event, const char *decision, const char *subject,
                  const char *detail) {
        struct record *p = &r->pending[r->n];

        if (!r->client)
                return;
        if (r->n == UP_RECORDS_PENDING) {
                r->lost++;
                return;
        }
        *p = (struct record){.event = event, .decision = decision, .subject = subject};
        if (detail)
                (void)snprintf(p->detail, sizeof p->detail, "%s", detail);
        r->n++;
}

static int send_one(struct recorder *r, const struct record *p) {
        const struct audit_event e = {
                .event = p->event,
                .decision = p->decision,
                .subject = view_of(p->subject),
                .detail = p->detail[0] ? view_of(p->detail) : VIEW_NULL,
        };

        return audit_append(r->client, &e);
}

void recorder_flush(struct recorder *r) {
        size_t sent = 0;
        char detail[64];

        if (r->lost > 0 && r->n < UP_RECORDS_PENDING) {
                (void)snprintf(detail, sizeof detail, "{\"count\":%zu}", r->lost);
                r->lost = 0;
                recorder_add(r, "records_lost", "error", "supervisor", detail);
        }
        while (sent < r->n && send_one(r, &r->pending[sent]) >= 0)
                sent++;
        memmove(r->pending, r->pending + sent, (r->n - sent) * sizeof r->pending[0]);
        r->n -= sent;
}
