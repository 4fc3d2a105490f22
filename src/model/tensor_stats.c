#include "model/tensor_stats.h"

#include <math.h>

#include "base/num.h"

#define LARGEST 1e37f /* beyond it, and NaN: counted elsewhere, cut here */

/* ---- numbers of a piece ---- */

static inline float float_of(uint32_t bits) {
        float f;

        memcpy(&f, &bits, sizeof f);
        return f;
}

static inline uint32_t get32(const uint8_t *p) {
        uint32_t x;

        memcpy(&x, p, sizeof x); /* machines are little-endian; this becomes a vector load */
        return x;
}

static inline uint16_t get16(const uint8_t *p) {
        uint16_t x;

        memcpy(&x, p, sizeof x);
        return x;
}

/* Exponent and fraction moved into place, then scaled by 2^112: right for subnormal numbers, too. */
static inline float half(uint16_t x) {
        return float_of((uint32_t)(x & 0x8000u) << 16 | (uint32_t)(x & 0x7fffu) << 13) * 0x1p112f;
}

static inline float within(float f) {
        f = f < LARGEST ? f : LARGEST; /* NaN: the comparison is false */
        return f > -LARGEST ? f : -LARGEST;
}

static inline float small_float(uint8_t x, unsigned fraction_bits, int bias) {
        unsigned exponent = (x & 0x7fu) >> fraction_bits, fraction = x & ((1u << fraction_bits) - 1);
        float one = (float)fraction / (float)(1u << fraction_bits);
        float f = exponent == 0 ? ldexpf(one, 1 - bias) : ldexpf(1 + one, (int)exponent - bias);

        return x & 0x80 ? -f : f;
}

static float iq1m_scale(const uint8_t *block) {
        const uint8_t *s = block + 48;

        return half((uint16_t)(get16(s) >> 12 | (get16(s + 2) >> 8 & 0x00f0) | (get16(s + 4) >> 4 & 0x0f00) |
                               (get16(s + 6) & 0xf000)));
}

static float double_value(const uint8_t *p) {
        double d;

        memcpy(&d, p, sizeof d);
        d = d < (double)LARGEST ? d : (double)LARGEST;
        return (float)(d > -(double)LARGEST ? d : -(double)LARGEST);
}

/* The plain formats as loops of their own, so that they become vector code. */
static size_t plain_values(enum weights_numbers numbers, const float eighth[256], const uint8_t *p, size_t n,
                           float *out) {
        switch (numbers) {
        case WEIGHTS_F32:
                for (size_t i = 0; i < n / 4; i++)
                        out[i] = within(float_of(get32(p + 4 * i)));
                return n / 4;
        case WEIGHTS_BF16:
                for (size_t i = 0; i < n / 2; i++)
                        out[i] = within(float_of((uint32_t)get16(p + 2 * i) << 16));
                return n / 2;
        case WEIGHTS_F16:
                for (size_t i = 0; i < n / 2; i++)
                        out[i] = half(get16(p + 2 * i));
                return n / 2;
        case WEIGHTS_F64:
                for (size_t i = 0; i < n / 8; i++)
                        out[i] = double_value(p + 8 * i);
                return n / 8;
        case WEIGHTS_F8_E4M3:
        case WEIGHTS_F8_E5M2:
        case WEIGHTS_F8_FNUZ:
                for (size_t i = 0; i < n; i++)
                        out[i] = eighth[p[i]];
                return n;
        default:
                return 0;
        }
}

/* The first scale of every block (NVFP4: its four). */
static size_t scale_values(const struct weights_layout *l, const uint8_t *p, size_t n, size_t block,
                           float *out) {
        size_t count = 0;

        for (; n >= block; n -= block, p += block)
                switch (l->numbers) {
                case WEIGHTS_HALF_SCALES:
                        out[count++] = half(get16(p + l->at[0]));
                        break;
                case WEIGHTS_FLOAT_SCALE:
                        out[count++] = within(float_of(get32(p)));
                        break;
                case WEIGHTS_E8M0_SCALE:
                        out[count++] = within(ldexpf(1, (int)*p - 127));
                        break;
                case WEIGHTS_UE4M3_SCALES:
                        for (size_t i = 0; i < 4; i++)
                                out[count++] = small_float(p[i] & 0x7f, 3, 7);
                        break;
                case WEIGHTS_IQ1_M:
                        out[count++] = iq1m_scale(p);
                        break;
                default:
                        break;
                }
        return count;
}

static bool is_eighth(enum weights_numbers n) {
        return n == WEIGHTS_F8_E4M3 || n == WEIGHTS_F8_E5M2 || n == WEIGHTS_F8_FNUZ;
}

static bool is_plain(enum weights_numbers n) {
        return n == WEIGHTS_F32 || n == WEIGHTS_BF16 || n == WEIGHTS_F16 || n == WEIGHTS_F64 || is_eighth(n);
}

static enum tensor_moments moments_of(const struct weights_layout *l) {
        if (is_plain(l->numbers))
                return TENSOR_MOMENTS_VALUES;
        return l->numbers == WEIGHTS_INTEGERS || l->numbers == WEIGHTS_F8_E8M0 ? TENSOR_MOMENTS_NONE
                                                                               : TENSOR_MOMENTS_SCALES;
}

/* ---- moments ---- */

static inline __attribute__((always_inline)) void moments_loop(struct tensor_stats *s, const float *v,
                                                               size_t n) {
        for (size_t i = 0; i < n; i += STATS_LANES)
                for (size_t k = 0; k < STATS_LANES; k++) {
                        float f = v[i + k];
                        double d = (double)f - (double)s->shift;

                        s->sum[k] += d;
                        s->squares[k] += d * d;
                        s->least[k] = f < s->least[k] ? f : s->least[k];
                        s->most[k] = f > s->most[k] ? f : s->most[k];
                }
}

static void note_magnitude(struct tensor_stats *s, const float *v, size_t n) {
        float squares[STATS_LANES] = {0}, sum = 0;
        int e;

        for (size_t i = 0; i + STATS_LANES <= n; i += STATS_LANES)
                for (size_t k = 0; k < STATS_LANES; k++)
                        squares[k] += v[i + k] * v[i + k];
        for (size_t k = 0; k < STATS_LANES; k++)
                sum += squares[k];
        for (size_t i = n / STATS_LANES * STATS_LANES; i < n; i++)
                sum += v[i] * v[i];
        (void)frexpf(sqrtf(sum / (float)n), &e);
        if (sum > 0 && isfinite(sum))
                s->magnitudes[MIN_OF(MAX_OF(e + 128, 1), 255)]++;
        else
                s->magnitudes[sum > 0 ? 255
                                      : 0]++; /* so large that its square is none, or nothing but zeros */
}

double tensor_stats_magnitude(const struct tensor_stats *s) {
        uint64_t all = 0, below = 0;

        for (size_t i = 0; i < 256; i++)
                all += s->magnitudes[i];
        for (size_t i = 0; i < 256 && all > 0; i++) {
                below += s->magnitudes[i];
                if (below * 2 >= all)
                        return i == 0 ? 0 : ldexp(1, (int)i - 128);
        }
        return 0;
}

/* Rounded up to whole lanes with the value that moves nothing. */
static void add_moments(struct tensor_stats *s, float *v, size_t n) {
        size_t up = (n + STATS_LANES - 1) / STATS_LANES * STATS_LANES;
        uint64_t zeros = 0;

        if (n == 0)
                return;
        if (s->sampled == 0) {
                s->shift = v[0];
                for (size_t k = 0; k < STATS_LANES; k++)
                        s->least[k] = s->most[k] = v[0];
        }
        for (size_t i = 0; i < n; i++)
                zeros += v[i] == 0;
        for (size_t i = n; i < up; i++)
                v[i] = s->shift;
        note_magnitude(s, v, n);
        moments_loop(s, v, up);
        s->zeros += zeros;
        s->sampled += n;
}

/* ---- codes ---- */

static void count_codes(struct tensor_stats *s, const uint8_t *p, size_t n) {
        const struct weights_layout *l = s->layout;

        for (; n >= s->block; n -= s->block, p += s->block) {
                const uint8_t *c = p + l->codes_at;
                uint32_t extremes = 0;

                if (l->code_bits == 4)
                        for (size_t i = 0; i < l->codes_n; i++)
                                extremes += (uint32_t)((c[i] & 15) == 0) + ((c[i] & 15) == 15) + (c[i] < 16) +
                                            (c[i] >= 0xf0);
                else
                        for (size_t i = 0; i < l->codes_n; i++)
                                extremes += (uint32_t)(c[i] == 0x7f) + (c[i] == 0x80) + (c[i] == 0x81);
                s->extremes += extremes;
                s->codes += (uint64_t)l->codes_n * (l->code_bits == 4 ? 2 : 1);
        }
}

/* ---- low bits ---- */

static size_t number_bytes(enum weights_numbers n) {
        return n == WEIGHTS_F32 ? 4 : n == WEIGHTS_F16 || n == WEIGHTS_BF16 ? 2 : 0;
}

/* A piece begins at a multiple of eight numbers. */
static void count_low_bits(struct tensor_stats *s, const uint8_t *p, size_t n) {
        size_t each = number_bytes(s->layout->numbers), numbers = n / each;
        uint64_t ones[4] = {
                0}; /* eight counters of a byte each, one a phase: a piece has at most 40 of each */
        uint8_t *low = s->low;

        _Static_assert(TENSOR_PIECE / 2 / STATS_PHASES < 255, "the counters don't overflow");
        for (size_t i = 0; i < numbers; i++)
                low[i] = p[i * each];
        for (size_t i = 0; i + STATS_PHASES <= numbers; i += STATS_PHASES) {
                uint64_t x = load_le64(low + i);

                for (unsigned b = 0; b < 4; b++)
                        ones[b] += x >> b & UINT64_C(0x0101010101010101);
        }
        for (unsigned b = 0; b < 4; b++)
                for (unsigned k = 0; k < STATS_PHASES; k++)
                        s->planes[b][k] += (uint32_t)(ones[b] >> 8 * k & 0xff);
        s->window_numbers += (uint32_t)numbers;
}

/* Text hidden in the `b` lowest bits of each number has a bit, the top one of each character, that is never set, at
 * every eighth number or more often, while its other bits come and go. In weights all phases look alike. */
static bool plane_has_a_dead_phase(const struct tensor_stats *s, unsigned b) {
        uint32_t each = s->window_numbers / STATS_PHASES;
        unsigned dead = 0, alive = 0;

        for (unsigned k = 0; k < STATS_PHASES; k++) {
                uint32_t ones = s->planes[b][k];

                dead += ones * 100 < each;
                alive += ones * 10 > each && ones * 10 < each * 9;
        }
        return dead > 0 && alive >= 4;
}

/* How often a number's lowest byte is `c`: the histogram's tables go by the place of a byte within four. */
static uint32_t low_byte_count(const struct tensor_stats *s, unsigned c) {
        return s->histogram[0][c] + (number_bytes(s->layout->numbers) == 2 ? s->histogram[2][c] : 0);
}

/* The lowest byte of each number is a printable character, and they are not all the same few. */
static bool low_bytes_are_text(const struct tensor_stats *s) {
        uint32_t printable = 0, different = 0;

        for (unsigned c = 0; c < 256; c++) {
                different += low_byte_count(s, c) > 0;
                if ((c >= ' ' && c <= '~') || c == '\n' || c == '\t')
                        printable += low_byte_count(s, c);
        }
        return different >= 16 && printable * UINT64_C(100) >= s->window_numbers * UINT64_C(98);
}

static void judge_low_bits(struct tensor_stats *s) {
        bool hidden = false;

        if (s->window_numbers < TENSOR_JUDGED)
                return;
        for (unsigned b = 0; b < 4; b++)
                hidden |= plane_has_a_dead_phase(s, b);
        /* In BF16 the lowest byte holds nearly all of the fraction and a bit of the exponent. */
        hidden |= low_bytes_are_text(s);
        s->hidden_windows += hidden;
        if (s->layout->numbers == WEIGHTS_F32) {
                s->zero_low += low_byte_count(s, 0) == s->window_numbers && !s->window_constant;
                s->mixed_low += low_byte_count(s, 0) != s->window_numbers;
        }
}

/* ---- windows ---- */

/* c * log2(c) for the counts of a window. */
static double count_log(uint32_t c) {
        return c > 1 ? (double)c * log2((double)c) : 0;
}

/* Plug-in estimate with the correction of Miller and Madow, which takes away most of the bias of a sample. */
static double entropy(const struct tensor_stats *s, uint32_t *ret_n) {
        uint32_t n = 0, different = 0;
        double sum = 0;

        for (unsigned c = 0; c < 256; c++) {
                uint32_t count = s->histogram[0][c] + s->histogram[1][c] + s->histogram[2][c] +
                                 s->histogram[3][c];

                n += count;
                different += count > 0;
                sum += count_log(count);
        }
        *ret_n = n;
        if (n == 0)
                return 0;
        sum = log2((double)n) - sum / n + (double)(different - 1) / (2 * (double)n * M_LN2);
        return sum < 8 ? sum : 8;
}

static void close_window(struct tensor_stats *s) {
        uint32_t n;
        double e;

        if (!s->window_open)
                return;
        e = entropy(s, &n);
        if (n >= TENSOR_ENTROPY_JUDGED && e > s->entropy_judged)
                s->entropy_judged = e;
        s->entropy_min = s->windows == 0 || e < s->entropy_min ? e : s->entropy_min;
        s->entropy_max = e > s->entropy_max ? e : s->entropy_max;
        s->entropy_sum += e;
        s->windows++;
        s->constant_windows += s->window_constant;
        if (number_bytes(s->layout->numbers) > 0)
                judge_low_bits(s);
        s->window_open = false;
}

static void open_window(struct tensor_stats *s, uint64_t window) {
        memset(s->histogram, 0, sizeof s->histogram);
        memset(s->planes, 0, sizeof s->planes);
        s->window_numbers = 0;
        s->window = window;
        s->window_open = s->window_constant = true;
}

static void count_bytes(struct tensor_stats *s, const uint8_t *p, size_t n) {
        size_t i = 0;

        for (; i + 8 <= n; i += 8) {
                uint64_t x = load_le64(p + i);

                for (unsigned k = 0; k < 8; k++, x >>= 8)
                        s->histogram[k & 3][x & 0xff]++;
        }
        for (; i < n; i++)
                s->histogram[i & 3][p[i]]++;
}

static void check_constant(struct tensor_stats *s, const uint8_t *p, size_t n) {
        if (!s->have_first) {
                memcpy(s->first, p, s->block);
                s->have_first = true;
        }
        if (s->window_constant &&
            (memcmp(p, s->first, s->block) != 0 || memcmp(p, p + s->block, n - s->block) != 0))
                s->window_constant = false;
}

static void take_piece(struct tensor_stats *s, const uint8_t *p, size_t n) {
        float *values = s->values;
        uint64_t window = s->piece_at / TENSOR_WINDOW;
        size_t count;

        if (!s->window_open || s->window != window) {
                close_window(s);
                open_window(s, window);
        }
        count_bytes(s, p, n);
        check_constant(s, p, n);
        count = is_plain(s->layout->numbers) ? plain_values(s->layout->numbers, s->eighth, p, n, values)
                                             : scale_values(s->layout, p, n, s->block, values);
        add_moments(s, values, count);
        if (s->layout->code_bits > 0)
                count_codes(s, p, n);
        if (number_bytes(s->layout->numbers) > 0)
                count_low_bits(s, p, n);
}

/* ---- pieces ---- */

static void next_piece(struct tensor_stats *s) {
        uint64_t next = s->piece_at / s->step * s->step + s->step;

        s->piece_at = (next + s->block - 1) / s->block * s->block;
        s->piece_n = (size_t)MIN_OF((uint64_t)(TENSOR_PIECE / s->block * s->block),
                                    s->bytes - MIN_OF(s->bytes, s->piece_at));
        s->piece_n -= s->piece_n % s->block;
        if (s->piece_n == 0)
                s->piece_at = UINT64_MAX;
        s->have = 0;
}

void tensor_stats_begin(struct tensor_stats *s, const struct weights_layout *layout, size_t block,
                        uint64_t bytes) {
        size_t piece = TENSOR_PIECE / block * block;

        memset(s, 0, sizeof *s);
        s->layout = layout;
        s->block = block;
        s->bytes = bytes;
        s->step = bytes <= TENSOR_WINDOW ? piece : TENSOR_STEP;
        s->piece_n = (size_t)MIN_OF((uint64_t)piece, bytes);
        s->piece_n -= s->piece_n % block;
        s->piece_at = s->piece_n > 0 ? 0 : UINT64_MAX;
        /* FNUZ stands for two formats; the one with four exponent bits is taken for both. */
        for (unsigned i = 0; i < 256 && is_eighth(layout->numbers); i++)
                s->eighth[i] = layout->numbers == WEIGHTS_F8_E5M2 ? small_float((uint8_t)i, 2, 15)
                                                                  : small_float((uint8_t)i, 3, 7);
}

/* The bytes of the present piece that are in `bytes`, which begin at s->at. */
static void collect(struct tensor_stats *s, struct view bytes) {
        size_t from = (size_t)(s->piece_at + s->have - s->at);
        struct view part = view_sub(bytes, from, s->piece_n - s->have);

        if (s->have == 0 && part.n == s->piece_n) {
                take_piece(s, (const uint8_t *)part.p, part.n);
                next_piece(s);
                return;
        }
        memcpy(s->piece + s->have, part.p, part.n);
        s->have += part.n;
        if (s->have == s->piece_n) {
                take_piece(s, s->piece, s->piece_n);
                next_piece(s);
        }
}

void tensor_stats_feed(struct tensor_stats *s, struct view bytes) {
        uint64_t end = s->at + bytes.n;

        while (s->piece_at != UINT64_MAX && s->piece_at + s->have < end)
                collect(s, bytes);
        s->at = end;
}

static void put_moments(const struct tensor_stats *s, struct tensor_record *r) {
        double sum = 0, squares = 0, n = (double)s->sampled;

        if (s->sampled == 0)
                return;
        r->moments = moments_of(s->layout);
        r->sampled = s->sampled;
        r->least = (double)s->least[0];
        r->most = (double)s->most[0];
        for (size_t k = 0; k < STATS_LANES; k++) {
                sum += s->sum[k];
                squares += s->squares[k];
                r->least = fmin(r->least, (double)s->least[k]);
                r->most = fmax(r->most, (double)s->most[k]);
        }
        r->mean = (double)s->shift + sum / n;
        r->deviation = sqrt(fmax(squares / n - sum / n * (sum / n), 0));
        r->zeros = (double)s->zeros / n;
}

void tensor_stats_end(struct tensor_stats *s, struct tensor_record *ret) {
        close_window(s);
        ret->windows = s->windows;
        ret->entropy_min = s->entropy_min;
        ret->entropy_max = s->entropy_max;
        ret->entropy_mean = s->windows > 0 ? s->entropy_sum / (double)s->windows : 0;
        put_moments(s, ret);
        ret->saturated = s->codes > 0 ? (double)s->extremes / (double)s->codes : 0;
        ret->constant_windows = s->constant_windows;
        ret->hidden_windows = s->hidden_windows;
        ret->mixed_windows = s->zero_low > 0 ? s->mixed_low : 0;
        if (s->zero_low > 0 && s->mixed_low == 0)
                ret->flags |= TENSOR_UPCAST;
}
