#include "registry/digest_count.h"

#include <search.h>

static int compare(const void *a, const void *b) {
        const struct digest_entry *x = a, *y = b;

        return memcmp(x->digest.b, y->digest.b, SHA256_SIZE);
}

/* tsearch gives the place in which the pointer to the entry lies. */
static struct digest_entry *entry_at(void *node) {
        return node ? *(struct digest_entry **)node : NULL;
}

struct digest_entry *digest_count_find(const struct digest_count *c, const struct sha256 *digest) {
        struct digest_entry wanted = {.digest = *digest};

        return entry_at(tfind(&wanted, (void *const *)&c->root, compare));
}

struct digest_entry *digest_count_get(struct digest_count *c, const struct sha256 *digest) {
        struct digest_entry *e = digest_count_find(c, digest);

        if (e)
                return e;
        e = calloc(1, sizeof *e);
        if (!e)
                return NULL;
        e->digest = *digest;
        if (!tsearch(e, &c->root, compare)) {
                free(e);
                return NULL;
        }
        c->n++;
        return e;
}

void digest_count_drop(struct digest_count *c, struct digest_entry *e) {
        (void)tdelete(e, &c->root, compare);
        c->n--;
        free(e);
}

struct digest_entry *digest_count_any(const struct digest_count *c) {
        return entry_at(c->root);
}

void digest_count_done(struct digest_count *c) {
        for (struct digest_entry *e = digest_count_any(c); e; e = digest_count_any(c))
                digest_count_drop(c, e);
}
