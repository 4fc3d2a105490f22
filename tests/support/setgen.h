/* setgen: folders that are models in several files, written to disk. All assert. */
#pragma once

#include "base/view.h"

/* "model-0000i-of-0000N.safetensors" of about `bytes` each (one tensor a shard; `mark` makes the content another), their index and a
 * config.json. */
void setgen_sharded(int dir_fd, unsigned shards, size_t bytes, unsigned mark);
/* The folder with everything in it, below an existing one (the files' modes are 0644, the folders' 0755). */
void setgen_copy(const char *from, int to_dir, const char *name);
void setgen_write(int dir_fd, const char *path, struct view content);
/* Makes the folder and opens it. */
int setgen_folder(int dir_fd, const char *name);
