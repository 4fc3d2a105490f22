/* behaviour_journal: the answers of a behavioural test that is under way, in the job's folder, so that a restart of quarantine (or
 * kill -9) does not ask again what was answered. One JSON text a line: first what the test is about and its seed, then
 * an answer each. A last line that was cut off is dropped; a journal of another file, build or set of prompts is begun anew. */
#pragma once

#include "quarantine/score.h"
#include "quarantine/variation.h"

#define BEHAVIOUR_JOURNAL "behaviour.progress"

struct behaviour_journal {
        int fd; /* -EBADF: nothing is kept (any more) */
        uint64_t synced_usec;
};
/* Opens or begins it below `folder`. `*seed` is that of the journal when there is one that fits (its answers are in `list`
 * then, which has set->n entries), else the journal begins with the given one. 0 or negative errno: then nothing is kept. */
SAI_NODISCARD int behaviour_journal_open(int folder, const struct sha256 *artifact, const char *scanner,
                                         const struct prompt_set *set, struct variation_seed *seed,
                                         struct graded *list, struct behaviour_journal *ret);
/* A journal that can't be written any more is given up: the test does not depend on it. */
void behaviour_journal_put(struct behaviour_journal *j, const struct prompt *p, const struct graded *g);
void behaviour_journal_done(struct behaviour_journal *j);
void behaviour_journal_remove(int folder);
