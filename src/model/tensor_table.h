/* tensor_table: names and shapes of an artifact's tensors, packed, from the header until the data has been read. Typical
 * entries take 40 to 60 bytes. Pure. */
#pragma once

#include "base/buf.h"
#include "model/tensor_record.h"

#define TENSOR_TABLE_NAME_MAX  104u /* a longer name is cut and ends in ~ and 16 digits of its SHA-256 */
#define TENSOR_TABLE_ENTRY_MAX (2 + TENSOR_TABLE_NAME_MAX + 10 * TENSOR_RANK_MAX)

struct tensor_table_entry {
        struct view name; /* lies in the table */
        uint32_t rank;
        uint64_t shape[TENSOR_RANK_MAX];
};

/* *ret_at = where it lies in `table`. -ENOMEM, -EFBIG. */
SAI_NODISCARD int tensor_table_put(struct buf *table, struct view name, const uint64_t *shape, uint32_t rank,
                                   uint32_t *ret_at);
/* `at`: from tensor_table_put; returns where the next entry begins. */
size_t tensor_table_get(const struct buf *table, size_t at, struct tensor_table_entry *ret);
