/* sig_key: public keys as signatures of models use them: ECDSA on P-256 (SHA-256), P-384 (SHA-384), P-521 (SHA-512)
 * and Ed25519, on OpenSSL 3. Pure. */
#pragma once

#include <openssl/types.h>

#include "base/buf.h"
#include "base/fault.h"
#include "core/digest.h"

struct sig_key {
        EVP_PKEY *key;
        char name[129];             /* of its file */
        char id[SHA256_HEX_SIZE];   /* SHA-256 of the DER SubjectPublicKeyInfo */
        char hint[SHA256_HEX_SIZE]; /* SHA-256 of its PEM text, as Model Signing names keys */
};

/* PEM SubjectPublicKeyInfo. -EBADMSG or -EPROTONOSUPPORT (KEY-001, KEY-002). */
SAI_NODISCARD int sig_key_from_pem(struct view pem, const char *name, struct sig_key *ret,
                                   struct fault *reterr);
/* Takes one more reference to `key`. -EPROTONOSUPPORT for other sorts of keys. */
SAI_NODISCARD int sig_key_from(EVP_PKEY *key, const char *name, struct sig_key *ret);
void sig_key_done(struct sig_key *k);
/* 1 = right, 0 = wrong, negative = could not be decided. Ed25519: over the message. */
SAI_NODISCARD int sig_key_verify(const struct sig_key *k, struct view message, struct view signature);
/* Over a file of which only the SHA-256 is known: ECDSA P-256 only, others -EOPNOTSUPP. */
SAI_NODISCARD int sig_key_verify_sha256(const struct sig_key *k, const struct sha256 *digest,
                                        struct view signature);
bool sig_key_is_p256(const struct sig_key *k);
