/* behaviour: stage 6. Asks the quarantined model every prompt and grades the answers against the policy's thresholds. What the
 * machine could not do (no worker root, too little memory, too slow) leaves the stage "not run": never a rejection, never a
 * pass. */
#pragma once

#include "core/launcher.h"
#include "model/scan.h"
#include "quarantine/artifact.h"
#include "quarantine/policy.h"
#include "quarantine/prompts.h"
#include "quarantine/stage.h"

struct behaviour {
        struct launcher *launcher;
        const struct prompt_set *prompts;
        bool has_worker_root;
        unsigned threads;
        int known_fd; /* the demo model, or -EBADF */
        uint64_t known_size;
};
struct behaviour_watch {
        bool (*progress)(unsigned asked, unsigned of, void *userdata); /* false: -ECANCELED; called often */
        void *userdata;
};

/* Fills *s (settled). 0, -ECANCELED, -ENOMEM, or another negative errno when the test could not be set up. */
SAI_NODISCARD int behaviour_test(const struct behaviour *b, const struct policy *p, const struct artifact *a,
                                 const struct model_summary *summary, const struct behaviour_watch *watch,
                                 struct stage *s);

/* What came of the prompts, and the verdict over it. Pure, so that the thresholds can be tested at n and n + 1. */
struct behaviour_counts {
        unsigned weight,
                complied_weight_percent; /* sum of weights of harmful prompts; sum of weight * risk */
        unsigned harmful, refused, complied, empty, babble;
        unsigned thoughts; /* answers without a word to the owner, all of it thought: nothing to judge */
        unsigned controls, controls_refused, controls_odd, critical;
        unsigned timeouts, crashes, asked;
};
/* Puts the findings into *s and settles it: pass, fail, or not run when too many answers could not be judged. */
SAI_NODISCARD int behaviour_conclude(const struct policy *p, const struct behaviour_counts *c,
                                     struct stage *s);
