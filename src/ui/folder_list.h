/* folder_list: what stands in front of a folder's contents in an upload, so that one request carries the whole folder:
 *
 *   secai.folder/1
 *   <size> <path>
 *   …
 *   <empty line>
 *
 * then the files' bytes, one after the other. Paths as core/set_listing.h says. Pure; the page is not trusted. */
#pragma once

#include "core/set_listing.h"

struct folder_file {
        struct view path; /* into the list's text */
        uint64_t size;
};
struct folder_list {
        struct buf text;
        struct folder_file *files;
        size_t n;
        uint64_t size; /* of all files together */
        bool complete;
};
#define FOLDER_LIST_INIT ((struct folder_list){.text = BUF_INIT(SET_LISTING_MAX)})

void folder_list_done(struct folder_list *l);
/* Takes what belongs to the list off the front of *piece. 1: complete; 0: more must come; -EBADMSG: not such a list, or paths that
 * can't be; -EFBIG: too long; -E2BIG: more files or bytes than a set may have; -ENOMEM. */
SAI_NODISCARD int folder_list_feed(struct folder_list *l, struct view *piece);
