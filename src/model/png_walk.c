#include "model/png_walk.h"

#include "model/limits.h"

void png_walk_init(struct png_walk *p, uint64_t size, struct model_report *report) {
        *p = (struct png_walk){.report = report, .size = size};
}

static void refuse(struct png_walk *p, const char *why) {
        report_put(p->report, RULE_FOLDER_PICTURE, p->at, VIEW_NULL, "%s", why);
        p->refused = true;
}

static bool type_is(const struct png_walk *p, const char *type) {
        return memcmp(p->head + 4, type, 4) == 0;
}

static bool type_is_letters(const struct png_walk *p) {
        for (size_t i = 4; i < 8; i++)
                if ((p->head[i] | 0x20) < 'a' || (p->head[i] | 0x20) > 'z')
                        return false;
        return true;
}

static void take_chunk(struct png_walk *p) {
        uint64_t n = (uint64_t)p->head[0] << 24 | (uint64_t)p->head[1] << 16 | (uint64_t)p->head[2] << 8 |
                     p->head[3];
        bool first = p->chunks++ == 0;

        if (p->chunks > PNG_CHUNKS_MAX)
                refuse(p, "The picture has too many parts.");
        else if (!type_is_letters(p) || n > p->size - p->at || n + 4 > p->size - p->at)
                refuse(p, "A part of the picture is longer than the file, or has no proper name.");
        else if (first != type_is(p, "IHDR") || (first && n != 13))
                refuse(p, "The picture does not begin with its header.");
        else if (!(p->head[4] & 0x20) && !first && !type_is(p, "PLTE") && !type_is(p, "IDAT") &&
                 !type_is(p, "IEND"))
                refuse(p, "The picture has a critical part that no reader knows.");
        else if (type_is(p, "IEND") && (n != 0 || !p->data))
                refuse(p, "The picture's end is malformed.");
        p->data |= type_is(p, "IDAT");
        p->ended = type_is(p, "IEND");
        p->skip = n + 4;
}

/* Eight bytes are there: the signature at first, then the head of a chunk. */
static void take_head(struct png_walk *p) {
        p->head_n = 0;
        if (p->begun) {
                take_chunk(p);
                return;
        }
        p->begun = true;
        if (memcmp(p->head, "\x89PNG\r\n\x1a\n", sizeof p->head) != 0)
                refuse(p, "This is not a PNG picture.");
}

void png_walk_feed(struct png_walk *p, struct view bytes) {
        while (bytes.n > 0 && !p->refused) {
                size_t n = 1;

                if (p->skip > 0) {
                        n = (size_t)MIN_OF(p->skip, (uint64_t)bytes.n);
                        p->skip -= n;
                        p->at += n;
                } else if (p->ended) {
                        refuse(p, "Something follows the end of the picture.");
                } else {
                        p->head[p->head_n++] = (uint8_t)bytes.p[0];
                        p->at++;
                        if (p->head_n == sizeof p->head)
                                take_head(p);
                }
                bytes = view_sub(bytes, n, SIZE_MAX);
        }
}

void png_walk_finish(struct png_walk *p) {
        if (!p->refused && (!p->ended || p->skip > 0))
                refuse(p, "The picture ends too early.");
}
