/* model_dump: how a reader writes down what it understood of a GGUF file, so that two readers can be compared line by line:
 *     pair KEY TYPE ELEMENT-TYPE COUNT DIGEST
 *     tensor NAME TYPE OFFSET D0 D1 D2 D3
 *     data OFFSET
 * Keys and names in hex; the digest is FNV-1a of the value's bytes as they stand in the file. Header only: the reference reader's
 * program must not need our libraries. */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define DUMP_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t dump_hash(uint64_t h, const void *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                h = (h ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
        return h;
}

static inline void dump_hex(FILE *out, const void *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                fprintf(out, "%02x", ((const uint8_t *)p)[i]);
}

static inline void dump_pair(FILE *out, const char *key, size_t n, uint32_t type, uint32_t element_type,
                             uint64_t count, uint64_t hash) {
        fprintf(out, "pair ");
        dump_hex(out, key, n);
        fprintf(out, " %" PRIu32 " %" PRIu32 " %" PRIu64 " %016" PRIx64 "\n", type, element_type, count,
                hash);
}

static inline void dump_tensor(FILE *out, const char *name, size_t n, uint32_t type, uint64_t offset,
                               const uint64_t dimensions[4]) {
        fprintf(out, "tensor ");
        dump_hex(out, name, n);
        fprintf(out, " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", type,
                offset, dimensions[0], dimensions[1], dimensions[2], dimensions[3]);
}

static inline void dump_data(FILE *out, uint64_t start) {
        fprintf(out, "data %" PRIu64 "\n", start);
}
