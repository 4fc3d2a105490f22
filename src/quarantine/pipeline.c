#include "quarantine/pipeline.h"

#include "base/buf.h"
#include "base/clock.h"
#include "quarantine/checks.h"
#include "quarantine/scan_set.h"

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

/* Stages 2, 3, 4 and 5 rest on the one pass over the bytes; of a set, findings of stage 7 come with it. */
static int settle_pass(struct run *run, const struct scan_result *result) {
        const struct set_listing *set = run->a->set ? &run->v->members : NULL;
        struct verdict *v = run->v;
        int r;

        v->sha256 = result->sha256;
        v->summary = result->summary;
        v->summary.size = run->a->size;
        r = copy_findings(v, &result->findings);
        if (r >= 0 && result->trouble == WORKER_FINE)
                r = check_format(run->p->policy, &v->summary, &v->stages[STAGE_FORMAT]);
        if (r >= 0)
                r = check_integrity(run->p->policy, run->a, &v->sha256, &v->summary, set,
                                    &v->stages[STAGE_INTEGRITY]);
        if (r >= 0)
                r = check_provenance(run->p->policy, run->a, &v->sha256, set, &v->stages[STAGE_PROVENANCE]);
        if (r < 0)
                return r;
        for (unsigned i = STAGE_FORMAT; i <= STAGE_STATIC; i++)
                stage_settle(&v->stages[i]);
        if (set && (v->summary.kind == MODEL_KIND_DIFFUSION || v->stages[STAGE_DIFFUSION].n > 0)) {
                stage_settle(&v->stages[STAGE_DIFFUSION]);
                v->stages[STAGE_DIFFUSION].bytes = result->bytes;
        }
        if (result->trouble != WORKER_FINE)
                v->stages[STAGE_STATIC].status = STAGE_NOT_RUN;
        for (unsigned i = STAGE_FORMAT; i <= STAGE_STATIC; i++) {
                v->stages[i].bytes = i == STAGE_PROVENANCE ? 0 : result->bytes;
                v->stages[i].msec = i == STAGE_PROVENANCE ? 0 : result->usec / USEC_PER_MSEC;
        }
        v->is_known = true;
        return 0;
}

static int finish_pass(struct run *run, const struct scan_result *result, enum worker_trouble *ret_trouble) {
        int r = settle_pass(run, result);

        if (r < 0)
                return r;
        *ret_trouble = result->trouble;
        if (result->trouble == WORKER_FINE && run->watch && run->watch->tensors)
                r = tensors_document_end(run->watch->tensors, &run->v->sha256, run->a->size,
                                         &run->v->summary);
        if (r < 0)
                return r;
        return result->trouble == WORKER_FINE ? tell_finished(run, STAGE_STATIC) : 0;
}

static struct scan_watch watch_of(struct run *run) {
        struct tensors_document *d = run->watch ? run->watch->tensors : NULL;

        return (struct scan_watch){.progress = on_slot,
                                   .userdata = run,
                                   .tensors = d ? tensors_document_hearer(d) : NULL,
                                   .early = run->watch ? run->watch->early : NULL};
}

static int pass_over_file(struct run *run, enum worker_trouble *ret_trouble) {
        struct scan_watch watch = watch_of(run);
        _cleanup_(freep) struct scan_result *result = calloc(1, sizeof *result);
        int r;

        if (!result)
                return -ENOMEM;
        r = scan_pass(&run->p->engine, run->a->fd, run->a->size, run->a->name, &watch, result);
        return r < 0 ? r : finish_pass(run, result, ret_trouble);
}

static int name_members(struct verdict *v, const struct set_walk *set) {
        int r = 0;

        member_names_done(&v->names);
        for (size_t i = 0; i < set->n && r >= 0; i++) {
                uint32_t number;

                r = member_names_add(&v->names, view_of(set->files[i].path), &number);
        }
        return r;
}

static int pass_over_set(struct run *run, enum worker_trouble *ret_trouble) {
        struct scan_watch watch = watch_of(run);
        _cleanup_(scan_set_result_freep) struct scan_set_result *result = calloc(1, sizeof *result);
        int r;

        if (!result)
                return -ENOMEM;
        r = scan_set(&run->p->engine, run->a->fd, run->a->set, &watch, result);
        if (r >= 0)
                r = name_members(run->v, run->a->set);
        if (r < 0)
                return r;
        run->v->members = result->listing;
        run->v->kinds = TAKE_PTR(result->kinds);
        result->listing = (struct set_listing){0};
        return finish_pass(run, &result->whole, ret_trouble);
}

static int run_pass(struct run *run, enum worker_trouble *ret_trouble) {
        struct stage *source = &run->v->stages[STAGE_SOURCE];
        int r;

        r = check_source(run->p->policy, run->a, source);
        if (r < 0)
                return r;
        stage_settle(source);
        if (run->a->size > run->p->policy->artifact_bytes)
                return 0; /* too large to be read at all */
        return run->a->set ? pass_over_set(run, ret_trouble) : pass_over_file(run, ret_trouble);
}

static bool on_prompt(unsigned asked, unsigned of, void *userdata) {
        const struct run *run = userdata;

        return tell_progress(run, STAGE_BEHAVIOUR, of ? run->a->size / of * asked : 0);
}

static void close_members(struct artifact_member *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                close_fd(list[i].fd);
        free(list);
}

/* A split GGUF is run from the descriptors of its parts, whose order is that of their names. -E2BIG past what can be handed on. */
static int open_members(const struct run *run, struct artifact_member **ret, size_t *ret_n) {
        const struct set_walk *set = run->a->set;
        struct artifact_member *list = calloc(LAUNCHER_FDS_MAX, sizeof *list);
        size_t n = 0;
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; i < set->n && i < run->v->members.n && r >= 0; i++) {
                if (!view_ends(view_of(set->files[i].path), VIEW(".gguf")))
                        continue;
                r = n < LAUNCHER_FDS_MAX ? set_walk_open(run->a->fd, &set->files[i]) : -E2BIG;
                if (r >= 0)
                        list[n++] = (struct artifact_member){.fd = r,
                                                             .size = set->files[i].size,
                                                             .name = set->files[i].path,
                                                             .sha256 = run->v->members.members[i].sha256};
        }
        if (r < 0) {
                close_members(list, n);
                return r;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

static int test_split(struct run *run, const struct behaviour_watch *watch, struct stage *s) {
        struct artifact_member *list = NULL;
        struct artifact a = *run->a;
        int r = open_members(run, &list, &a.n_members);

        if (r == -E2BIG)
                return stage_say(s, STAGE_BEHAVIOUR, FINDING_INFO, "BEHAVIOUR-102",
                                 "the model has more than %u parts; it can't be tried here",
                                 LAUNCHER_FDS_MAX);
        if (r < 0)
                return r;
        a.members = list;
        r = behaviour_test(&run->p->behaviour, run->p->policy, &a, &run->v->summary, watch, s);
        close_members(list, a.n_members);
        return r;
}

static int test_behaviour(struct run *run, const struct behaviour_watch *watch, struct stage *s) {
        const struct model_summary *summary = &run->v->summary;

        if (summary->kind == MODEL_KIND_GGUF_SET)
                return test_split(run, watch, s);
        if (!run->a->set)
                return behaviour_test(&run->p->behaviour, run->p->policy, run->a, summary, watch, s);
        s->status = STAGE_NOT_APPLICABLE;
        return stage_say(s, STAGE_BEHAVIOUR, FINDING_INFO, "BEHAVIOUR-100",
                         "nothing here runs models of this kind, so its answers were not tested");
}

static int run_behaviour(struct run *run) {
        struct stage *s = &run->v->stages[STAGE_BEHAVIOUR];
        struct behaviour_watch watch = {.progress = on_prompt, .userdata = run};
        struct behaviour_keep keep = {.artifact = &run->v->sha256, .scanner = run->p->scanner};
        int r;

        stage_done(s);
        if (!tell_progress(run, STAGE_BEHAVIOUR, 0))
                return -ECANCELED;
        if (run->watch && run->watch->folder) {
                keep.folder = *run->watch->folder;
                watch.keep = &keep;
        }
        r = test_behaviour(run, &watch, s);
        if (r < 0)
                return r;
        if (s->status == STAGE_NOT_RUN)
                return 0;
        return tell_finished(run, STAGE_BEHAVIOUR);
}

/* What the worker found out about the folder as an image model has come with the pass. */
static int run_diffusion(struct run *run) {
        struct stage *s = &run->v->stages[STAGE_DIFFUSION];

        if (s->status != STAGE_NOT_RUN)
                return 0;
        s->status = STAGE_NOT_APPLICABLE;
        return stage_say(s, STAGE_DIFFUSION, FINDING_INFO, "DIFFUSION-000",
                         "this is %s, not an image model's folder",
                         run->a->set ? "a model in several files" : "a single file");
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

int pipeline_refuse(const struct pipeline *p, const struct artifact *a, unsigned last,
                    const struct fault *why, struct verdict *v) {
        struct run run = {.p = p, .a = a, .v = v, .last = last};
        int r = name_artifact(&run);

        v->summary.kind = MODEL_KIND_FOLDER;
        if (r >= 0)
                r = check_source(p->policy, a, &v->stages[STAGE_SOURCE]);
        if (r >= 0)
                r = stage_say(&v->stages[STAGE_FORMAT], STAGE_FORMAT, FINDING_REJECT, "FORMAT-003", "%s",
                              why->text);
        if (r < 0)
                return r;
        stage_settle(&v->stages[STAGE_SOURCE]);
        stage_settle(&v->stages[STAGE_FORMAT]);
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
