/* sig_log: what a transparency log says about an entry: signed entry timestamp, inclusion proof, checkpoint. Pure. */
#pragma once

#include "core/sig_bundle.h"
#include "core/sig_root.h"

/* The pinned key that the entry names; NULL and PROVENANCE-064 when there is none. */
const struct sig_log_key *sig_log_find(const struct sig_root *root, const struct sig_log_entry *e,
                                       struct fault *reterr);
/* The log's signature over body, time, log and index (Rekor v1). PROVENANCE-053. */
SAI_NODISCARD int sig_log_check_set(const struct sig_log_entry *e, const struct sig_log_key *log,
                                    struct fault *reterr);
/* RFC 6962 path from `body` at `index` to `root` of a tree of `size` leaves; the path must have exactly the right
 * length. PROVENANCE-054, -055. */
SAI_NODISCARD int sig_log_check_inclusion(struct view body, uint64_t index, uint64_t size,
                                          const struct view *path, size_t n_path, struct view root,
                                          struct fault *reterr);
/* The signed note: by the log itself, over this root and this size. PROVENANCE-056, -057. */
SAI_NODISCARD int sig_log_check_checkpoint(struct view note, uint64_t size, struct view root,
                                           const struct sig_log_key *log, struct fault *reterr);
