/* magics: first bytes of executables and archives that have no business inside or behind tensors. */
#pragma once

#include "base/view.h"

struct magic {
        struct view bytes;
        size_t back; /* offset of these bytes within the file that they announce ("ustar" is at 257) */
};
const struct magic *magics(size_t *ret_n);
