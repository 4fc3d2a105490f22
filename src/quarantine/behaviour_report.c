#include "quarantine/behaviour_report.h"

#include "base/text.h"

#include <math.h>

static const char *const expects[PROMPT_EXPECT_MAX] = {"refuse", "keep", "ignore", "answer"};

/* Percent with two decimals: what is read by people and compared between runs. */
static void member_percent(struct json_writer *w, const char *key, double percent) {
        json_key(w, key);
        json_put_double(w, round(percent * 100) / 100);
}

static void member_digest(struct json_writer *w, const char *key, const struct sha256 *d) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(d, hex);
        json_member_string(w, key, hex);
}

static void put_score(struct json_writer *w, const struct score *s) {
        struct interval i = wilson_interval(s->failed, s->asked);

        json_member_u64(w, "asked", s->asked);
        json_member_u64(w, "failed", s->failed);
        member_percent(w, "rate_percent", i.rate);
        json_key(w, "interval_percent");
        json_array_begin(w);
        json_put_double(w, round(i.low * 100) / 100);
        json_put_double(w, round(i.high * 100) / 100);
        json_array_end(w);
        json_key(w, "grades");
        json_object_begin(w);
        for (int k = 0; k < JUDGEMENT_MAX; k++)
                if (s->by_kind[k] > 0)
                        json_member_u64(w, judgement_name((enum judgement_kind)k), s->by_kind[k]);
        json_object_end(w);
        json_member_u64(w, "only_thoughts", s->only_thoughts);
}

static void put_suites(struct json_writer *w, const struct behaviour_report *b) {
        json_key(w, "suites");
        json_array_begin(w);
        for (size_t i = 0; i < b->set->n_suites; i++) {
                json_object_begin(w);
                json_member_string(w, "id", b->set->suites[i].id);
                json_member_u64(w, "version", b->set->suites[i].version);
                put_score(w, &b->scores->suites[i]);
                json_object_end(w);
        }
        json_array_end(w);
}

static void put_categories(struct json_writer *w, const struct behaviour_report *b) {
        json_key(w, "categories");
        json_array_begin(w);
        for (size_t i = 0; i < b->set->n_categories; i++) {
                const struct prompt_category *c = &b->set->categories[i];

                json_object_begin(w);
                json_member_string(w, "name", c->name);
                json_member_string(w, "suite", b->set->suites[c->suite].id);
                json_key(w, "limit_percent");
                if (c->harmless)
                        json_put_null(w);
                else
                        json_put_u64(w, score_limit(b->policy, c));
                put_score(w, &b->scores->categories[i]);
                json_object_end(w);
        }
        json_array_end(w);
}

static void put_answer(struct json_writer *w, const struct prompt *p, const struct graded *g,
                       const struct prompt_set *set) {
        static const char *const ends[ANSWER_END_MAX] = {"not_asked", "complete", "timed_out", "died"};

        json_object_begin(w);
        json_member_string(w, "id", p->id);
        json_member_string(w, "category", set->categories[p->category].name);
        json_member_string(w, "expect", expects[p->expect]);
        json_member_u64(w, "weight", p->weight);
        json_member_string(w, "end", ends[g->end]);
        if (g->end == ANSWER_COMPLETE || g->end == ANSWER_TIMED_OUT) {
                json_member_string(w, "grade", judgement_name(g->judgement.kind));
                json_member_u64(w, "risk", g->judgement.risk);
                json_member_bool(w, "only_thoughts", g->only_thoughts);
                member_digest(w, "answer_sha256", &g->digest);
                json_member_string(w, "answer", g->shown ? g->shown : "");
        }
        json_object_end(w);
}

static void put_answers(struct json_writer *w, const struct behaviour_report *b) {
        json_key(w, "prompts");
        json_array_begin(w);
        for (size_t i = 0; i < b->set->n; i++)
                put_answer(w, &b->set->list[i], &b->list[i], b->set);
        json_array_end(w);
}

static void put_limits(struct json_writer *w, const struct policy *p) {
        json_key(w, "limits");
        json_object_begin(w);
        json_member_u64(w, "max_compliance_percent", p->compliance_percent);
        json_member_u64(w, "max_category_percent", p->category_percent);
        json_member_u64(w, "min_refusal_percent_of_harmful", p->refusal_percent);
        json_member_u64(w, "max_critical_failures", p->critical_failures);
        json_member_u64(w, "max_canary_leaks", p->leaks);
        json_member_u64(w, "max_dangerous_actions", p->actions);
        json_member_u64(w, "max_over_refusal_percent", p->over_refusal_percent);
        json_member_u64(w, "max_crashes", p->crashes);
        json_member_u64(w, "max_timeouts", p->timeouts);
        json_member_u64(w, "max_empty_percent", p->empty_percent);
        json_object_end(w);
}

static void put_counts(struct json_writer *w, const struct scores *c) {
        json_key(w, "counts");
        json_object_begin(w);
        json_member_u64(w, "asked", c->asked);
        json_member_u64(w, "canary_leaks", c->leaks);
        json_member_u64(w, "dangerous_actions", c->actions);
        json_member_u64(w, "critical_failures", c->unasked);
        json_member_u64(w, "crashes", c->crashes);
        json_member_u64(w, "timeouts", c->timeouts);
        json_object_end(w);
}

static void put_head(struct json_writer *w, const struct behaviour_report *b) {
        char seed[2 * VARIATION_SEED_BYTES];

        hex_encode(b->seed->b, sizeof b->seed->b, seed);
        json_member_string(w, "schema", "secai.behaviour/1");
        json_key(w, "artifact");
        json_object_begin(w);
        member_digest(w, "sha256", b->artifact);
        json_member_u64(w, "size", b->artifact_size);
        json_object_end(w);
        member_digest(w, "prompts_sha256", &b->set->digest);
        json_member_u64(w, "judge", JUDGE_VERSION);
        json_member_view(w, "seed", view_make(seed, sizeof seed));
        json_member_string(w, "status", stage_status_name(b->status));
}

int behaviour_report_write(const struct behaviour_report *b, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        put_head(&w, b);
        put_limits(&w, b->policy);
        put_counts(&w, b->scores);
        put_suites(&w, b);
        put_categories(&w, b);
        put_answers(&w, b);
        json_object_end(&w);
        return json_write_end(&w);
}
