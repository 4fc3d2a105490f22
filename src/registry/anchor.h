/* anchor: the audit log as a witness of the manifest's version. Files that were all put back to an older state fit together,
 * but the log, which this program can't rewrite, has seen a newer one. */
#pragma once

#include "base/fault.h"
#include "core/audit_client.h"
#include "registry/manifest.h"
#include "wire/http_client.h"

/* Looks for the newest manifest_head record that this registry made. 0 when it is not newer than `head` or there is
 * none, -EUCLEAN and *reterr (rule manifest_rolled_back), other negative: the log could not be asked. */
SAI_NODISCARD int anchor_check(struct http_client *audit, const struct manifest_head *head,
                               struct fault *reterr);
/* Records the head that holds from now on. */
SAI_NODISCARD int anchor_record(struct audit_client *audit, const struct manifest_head *head);
