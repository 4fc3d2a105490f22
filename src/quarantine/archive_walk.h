/* archive_walk: looks into archives and compressed files with libarchive, as their bytes come, and hands every member to
 * the readers (model/inner.h), also when that is an archive again. Runs in the locked worker: no file, no program; only
 * formats and filters that libarchive reads itself, one format at a time, chosen by content.
 *
 * Bounded by the ARCHIVE_ limits (limits.h): levels, members, bytes that come out in all and in proportion to what went
 * in. What lies beyond is said, never passed over silently. 7-Zip keeps its directory at the end, so that such an archive
 * is kept as a whole while it is read, up to ARCHIVE_HELD_MAX. */
#pragma once

#include "model/unpack.h"

/* For model_scan_set_unpacker. */
const struct model_unpacker *archive_walk_unpacker(void);
/* Once, before the process is locked: the C library reads files for time zones and character sets on their first use.
 * -ENOMEM, -EIO when libarchive does not work. */
SAI_NODISCARD int archive_walk_prepare(void);
