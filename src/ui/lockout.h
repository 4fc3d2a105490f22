/* lockout: how often somebody may guess. A try is counted on disk before it is looked at, so that parallel guesses,
 * a crash or a restart give none for free. After `tries` wrong ones there is a pause, which doubles with each further
 * one up to a day. The pause is measured with the clock that counts through suspend; after a reboot, whose length is
 * unknown, a pause that was running begins anew. Thread-safe. */
#pragma once

#include "base/fault.h"

struct lockout;

/* `name`: of the file beneath state_dir; both and `boot_id` (clock.h) are borrowed. -EUCLEAN and *reterr when it is damaged. */
SAI_NODISCARD int lockout_new(int state_dir, const char *name, const char *boot_id, uint64_t tries,
                              uint64_t pause_usec, struct lockout **ret, struct fault *reterr);
struct lockout *lockout_free(struct lockout *l);

/* Takes a try: 0, or -EAGAIN when there is a pause, or another negative errno when it could not be written down
 * (then nothing may be tried). */
SAI_NODISCARD int lockout_take(struct lockout *l);
/* The try was right: counts start anew. */
SAI_NODISCARD int lockout_right(struct lockout *l);
uint64_t lockout_tries_left(struct lockout *l);
/* Rest of the pause, 0 when there is none. */
uint64_t lockout_remaining_usec(struct lockout *l);
