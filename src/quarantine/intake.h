/* intake: what comes over the descriptor channel: `import` (a read descriptor, copied), `upload` (a write-only descriptor to an
 * empty file, then `commit`), and for a folder `upload_set`, `file` for each of its files (with a read descriptor: copied; without:
 * a write-only one comes back), then `commit`. A client that goes away before `commit` leaves nothing. */
#pragma once

#include "core/fd_channel.h"
#include "quarantine/quarantine.h"

SAI_NODISCARD int intake_start(struct quarantine *q, int listen_fd, struct fd_channel_server **ret);
