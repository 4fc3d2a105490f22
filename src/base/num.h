/* num: checked arithmetic and strict decimal numbers. Input from outside goes through here, never through atoi. */
#pragma once

#include "base/view.h"

/* 0 and *ret, or -EOVERFLOW. */
static inline SAI_NODISCARD int u64_add(uint64_t a, uint64_t b, uint64_t *ret) {
        return __builtin_add_overflow(a, b, ret) ? -EOVERFLOW : 0;
}
static inline SAI_NODISCARD int u64_mul(uint64_t a, uint64_t b, uint64_t *ret) {
        return __builtin_mul_overflow(a, b, ret) ? -EOVERFLOW : 0;
}
static inline SAI_NODISCARD int size_add(size_t a, size_t b, size_t *ret) {
        return __builtin_add_overflow(a, b, ret) ? -EOVERFLOW : 0;
}
static inline SAI_NODISCARD int size_mul(size_t a, size_t b, size_t *ret) {
        return __builtin_mul_overflow(a, b, ret) ? -EOVERFLOW : 0;
}
/* Rounds up to a multiple of `align` (a power of two). */
static inline SAI_NODISCARD int u64_align_up(uint64_t a, uint64_t align, uint64_t *ret) {
        uint64_t t;

        if (__builtin_add_overflow(a, align - 1, &t))
                return -EOVERFLOW;
        *ret = t & ~(align - 1);
        return 0;
}

/* Whole view must be decimal digits without sign, space or leading zero ("0" itself is fine).
 * -EBADMSG on anything else, -ERANGE when above `max`. */
SAI_NODISCARD int u64_parse(struct view v, uint64_t max, uint64_t *ret);
/* The same with an optional leading '-'. */
SAI_NODISCARD int i64_parse(struct view v, int64_t *ret);

/* Little-endian loads; the caller has checked that the bytes are there. */
static inline uint16_t load_le16(const void *p) {
        const uint8_t *b = p;
        return (uint16_t)(b[0] | (uint16_t)(b[1] << 8));
}
static inline uint32_t load_le32(const void *p) {
        const uint8_t *b = p;
        return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t load_le64(const void *p) {
        return (uint64_t)load_le32(p) | (uint64_t)load_le32((const uint8_t *)p + 4) << 32;
}
