/* refused: readers of formats that are refused whatever is in them, and that are read to say what that is: what they
 * would call, where, and why that does harm. Picks the reader by kind. Streaming; memory bounded by the readers'. */
#pragma once

#include "model/report.h"
#include "model/unpack.h"

struct refused; /* opaque */

struct refused_context {
        struct model_report *report;
        const struct model_unpacker *unpacker; /* NULL: archives are not looked into */
        void *shared;                          /* of the unpacker, see unpack.h */
        unsigned depth;                        /* archives around this one */
};

/* `size`: of the file, UNPACK_SIZE_UNKNOWN inside an archive. *ret is NULL when there is nothing to read in such a kind.
 * -ENOMEM. */
SAI_NODISCARD int refused_new(const struct refused_context *c, enum model_kind kind, uint64_t size,
                              struct refused **ret);
SAI_NODISCARD int refused_feed(struct refused *f, struct view bytes); /* -ENOMEM */
SAI_NODISCARD int refused_finish(struct refused *f);                  /* -ENOMEM */
struct refused *refused_free(struct refused *f);                      /* NULL is fine; returns NULL */
