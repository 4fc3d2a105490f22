/* pipeline: the seven stages over one artifact. The same code for `quarantine --scan` and for the jobs of the service. */
#pragma once

#include "quarantine/behaviour.h"
#include "quarantine/scan_pass.h"
#include "quarantine/tensors_document.h"
#include "quarantine/verdict.h"

struct pipeline {
        const struct policy *policy;
        struct scan_engine engine;
        struct behaviour behaviour;
        char scanner[SCANNER_NAME_MAX]; /* build, rules and prompts: a change of any makes old results void */
};
/* Names the build from the digests of rules and prompts. */
void pipeline_name_scanner(struct pipeline *p, const struct sha256 *rules, const struct sha256 *prompts);

struct pipeline_watch {
        /* Progress; false stops the run (-ECANCELED). May be NULL. */
        bool (*progress)(unsigned stage, uint64_t bytes, void *userdata);
        /* Stages 1 to `upto` are final: keep them. Negative ends the run. May be NULL. */
        int (*finished)(const struct verdict *v, unsigned upto, void *userdata);
        struct tensors_document
                *tensors; /* written while stage 5 runs, ended before `finished` hears of it; may be NULL */
        void *userdata;
        const struct finding_sink *early; /* see scan_watch; may be NULL */
        const int *folder; /* the job's folder, for what stage 6 keeps; NULL: it keeps nothing */
};

/* The verdict over a folder that set_walk refuses: nothing in it was read. */
SAI_NODISCARD int pipeline_refuse(const struct pipeline *p, const struct artifact *a, unsigned last,
                                  const struct fault *why, struct verdict *v);
/* `last`: 7, or less when only some stages are wanted (5: what needs no model to run). Stages of *v that a former run
 * finished (v->is_known) are kept. 0 and *v filled: see verdict_is_pass; *ret_trouble tells of a worker in trouble (its
 * stage 2 failed then). Negative: I/O, no memory, -ECANCELED, -ESTALE (the file changed). */
SAI_NODISCARD int pipeline_run(const struct pipeline *p, const struct artifact *a, unsigned last,
                               const struct pipeline_watch *watch, struct verdict *v,
                               enum worker_trouble *ret_trouble);
