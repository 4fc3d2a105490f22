/* shape: the dimensions of a GGUF model that decide how much memory it needs, read from its header. The registry has
 * verified the file, and the quarantine's full reader has accepted it; this one only looks for seven numbers, and
 * gives up at anything odd. No allocation beyond one buffer on the stack. */
#pragma once

#include "base/macros.h"

struct shape {
        uint64_t layers; /* 0 when unknown, as all of these */
        uint64_t embedding;
        uint64_t heads;
        uint64_t kv_heads;   /* the most of any layer */
        uint64_t key_length; /* of one head */
        uint64_t value_length;
        uint64_t context_length; /* that it was trained for */
};

/* 0 and *ret (missing members are derived from the others where the format says how, else 0), or -EBADMSG (not a
 * readable GGUF header), -E2BIG, -EIO. The descriptor's position is not moved. */
SAI_NODISCARD int shape_read(int fd, uint64_t size, struct shape *ret);
/* Bytes that a conversation of `context` tokens takes (keys and values, 16 bits each). Saturates at UINT64_MAX.
 * Unknown dimensions: a generous guess from the file's size. */
uint64_t shape_conversation_bytes(const struct shape *s, uint64_t file_size, uint64_t context);
