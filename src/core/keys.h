/* keys: Ed25519 signing keys of the services and public keys of others (Ed25519, ECDSA P-256), on OpenSSL 3. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/view.h"

struct signing_key; /* opaque; the private half is wiped when freed */
struct public_key;  /* opaque */

/* Reads the PEM private key `name` beneath dir_fd; with `create`, makes one (mode 0600) when it is missing. */
SAI_NODISCARD int signing_key_load(int dir_fd, const char *name, bool create, struct signing_key **ret);
struct signing_key *signing_key_free(struct signing_key *k);
static inline void signing_key_freep(struct signing_key **k) {
        *k = signing_key_free(*k);
}
/* Appends the 64-byte Ed25519 signature over `message` (callers prefix a context string). */
SAI_NODISCARD int signing_key_sign(const struct signing_key *k, struct view message, struct buf *out);
SAI_NODISCARD int signing_key_public_pem(const struct signing_key *k, struct buf *out);

/* SubjectPublicKeyInfo PEM, Ed25519 or ECDSA P-256 only; anything else -EPROTONOSUPPORT with *reterr. */
SAI_NODISCARD int public_key_from_pem(struct view pem, struct public_key **ret, struct fault *reterr);
struct public_key *public_key_free(struct public_key *k);
static inline void public_key_freep(struct public_key **k) {
        *k = public_key_free(*k);
}
/* 1 = signature is right, 0 = it is not, negative = could not be decided.
 * ECDSA: DER signature over SHA-256(message). Ed25519: over the message itself. */
SAI_NODISCARD int public_key_verify(const struct public_key *k, struct view message, struct view signature);
/* ECDSA P-256 only, with the SHA-256 of the message already known (the file was hashed in the streaming pass);
 * -EOPNOTSUPP for Ed25519, which needs the message. */
SAI_NODISCARD int public_key_verify_digest(const struct public_key *k, const uint8_t sha256[32],
                                           struct view signature);
/* Lower-case hex SHA-256 of the DER SubjectPublicKeyInfo, 64 digits and NUL: the key's name in verdicts. */
void public_key_id(const struct public_key *k, char out[65]);
