/* names: the sorted list of a data folder's files with one ending. */
#pragma once

#include "base/view.h"

#define NAMES_MAX 256

struct names {
        char *list[NAMES_MAX];
        size_t n;
};

/* Names in `dir_fd` that end in `suffix` and do not start with a dot, in order of bytes. -E2BIG past NAMES_MAX. */
SAI_NODISCARD int names_list(int dir_fd, struct view suffix, struct names *ret);
void names_done(struct names *l);
static inline void names_donep(struct names *l) {
        names_done(l);
}
