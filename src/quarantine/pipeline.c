#include "quarantine/pipeline.h"

#include "base/buf.h"
#include "base/clock.h"
#include "quarantine/checks.h"

struct run {
        const struct pipeline *p;
        const struct artifact *a;
        const struct pipeline_watch *watch;
        struct verdict *v;
        unsigned last;
};

void pipeline_name_scanner(struct pipeline *p, const struct sha256 *rules, const struct sha256 *prompts) {
        char hex_rules[SHA256_HEX_SIZE], hex_prompts[SHA256_HEX_SIZE];

        sha256_hex(rules, hex_rules);
        sha256_hex(prompts, hex_prompts);
        (void)snprintf(p->scanner, sizeof p->scanner, "secai-scan/%s rules/%.12s prompts/%.12s", SAI_VERSION,
                       hex_rules, hex_prompts);
}

static bool tell_progress(const struct run *r, unsigned stage, uint64_t bytes) {
        return !r->watch || !r->watch->progress || r->watch->progress(stage, bytes, r->watch->userdata);
}

static int tell_finished(const struct run *r, unsigned upto) {
        return r->watch && r->watch->finished ? r->watch->finished(r->v, upto, r->watch->userdata) : 0;
}

static bool on_slot(uint64_t bytes, void *userdata) {
        return tell_progress(userdata, STAGE_FORMAT, bytes);
}

static int copy_findings(struct verdict *v, const struct collector *c) {
        int r = 0;

        for (size_t i = 0; i < c->n && r >= 0; i++)
                r = stage_put(&v->stages[c->list[i].stage], &c->list[i]);
        if (r >= 0 && c->dropped > 0)
                r = stage_say(&v->stages[STAGE_STATIC], STAGE_STATIC, FINDING_WARNING, "SCAN-002",
                              "%llu further findings are not listed; none of them is graver",
                              (unsigned long long)c->dropped);
        return r;
}

/* Stages 2, 3, 4 and 5 rest on the one pass over the bytes. */
static int settle_pass(struct run *run, const struct scan_result *result) {
        struct verdict *v = run->v;
        int r;

        v->sha256 = result->sha256;
        v->summary = result->summary;
        v->summary.size = run->a->size;
        r = copy_findings(v, &result->findings);
        if (r >= 0 && result->trouble == WORKER_FINE)
                r = check_format(run->p->policy, &v->summary, &v->stages[STAGE_FORMAT]);
        if (r >= 0)
                r = check_integrity(run->p->policy, run->a, &v->sha256, &v->stages[STAGE_INTEGRITY]);
        if (r >= 0)
                r = check_provenance(run->p->policy, run->a, &v->sha256, &v->stages[STAGE_PROVENANCE]);
        if (r < 0)
                return r;
        for (unsigned i = STAGE_FORMAT; i <= STAGE_STATIC; i++)
                stage_settle(&v->stages[i]);
        if (result->trouble != WORKER_FINE)
                v->stages[STAGE_STATIC].status = STAGE_NOT_RUN;
        for (unsigned i = STAGE_FORMAT; i <= STAGE_STATIC; i++) {
                v->stages[i].bytes = i == STAGE_PROVENANCE ? 0 : result->bytes;
                v->stages[i].msec = i == STAGE_PROVENANCE ? 0 : result->usec / USEC_PER_MSEC;
        }
        v->is_known = true;
        return 0;
}

static int pass_into(struct run *run, struct scan_result *result, enum worker_trouble *ret_trouble) {
        struct scan_watch watch = {.progress = on_slot, .userdata = run};
        int r;

        r = scan_pass(&run->p->engine, run->a->fd, run->a->size, run->a->name, &watch, result);
        if (r >= 0)
                r = settle_pass(run, result);
        if (r < 0)
                return r;
        *ret_trouble = result->trouble;
        return result->trouble == WORKER_FINE ? tell_finished(run, STAGE_STATIC) : 0;
}

static int run_pass(struct run *run, enum worker_trouble *ret_trouble) {
        struct stage *source = &run->v->stages[STAGE_SOURCE];
        struct scan_result *result;
        int r;

        r = check_source(run->p->policy, run->a, source);
        if (r < 0)
                return r;
        stage_settle(source);
        if (run->a->size > run->p->policy->artifact_bytes)
                return 0; /* too large to be read at all */
        result = calloc(1, sizeof *result);
        if (!result)
                return -ENOMEM;
        r = pass_into(run, result, ret_trouble);
        free(result);
        return r;
}

static bool on_prompt(unsigned asked, unsigned of, void *userdata) {
        const struct run *run = userdata;

        return tell_progress(run, STAGE_BEHAVIOUR, of ? run->a->size / of * asked : 0);
}

static int run_behaviour(struct run *run) {
        struct stage *s = &run->v->stages[STAGE_BEHAVIOUR];
        struct behaviour_watch watch = {.progress = on_prompt, .userdata = run};
        int r;

        stage_done(s);
        if (!tell_progress(run, STAGE_BEHAVIOUR, 0))
                return -ECANCELED;
        r = behaviour_test(&run->p->behaviour, run->p->policy, run->a, &run->v->summary, &watch, s);
        if (r < 0)
                return r;
        if (s->status == STAGE_NOT_RUN)
                return 0;
        return tell_finished(run, STAGE_BEHAVIOUR);
}

static int run_diffusion(struct run *run) {
        struct stage *s = &run->v->stages[STAGE_DIFFUSION];

        if (s->status != STAGE_NOT_RUN)
                return 0;
        s->status = STAGE_NOT_APPLICABLE;
        return stage_say(s, STAGE_DIFFUSION, FINDING_INFO, "DIFFUSION-000",
                         "this is a single file, not an image model's folder");
}

static int mark_left_out(struct run *run) {
        for (unsigned i = run->last + 1; i <= STAGES; i++) {
                int r;

                stage_done(&run->v->stages[i]);
                r = stage_say(&run->v->stages[i], i, FINDING_INFO, "SCAN-001",
                              "left out on request: only stages 1 to %u were asked for", run->last);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int name_artifact(struct run *run) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(sizeof run->v->name - 1);
        int r;

        r = buf_append_escaped(&shown, run->a->name, ARTIFACT_NAME_MAX);
        if (r < 0)
                return r;
        (void)snprintf(run->v->name, sizeof run->v->name, "%s", buf_str(&shown));
        (void)snprintf(run->v->policy_digest, sizeof run->v->policy_digest, "%s", run->p->policy->digest_hex);
        (void)snprintf(run->v->scanner, sizeof run->v->scanner, "%s", run->p->scanner);
        run->v->last_stage = run->last;
        run->v->summary.size = run->a->size;
        return 0;
}

int pipeline_run(const struct pipeline *p, const struct artifact *a, unsigned last,
                 const struct pipeline_watch *watch, struct verdict *v, enum worker_trouble *ret_trouble) {
        struct run run = {.p = p, .a = a, .watch = watch, .v = v, .last = last};
        int r;

        *ret_trouble = WORKER_FINE;
        r = name_artifact(&run);
        if (r >= 0 && !v->is_known)
                r = run_pass(&run, ret_trouble);
        if (r >= 0)
                r = mark_left_out(&run);
        if (r < 0 || verdict_is_reject(v))
                return r;
        if (last >= STAGE_BEHAVIOUR && v->stages[STAGE_BEHAVIOUR].status == STAGE_NOT_RUN)
                r = run_behaviour(&run);
        if (r >= 0 && last >= STAGE_DIFFUSION)
                r = run_diffusion(&run);
        return r;
}
