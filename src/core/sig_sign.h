/* sig_sign: the owner's own signatures: keys in a key store (one PEM file each, mode 0600, beside it the public half as
 * NAME.pub) and bundles of the key method of Model Signing v1.0. */
#pragma once

#include "core/sig_tree.h"

#define SIG_KEY_NAME_MAX 64

struct sig_signer; /* opaque; the private half is wiped when freed */

/* True for 1 to SIG_KEY_NAME_MAX letters, digits, '.', '_' and '-', the first of them a letter or digit. */
bool sig_signer_name_is_good(const char *name);
/* Makes <dir>/<name>.pem and <name>.pub; -EEXIST when there is one already. */
SAI_NODISCARD int sig_signer_make(int dir_fd, const char *name, bool p256);
/* -EPERM when others may read the file, -EPROTONOSUPPORT for other sorts of keys. */
SAI_NODISCARD int sig_signer_load(int dir_fd, const char *name, struct sig_signer **ret);
struct sig_signer *sig_signer_free(struct sig_signer *s); /* NULL is fine; returns NULL */
static inline void sig_signer_freep(struct sig_signer **s) {
        *s = sig_signer_free(*s);
}
/* The public half, valid as long as the signer. */
const struct sig_key *sig_signer_key(const struct sig_signer *s);
/* Appends the public half as PEM. */
SAI_NODISCARD int sig_signer_public_pem(const struct sig_signer *s, struct buf *out);
/* Appends a bundle over `payload` (a statement). */
SAI_NODISCARD int sig_signer_bundle(const struct sig_signer *s, struct view payload, struct buf *out);
