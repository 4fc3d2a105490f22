/* model_compare: the same bytes, at once and in pieces chosen by the input, must give the same findings. */
#pragma once

#include "model/scan.h"

struct compare_result {
        struct model_summary summary;
        size_t n;
        struct finding findings[FINDINGS_MAX];
};

static inline void compare_put(void *userdata, const struct finding *f) {
        struct compare_result *r = userdata;

        if (r->n == FINDINGS_MAX)
                abort(); /* more than the cap */
        r->findings[r->n++] = *f;
}

static inline void compare_check(const struct compare_result *a, const struct compare_result *b) {
        if (a->n != b->n || memcmp(&a->summary, &b->summary, sizeof a->summary) != 0)
                abort();
        for (size_t i = 0; i < a->n; i++)
                if (memcmp(&a->findings[i], &b->findings[i], sizeof a->findings[i]) != 0)
                        abort();
}

/* Size of the next piece: from 1 byte on, from a sequence that the input's first byte starts. */
static inline size_t compare_piece(uint32_t *state) {
        *state = *state * 1103515245u + 12345u;
        return 1 + (*state >> 16) % 61;
}
