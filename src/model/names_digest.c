#include "model/names_digest.h"

#include "base/sha256.h"

void names_digest_init(struct names_digest *d, size_t max) {
        d->hashes = BUF_INIT(max * NAMES_DIGEST_HASH);
}

void names_digest_done(struct names_digest *d) {
        buf_done(&d->hashes);
}

void names_digest_hash(struct view name, uint8_t ret[NAMES_DIGEST_HASH]) {
        uint8_t full[SHA256_BYTES];

        sha256_message(name, full);
        memcpy(ret, full, NAMES_DIGEST_HASH);
}

int names_digest_add(struct names_digest *d, struct view name) {
        uint8_t hash[NAMES_DIGEST_HASH];

        names_digest_hash(name, hash);
        return buf_append(&d->hashes, hash, sizeof hash);
}

static int compare(const void *a, const void *b) {
        return memcmp(a, b, NAMES_DIGEST_HASH);
}

void names_digest_of_sorted(const uint8_t *hashes, size_t n, size_t stride, uint8_t ret[NAMES_DIGEST_MAX]) {
        struct sha256_state state;

        sha256_init(&state);
        for (size_t i = 0; i < n; i++)
                sha256_update(&state, view_make(hashes + i * stride, NAMES_DIGEST_HASH));
        sha256_final(&state, ret);
}

void names_digest_final(struct names_digest *d, uint8_t ret[NAMES_DIGEST_MAX]) {
        size_t n = d->hashes.n / NAMES_DIGEST_HASH;

        if (n > 1)
                qsort(d->hashes.p, n, NAMES_DIGEST_HASH, compare);
        names_digest_of_sorted((const uint8_t *)d->hashes.p, n, NAMES_DIGEST_HASH, ret);
        buf_done(&d->hashes);
}
