/* utf8_stream: strict UTF-8 (RFC 3629) checked across pieces. Pure, constant memory. */
#pragma once

#include "base/view.h"

struct utf8_stream {
        uint8_t left; /* continuation bytes still to come */
        uint8_t low;  /* what the next one may be */
        uint8_t high;
};

/* Offset of the first byte that can't belong to well-formed UTF-8, or SIZE_MAX. */
size_t utf8_stream_feed(struct utf8_stream *u, struct view bytes);
/* True when no code point is cut off here. */
static inline bool utf8_stream_complete(const struct utf8_stream *u) {
        return u->left == 0;
}
