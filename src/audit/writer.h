/* writer: group commit in front of the log's files. Thread-safe: many threads append, whoever finds nobody writing
 * writes for all that wait, with one sync a batch. */
#pragma once

#include "audit/log_store.h"

struct writer; /* opaque */

/* Takes over `store` (closed with the writer). -ENOMEM: the store stays the caller's. */
SAI_NODISCARD int writer_new(struct log_store *store, struct writer **ret);
struct writer *writer_free(struct writer *w); /* all appends must have returned; NULL is fine; returns NULL */
static inline void writer_freep(struct writer **w) {
        *w = writer_free(*w);
}
/* Returns when the record is on disk: 0 and *ret_sequence. -ENOSPC / -EDQUOT: the disk is full; -EFBIG: the record is too
 * large; others: the log can't be written. Nothing of a refused record counts. */
SAI_NODISCARD int writer_append(struct writer *w, const struct audit_entry *e, uint64_t *ret_sequence);
struct log_end writer_end(struct writer *w);
