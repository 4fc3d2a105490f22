/* sig_certificate: the certificate method of Model Signing, and chains of certificates in general. No revocation lists:
 * nothing is fetched. A certificate is never valid for ever: the leaf must be valid now, or at a time that a pinned
 * time stamp authority has signed. */
#pragma once

#include "core/sig_check.h"

struct sig_chain {
        X509 *leaf;   /* owned */
        X509 *issuer; /* owned; who signed the leaf */
};

void sig_chain_done(struct sig_chain *c);
static inline void sig_chain_donep(struct sig_chain *c) {
        sig_chain_done(c);
}
/* Builds leaf (DER) → `between` (borrowed, untrusted) → `roots` as of the time `at` (seconds). PROVENANCE-040, -041, -043. */
SAI_NODISCARD int sig_chain_build(struct view leaf, X509 *const *between, size_t n_between,
                                  X509 *const *roots, size_t n_roots, uint64_t at, struct sig_chain *ret,
                                  struct fault *reterr);
/* The key of a leaf that is meant for signing: no CA, digitalSignature, EKU codeSigning. With `need_eku` the EKU must be
 * there; otherwise it may be absent. PROVENANCE-042, -019. */
SAI_NODISCARD int sig_chain_key(const struct sig_chain *c, bool need_eku, struct sig_key *ret,
                                struct fault *reterr);
SAI_NODISCARD int sig_certificate_check(const struct sig_bundle *b, const struct sig_trust *t,
                                        const struct sha256 *file, uint64_t now, struct sig_result *ret,
                                        struct fault *reterr);
