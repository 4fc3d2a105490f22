/* head: the signed statement about the whole manifest: {"version","models","sha256","created","signature"}. Pure. */
#pragma once

#include "base/buf.h"
#include "core/digest.h"
#include "core/keys.h"

#define HEAD_TEXT_MAX ((size_t)1024)

struct head {
        uint64_t version, models;
        struct sha256 digest;
};

/* Appends the signed text, made at `real_usec`. */
SAI_NODISCARD int head_sign(const struct head *h, uint64_t real_usec, const struct signing_key *key,
                            struct buf *out);
/* 0 and *ret, -EBADMSG (not a head), -EKEYREJECTED (not signed by this key). */
SAI_NODISCARD int head_read(struct view text, const struct public_key *key, struct head *ret);
