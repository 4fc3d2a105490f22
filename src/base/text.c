#include "base/text.h"

#include "base/buf.h"

size_t utf8_decode(struct view v, uint32_t *ret_code_point) {
        const uint8_t *b = (const uint8_t *)v.p;
        size_t need;
        uint32_t c;

        if (v.n == 0)
                return 0;
        if (b[0] < 0x80) {
                *ret_code_point = b[0];
                return 1;
        }
        if (b[0] >= 0xc2 && b[0] <= 0xdf) {
                need = 2;
                c = b[0] & 0x1fU;
        } else if ((b[0] & 0xf0U) == 0xe0) {
                need = 3;
                c = b[0] & 0x0fU;
        } else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
                need = 4;
                c = b[0] & 0x07U;
        } else
                return 0;
        if (v.n < need)
                return 0;
        for (size_t i = 1; i < need; i++) {
                if ((b[i] & 0xc0U) != 0x80)
                        return 0;
                c = c << 6 | (b[i] & 0x3fU);
        }
        if ((need == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
            (need == 4 && (c < 0x10000 || c > 0x10ffff)))
                return 0;
        *ret_code_point = c;
        return need;
}

size_t utf8_first_fault(struct view v) {
        for (size_t i = 0; i < v.n;) {
                uint64_t word;
                uint32_t c;
                size_t len;

                /* eight ASCII bytes at a time */
                if (v.n - i >= sizeof word) {
                        memcpy(&word, v.p + i, sizeof word);
                        if ((word & UINT64_C(0x8080808080808080)) == 0) {
                                i += sizeof word;
                                continue;
                        }
                }
                len = utf8_decode(view_sub(v, i, SIZE_MAX), &c);
                if (len == 0)
                        return i;
                i += len;
        }
        return SIZE_MAX;
}

void hex_encode(const void *p, size_t n, char *out) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t *b = p;

        for (size_t i = 0; i < n; i++) {
                out[2 * i] = digits[b[i] >> 4];
                out[2 * i + 1] = digits[b[i] & 0x0f];
        }
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

int hex_decode(struct view v, void *out, size_t n) {
        uint8_t *b = out;

        if (v.n % 2 != 0 || v.n / 2 != n)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                int high = hex_digit(v.p[2 * i]), low = hex_digit(v.p[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EBADMSG;
                b[i] = (uint8_t)(high << 4 | low);
        }
        return 0;
}

int base64_encode(struct view v, struct buf *out) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const uint8_t *b = (const uint8_t *)v.p;
        size_t need;
        int r;

        if (v.n > SIZE_MAX / 4 * 3 - 3)
                return -EFBIG;
        need = (v.n + 2) / 3 * 4;
        r = buf_reserve(out, need);
        if (r < 0)
                return r;
        for (size_t i = 0; i < v.n; i += 3) {
                size_t left = v.n - i;
                uint32_t w = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                             (left > 2 ? (uint32_t)b[i + 2] : 0);
                char *o = out->p + out->n;

                o[0] = digits[w >> 18 & 63];
                o[1] = digits[w >> 12 & 63];
                o[2] = left > 1 ? digits[w >> 6 & 63] : '=';
                o[3] = left > 2 ? digits[w & 63] : '=';
                out->n += 4;
        }
        if (out->p)
                out->p[out->n] = '\0';
        return 0;
}

static int base64_digit(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct view v, struct buf *out) {
        size_t start = out->n;
        int r;

        if (v.n % 4 != 0)
                return -EBADMSG;
        r = buf_reserve(out, v.n / 4 * 3);
        if (r < 0)
                return r;
        for (size_t i = 0; i < v.n; i += 4) {
                size_t pad = i + 4 < v.n ? 0 : v.p[i + 3] != '=' ? 0 : v.p[i + 2] != '=' ? 1 : 2;
                uint32_t w = 0;

                for (size_t k = 0; k < 4; k++) {
                        int d = k >= 4 - pad ? 0 : base64_digit(v.p[i + k]);

                        if (d < 0)
                                goto bad;
                        w = w << 6 | (uint32_t)d;
                }
                if ((pad == 1 && (w & 0xff)) || (pad == 2 && (w & 0xffff)))
                        goto bad;
                for (size_t k = 0; k < 3 - pad; k++)
                        out->p[out->n++] = (char)(w >> (16 - 8 * k) & 0xff);
        }
        if (out->p)
                out->p[out->n] = '\0';
        return 0;
bad:
        out->n = start;
        if (out->p)
                out->p[start] = '\0';
        return -EBADMSG;
}
