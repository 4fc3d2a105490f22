/* file: opening beneath a folder, whole reads and writes, atomic replacement. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

/* openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS; adds O_CLOEXEC and O_NOCTTY.
 * -ELOOP on a link, -EXDEV on an escape. `mode` counts with O_CREAT only. Returns the descriptor. */
SAI_NODISCARD int open_beneath(int dir_fd, const char *path, int flags, mode_t mode);
/* Opens an existing directory by absolute or relative path (trusted: from the command line), O_RDONLY. */
SAI_NODISCARD int open_dir(const char *path);
/* Makes `name` (one component) beneath dir_fd if it is missing and opens it. An existing one keeps its mode. */
SAI_NODISCARD int open_or_make_dir(int dir_fd, const char *name, mode_t mode);
/* Makes a trusted absolute or relative path with all its parents. */
SAI_NODISCARD int make_path(const char *path, mode_t mode);

/* Whole transfers; retry on EINTR and short counts. -EIO when the file ends early. */
SAI_NODISCARD int write_all(int fd, const void *p, size_t n);
SAI_NODISCARD int pread_all(int fd, void *p, size_t n, uint64_t at);
SAI_NODISCARD int fsync_dir(int dir_fd);

/* Replaces `name` beneath dir_fd: temporary file, write, fsync, rename, fsync of the folder. Whoever reads sees
 * the old content or the new, and after 0 the new one survives a power cut. */
SAI_NODISCARD int replace_file(int dir_fd, const char *name, struct view content, mode_t mode);
/* Reads a regular file beneath dir_fd; -EFBIG past `max`. *ret_content is owned by the caller (buf_done). */
SAI_NODISCARD int read_file_beneath(int dir_fd, const char *name, size_t max, struct buf *ret_content);
/* Reads a file by trusted path. */
SAI_NODISCARD int read_file(const char *path, size_t max, struct buf *ret_content);

/* True for one path component without '/', NUL, "." or ".." and at most 255 bytes. */
bool file_name_is_safe(struct view name);
