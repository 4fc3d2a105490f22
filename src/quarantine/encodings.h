/* encodings: disguises of a text, as people use them to get a request past a model's rules. Pure. */
#pragma once

#include "base/buf.h"

#define ENCODING_GROWTH                                                                                      \
        8 /* no encoding makes a text longer than so many times its length, plus ENCODING_EXTRA */
#define ENCODING_EXTRA 8

/* The encoding's own name when there is one of this name, else NULL. */
const char *encoding_find(struct view name);
/* Every encoding's name, NULL after the last. */
const char *const *encoding_names(void);
/* Appends. -ENOMEM, -EFBIG; -ENOENT for a name that encoding_find does not give. */
SAI_NODISCARD int encoding_write(const char *name, struct view text, struct buf *out);
