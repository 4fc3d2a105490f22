/* records: reads durable records back by sequence, across rotated files, in time that doesn't grow with the log.
 * Thread-safe: keeps nothing. */
#pragma once

#include "audit/log_store.h"

/* Appends up to `limit` records with a sequence above `after`, comma between them, as they stand in the log; stops before
 * `out` would pass its maximum. `end`: where the durable log ended when the question was asked. */
SAI_NODISCARD int records_read(int log_dir, const struct log_end *end, uint64_t after, uint64_t limit,
                               struct buf *out);
