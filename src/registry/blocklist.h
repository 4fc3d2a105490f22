/* blocklist: files that are never accepted, by hash, from policy/models.lock.yaml. Thread-safe. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"

struct blocklist; /* opaque */

/* Reads <config>/policy/models.lock.yaml. Negative and *reterr when it can't be read: the service must not start. */
SAI_NODISCARD int blocklist_new(int config_dir, struct blocklist **ret, struct fault *reterr);
struct blocklist *blocklist_free(struct blocklist *b); /* NULL is fine; returns NULL */
/* Reads the file again when it has changed: 1 new content is in force, 0 nothing changed, negative and *reterr: the new
 * content is bad and the old one stays in force. */
SAI_NODISCARD int blocklist_refresh(struct blocklist *b, struct fault *reterr);
bool blocklist_has(struct blocklist *b, const struct sha256 *digest);
