/* buf: owned bytes that grow up to a maximum given at birth; growth past it fails with -EFBIG.
 * Content is always followed by a NUL byte that does not count, so p can be handed to C functions when the
 * caller knows that there is no NUL inside. Not thread-safe. */
#pragma once

#include <stdarg.h>

#include "base/view.h"

struct buf {
        char *p;
        size_t n;
        size_t cap;
        size_t max;
};

#define BUF_INIT(limit) ((struct buf){NULL, 0, 0, (limit)})
#define TAKE_BUF(b)                                                                                          \
        ({                                                                                                   \
                struct buf *_pb = &(b);                                                                      \
                struct buf _v = *_pb;                                                                        \
                *_pb = BUF_INIT(_v.max);                                                                     \
                _v;                                                                                          \
        })

void buf_done(struct buf *b);  /* frees the content; the maximum stays */
void buf_clear(struct buf *b); /* empties, keeps the memory */
static inline void buf_donep(struct buf *b) {
        buf_done(b);
}
static inline struct view buf_view(const struct buf *b) {
        return (struct view){b->p, b->n};
}
/* "" for an empty buffer, never NULL. */
static inline const char *buf_str(const struct buf *b) {
        return b->p ? b->p : "";
}

/* All: 0, -ENOMEM, or -EFBIG when the result would pass the maximum; on failure the content is as before. */
SAI_NODISCARD int buf_reserve(struct buf *b, size_t more); /* room for `more` further bytes at p + n */
SAI_NODISCARD int buf_append(struct buf *b, const void *p, size_t n);
SAI_NODISCARD int buf_append_char(struct buf *b, char c);
SAI_NODISCARD int buf_append_hex(struct buf *b, const void *p, size_t n); /* lower case */
SAI_NODISCARD int buf_printf(struct buf *b, const char *format, ...) SAI_PRINTF(2, 3);
SAI_NODISCARD int buf_vprintf(struct buf *b, const char *format, va_list ap) SAI_PRINTF(2, 0);
static inline SAI_NODISCARD int buf_append_view(struct buf *b, struct view v) {
        return buf_append(b, v.p, v.n);
}
static inline SAI_NODISCARD int buf_append_str(struct buf *b, const char *s) {
        return buf_append(b, s, strlen(s));
}
/* Appends hostile text for people: control characters, bidi marks and bad UTF-8 as \xNN or \u{…}, at most `most`
 * bytes of the source, then "…". */
SAI_NODISCARD int buf_append_escaped(struct buf *b, struct view v, size_t most);
/* Appends a regular file from its current position to its end. -EFBIG past the maximum. */
SAI_NODISCARD int buf_read_file(struct buf *b, int fd);
