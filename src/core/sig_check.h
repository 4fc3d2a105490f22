/* sig_check: is this bundle a signature of somebody whom the owner trusts, over this file or folder? Offline, pure
 * but for sig_check_folder, which reads the files. The order of the steps is fixed: nothing inside an envelope is looked
 * at before its signature is known to be right. */
#pragma once

#include "core/set_listing.h"
#include "core/sig_bundle.h"
#include "core/sig_statement.h"
#include "core/sig_trust.h"

enum sig_method { SIG_METHOD_KEY, SIG_METHOD_CERTIFICATE, SIG_METHOD_SIGSTORE };

struct sig_result {
        enum sig_method method;
        char key_id[SHA256_HEX_SIZE]; /* SHA-256 of the DER SubjectPublicKeyInfo */
        char who[SIG_IDENTITY_MAX +
                 1]; /* name of the key's file, subject of the certificate, or identity; escaped */
        char issuer[SIG_IDENTITY_MAX + 1];   /* Sigstore: who vouched for the identity; escaped */
        char builder[SIG_IDENTITY_MAX + 1];  /* SLSA: who built it, as policy names it; "" without */
        const struct sig_identity *identity; /* Sigstore: which of the trusted ones; NULL otherwise */
        uint64_t signed_at;                  /* proven time in seconds since 1970; 0 when there is none */
        uint64_t files, bytes;               /* checked beneath a folder */
};

const char *sig_method_name(enum sig_method m); /* "key" … */

/* `now`: seconds since 1970. 0, or negative and *reterr: -EBADMSG and others with a rule PROVENANCE-0NN = no; -ENOMEM,
 * -EIO without rule = could not be decided.
 * A file of which the SHA-256 is known: */
SAI_NODISCARD int sig_check_file(const struct sig_bundle *b, const struct sig_trust *t,
                                 const struct sha256 *file, uint64_t now, struct sig_result *ret,
                                 struct fault *reterr);
/* A folder; `bundle` as for sig_tree_check. */
SAI_NODISCARD int sig_check_folder(const struct sig_bundle *b, const struct sig_trust *t, int dir_fd,
                                   const char *bundle, uint64_t now, struct sig_result *ret,
                                   struct fault *reterr);
/* A folder of which all digests are known, so that nothing is read again. -EOPNOTSUPP without rule: the statement goes by other
 * digests, ask sig_check_folder. A bundle without a statement is one over the listing's text. */
SAI_NODISCARD int sig_check_listing(const struct sig_bundle *b, const struct sig_trust *t,
                                    const struct set_listing *l, uint64_t now, struct sig_result *ret,
                                    struct fault *reterr);
/* A bare detached signature of a file, base64 or bytes: ECDSA P-256 by one of the trusted keys. PROVENANCE-004. */
SAI_NODISCARD int sig_check_detached(struct view signature, const struct sig_trust *t,
                                     const struct sha256 *file, struct sig_result *ret, struct fault *reterr);
/* The signature alone. `file` is needed for message signatures. */
SAI_NODISCARD int sig_check_signer(const struct sig_bundle *b, const struct sig_trust *t,
                                   const struct sha256 *file, uint64_t now, struct sig_result *ret,
                                   struct fault *reterr);
/* For the modules of the single methods: does `key` fit the signature of the bundle? PROVENANCE-017, -018, -019. */
SAI_NODISCARD int sig_check_with(const struct sig_bundle *b, const struct sig_key *key,
                                 const struct sha256 *file, struct fault *reterr);
