/* artifact: what a stage is told about the file besides its bytes. */
#pragma once

#include "base/view.h"

enum source_kind { SOURCE_LOCAL, SOURCE_UPLOAD, SOURCE_DEMO, SOURCE_URL, SOURCE_MAX };
const char *source_kind_name(enum source_kind s); /* "local" … */
SAI_NODISCARD int source_kind_from(struct view name, enum source_kind *ret);

struct artifact {
        int fd; /* borrowed; read with pread only */
        uint64_t size;
        struct view name; /* as it came: may hold any byte */
        enum source_kind source;
        struct view url;       /* SOURCE_URL */
        struct view signature; /* content of the detached signature, VIEW_NULL when there is none */
};
