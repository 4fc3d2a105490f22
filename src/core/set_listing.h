/* set_listing: what an artifact that is a folder (a set) consists of: one line a member, sorted by the bytes of the path. The
 * SHA-256 of this text is the identity of the set, so there is one spelling for each set only.
 *
 *   secai.set/1
 *   <64 lower-case digits> <size> <path>
 *   …
 *
 * A path is relative, of '/'-separated components that are neither empty nor "." nor "..", well-formed UTF-8 without bytes
 * below 0x20 and 0x7f. No path is a folder of another. Each line, the last too, ends in a newline. Pure. */
#pragma once

#include "base/buf.h"
#include "core/digest.h"

#define SET_LISTING_HEAD "secai.set/1\n"
#define SET_MEMBERS_MAX  20000
#define SET_DEPTH_MAX    32 /* components of a path */
#define SET_PATH_MAX     1024
#define SET_LISTING_MAX  ((size_t)8 << 20)
#define SET_BYTES_MAX    ((uint64_t)INT64_MAX) /* sum of the sizes */

struct set_member {
        char *path;
        uint64_t size;
        struct sha256 sha256;
};

struct set_listing {
        struct set_member *members;
        size_t n;
        uint64_t size; /* of all members */
};

void set_listing_done(struct set_listing *s);
static inline void set_listing_donep(struct set_listing *s) {
        set_listing_done(s);
}

bool set_path_is_valid(struct view path);
/* Appends a member; the path is copied. -EINVAL for a path that is not valid, -E2BIG past SET_MEMBERS_MAX or SET_BYTES_MAX. */
SAI_NODISCARD int set_listing_add(struct set_listing *s, struct view path, uint64_t size,
                                  const struct sha256 *sha256);
/* Puts the members into the order of the text. -EEXIST when a path is there twice, or is also a folder. */
SAI_NODISCARD int set_listing_sort(struct set_listing *s);
/* The text, of sorted members. -EFBIG past SET_LISTING_MAX or the maximum of `out`, -EINVAL without a member. */
SAI_NODISCARD int set_listing_write(const struct set_listing *s, struct buf *out);
/* The identity: SHA-256 of the text. */
SAI_NODISCARD int set_listing_digest(const struct set_listing *s, struct sha256 *ret);
/* Reads a text from outside. -EBADMSG for anything but what set_listing_write writes, -E2BIG past a limit. */
SAI_NODISCARD int set_listing_parse(struct view text, struct set_listing *ret);
/* Position of the member in sorted members, or SIZE_MAX. */
size_t set_listing_find(const struct set_listing *s, struct view path);
