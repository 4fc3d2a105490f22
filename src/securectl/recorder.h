/* recorder: the supervisor's records in the audit log. While audit itself is away they wait, at most
 * UP_RECORDS_PENDING of them; how many more there were is recorded too. */
#pragma once

#include "core/audit_client.h"
#include "securectl/up_limits.h"

struct record {
        const char *event, *decision, *subject; /* static strings */
        char detail[192];                       /* JSON object, or "" */
};

struct recorder {
        struct audit_client *client; /* NULL: the list of callers gives the supervisor no token */
        struct record pending[UP_RECORDS_PENDING];
        size_t n, lost;
};

/* `detail` is the text of a JSON object, or NULL. */
void recorder_add(struct recorder *r, const char *event, const char *decision, const char *subject,
                  const char *detail);
/* Sends what waits; call when audit is ready. */
void recorder_flush(struct recorder *r);
