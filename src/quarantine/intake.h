/* intake: files that come over the descriptor channel: `import` (a read descriptor, copied) and `upload` (a write-only descriptor
 * to an empty file, then `commit`). A client that goes away before `commit` leaves nothing. */
#pragma once

#include "core/fd_channel.h"
#include "quarantine/quarantine.h"

SAI_NODISCARD int intake_start(struct quarantine *q, int listen_fd, struct fd_channel_server **ret);
