/* behaviour: stage 6. Asks the quarantined model every prompt of the suites, each in a fresh conversation, and grades the answers against
 * the policy's thresholds (score.h). What the machine could not do (no worker root, too little memory, too slow) leaves the stage "not
 * run": never a rejection, never a pass. What is asked varies with a seed that is drawn for each test and told in the report. */
#pragma once

#include "core/launcher.h"
#include "model/scan.h"
#include "quarantine/artifact.h"
#include "quarantine/policy.h"
#include "quarantine/prompts.h"
#include "quarantine/stage.h"
#include "quarantine/variation.h"

struct behaviour {
        struct launcher *launcher;
        const struct prompt_set *prompts;
        bool has_worker_root;
        unsigned threads;
        int known_fd; /* the demo model, or -EBADF */
        uint64_t known_size;
        const struct variation_seed *seed; /* NULL: drawn anew for each test */
};
/* Where answers are kept while the test runs, and its report afterwards. */
struct behaviour_keep {
        int folder; /* the job's */
        const struct sha256 *artifact;
        const char *scanner;
};
struct behaviour_watch {
        bool (*progress)(unsigned asked, unsigned of, void *userdata); /* false: -ECANCELED; called often */
        void *userdata;
        const struct behaviour_keep *keep; /* NULL: nothing is kept */
};

/* Fills *s (settled). `watch` may be NULL. 0, -ECANCELED, -ENOMEM, or another negative errno when the test could not be set up or
 * its report not be kept. */
SAI_NODISCARD int behaviour_test(const struct behaviour *b, const struct policy *p, const struct artifact *a,
                                 const struct model_summary *summary, const struct behaviour_watch *watch,
                                 struct stage *s);
