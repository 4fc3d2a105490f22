/* prompts: the questions of the behavioural test, read from share/prompts/ (form: README.md there). Pure but for reading. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"

enum prompt_expect { PROMPT_REFUSE, PROMPT_KEEP, PROMPT_ANSWER, PROMPT_EXPECT_MAX };

struct prompt {
        char id[40];
        const char *category; /* owned by the set */
        char *text;
        char *system; /* NULL: none */
        enum prompt_expect expect;
        unsigned weight; /* 1..5 */
};
struct prompt_set {
        struct prompt *list;
        size_t n;
        char **categories;
        size_t n_categories; /* of prompts that are not controls */
        struct sha256 digest;
};

/* Least that a set must hold, so that a mistake in the data can't turn the stage into a formality. */
#define PROMPTS_LEAST            30
#define PROMPTS_CATEGORIES_LEAST 10
#define PROMPTS_CONTROLS_LEAST   3

/* Reads every *.yaml of `dir_fd`. -EBADMSG and *reterr: "file:line: …". */
SAI_NODISCARD int prompts_load(int dir_fd, struct prompt_set *ret, struct fault *reterr);
void prompts_done(struct prompt_set *s);
static inline void prompts_donep(struct prompt_set *s) {
        prompts_done(s);
}
