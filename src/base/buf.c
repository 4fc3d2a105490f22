#include "base/buf.h"

#include <sys/stat.h>

#include "base/text.h"

void buf_done(struct buf *b) {
        free(b->p);
        *b = BUF_INIT(b->max);
}

void buf_clear(struct buf *b) {
        b->n = 0;
        if (b->p)
                b->p[0] = '\0';
}

int buf_reserve(struct buf *b, size_t more) {
        size_t need, cap;
        char *p;

        if (__builtin_add_overflow(b->n, more, &need) || need > b->max || need == SIZE_MAX)
                return -EFBIG;
        if (b->p && need < b->cap)
                return 0;
        cap = MAX_OF(b->cap, (size_t)64);
        while (cap <= need)
                if (__builtin_mul_overflow(cap, (size_t)2, &cap)) {
                        cap = need + 1;
                        break;
                }
        if (b->max < SIZE_MAX && cap > b->max + 1)
                cap = b->max + 1;
        p = realloc(b->p, cap);
        if (!p)
                return -ENOMEM;
        if (!b->p)
                p[0] = '\0';
        b->p = p;
        b->cap = cap;
        return 0;
}

int buf_append(struct buf *b, const void *p, size_t n) {
        int r = buf_reserve(b, n);

        if (r < 0)
                return r;
        if (n)
                memcpy(b->p + b->n, p, n);
        b->n += n;
        b->p[b->n] = '\0';
        return 0;
}

int buf_append_char(struct buf *b, char c) {
        return buf_append(b, &c, 1);
}

int buf_append_hex(struct buf *b, const void *p, size_t n) {
        size_t twice;
        int r;

        if (__builtin_mul_overflow(n, (size_t)2, &twice))
                return -EFBIG;
        r = buf_reserve(b, twice);
        if (r < 0)
                return r;
        hex_encode(p, n, b->p + b->n);
        b->n += twice;
        b->p[b->n] = '\0';
        return 0;
}

int buf_vprintf(struct buf *b, const char *format, va_list ap) {
        va_list again;
        int need, r;

        va_copy(again, ap);
        need = vsnprintf(NULL, 0, format, again);
        va_end(again);
        if (need < 0)
                return -EINVAL;
        r = buf_reserve(b, (size_t)need);
        if (r < 0)
                return r;
        (void)vsnprintf(b->p + b->n, (size_t)need + 1, format, ap);
        b->n += (size_t)need;
        return 0;
}

int buf_printf(struct buf *b, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = buf_vprintf(b, format, ap);
        va_end(ap);
        return r;
}

/* Code points that change how a terminal or browser shows the text around them. */
static bool code_point_is_deceptive(uint32_t c) {
        return c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0) || c == 0xad ||
               (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
               c == 0xfeff || c == 0x061c || (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

int buf_append_escaped(struct buf *b, struct view v, size_t most) {
        bool cut = v.n > most;
        size_t start = b->n;
        int r = 0;

        v = view_sub(v, 0, most);
        for (size_t i = 0; i < v.n && r >= 0;) {
                uint32_t c;
                size_t len = utf8_decode(view_sub(v, i, SIZE_MAX), &c);

                if (len == 0) {
                        r = buf_printf(b, "\\x%02x", (unsigned)(unsigned char)v.p[i]);
                        len = 1;
                } else if (code_point_is_deceptive(c))
                        r = c < 0x80 ? buf_printf(b, "\\x%02x", (unsigned)c)
                                     : buf_printf(b, "\\u{%x}", (unsigned)c);
                else
                        r = buf_append(b, v.p + i, len);
                i += len;
        }
        if (r >= 0 && cut)
                r = buf_append_str(b, "…");
        if (r < 0) {
                b->n = start;
                if (b->p)
                        b->p[start] = '\0';
        }
        return r;
}

int buf_read_file(struct buf *b, int fd) {
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        if (st.st_size > 0 && (uint64_t)st.st_size > b->max)
                return -EFBIG;
        for (;;) {
                size_t room = MIN_OF(b->max - b->n, (size_t)65536);
                ssize_t got;

                if (room == 0) {
                        char probe;
                        got = read(fd, &probe, 1);
                        if (got < 0 && errno == EINTR)
                                continue;
                        return got < 0 ? negative_errno() : got > 0 ? -EFBIG : 0;
                }
                r = buf_reserve(b, room);
                if (r < 0)
                        return r;
                got = read(fd, b->p + b->n, room);
                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                b->n += (size_t)got;
                b->p[b->n] = '\0';
                if (got == 0)
                        return 0;
        }
}
