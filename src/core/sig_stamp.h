/* sig_stamp: RFC 3161 time stamps over the bytes of the signature, by a time stamp authority that the owner has pinned in
 * trusted_root.json. */
#pragma once

#include "core/sig_bundle.h"
#include "core/sig_root.h"

/* Every stamp of the bundle must be right; *ret_seconds is the latest time. `root` may be NULL. PROVENANCE-063. */
SAI_NODISCARD int sig_stamp_check(const struct sig_bundle *b, const struct sig_root *root,
                                  uint64_t *ret_seconds, struct fault *reterr);
