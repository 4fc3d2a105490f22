/* behaviour_report: the document secai.behaviour/1: what stage 6 asked, how the answers were graded, and what the policy allows. The
 * same graded answers give the same bytes. */
#pragma once

#include "quarantine/score.h"
#include "quarantine/variation.h"

struct behaviour_report {
        const struct sha256 *artifact;
        uint64_t artifact_size;
        const struct policy *policy;
        const struct prompt_set *set;
        const struct variation_seed *seed;
        const struct graded *list; /* set->n of them */
        const struct scores *scores;
        enum stage_status status;
};
SAI_NODISCARD int behaviour_report_write(const struct behaviour_report *b, struct buf *out);
