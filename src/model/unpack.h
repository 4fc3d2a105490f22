/* unpack: how the readers get at what lies inside an archive. They are pure and link nothing; the program around them
 * hands in the one that unpacks (quarantine/archive_walk), and without it archives are named, not looked into. */
#pragma once

#include "model/scan.h"

#define UNPACK_SIZE_UNKNOWN UINT64_MAX

struct unpack_job {
        const struct finding_sink *sink;
        enum model_kind kind; /* what to unpack, by content */
        unsigned depth;       /* archives around this one */
        uint32_t member;      /* of a folder, + 1; 0: none (model_report) */
        void *shared; /* what all levels of one artifact share; NULL for the outermost, which makes it */
};

/* One archive at a time: open, feed its bytes in order in any pieces, finish, close. -ENOMEM; whatever is wrong with the
 * archive is a finding. After finish only close may follow; close works at any time. */
struct model_unpacker {
        int (*open)(const struct model_unpacker *u, const struct unpack_job *job, void **ret);
        int (*feed)(void *state, struct view bytes);
        int (*finish)(void *state);
        void (*close)(void *state);
};

/* Kinds that can be asked for. */
static inline bool unpack_is_possible(enum model_kind k) {
        switch (k) {
        case MODEL_KIND_ZIP:
        case MODEL_KIND_PYTORCH_ZIP:
        case MODEL_KIND_KERAS_ZIP:
        case MODEL_KIND_TAR:
        case MODEL_KIND_7Z:
        case MODEL_KIND_GZIP:
        case MODEL_KIND_BZIP2:
        case MODEL_KIND_XZ:
        case MODEL_KIND_LZMA:
        case MODEL_KIND_LZ4:
        case MODEL_KIND_ZSTD:
        case MODEL_KIND_ZLIB:
                return true;
        default:
                return false;
        }
}
