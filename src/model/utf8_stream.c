#include "model/utf8_stream.h"

static bool start(struct utf8_stream *u, uint8_t c) {
        u->low = 0x80;
        u->high = 0xbf;
        if (c < 0x80)
                return true;
        if (c >= 0xc2 && c <= 0xdf)
                u->left = 1;
        else if (c >= 0xe0 && c <= 0xef)
                u->left = 2;
        else if (c >= 0xf0 && c <= 0xf4)
                u->left = 3;
        else
                return false;
        if (c == 0xe0)
                u->low = 0xa0; /* shorter forms exist */
        else if (c == 0xed)
                u->high = 0x9f; /* surrogates */
        else if (c == 0xf0)
                u->low = 0x90;
        else if (c == 0xf4)
                u->high = 0x8f; /* past U+10FFFF */
        return true;
}

size_t utf8_stream_feed(struct utf8_stream *u, struct view bytes) {
        for (size_t i = 0; i < bytes.n; i++) {
                uint8_t c = (uint8_t)bytes.p[i];

                if (u->left == 0) {
                        if (!start(u, c))
                                return i;
                        continue;
                }
                if (c < u->low || c > u->high)
                        return i;
                u->low = 0x80;
                u->high = 0xbf;
                u->left--;
        }
        return SIZE_MAX;
}
