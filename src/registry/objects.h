/* objects: the content-addressed store: objects/sha256/ab/<the other 62 digits>, each file mode 0400 and named by what
 * it holds. Thread-safe: file names are the only state. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"

struct objects; /* opaque */

/* Opens or makes the folders beneath the registry's state folder (borrowed) and removes what a crash left half-written. */
SAI_NODISCARD int objects_open_store(int state_dir, struct objects **ret);
struct objects *objects_free(struct objects *o); /* NULL is fine; returns NULL */

/* Takes the content of `fd` in, after making sure itself that it has this size and digest. The same inode is linked when it
 * is ours and nobody can write to it; else its blocks are shared, else it is copied. Durable on return.
 * 0 (also when it was there already), or
 *   -EBADFD    not a readable regular file
 *   -EMSGSIZE  of another size      -EBADMSG  of other content
 *   -ETXTBSY   somebody has it open for writing, or wrote to it meanwhile
 *   -ENOSPC and other errors of the file system. */
SAI_NODISCARD int objects_admit(struct objects *o, int fd, uint64_t size, const struct sha256 *digest);
/* A new read-only descriptor. -ENOENT. */
SAI_NODISCARD int objects_open(struct objects *o, const struct sha256 *digest);
/* 0 also when there is none. Durable. */
SAI_NODISCARD int objects_remove(struct objects *o, const struct sha256 *digest);
/* Calls `seen` for each object; a negative result ends the walk. Foreign files are passed over. */
SAI_NODISCARD int objects_each(struct objects *o, int (*seen)(const struct sha256 *digest, void *userdata),
                               void *userdata);
