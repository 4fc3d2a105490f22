/* claim_set: folders in quarantine's hands. A claim that is a folder is claims/<job>/set/…; on its way there it is claims/<job>/raw
 * (out of the inbox by one rename, not ours alone yet) or claims/<job>/set.part (what clients hand in, what is copied). What is
 * cut off in `raw` goes back to the inbox; so a folder is always in exactly one place that a restart can find.
 *
 * A folder becomes a claim as it is when it is ours, all files and folders have been closed to others and no file is open for
 * writing (a read lease is granted for each); else its files are copied. Everything is bounded by set_walk. */
#pragma once

#include "core/set_walk.h"
#include "quarantine/claim.h"

/* For claim_look and claim_take: an entry of the inbox that is a folder; `fd` is it, open. */
enum claim_readiness claim_look_at_folder(int fd, struct sighting *s, struct inbox_entry *ret);
SAI_NODISCARD int claim_take_folder(const struct claims *c, const char *name, const struct inbox_entry *e,
                                    const char *job);

/* A folder that comes file by file. _begin makes the place; _file a file of `size` bytes in it, copied from `source`, or, when that is
 * negative, to be written through *ret_writer by the client. -EINVAL: not a path, -EEXIST: it is there (or a folder) already,
 * -ESTALE: the source has another size or changed. */
SAI_NODISCARD int claim_set_begin(const struct claims *c, const char *job, uint64_t size);
SAI_NODISCARD int claim_set_file(const struct claims *c, const char *job, struct view path, uint64_t size,
                                 int source, int *ret_writer);
/* 0 and the folder is the claim. -EBUSY while a client can still write, -EBADMSG when number or sizes of the files are others. */
SAI_NODISCARD int claim_set_commit(const struct claims *c, const char *job, uint64_t files, uint64_t size);

/* The claim's folder and what is in it; -ENOENT. `ret_id` (128 bytes) changes when a file does. */
SAI_NODISCARD int claim_open_set(const struct claims *c, const char *job, int *ret_fd, struct set_walk *ret,
                                 char *ret_id);
bool claim_set_is_same(int fd, const char *id);
/* Gives back to the inbox what was cut off on its way: under its name, or another when that is taken. 1 = it was there. */
SAI_NODISCARD int claim_set_give_back(const struct claims *c, const char *job, const char *name);

/* The listing beside the folder, from when the pass is through. -ENOENT, -EBADMSG. */
SAI_NODISCARD int claim_write_listing(const struct claims *c, const char *job, const struct set_listing *l);
SAI_NODISCARD int claim_read_listing(const struct claims *c, const char *job, struct set_listing *ret);
SAI_NODISCARD int claim_open_listing(const struct claims *c, const char *job);

/* In the claim's folder; for claim.c. */
#define CLAIM_SET      "set"
#define CLAIM_SET_PART "set.part"
#define CLAIM_SET_COPY "set.copy"
#define CLAIM_SET_RAW  "raw"
