/* merkle: a Merkle tree as RFC 6962 hashes it (leaf SHA-256(00 || data), node SHA-256(01 || left || right)), over leaves
 * of MERKLE_LEAF_BYTES (the last may be shorter; no bytes: the hash of the empty text). Streaming, constant memory:
 * bytes in any pieces. Several leaves are hashed side by side. Pure. */
#pragma once

#include "base/sha256_lanes.h"

#define MERKLE_LEAF_BYTES ((size_t)64 << 10)
#define MERKLE_DEPTH_MAX  48u /* 2^48 leaves */
#define MERKLE_OPEN_MAX   8u  /* leaves hashed in one go */

struct merkle {
        uint64_t leaves;
        uint8_t stack[MERKLE_DEPTH_MAX][SHA256_BYTES]; /* roots of full subtrees, largest first */
        unsigned depth;
};

void merkle_init(struct merkle *m);
/* `leaf` is a leaf's hash already. */
void merkle_add(struct merkle *m, const uint8_t leaf[SHA256_BYTES]);
void merkle_add_data(struct merkle *m, struct view data); /* one leaf, any length */
void merkle_root(const struct merkle *m, uint8_t out[SHA256_BYTES]);

/* Cuts a stream of bytes into leaves. */
struct merkle_stream {
        struct merkle tree;
        struct sha256_state open[MERKLE_OPEN_MAX]; /* [0] is the leaf that is being filled, when filled > 0 */
        size_t filled;
        uint64_t repeated; /* leaves that are the same as the one before them */
        uint8_t last[SHA256_BYTES];
};

void merkle_stream_init(struct merkle_stream *m);
void merkle_stream_feed(struct merkle_stream *m, struct view bytes);
/* Ends the last leaf. */
void merkle_stream_root(struct merkle_stream *m, uint8_t out[SHA256_BYTES]);
