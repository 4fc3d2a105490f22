/* sig_world: a small Sigstore of our own, for tests: authority, certificate log, transparency logs of both generations, time
 * stamp authority, and bundles made with them, each sound but for one chosen damage. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/sig_trust.h"

#define WORLD_TIME     UINT64_C(1750000000) /* when everything is signed */
#define WORLD_IDENTITY "team@example.com"
#define WORLD_ISSUER   "https://accounts.example.com"
#define WORLD_FILE     "the bytes of a model"

enum damage {
        SOUND,
        LEAF_EXPIRED,
        LEAF_NOT_YET,
        LEAF_TLS,
        LEAF_NO_EKU,
        LEAF_IS_CA,
        LEAF_OF_STRANGER,
        LEAF_OTHER_IDENTITY,
        LEAF_OTHER_ISSUER,
        LEAF_NO_ISSUER,
        LEAF_TWO_NAMES,
        LEAF_DNS_NAME,
        LEAF_SAN_NOT_CRITICAL,
        SCT_MISSING,
        SCT_WRONG,
        SCT_UNKNOWN_LOG,
        SET_OVER_OTHER_BODY,
        SET_OTHER_TIME,
        SET_BY_STRANGER,
        SET_MISSING,
        PATH_TOO_LONG,
        PATH_TOO_SHORT,
        PATH_CHANGED,
        INDEX_BEYOND_SIZE,
        INDEX_OTHER,
        PROOF_MISSING,
        CHECKPOINT_SIZE,
        CHECKPOINT_ROOT,
        CHECKPOINT_ZERO_PADDED,
        CHECKPOINT_BY_STRANGER,
        CHECKPOINT_BROKEN_SIGNATURE,
        CHECKPOINT_UNSIGNED,
        CHECKPOINT_MISSING,
        LOG_UNKNOWN,
        NO_ENTRY,
        KIND_UNKNOWN,
        KIND_LIES,
        BODY_OTHER_HASH,
        BODY_OTHER_SIGNATURE,
        BODY_OTHER_CERTIFICATE,
        BODY_DUPLICATE_KEY,
        DIGEST_OTHER,
        SIGNATURE_OTHER,
        STAMP_MISSING,
        STAMP_OVER_OTHER,
        STAMP_OUT_OF_WINDOW,
        STAMP_BY_STRANGER,
        STAMP_SOUND, /* certificate method: with a good time stamp */
        DAMAGE_MAX
};

enum flavour { MESSAGE_V1, ENVELOPE_V1, MESSAGE_V2 };

struct world; /* opaque; free with world_free */

struct world *world_new(void);
struct world *world_free(struct world *w);
const struct sig_trust *world_trust(const struct world *w);
void world_bundle(struct world *w, enum flavour flavour, enum damage damage, struct buf *out);
/* Certificate method: the chain of a leaf valid from..to, by the pinned root. */
void world_chain_bundle(struct world *w, uint64_t from, uint64_t to, enum damage damage, struct buf *out);
