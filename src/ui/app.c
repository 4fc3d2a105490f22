#include "ui/app.h"

int app_audit(struct app *app, struct http_request *q, const char *event, const char *decision,
              struct view subject, struct view detail) {
        const struct audit_event e = {
                .event = event, .decision = decision, .subject = subject, .detail = detail};
        int r = audit_append(service_audit(app->service), &e), answered;

        if (r == 0)
                return 0;
        if (r == -ENOSPC)
                answered = http_reply_error(
                        q, 507, "disk_full", NULL,
                        "The disk is full, so this can't be recorded, and what can't be recorded is "
                        "not done. Free some space and try again.");
        else
                answered = http_reply_error(
                        q, 503, "audit_unavailable", NULL,
                        "The audit log does not take records now, and what can't be recorded is not "
                        "done. `securectl status` says more.");
        return answered < 0 ? answered : -EACCES;
}
