/* event: what a caller asks to be recorded, checked and brought into bounds. Pure. */
#pragma once

#include "base/fault.h"
#include "core/audit_log.h"
#include "wire/json.h"

struct event {
        struct audit_entry entry; /* views into the request and into the two buffers */
        struct buf subject, detail;
};
#define EVENT_INIT ((struct event){.subject = BUF_INIT(4096), .detail = BUF_INIT(32768)})

void event_done(struct event *e);
static inline void event_donep(struct event *e) {
        event_done(e);
}
/* {"event","decision","rule"?,"subject"?,"detail"?}: event is snake_case and not one of the log's own, decision one of five,
 * rule a short id. Text is escaped and cut at the limits. 0, or -EINVAL and *reterr (text for the caller), or -ENOMEM. */
SAI_NODISCARD int event_read(const struct json *body, struct view caller, struct event *ret,
                             struct fault *reterr);
