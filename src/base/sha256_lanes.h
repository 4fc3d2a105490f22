/* sha256_lanes: several independent messages hashed side by side on one core. One message alone leaves the
 * processor's SHA unit idle for half of the time, because each round waits for the one before; rounds of other
 * messages fit into the gaps. Pure. */
#pragma once

#include "base/sha256.h"

#define SHA256_LANES 4u /* side by side; more don't pay */

struct sha256_job {
        struct sha256_state *state; /* of a message that no other job of the same call belongs to */
        struct view bytes;          /* its next bytes */
};

/* The same as sha256_update for each job, in any order. Any number of jobs of any lengths; four of equal length are
 * fastest, and a lane that runs out of bytes takes the next job. */
void sha256_lanes_run(const struct sha256_job *jobs, size_t n);
