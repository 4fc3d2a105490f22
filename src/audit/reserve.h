/* reserve: room on the disk that is kept for the log's own records: a file of zeros beside the writer's state. When the disk is full,
 * it is given up, so that whoever makes room can still be recorded, and made again when there is room. Not thread-safe. */
#pragma once

#include "base/macros.h"

struct reserve {
        int fd;     /* -EBADF: none could be opened, and nothing is kept */
        bool whole; /* the file has its full size */
};

#define RESERVE_NONE ((struct reserve){.fd = -EBADF})

void reserve_open(struct reserve *r, int writer_dir);
void reserve_close(struct reserve *r);
/* True when something was given back to the disk. */
bool reserve_release(struct reserve *r);
/* Makes it whole again where that takes no room that others need. Failing is no fault. */
void reserve_restore(struct reserve *r);
