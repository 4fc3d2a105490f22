/* policy: what the owner's files say about models: policy/policy.yaml, policy/models.lock.yaml,
 * policy/sources.allowlist.yaml and the public keys that policy.yaml names. Read once, immutable, thread-safe to read.
 * Values can only be tighter than what is compiled in: the schemas hold the maxima. */
#pragma once

#include "core/digest.h"
#include "core/keys.h"
#include "core/sig_trust.h"
#include "quarantine/demand.h"
#include "model/tensor_record.h"
#include "quarantine/limits.h"
#include "wire/json.h"
#include "wire/url.h"

struct trusted_key {
        struct public_key *key;
        char name[129]; /* of its file */
        char id[65];
};

struct category_limit {
        char name[40];
        unsigned percent;
};

struct policy {
        bool gguf, safetensors, diffusion;
        bool local_signed, url_signed; /* a signature is required */
        struct trusted_key keys[TRUSTED_KEYS_MAX];
        size_t n_keys;
        struct sig_trust *trust; /* the same keys and more, for bundles */
        struct demands *demands; /* who of them must have signed what */
        unsigned compliance_percent, refusal_percent, critical_failures, crashes, timeouts, empty_percent;
        unsigned category_percent, leaks, actions, over_refusal_percent;
        struct category_limit categories[PROMPT_CATEGORIES_MAX];
        size_t n_categories;
        struct weights_limits weights;
        uint64_t prompt_usec;
        uint64_t artifact_bytes, rejected_bytes;
        unsigned concurrency, max_tries;
        bool local_import;
        struct url *sources;
        size_t n_sources;
        struct json_document *lock; /* pins and blocklist */
        struct sha256 digest;       /* over all that was read */
        char digest_hex[SHA256_HEX_SIZE];
};

/* -errno and *reterr with "file:line: …"; an unreadable file is never an empty one. */
SAI_NODISCARD int policy_load(int config_dir, struct policy **ret, struct fault *reterr);
struct policy *policy_free(struct policy *p);
static inline void policy_freep(struct policy **p) {
        *p = policy_free(*p);
}
