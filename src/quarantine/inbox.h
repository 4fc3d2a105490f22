/* inbox: the thread that watches incoming/ (inotify, and a rescan every few seconds because events can be lost) and claims what is
 * complete. A file that somebody still writes is never touched. */
#pragma once

#include "quarantine/quarantine.h"

struct inbox; /* opaque */
SAI_NODISCARD int inbox_start(struct quarantine *q, struct inbox **ret);
struct inbox *inbox_free(struct inbox *i); /* after live_stop */
