/* audit_client: appends to the one log through the audit service's socket. Thread-safe.
 * Records hold digests and codes, never prompts, answers or secrets. */
#pragma once

#include "base/view.h"
#include "wire/json.h"

struct audit_client; /* opaque */

struct audit_event {
        const char *event;    /* "model_promoted", snake_case, stable */
        const char *decision; /* "allow", "deny", "info", "error" */
        const char *rule;     /* rule id or NULL */
        struct view subject;  /* what it is about: a sha256, a job id, a route; escaped by the service */
        struct view detail;   /* text of a JSON object, or VIEW_NULL */
};

SAI_NODISCARD int audit_client_new(const char *socket_path, struct view token, struct audit_client **ret);
struct audit_client *audit_client_free(struct audit_client *c);
/* Returns after the record is on disk (0), or negative: then the act that it belongs to must not happen. */
SAI_NODISCARD int audit_append(struct audit_client *c, const struct audit_event *e);
