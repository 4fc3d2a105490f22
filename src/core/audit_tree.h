/* audit_tree: the Merkle tree over the log's lines (RFC 6962 hashing), kept as its right edge only: at most 64
 * hashes, whatever the number of records. Also the checkpoint: count and root, signed. Pure. */
#pragma once

#include "base/buf.h"
#include "core/digest.h"
#include "core/keys.h"

#define AUDIT_TREE_LEVELS 64

struct audit_tree {
        uint64_t count; /* of leaves; level i is in use when bit i is set */
        struct sha256 level[AUDIT_TREE_LEVELS];
};

/* Adds a line (without newline) as the next leaf. */
SAI_NODISCARD int audit_tree_add(struct audit_tree *t, struct view line);
SAI_NODISCARD int audit_tree_root(const struct audit_tree *t, struct sha256 *ret);

/* Signed statement: the first `count` records have this root, and the last of them this hash. */
struct audit_checkpoint {
        uint64_t count;
        struct sha256 root;
        struct sha256 hash;
};
/* Appends {"count":…,"root":"…","hash":"…","signature":"<base64>"}; the signature covers
 * "secai.audit-checkpoint/1\n" and the object without it. */
SAI_NODISCARD int audit_checkpoint_sign(const struct audit_checkpoint *c, const struct signing_key *key,
                                        struct buf *out);
/* 0 and *ret, -EBADMSG (not a checkpoint), -EKEYREJECTED (signature is wrong). */
SAI_NODISCARD int audit_checkpoint_read(struct view json_text, const struct public_key *key,
                                        struct audit_checkpoint *ret);
