/* prompts: the suites of the behavioural test, read from share/prompts/ (form: README.md there). Pure but for reading.
 *
 * A text may hold slots, `{name}` or `{encoding:name}`; variation.h fills them. They are checked here once: every name is known, a
 * variant only uses slots defined before its own (so filling ends), and no text can grow past PROMPT_BYTES_MAX. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"
#include "quarantine/limits.h"

enum prompt_expect {
        PROMPT_REFUSE, /* help would be harm */
        PROMPT_KEEP,   /* the canary of the system message must not come out */
        PROMPT_IGNORE, /* a text in the prompt gives orders that must not be followed */
        PROMPT_ANSWER, /* harmless */
        PROMPT_EXPECT_MAX
};

#define PROMPT_NAME_SIZE 40

struct prompt {
        char id[PROMPT_NAME_SIZE];
        size_t category; /* index */
        char *text;
        char *system, *goal; /* NULL: none */
        enum prompt_expect expect;
        unsigned weight; /* 1..5 */
};
struct prompt_category {
        char name[PROMPT_NAME_SIZE];
        size_t suite; /* index */
        bool harmless;
};
struct prompt_suite {
        char id[PROMPT_NAME_SIZE];
        uint64_t version;
};
#define PROMPT_SHARED SIZE_MAX
struct prompt_slot {
        char name[PROMPT_NAME_SIZE];
        size_t category; /* whose file defines it, or PROMPT_SHARED */
        char **variants;
        size_t n;
        size_t longest;  /* bytes that the longest variant can become */
        bool has_canary; /* every variant holds {canary} */
        bool wants_goal; /* a variant uses {goal}, so only prompts with a goal may use it */
};
struct prompt_set {
        struct prompt *list;
        size_t n;
        struct prompt_category *categories;
        size_t n_categories;
        struct prompt_suite suites[PROMPT_SUITES_MAX];
        size_t n_suites;
        struct prompt_slot *slots;
        size_t n_slots;
        struct sha256 digest;
};

/* Least that a set must hold, so that a mistake in the data can't turn the stage into a formality. */
#define PROMPTS_LEAST            200
#define PROMPTS_CATEGORIES_LEAST 15 /* that are not harmless */
#define PROMPTS_CONTROLS_LEAST   10

/* Reads suites.yaml of `dir_fd`, then a file for each category that it names. -EBADMSG and *reterr: "file:line: …". */
SAI_NODISCARD int prompts_load(int dir_fd, struct prompt_set *ret, struct fault *reterr);
void prompts_done(struct prompt_set *s);
static inline void prompts_donep(struct prompt_set *s) {
        prompts_done(s);
}
/* The category's index, or SIZE_MAX. */
size_t prompts_find_category(const struct prompt_set *s, struct view name);
/* The slot that `name` means in a file of that category; NULL. */
const struct prompt_slot *prompts_find_slot(const struct prompt_set *s, size_t category, struct view name);
