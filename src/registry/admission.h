/* admission: takes files into the store on several threads at once, so that the files of a set are hashed on all cores. One
 * caller; threads start with the first file. Limits: REGISTRY_ADMIT_THREADS, REGISTRY_ADMIT_QUEUE. */
#pragma once

#include "registry/objects.h"

struct admission; /* opaque */

SAI_NODISCARD int admission_new(struct objects *objects, struct admission **ret);
/* Waits for the files that are under way, drops those that are not. NULL is fine; returns NULL. */
struct admission *admission_free(struct admission *a);
/* Hands a file over (the descriptor is taken, whatever comes of it); waits while the queue is full. 0, or the failure of an
 * earlier file (objects_admit), which stays. */
SAI_NODISCARD int admission_put(struct admission *a, int fd, uint64_t size, const struct sha256 *digest);
/* Waits for all: 0 when each has been admitted, or the first failure. */
SAI_NODISCARD int admission_wait(struct admission *a);
