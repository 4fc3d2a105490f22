#include "support/weightgen.h"

#include <math.h>

void weightgen_init(struct weightgen *g, uint64_t seed) {
        g->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        g->deviation = 0.02;
}

uint64_t weightgen_bits(struct weightgen *g) { /* splitmix64 */
        uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

double weightgen_next(struct weightgen *g) {
        double u = ((double)(weightgen_bits(g) >> 11) + 0.5) * 0x1p-53;
        double v = (double)(weightgen_bits(g) >> 11) * 0x1p-53;

        return sqrt(-2 * log(u)) * cos(2 * M_PI * v) * g->deviation;
}

static uint32_t float_bits(float f) {
        uint32_t x;

        memcpy(&x, &f, sizeof x);
        return x;
}

/* Cut, not rounded; small numbers become subnormal, large ones the largest. */
static uint16_t half_bits(float f) {
        float a = fabsf(f) * 0x1p-112f;
        uint32_t x = float_bits(a) >> 13;

        return (uint16_t)((f < 0 ? 0x8000u : 0) | MIN_OF(x, 0x7bffu));
}

static float half_value(uint16_t x) {
        uint32_t bits = (uint32_t)(x & 0x7fffu) << 13;
        float f;

        memcpy(&f, &bits, sizeof f);
        return (x & 0x8000 ? -f : f) * 0x1p112f;
}

static void put(uint8_t *p, uint64_t v, size_t n) {
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)(v >> 8 * i);
}

static uint8_t small_bits(float f, unsigned fraction, int bias, uint8_t most) {
        int e;
        float m = frexpf(fabsf(f), &e);
        int exponent = e - 1 + bias;
        unsigned x;

        if (f == 0 || exponent < 1)
                x = (unsigned)(fabsf(f) * ldexpf(1, (int)fraction + bias - 1));
        else
                x = (unsigned)exponent << fraction | (unsigned)((m * 2 - 1) * (float)(1u << fraction));
        return (uint8_t)((f < 0 ? 0x80 : 0) | MIN_OF(x, most));
}

static bool put_plain(struct weightgen *g, enum weights_numbers numbers, uint8_t *p) {
        float f = (float)weightgen_next(g);
        double d = (double)f * (1 + 1e-9 * weightgen_next(g));
        uint64_t bits;

        switch (numbers) {
        case WEIGHTS_F32:
                put(p, float_bits(f), 4);
                return true;
        case WEIGHTS_F16:
                put(p, half_bits(f), 2);
                return true;
        case WEIGHTS_BF16:
                put(p, float_bits(f) >> 16, 2);
                return true;
        case WEIGHTS_F64:
                memcpy(&bits, &d, sizeof bits);
                put(p, bits, 8);
                return true;
        case WEIGHTS_F8_E5M2:
                *p = small_bits(f * 100, 2, 15, 0x7b);
                return true;
        case WEIGHTS_F8_E4M3:
        case WEIGHTS_F8_FNUZ:
                *p = small_bits(f * 100, 3, 7, 0x7e);
                if (*p == 0x80)
                        *p = 0;
                return true;
        case WEIGHTS_F8_E8M0:
                *p = (uint8_t)(120 + weightgen_bits(g) % 8);
                return true;
        default:
                return false;
        }
}

/* `bits` wide codes of 32 numbers: symmetric around `offset` when there is no minimum. */
static void quantise(struct weightgen *g, bool minimum, int offset, int most, double levels, int codes[32],
                     float *ret_scale, float *ret_minimum) {
        double v[32], least = 1e9, largest = -1e9, peak = 0, scale;

        for (size_t i = 0; i < 32; i++) {
                v[i] = weightgen_next(g);
                least = fmin(least, v[i]);
                largest = fmax(largest, v[i]);
                if (fabs(v[i]) > fabs(peak))
                        peak = v[i];
        }
        scale = minimum ? (largest - least) / most : peak / levels;
        *ret_scale = half_value(half_bits((float)scale));
        *ret_minimum = (float)least;
        for (size_t i = 0; i < 32; i++) {
                double c = minimum ? (v[i] - least) / scale : v[i] / scale + offset;

                codes[i] = (int)fmin(fmax(round(c), offset == 0 && !minimum ? -127 : 0), most);
        }
}

static bool put_simple(struct weightgen *g, const char *name, uint8_t *p) {
        int c[32];
        float scale, least;

        if (strcmp(name, "Q4_0") == 0 || strcmp(name, "IQ4_NL") == 0 || strcmp(name, "MXFP4") == 0) {
                bool mx = name[0] == 'M';

                quantise(g, false, 8, 15, -8, c, &scale, &least);
                if (mx)
                        *p = (uint8_t)(120 + weightgen_bits(g) % 4);
                else
                        put(p, half_bits(scale), 2);
                for (size_t i = 0; i < 16; i++)
                        p[(mx ? 1 : 2) + i] = (uint8_t)(c[i] | c[i + 16] << 4);
                return true;
        }
        if (strcmp(name, "Q4_1") == 0) {
                quantise(g, true, 0, 15, 0, c, &scale, &least);
                put(p, half_bits(scale), 2);
                put(p + 2, half_bits(least), 2);
                for (size_t i = 0; i < 16; i++)
                        p[4 + i] = (uint8_t)(c[i] | c[i + 16] << 4);
                return true;
        }
        if (strcmp(name, "Q8_0") == 0) {
                quantise(g, false, 0, 127, 127, c, &scale, &least);
                put(p, half_bits(fabsf(scale)), 2);
                for (size_t i = 0; i < 32; i++)
                        p[2 + i] = (uint8_t)c[i];
                return true;
        }
        return false;
}

/* Eight sub-blocks of 32 under one pair of scales: 6-bit scales and minima, 4-bit codes. */
static void put_q4_k(struct weightgen *g, uint8_t *p) {
        put(p, half_bits(0.0003f), 2);
        put(p + 2, half_bits(0.0006f), 2);
        for (size_t i = 0; i < 12; i++)
                p[4 + i] = (uint8_t)(weightgen_bits(g) & 0xff);
        for (size_t sub = 0; sub < 8; sub++) {
                int c[32];
                float scale, least;

                quantise(g, true, 0, 15, 0, c, &scale, &least);
                for (size_t i = 0; i < 32; i++) {
                        uint8_t *q = p + 16 + sub / 2 * 32 + i;

                        *q = (uint8_t)(sub % 2 ? (*q & 15) | c[i] << 4 : c[i]);
                }
        }
}

static void put_random(struct weightgen *g, const struct weights_layout *l, size_t block, uint8_t *p) {
        for (size_t i = 0; i < block; i++)
                p[i] = (uint8_t)weightgen_bits(g);
        switch (l->numbers) {
        case WEIGHTS_HALF_SCALES:
                for (size_t i = 0; i < l->scales; i++)
                        put(p + l->at[i], half_bits((float)fabs(weightgen_next(g)) + 0.001f), 2);
                break;
        case WEIGHTS_FLOAT_SCALE:
                put(p, float_bits((float)weightgen_next(g)), 4);
                break;
        case WEIGHTS_E8M0_SCALE:
                *p = (uint8_t)(120 + *p % 4);
                break;
        case WEIGHTS_UE4M3_SCALES:
                for (size_t i = 0; i < 4; i++)
                        p[i] = (uint8_t)(48 + p[i] % 16);
                break;
        case WEIGHTS_IQ1_M:
                for (size_t i = 0; i < 4; i++)
                        p[49 + 2 * i] &= 0x3f;
                break;
        default:
                break;
        }
}

void weightgen_fill(struct weightgen *g, const char *name, const struct weights_layout *layout, size_t block,
                    uint8_t *out, size_t blocks) {
        for (size_t i = 0; i < blocks; i++, out += block) {
                if (i % 128 == 0)
                        g->deviation = 0.01 + (double)(weightgen_bits(g) % 1000) * 2e-5;
                if (put_plain(g, layout->numbers, out) || put_simple(g, name, out))
                        continue;
                if (strcmp(name, "Q4_K") == 0)
                        put_q4_k(g, out);
                else
                        put_random(g, layout, block, out);
        }
}
