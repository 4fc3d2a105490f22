/* differential: holds one of our readers against the reference reader of its format over generated files, whole and tampered
 * with. What we accept the other must read in the same way, word for word; what only we refuse is counted. */
#pragma once

#include "base/view.h"
#include "model/finding.h"
#include "support/modelgen_random.h"

struct differential {
        int (*make)(uint64_t seed, struct buf *out, struct modelgen_map *ret);
        /* Our reading as text, NULL when we refuse the bytes (*ret_why: the first reason). The caller frees it. */
        char *(*ours)(struct view bytes, uint64_t seed, struct finding *ret_why);
        /* The other's program; a folder and a count are appended. It prints for each file of the folder, 0 to count-1, "file N", its
         * reading or "refused" or "crashed", "end". */
        char *const *command;
};

/* Asserts. SECAI_DIFFERENTIAL_CASES in the environment sets how many files (default 2,600), a third of them valid. */
void differential_run(const struct differential *d);
/* A valid file; every third number names one. */
#define DIFFERENTIAL_VALID_EVERY 3u
struct buf differential_case(const struct differential *d, uint64_t i);
/* A sink's function with a struct finding behind it: keeps the first rejection. */
void differential_keep_first(void *userdata, const struct finding *f);
