/* digest_count: how often each of many objects is counted, and a number kept beside it. A balanced tree: fast also when an
 * attacker chose the digests. Not thread-safe. */
#pragma once

#include "core/digest.h"

struct digest_count {
        void *root; /* of tsearch */
        size_t n;   /* different digests */
};

struct digest_entry {
        struct sha256 digest;
        unsigned count;
        uint64_t value; /* the caller's */
};

/* The entry, made with count 0 when it is new; valid until it is dropped. NULL: out of memory. */
struct digest_entry *digest_count_get(struct digest_count *c, const struct sha256 *digest);
/* NULL: not there. */
struct digest_entry *digest_count_find(const struct digest_count *c, const struct sha256 *digest);
void digest_count_drop(struct digest_count *c, struct digest_entry *e);
void digest_count_done(struct digest_count *c);
/* Any entry, NULL when there is none. */
struct digest_entry *digest_count_any(const struct digest_count *c);
