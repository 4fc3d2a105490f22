/* Limits of the supervisor. */
#pragma once

#include "base/macros.h"

#define UP_READY_USEC       (90 * USEC_PER_SEC)   /* from exec to READY=1 */
#define UP_SILENCE_USEC     (60 * USEC_PER_SEC)   /* without a keep-alive: hung (they come each second) */
#define UP_GRACE_USEC       (15 * USEC_PER_SEC)   /* from SIGTERM to SIGKILL */
#define UP_KILL_USEC        (5 * USEC_PER_SEC)    /* from SIGKILL to giving up waiting */
#define UP_KEYS_USEC        (60 * USEC_PER_SEC)   /* for quarantine --make-keys */
#define UP_PAUSE_FIRST_USEC (200 * USEC_PER_MSEC) /* before a crashed service starts again; doubles */
#define UP_PAUSE_MAX_USEC   (30 * USEC_PER_SEC)
#define UP_STEADY_USEC      (60 * USEC_PER_SEC) /* ready for so long: the crashes are forgotten */
#define UP_RECORDS_PENDING  32                  /* audit records that wait for audit to be back */
#define UP_NOTIFY_BYTES     512
#define UP_NOTICES_AT_ONCE  64 /* then signals and deadlines have their turn */
