/* sig_body: does the log entry speak of this very signature? Without this step a valid entry of somebody else's signature
 * could be put beside a forged one (CVE-2022-36056). Pure. */
#pragma once

#include "core/sig_bundle.h"
#include "core/sig_key.h"

/* Known: dsse 0.0.1, hashedrekord 0.0.1 and 0.0.2. `leaf`: DER certificate of the signer. `file`: the SHA-256 of the file
 * for message signatures. PROVENANCE-052, -058. */
SAI_NODISCARD int sig_body_check(const struct sig_bundle *b, const struct sig_log_entry *e, struct view leaf,
                                 const struct sha256 *file, struct fault *reterr);
