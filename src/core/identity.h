/* identity: who may call this service (inbound tokens), as whom it calls others (outbound tokens), and which caller
 * may do what (service-acl.yaml). Read once at start, then constant: thread-safe. Core only; services use service.h. */
#pragma once

#include "base/fault.h"
#include "base/view.h"

#define IDENTITY_CALLERS_MAX 32
#define IDENTITY_NAME_MAX    64

struct identity; /* opaque; tokens of other services are in locked memory */

/* `tokens`: text of tokens.json, VIEW_NULL when there are no credentials (then nobody is known).
 * -EBADMSG / -EINVAL and *reterr. */
SAI_NODISCARD int identity_new(struct view tokens, int config_dir, struct identity **ret,
                               struct fault *reterr);
struct identity *identity_free(struct identity *i);

/* The caller that holds this token (compared by digest, in constant time), or VIEW_NULL. */
struct view identity_of_token(const struct identity *i, struct view token);
/* The caller that is known by this uid, or VIEW_NULL. */
struct view identity_of_uid(const struct identity *i, uint32_t uid);
/* Own token for `target`, or VIEW_NULL. */
struct view identity_token_for(const struct identity *i, struct view target);
bool identity_may(const struct identity *i, struct view caller, const char *permission);
