/* tokens: who may call whom, and the secrets that prove it, made anew at each start. The pairs (caller, target) follow
 * from service-acl.yaml: a caller gets a token for each service of which it has a permission ("audit.append": audit). */
#pragma once

#include "base/fault.h"
#include "base/secret.h"

#define TOKEN_SIZE 65 /* 64 hex digits and NUL */

/* Writes <credentials>/<name>/tokens.json (folders 0700, files 0600) for every name. *ret_audit: the supervisor's own
 * token for audit, "" when the list gives it none. */
SAI_NODISCARD int tokens_write(int config_dir, int credentials_dir, char ret_audit[TOKEN_SIZE],
                               struct fault *reterr);
/* Removes them: they are worth nothing once the services have ended. */
void tokens_remove(int credentials_dir);
