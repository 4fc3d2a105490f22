/* live: what changes while jobs run: progress that is not worth a write to disk, and who must be told that a job changed.
 * Thread-safe. */
#pragma once

#include "quarantine/jobs.h"

struct live; /* opaque */
struct live_progress {
        unsigned stage;
        uint64_t bytes;
        char found[FINDING_RULE_MAX]; /* the rule that rejects, when one is known before the end; or empty */
};

SAI_NODISCARD int live_new(struct live **ret);
struct live *live_free(struct live *l);
/* Something about the job changed. */
void live_touch(struct live *l, const char *id);
/* Told to others at once when the stage changes, else at most every EVENT_GAP_USEC. */
void live_progress_set(struct live *l, const char *id, unsigned stage, uint64_t bytes);
/* Told at once. */
void live_found(struct live *l, const char *id, const char *rule);
void live_progress_end(struct live *l, const char *id);
bool live_progress_get(struct live *l, const char *id, struct live_progress *ret);
/* Wakes everybody who waits: the service stops. */
void live_stop(struct live *l);
bool live_is_stopping(struct live *l);

/* Position in the stream of changes; start with live_now. */
uint64_t live_now(struct live *l);
/* Waits until something after *position changed, at most `timeout_usec`, and appends the ids (once each) to `ids`; moves *position.
 * 1 = ids appended, 0 = nothing, -EOVERFLOW = too much happened: read everything again. */
int live_wait(struct live *l, uint64_t *position, uint64_t timeout_usec, struct buf *ids);
/* For threads that look for work: waits until a job changed in more than its progress, or the time is over. Start with 0. */
void live_pause(struct live *l, uint64_t *position, uint64_t timeout_usec);
