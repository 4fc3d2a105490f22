/* split_gguf: cuts a valid GGUF file into shards as llama-gguf-split does: shard 1 has all keys and the first tensors, each
 * has split.no, split.count (u16) and split.tensors.count (i32). For tests. */
#pragma once

#include "base/buf.h"

#define SPLIT_GGUF_MAX 64u

/* Appends shard i to ret_shards[i] (`count` of them, 1..SPLIT_GGUF_MAX, each initialised with BUF_INIT). -EBADMSG: no GGUF
 * that this reads; -ERANGE: fewer tensors than shards. */
SAI_NODISCARD int split_gguf(struct view whole, unsigned count, struct buf *ret_shards);
/* "<prefix>-00001-of-00003.gguf" for i = 0. */
void split_gguf_name(const char *prefix, unsigned i, unsigned count, char out[128]);
/* The same into files of a folder, under those names. */
SAI_NODISCARD int split_gguf_files(struct view whole, unsigned count, int dir_fd, const char *prefix);
