#include "quarantine/text_runs.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 64u

static uint64_t mask_portable(const uint8_t *p) {
        uint64_t mask = 0;

        for (size_t i = 0; i < BLOCK; i++)
                mask |= (uint64_t)text_run_byte(p[i]) << i;
        return mask;
}

#if defined(__x86_64__)
/* Bit i: byte i is text. */
__attribute__((target("avx2"))) static inline uint32_t mask_32(const uint8_t *p) {
        const __m256i b = _mm256_loadu_si256((const __m256i_u *)(const void *)p);
        const __m256i print = _mm256_sub_epi8(b, _mm256_set1_epi8(' '));
        const __m256i white = _mm256_sub_epi8(b, _mm256_set1_epi8('\t'));
        const __m256i is_print = _mm256_cmpeq_epi8(_mm256_min_epu8(print, _mm256_set1_epi8('~' - ' ')),
                                                   print);
        const __m256i is_white = _mm256_cmpeq_epi8(_mm256_min_epu8(white, _mm256_set1_epi8('\r' - '\t')),
                                                   white);
        const __m256i is_nul = _mm256_cmpeq_epi8(b, _mm256_setzero_si256());

        return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(is_print, _mm256_or_si256(is_white, is_nul)));
}

__attribute__((target("avx2"))) static uint64_t mask_wide(const uint8_t *p) {
        return mask_32(p) | (uint64_t)mask_32(p + 32) << 32;
}

/* Bits where a run of TEXT_RUN_LEAST begins within `now`; `next` are the bits that follow. */
static inline uint64_t starts_of(uint64_t now, uint64_t next) {
        unsigned __int128 m = (unsigned __int128)next << 64 | now;

        m &= m >> 1; /* 2 in a row */
        m &= m >> 2; /* 4 */
        m &= m >> 4; /* 8 */
        m &= m >> 4; /* 12 */
        return (uint64_t)m;
}

/* Skips whole blocks without a start; the offset of the first start, or of the first byte that was not looked at. */
__attribute__((target("avx2"))) static size_t skip_wide(const uint8_t *p, size_t n, size_t from,
                                                        bool *ret_found) {
        uint64_t now;

        *ret_found = false;
        if (n < from || n - from < 2 * BLOCK)
                return from;
        now = mask_wide(p + from);
        for (; n - from >= 2 * BLOCK; from += BLOCK) {
                uint64_t next = mask_wide(p + from + BLOCK), starts = starts_of(now, next);

                if (starts) {
                        *ret_found = true;
                        return from + (size_t)__builtin_ctzll(starts);
                }
                now = next;
        }
        return from;
}
#endif

static size_t skip(const uint8_t *p, size_t n, size_t from, bool *ret_found) {
        *ret_found = false;
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2"))
                return skip_wide(p, n, from, ret_found);
#endif
        /* a byte that is no text ends every run that could hold it */
        while (n >= from && n - from >= BLOCK && mask_portable(p + from) == 0)
                from += BLOCK;
        return from;
}

static size_t end_of_run(const uint8_t *p, size_t n, size_t at) {
        while (at < n && text_run_byte(p[at]))
                at++;
        return at;
}

bool text_run_next(struct view bytes, size_t from, size_t *ret_start, size_t *ret_end) {
        const uint8_t *p = (const uint8_t *)bytes.p;
        bool found;

        from = skip(p, bytes.n, from, &found);
        while (from < bytes.n) {
                size_t end = end_of_run(p, bytes.n, from);

                if (end - from >= TEXT_RUN_LEAST) {
                        *ret_start = from;
                        *ret_end = end;
                        return true;
                }
                from = end + 1;
        }
        return false;
}
