/* sig_trust: whom the owner believes: what policy.yaml names under `provenance`, read from the folder keys/ beside it. */
#pragma once

#include <openssl/types.h>

#include "core/sig_key.h"
#include "wire/json.h"

#define SIG_KEYS_MAX       64
#define SIG_ROOTS_MAX      16
#define SIG_IDENTITIES_MAX 32
#define SIG_IDENTITY_MAX   256
#define SIG_BUILDERS_MAX   32

struct sig_root; /* core/sig_root.h */

struct sig_identity {
        char identity[SIG_IDENTITY_MAX + 1], issuer[SIG_IDENTITY_MAX + 1];
};

struct sig_trust {
        struct sig_key keys[SIG_KEYS_MAX];
        size_t n_keys;
        X509 *roots[SIG_ROOTS_MAX]; /* of the certificate method */
        size_t n_roots;
        struct sig_root *sigstore; /* NULL: no signature of the Sigstore method is believed */
        struct sig_identity identities[SIG_IDENTITIES_MAX];
        size_t n_identities;
        char builders[SIG_BUILDERS_MAX][SIG_IDENTITY_MAX + 1]; /* of SLSA provenance */
        size_t n_builders;
};

/* `provenance`: that member of policy.yaml, checked against its schema; NULL is fine. `digest` (may be NULL) is fed with
 * the content of every file. CONFIG-002 and KEY-00N in *reterr; a file that can't be read is a failure. */
SAI_NODISCARD int sig_trust_load(int config_dir, const struct json *provenance, struct digest *digest,
                                 struct sig_trust **ret, struct fault *reterr);
/* One key, for `securectl verify --key`. */
SAI_NODISCARD int sig_trust_of_key(struct view pem, const char *name, struct sig_trust **ret,
                                   struct fault *reterr);
/* Believes one builder more. -EINVAL when it is empty or too long, -E2BIG. */
SAI_NODISCARD int sig_trust_add_builder(struct sig_trust *t, struct view id);
struct sig_trust *sig_trust_free(struct sig_trust *t); /* NULL is fine; returns NULL */
static inline void sig_trust_freep(struct sig_trust **t) {
        *t = sig_trust_free(*t);
}
static inline bool sig_trust_is_empty(const struct sig_trust *t) {
        return t->n_keys == 0 && t->n_roots == 0 && !t->sigstore;
}
