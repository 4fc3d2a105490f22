#include "model/weights.h"

#include "base/num.h"

/* Bytes examined at once: the quick test only says whether one of them is bad; then they are counted one by
 * one. */
#define STRIDE 16384u

static inline uint16_t get16(const uint8_t *p) {
        uint16_t x;

        memcpy(&x, p, sizeof x); /* machines are little-endian; this becomes a vector load */
        return x;
}

static inline uint32_t get32(const uint8_t *p) {
        uint32_t x;

        memcpy(&x, p, sizeof x);
        return x;
}

static inline uint64_t get64(const uint8_t *p) {
        uint64_t x;

        memcpy(&x, p, sizeof x);
        return x;
}

static inline bool half_is_bad(uint16_t x) {
        return (x & 0x7c00u) == 0x7c00u;
}

static inline bool float_is_bad(uint32_t x) {
        return (x & 0x7f800000u) == 0x7f800000u;
}

static inline bool f8_is_bad(enum weights_numbers numbers, uint8_t x) {
        switch (numbers) {
        case WEIGHTS_F8_E5M2:
                return (x & 0x7cu) == 0x7cu;
        case WEIGHTS_F8_E4M3:
                return (x & 0x7fu) == 0x7fu;
        case WEIGHTS_F8_FNUZ:
                return x == 0x80u;
        default:
                return x == 0xffu; /* E8M0 */
        }
}

/* The scale of an IQ1_M block lies in the top nibbles of its four scale words (ggml-common.h, iq1m_scale_t).
 * */
static inline uint16_t iq1m_scale(const uint8_t *block) {
        const uint8_t *s = block + 48;

        return (uint16_t)(get16(s) >> 12 | (get16(s + 2) >> 8 & 0x00f0) | (get16(s + 4) >> 4 & 0x0f00) |
                          (get16(s + 6) & 0xf000));
}

/* How many numbers of one block are bad; *ret_at = offset within the block of the first. */
static unsigned block_count(const struct weights_layout *l, const uint8_t *p, size_t *ret_at) {
        unsigned n = 0;

        *ret_at = 0;
        switch (l->numbers) {
        case WEIGHTS_F16:
                return half_is_bad(get16(p));
        case WEIGHTS_BF16:
                return (get16(p) & 0x7f80u) == 0x7f80u;
        case WEIGHTS_F32:
        case WEIGHTS_FLOAT_SCALE:
                return float_is_bad(get32(p));
        case WEIGHTS_F64:
                return (get64(p) >> 52 & 0x7ff) == 0x7ff;
        case WEIGHTS_F8_E5M2:
        case WEIGHTS_F8_E4M3:
        case WEIGHTS_F8_FNUZ:
        case WEIGHTS_F8_E8M0:
        case WEIGHTS_E8M0_SCALE:
                return f8_is_bad(l->numbers, *p);
        case WEIGHTS_HALF_SCALES:
                for (size_t i = l->scales; i-- > 0;)
                        if (half_is_bad(get16(p + l->at[i]))) {
                                *ret_at = l->at[i];
                                n++;
                        }
                return n;
        case WEIGHTS_UE4M3_SCALES:
                /* ggml reads the NaN code as zero, hardware as NaN: a file must not hold it. */
                for (size_t i = 4; i-- > 0;)
                        if ((p[i] & 0x7fu) == 0x7fu) {
                                *ret_at = i;
                                n++;
                        }
                return n;
        case WEIGHTS_IQ1_M:
                *ret_at = 48;
                return half_is_bad(iq1m_scale(p));
        case WEIGHTS_INTEGERS:
        case WEIGHTS_NUMBERS_MAX:
                break;
        }
        return 0;
}

/* Loops without exits, so that compilers turn them into vector code; twice, for processors with wider vectors. */
static inline __attribute__((always_inline)) uint16_t peak_half_loop(const uint8_t *p, size_t n) {
        uint16_t peak = 0;

        for (size_t i = 0; i < n; i++) {
                uint16_t x = get16(p + 2 * i) & 0x7fff;

                peak = x > peak ? x : peak;
        }
        return peak;
}

static inline __attribute__((always_inline)) uint32_t peak_float_loop(const uint8_t *p, size_t n) {
        uint32_t peak = 0;

        for (size_t i = 0; i < n; i++) {
                uint32_t x = get32(p + 4 * i) & 0x7fffffffu;

                peak = x > peak ? x : peak;
        }
        return peak;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint16_t peak_half_wide(const uint8_t *p, size_t n) {
        return peak_half_loop(p, n);
}

__attribute__((target("avx2"))) static uint32_t peak_float_wide(const uint8_t *p, size_t n) {
        return peak_float_loop(p, n);
}

static bool wide(void) {
        return __builtin_cpu_supports("avx2");
}
#else
#define peak_half_wide  peak_half_loop
#define peak_float_wide peak_float_loop

static bool wide(void) {
        return false;
}
#endif

/* The largest magnitude, as bits without the sign: their order is that of the numbers, NaN above all. */
static bool any_half(struct weights *w, const uint8_t *p, size_t n, uint16_t bad) {
        uint16_t peak = wide() ? peak_half_wide(p, n) : peak_half_loop(p, n);

        w->peak = MAX_OF(w->peak, peak);
        return peak >= bad;
}

static bool any_float(struct weights *w, const uint8_t *p, size_t n) {
        uint32_t peak = wide() ? peak_float_wide(p, n) : peak_float_loop(p, n);

        w->peak = MAX_OF(w->peak, peak);
        return peak >= 0x7f800000u;
}

static bool any_double(const uint8_t *p, size_t n) {
        uint32_t bad = 0;

        for (size_t i = 0; i < n; i++)
                bad |= (get32(p + 8 * i + 4) & 0x7ff00000u) == 0x7ff00000u;
        return bad;
}

static bool any_masked_byte(const uint8_t *p, size_t n, uint8_t mask, uint8_t value) {
        uint8_t bad = 0;

        for (size_t i = 0; i < n; i++)
                bad |= (uint8_t)((p[i] & mask) == value);
        return bad;
}

static bool any_half_scale(const struct weights_layout *l, const uint8_t *p, size_t blocks, size_t block) {
        size_t first = l->at[0], second = l->at[l->scales - 1u];
        int bad = 0;

        for (size_t i = 0; i < blocks; i++, p += block)
                bad |= half_is_bad(get16(p + first)) + half_is_bad(get16(p + second));
        return bad;
}

static bool any_other(const struct weights_layout *l, const uint8_t *p, size_t blocks, size_t block) {
        bool bad = false;
        size_t at;

        for (size_t i = 0; i < blocks; i++)
                bad |= block_count(l, p + i * block, &at) > 0;
        return bad;
}

static bool any_bad(struct weights *w, const uint8_t *p, size_t blocks) {
        const struct weights_layout *l = w->layout;
        size_t block = w->block;

        switch (l->numbers) {
        case WEIGHTS_F16:
                return any_half(w, p, blocks, 0x7c00);
        case WEIGHTS_BF16:
                return any_half(w, p, blocks, 0x7f80);
        case WEIGHTS_F32:
                return any_float(w, p, blocks);
        case WEIGHTS_F64:
                return any_double(p, blocks);
        case WEIGHTS_F8_E5M2:
                return any_masked_byte(p, blocks, 0x7c, 0x7c);
        case WEIGHTS_F8_E4M3:
                return any_masked_byte(p, blocks, 0x7f, 0x7f);
        case WEIGHTS_F8_FNUZ:
                return any_masked_byte(p, blocks, 0xff, 0x80);
        case WEIGHTS_F8_E8M0:
                return any_masked_byte(p, blocks, 0xff, 0xff);
        case WEIGHTS_HALF_SCALES:
                return any_half_scale(l, p, blocks, block);
        default:
                return any_other(l, p, blocks, block);
        }
}

static void count_bad(struct weights *w, const uint8_t *p, size_t blocks, uint64_t at) {
        for (size_t i = 0; i < blocks; i++) {
                size_t within;
                unsigned n = block_count(w->layout, p + i * w->block, &within);

                if (n > 0 && w->count == 0)
                        w->first = at + i * w->block + within;
                w->count += n;
        }
}

static void feed_blocks(struct weights *w, const uint8_t *p, size_t blocks, uint64_t at) {
        size_t stride = MAX_OF(STRIDE / w->block, (size_t)1);

        while (blocks > 0) {
                size_t now = MIN_OF(blocks, stride);

                if (any_bad(w, p, now))
                        count_bad(w, p, now, at);
                p += now * w->block;
                at += now * w->block;
                blocks -= now;
        }
}

void weights_begin(struct weights *w, const struct weights_layout *layout, size_t block, uint64_t at) {
        *w = (struct weights){.layout = layout, .block = block, .at = at};
}

void weights_feed(struct weights *w, struct view bytes) {
        const uint8_t *p = (const uint8_t *)bytes.p;
        size_t n = bytes.n, whole;

        if (n == 0 || w->layout->numbers == WEIGHTS_INTEGERS) {
                w->at += n;
                return;
        }
        if (w->carried > 0) {
                size_t take = MIN_OF(w->block - w->carried, n);

                memcpy(w->carry + w->carried, p, take);
                w->carried += take;
                w->at += take;
                p += take;
                n -= take;
                if (w->carried < w->block)
                        return;
                feed_blocks(w, w->carry, 1, w->at - w->block);
                w->carried = 0;
        }
        whole = n / w->block;
        feed_blocks(w, p, whole, w->at);
        w->at += n;
        w->carried = n - whole * w->block;
        if (w->carried > 0)
                memcpy(w->carry, p + whole * w->block, w->carried);
}
