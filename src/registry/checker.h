/* checker: reads stored models again in the background, one after another, at a limited speed and in constant memory, and
 * without pushing other files out of the page cache. Thread-safe. */
#pragma once

#include "registry/catalog.h"

struct checker; /* opaque: one thread */

struct checker_config {
        uint64_t bytes_per_second; /* 0: as fast as it goes */
        uint64_t interval_usec;    /* a model is due again after this time; 0: only on request */
};

SAI_NODISCARD int checker_start(struct catalog *catalog, struct manifest *manifest, struct objects *objects,
                                const struct checker_config *config, struct checker **ret);
struct checker *checker_stop(struct checker *c); /* within a slice; NULL is fine; returns NULL */
/* A model was made pending: look now. */
void checker_wake(struct checker *c);
/* Bytes of this model read so far when it is the one under way; else 0. */
uint64_t checker_progress(struct checker *c, const struct sha256 *digest, bool *ret_running);
