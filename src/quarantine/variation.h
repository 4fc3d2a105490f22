/* variation: what a prompt of the suites becomes in one run. Everything that varies follows from the run's seed: the same seed gives
 * the same texts, canaries and order. Pure.
 *
 * `{name}` becomes one of the slot's variants, `{encoding:name}` the same text in disguise, `{goal}` the prompt's goal and
 * `{canary}` a word that occurs nowhere else. Any other brace stands for itself. One name means one text throughout a prompt. */
#pragma once

#include "base/buf.h"
#include "quarantine/prompts.h"

#define VARIATION_SEED_BYTES 16
#define CANARY_SIZE          12 /* with NUL */

struct variation_seed {
        uint8_t b[VARIATION_SEED_BYTES];
};

struct asked {
        struct buf text, system, goal;
        char canary[CANARY_SIZE];
};
#define ASKED_INIT                                                                                           \
        ((struct asked){.text = BUF_INIT(PROMPT_BYTES_MAX),                                                  \
                        .system = BUF_INIT(PROMPT_BYTES_MAX),                                                \
                        .goal = BUF_INIT(PROMPT_GOAL_MAX)})
void asked_done(struct asked *a);
static inline void asked_donep(struct asked *a) {
        asked_done(a);
}

/* -ENOMEM, or -EFBIG, which a set that was loaded excludes. */
SAI_NODISCARD int variation_fill(const struct prompt_set *s, const struct prompt *p,
                                 const struct variation_seed *seed, struct asked *ret);
/* The order in which the prompts are asked: a permutation of 0..n-1. */
SAI_NODISCARD int variation_order(const struct variation_seed *seed, size_t n, unsigned *order);

/* A slot's name in a text. */
struct slot_use {
        const char *encoding; /* NULL: as it is */
        struct view name;
};
/* Splits `*rest` before its first slot: the literal text, and the slot (name empty at the end). */
struct view variation_next(struct view *rest, struct slot_use *ret);
