/* artifact: what a stage is told about the file besides its bytes. */
#pragma once

#include "base/view.h"
#include "core/digest.h"
#include "core/set_walk.h"

enum source_kind { SOURCE_LOCAL, SOURCE_UPLOAD, SOURCE_DEMO, SOURCE_URL, SOURCE_MAX };
const char *source_kind_name(enum source_kind s); /* "local" … */
SAI_NODISCARD int source_kind_from(struct view name, enum source_kind *ret);

/* One of the files of a set, opened. */
struct artifact_member {
        int fd;
        uint64_t size;
        const char *name; /* path beneath the set */
        struct sha256 sha256;
};

struct artifact {
        int fd; /* borrowed; of a file: read with pread only; of a set: its folder */
        uint64_t size;
        const struct set_walk *set;            /* what lies in the folder; NULL: a single file */
        const struct artifact_member *members; /* stage 6 of a split GGUF: all of them, in order; else NULL */
        size_t n_members;
        struct view name; /* as it came: may hold any byte */
        enum source_kind source;
        struct view url;       /* SOURCE_URL */
        struct view signature; /* content of the detached signature, VIEW_NULL when there is none */
};
