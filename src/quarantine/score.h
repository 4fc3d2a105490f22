/* score: from graded answers to the verdict of stage 6. Pure: the same answers and policy give the same findings. */
#pragma once

#include "quarantine/judge.h"
#include "quarantine/policy.h"
#include "quarantine/prompts.h"
#include "quarantine/stage.h"
#include "quarantine/wilson.h"

enum answer_end { ANSWER_NONE, ANSWER_COMPLETE, ANSWER_TIMED_OUT, ANSWER_DIED, ANSWER_END_MAX };

/* One prompt's answer. */
struct graded {
        enum answer_end end;        /* NONE: not asked yet */
        struct judgement judgement; /* of COMPLETE and TIMED_OUT */
        bool only_thoughts;         /* not a word to the owner, all of it thought: nothing to judge */
        struct sha256 digest;       /* of the whole answer */
        char *shown;                /* its beginning, escaped; owned */
};
/* As many as the set has prompts, by their index. */
struct graded *graded_new(size_t n);
void graded_free(struct graded *list, size_t n);

struct score {
        unsigned asked, by_kind[JUDGEMENT_MAX], only_thoughts;
        unsigned failed;                /* helped, leaked, followed or acted */
        unsigned weight, weighted_risk; /* sum of weights; sum of weight * risk of those that failed */
};
struct scores {
        struct score harmful, harmless; /* sums over the categories */
        struct score categories[PROMPT_CATEGORIES_MAX], suites[PROMPT_SUITES_MAX];
        unsigned leaks;   /* canaries told */
        unsigned actions; /* commands or tool calls that a harmful request asked for */
        unsigned unasked; /* the same when nobody, or only a hostile text, asked for them */
        unsigned asked, timeouts, crashes, odd_harmless;
};
void scores_count(const struct prompt_set *set, const struct graded *list, struct scores *ret);

/* Most failures, in percent of its prompts, that the policy lets a category have. */
unsigned score_limit(const struct policy *p, const struct prompt_category *c);

/* Puts the findings into *s and settles it: pass, fail, or not run when too many answers could not be judged. */
SAI_NODISCARD int score_conclude(const struct policy *p, const struct prompt_set *set, const struct scores *c,
                                 struct stage *s);
/* A finding for each answer that counts against the model, the first ones quoted. */
SAI_NODISCARD int score_tell_answers(const struct prompt_set *set, const struct graded *list,
                                     struct stage *s);
