#include "base/sha256_blocks.h"

struct running {
        struct sha256_job job; /* `bytes`: whole blocks and a tail */
        size_t blocks;         /* still to do */
};

/* Takes jobs until one has whole blocks to hash; false when there are no more. */
static bool take_job(const struct sha256_job **jobs, const struct sha256_job *end, struct running *ret) {
        while (*jobs < end) {
                const struct sha256_job *j = (*jobs)++;
                struct view rest;

                sha256_fill(j->state, j->bytes, &rest);
                *ret = (struct running){{j->state, rest}, rest.n / SHA256_BLOCK_BYTES};
                if (ret->blocks > 0)
                        return true;
                sha256_keep(j->state, rest);
        }
        return false;
}

/* Moves every lane on by as many blocks as the shortest has. */
static void advance(struct running *r, size_t n) {
        struct sha256_lane lanes[SHA256_LANES];
        size_t blocks = SIZE_MAX;

        for (size_t i = 0; i < n; i++) {
                lanes[i] = (struct sha256_lane){r[i].job.state->h, (const uint8_t *)r[i].job.bytes.p};
                blocks = MIN_OF(blocks, r[i].blocks);
        }
        sha256_compress(lanes, n, blocks);
        for (size_t i = 0; i < n; i++) {
                r[i].blocks -= blocks;
                r[i].job.bytes = view_sub(r[i].job.bytes, blocks * SHA256_BLOCK_BYTES, SIZE_MAX);
        }
}

void sha256_lanes_run(const struct sha256_job *jobs, size_t n) {
        const struct sha256_job *end = jobs + n;
        struct running r[SHA256_LANES];
        size_t active = 0;

        while (active < SHA256_LANES && take_job(&jobs, end, &r[active]))
                active++;
        while (active > 0) {
                advance(r, active);
                for (size_t i = active; i-- > 0;) {
                        if (r[i].blocks > 0)
                                continue;
                        sha256_keep(r[i].job.state, r[i].job.bytes);
                        if (!take_job(&jobs, end, &r[i]))
                                r[i] = r[--active];
                }
        }
}
