#include "model/merkle.h"

void merkle_init(struct merkle *m) {
        m->leaves = 0;
        m->depth = 0;
}

static void join(const uint8_t *left, const uint8_t *right, uint8_t *out) {
        struct sha256_state s;

        sha256_init(&s);
        sha256_update(&s, VIEW("\1"));
        sha256_update(&s, view_make(left, SHA256_BYTES));
        sha256_update(&s, view_make(right, SHA256_BYTES));
        sha256_final(&s, out);
}

/* Each bit of the number of leaves that is set stands for one full subtree on the stack. */
void merkle_add(struct merkle *m, const uint8_t leaf[SHA256_BYTES]) {
        uint8_t now[SHA256_BYTES];

        memcpy(now, leaf, sizeof now);
        for (uint64_t n = m->leaves; n & 1; n >>= 1)
                join(m->stack[--m->depth], now, now);
        memcpy(m->stack[m->depth++], now, sizeof now);
        m->leaves++;
}

static void begin_leaf(struct sha256_state *s) {
        static const uint8_t prefix[1] = {0};

        sha256_init(s);
        sha256_update(s, view_make(prefix, sizeof prefix));
}

void merkle_add_data(struct merkle *m, struct view data) {
        struct sha256_state s;
        uint8_t leaf[SHA256_BYTES];

        begin_leaf(&s);
        sha256_update(&s, data);
        sha256_final(&s, leaf);
        merkle_add(m, leaf);
}

void merkle_root(const struct merkle *m, uint8_t out[SHA256_BYTES]) {
        if (m->depth == 0) {
                sha256_message(VIEW_NULL, out);
                return;
        }
        memcpy(out, m->stack[m->depth - 1], SHA256_BYTES);
        for (unsigned i = m->depth - 1; i-- > 0;)
                join(m->stack[i], out, out);
}

void merkle_stream_init(struct merkle_stream *m) {
        merkle_init(&m->tree);
        m->filled = 0;
        m->repeated = 0;
}

static void end_leaf(struct merkle_stream *m, struct sha256_state *s) {
        uint8_t leaf[SHA256_BYTES];

        sha256_final(s, leaf);
        if (m->tree.leaves > 0 && memcmp(leaf, m->last, sizeof leaf) == 0)
                m->repeated++;
        memcpy(m->last, leaf, sizeof leaf);
        merkle_add(&m->tree, leaf);
}

/* As many leaves as fit side by side; all but the last of them end here. */
static void feed_some(struct merkle_stream *m, struct view bytes) {
        struct sha256_job jobs[MERKLE_OPEN_MAX];
        size_t n = 0, filled = m->filled;

        while (bytes.n > 0) {
                struct view part = view_sub(bytes, 0, MERKLE_LEAF_BYTES - filled);

                if (filled == 0)
                        begin_leaf(&m->open[n]);
                jobs[n] = (struct sha256_job){&m->open[n], part};
                n++;
                filled = (filled + part.n) % MERKLE_LEAF_BYTES;
                bytes = view_sub(bytes, part.n, SIZE_MAX);
        }
        sha256_lanes_run(jobs, n);
        for (size_t i = 0; i < n - (filled > 0); i++)
                end_leaf(m, &m->open[i]);
        if (filled > 0 && n > 1)
                m->open[0] = m->open[n - 1];
        m->filled = filled;
}

void merkle_stream_feed(struct merkle_stream *m, struct view bytes) {
        while (bytes.n > 0) {
                struct view part = view_sub(bytes, 0, (MERKLE_OPEN_MAX - 1) * MERKLE_LEAF_BYTES);

                feed_some(m, part);
                bytes = view_sub(bytes, part.n, SIZE_MAX);
        }
}

void merkle_stream_root(struct merkle_stream *m, uint8_t out[SHA256_BYTES]) {
        if (m->filled > 0)
                end_leaf(m, &m->open[0]);
        m->filled = 0;
        merkle_root(&m->tree, out);
}
