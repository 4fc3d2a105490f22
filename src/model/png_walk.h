/* png_walk: the frame of a PNG picture: signature, chunks that begin with IHDR and end with IEND, nothing behind. The
 * picture itself is not decoded. Pure, constant memory. Source: PNG specification, section 5. */
#pragma once

#include "model/report.h"

struct png_walk {
        struct model_report *report;
        uint64_t size, at;
        uint64_t skip; /* bytes of content and checksum still to pass */
        uint32_t chunks;
        uint8_t head[8]; /* signature, or length and type */
        unsigned head_n;
        bool begun, data, ended, refused; /* signature, IDAT and IEND were there */
};

void png_walk_init(struct png_walk *p, uint64_t size, struct model_report *report);
void png_walk_feed(struct png_walk *p, struct view bytes);
void png_walk_finish(struct png_walk *p);
