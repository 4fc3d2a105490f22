/* sig_sct: the receipt of a certificate log inside a certificate (RFC 6962): the certificate was published. Pure. */
#pragma once

#include "core/sig_certificate.h"
#include "core/sig_root.h"

/* At least one receipt of a pinned log must be right, and none of a pinned log wrong. The leaf loses its receipts: it is of
 * no use afterwards but for its names. PROVENANCE-059. */
SAI_NODISCARD int sig_sct_check(struct sig_chain *chain, const struct sig_root *root, struct fault *reterr);
