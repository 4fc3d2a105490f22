#include "core/sig_sigstore.h"

int sig_sigstore_check(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                       struct sig_result *ret, struct fault *reterr) {
        return fault_set(reterr, -EPROTONOSUPPORT, "PROVENANCE-065", 0,
                         "signatures of the Sigstore method are not believed by this version");
}
