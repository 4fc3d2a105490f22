#include "base/sha256_blocks.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static const uint32_t k[64] __attribute__((aligned(16))) = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned n) {
        return x >> n | x << (32 - n);
}

static uint32_t load_be32(const uint8_t *p) {
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t x) {
        p[0] = (uint8_t)(x >> 24);
        p[1] = (uint8_t)(x >> 16);
        p[2] = (uint8_t)(x >> 8);
        p[3] = (uint8_t)x;
}

static void portable_block(uint32_t h[8], const uint8_t *p) {
        uint32_t w[64], v[8];

        for (size_t i = 0; i < 16; i++)
                w[i] = load_be32(p + 4 * i);
        for (size_t i = 16; i < 64; i++) {
                uint32_t a = w[i - 15], b = w[i - 2];

                w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
                       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        memcpy(v, h, sizeof v);
        for (size_t i = 0; i < 64; i++) {
                uint32_t e = v[4], a = v[0];
                uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                              ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
                uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                              ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

                memmove(v + 1, v, 7 * sizeof *v);
                v[4] += t1;
                v[0] = t1 + t2;
        }
        for (size_t i = 0; i < 8; i++)
                h[i] += v[i];
}

static void portable(struct sha256_lane *lanes, size_t n, size_t blocks) {
        for (size_t i = 0; i < n; i++)
                for (size_t b = 0; b < blocks; b++, lanes[i].p += SHA256_BLOCK_BYTES)
                        portable_block(lanes[i].h, lanes[i].p);
}

#if defined(__x86_64__)

#define SHA_TARGET __attribute__((target("sha,sse4.1")))
#define SHA_INLINE SHA_TARGET __attribute__((always_inline)) static inline

/* The instructions keep the state as (ABEF, CDGH), not as it is stored. */
SHA_INLINE void load_state(const uint32_t h[8], __m128i *abef, __m128i *cdgh) {
        __m128i dcba = _mm_loadu_si128((const __m128i_u *)(const void *)h);
        __m128i hgfe = _mm_loadu_si128((const __m128i_u *)(const void *)(h + 4));
        __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

        *abef = _mm_alignr_epi8(cdab, efgh, 8);
        *cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

SHA_INLINE void store_state(uint32_t h[8], __m128i abef, __m128i cdgh) {
        __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);

        _mm_storeu_si128((__m128i_u *)(void *)h, _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128((__m128i_u *)(void *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds of every lane: message words first, then the two halves of the rounds. `n` and `g` are constants
 * once this is expanded. */
SHA_INLINE void four_rounds(size_t n, unsigned g, __m128i w[][4], __m128i *abef, __m128i *cdgh) {
        const __m128i constants = _mm_load_si128((const __m128i *)(const void *)(k + 4 * g));

        UNROLL
        for (size_t i = 0; i < n; i++) {
                __m128i *m = w[i], now;

                if (g >= 4)
                        m[g & 3] = _mm_sha256msg2_epu32(
                                _mm_add_epi32(_mm_sha256msg1_epu32(m[g & 3], m[(g + 1) & 3]),
                                              _mm_alignr_epi8(m[(g + 3) & 3], m[(g + 2) & 3], 4)),
                                m[(g + 3) & 3]);
                now = _mm_add_epi32(m[g & 3], constants);
                cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], now);
                abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], _mm_shuffle_epi32(now, 0x0e));
        }
}

SHA_INLINE void one_block(size_t n, struct sha256_lane *lanes, __m128i *abef, __m128i *cdgh) {
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        __m128i w[SHA256_LANES][4], abef_before[SHA256_LANES], cdgh_before[SHA256_LANES];

        UNROLL
        for (size_t i = 0; i < n; i++) {
                abef_before[i] = abef[i];
                cdgh_before[i] = cdgh[i];
                UNROLL
                for (size_t j = 0; j < 4; j++)
                        w[i][j] = _mm_shuffle_epi8(
                                _mm_loadu_si128((const __m128i_u *)(const void *)(lanes[i].p + 16 * j)),
                                big_endian);
                lanes[i].p += SHA256_BLOCK_BYTES;
        }
        UNROLL
        for (unsigned g = 0; g < 16; g++)
                four_rounds(n, g, w, abef, cdgh);
        UNROLL
        for (size_t i = 0; i < n; i++) {
                abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
                cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
        }
}

SHA_INLINE void all_blocks(size_t n, struct sha256_lane *lanes, size_t blocks) {
        __m128i abef[SHA256_LANES], cdgh[SHA256_LANES];

        UNROLL
        for (size_t i = 0; i < n; i++)
                load_state(lanes[i].h, &abef[i], &cdgh[i]);
        for (size_t b = 0; b < blocks; b++)
                one_block(n, lanes, abef, cdgh);
        UNROLL
        for (size_t i = 0; i < n; i++)
                store_state(lanes[i].h, abef[i], cdgh[i]);
}

SHA_INLINE void any_lanes(struct sha256_lane *lanes, size_t n, size_t blocks) {
        switch (n) {
        case 1:
                all_blocks(1, lanes, blocks);
                break;
        case 2:
                all_blocks(2, lanes, blocks);
                break;
        case 3:
                all_blocks(3, lanes, blocks);
                break;
        default:
                all_blocks(4, lanes, blocks);
        }
}

SHA_TARGET static void with_instructions(struct sha256_lane *lanes, size_t n, size_t blocks) {
        any_lanes(lanes, n, blocks);
}

/* The same once more: AVX-512 has twice the registers, which is what more than two lanes want. */
__attribute__((target("sha,avx512vl,avx512bw"))) static void with_more_registers(struct sha256_lane *lanes,
                                                                                 size_t n, size_t blocks) {
        any_lanes(lanes, n, blocks);
}

/* The best way that this processor knows. */
static int best_level(void) {
        unsigned a, b, c, d;

        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
                return 0;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_SHA))
                return 0;
        return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") ? 2 : 1;
}

#else

static void with_instructions(struct sha256_lane *lanes, size_t n, size_t blocks) {
        portable(lanes, n, blocks);
}

static void with_more_registers(struct sha256_lane *lanes, size_t n, size_t blocks) {
        portable(lanes, n, blocks);
}

static int best_level(void) {
        return 0;
}

#endif

static atomic_int current_level = -1; /* not known yet: asking the processor is slow in a virtual machine */

void sha256_set_level(int level) {
        atomic_store_explicit(&current_level, MIN_OF(level, best_level()), memory_order_relaxed);
}

void sha256_compress(struct sha256_lane *lanes, size_t n, size_t blocks) {
        int level = atomic_load_explicit(&current_level, memory_order_relaxed);

        if (level < 0) {
                sha256_set_level(SHA256_LEVEL_MAX);
                level = atomic_load_explicit(&current_level, memory_order_relaxed);
        }
        if (level == 0)
                portable(lanes, n, blocks);
        else if (level == 1)
                with_instructions(lanes, n, blocks);
        else
                with_more_registers(lanes, n, blocks);
}

static void compress_one(struct sha256_state *s, const uint8_t *p, size_t blocks) {
        struct sha256_lane lane = {s->h, p};

        sha256_compress(&lane, 1, blocks);
}

void sha256_init(struct sha256_state *s) {
        *s = (struct sha256_state){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                         0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_fill(struct sha256_state *s, struct view bytes, struct view *ret_rest) {
        size_t have = (size_t)(s->n % SHA256_BLOCK_BYTES), take = 0;

        if (have > 0) {
                take = MIN_OF(SHA256_BLOCK_BYTES - have, bytes.n);
                if (take > 0)
                        memcpy(s->block + have, bytes.p, take);
                if (have + take == SHA256_BLOCK_BYTES)
                        compress_one(s, s->block, 1);
        }
        s->n += bytes.n;
        *ret_rest = view_sub(bytes, take, SIZE_MAX);
}

void sha256_keep(struct sha256_state *s, struct view tail) {
        if (tail.n > 0)
                memcpy(s->block, tail.p, tail.n);
}

void sha256_update(struct sha256_state *s, struct view bytes) {
        struct view rest;
        size_t whole;

        sha256_fill(s, bytes, &rest);
        whole = rest.n / SHA256_BLOCK_BYTES;
        if (whole > 0)
                compress_one(s, (const uint8_t *)rest.p, whole);
        sha256_keep(s, view_sub(rest, whole * SHA256_BLOCK_BYTES, SIZE_MAX));
}

void sha256_final(struct sha256_state *s, uint8_t out[SHA256_BYTES]) {
        static const uint8_t padding[SHA256_BLOCK_BYTES] = {0x80};
        uint64_t bits = s->n * 8;
        size_t have = (size_t)(s->n % SHA256_BLOCK_BYTES);
        uint8_t length[8];

        store_be32(length, (uint32_t)(bits >> 32));
        store_be32(length + 4, (uint32_t)bits);
        sha256_update(s, view_make(padding, (have < 56 ? 56 : 120) - have));
        sha256_update(s, view_make(length, sizeof length));
        for (size_t i = 0; i < 8; i++)
                store_be32(out + 4 * i, s->h[i]);
}

void sha256_message(struct view bytes, uint8_t out[SHA256_BYTES]) {
        struct sha256_state s;

        sha256_init(&s);
        sha256_update(&s, bytes);
        sha256_final(&s, out);
}
