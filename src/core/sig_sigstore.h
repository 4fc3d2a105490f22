/* sig_sigstore: the Sigstore method: a short-lived certificate of an identity, valid at a proven time, and a public log
 * that has recorded the signature. All offline, against a pinned trusted_root.json. */
#pragma once

#include "core/sig_check.h"

SAI_NODISCARD int sig_sigstore_check(const struct sig_bundle *b, const struct sig_trust *t,
                                     const struct sha256 *file, struct sig_result *ret, struct fault *reterr);
