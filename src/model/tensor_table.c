#include "model/tensor_table.h"

#define HASH_DIGITS 16u

static size_t put_name(struct view name, uint8_t *out) {
        size_t head = TENSOR_TABLE_NAME_MAX - HASH_DIGITS - 1;
        static const char digits[] = "0123456789abcdef";
        uint8_t digest[SHA256_BYTES];

        if (name.n <= TENSOR_TABLE_NAME_MAX) {
                memcpy(out, name.p, name.n);
                return name.n;
        }
        while (head > 0 && ((uint8_t)name.p[head] & 0xc0) == 0x80)
                head--; /* not inside a character */
        sha256_message(name, digest);
        memcpy(out, name.p, head);
        out[head++] = '~';
        for (size_t i = 0; i < HASH_DIGITS; i++)
                out[head++] = (uint8_t)digits[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
        return head;
}

static size_t put_number(uint64_t v, uint8_t *out) {
        size_t n = 0;

        for (; v >= 0x80; v >>= 7)
                out[n++] = (uint8_t)(v | 0x80);
        out[n++] = (uint8_t)v;
        return n;
}

int tensor_table_put(struct buf *table, struct view name, const uint64_t *shape, uint32_t rank,
                     uint32_t *ret_at) {
        uint8_t entry[TENSOR_TABLE_ENTRY_MAX];
        uint32_t at = (uint32_t)table->n;
        size_t n;
        int r;

        entry[0] = (uint8_t)put_name(name, entry + 2);
        entry[1] = (uint8_t)rank;
        n = 2 + (size_t)entry[0];
        for (uint32_t i = 0; i < rank; i++)
                n += put_number(shape[i], entry + n);
        r = buf_append(table, entry, n);
        if (r < 0)
                return r;
        *ret_at = at;
        return 0;
}

size_t tensor_table_get(const struct buf *table, size_t at, struct tensor_table_entry *ret) {
        const uint8_t *p = (const uint8_t *)table->p + at;
        size_t n = 2 + (size_t)p[0];

        ret->name = view_make(p + 2, p[0]);
        ret->rank = p[1];
        for (uint32_t i = 0; i < ret->rank; i++) {
                unsigned shift = 0;

                ret->shape[i] = 0;
                do {
                        ret->shape[i] |= (uint64_t)(p[n] & 0x7f) << shift;
                        shift += 7;
                } while (p[n++] & 0x80);
        }
        return at + n;
}
