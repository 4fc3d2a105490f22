/* gguf_parts: which files of a set are the parts of its model: NAME-00001-of-0000N.gguf … NAME-0000N-of-0000N.gguf, as
 * llama.cpp names them, or the only .gguf file, whatever its name. Pure. Quarantine's reader has accepted the set (GGUF-G15); this decides only what llama-server is
 * given, and gives up at anything odd. */
#pragma once

#include "core/set_listing.h"

#define GGUF_PARTS_MAX 64u /* as many files as the launcher hands on */

struct gguf_parts {
        unsigned n;
        size_t index[GGUF_PARTS_MAX]; /* of the members, in the order of the parts' numbers */
};

/* 0, or -EBADMSG: no part, one is missing, twice there or named otherwise than the rest, or there are too many. */
SAI_NODISCARD int gguf_parts_find(const struct set_listing *set, struct gguf_parts *ret);
