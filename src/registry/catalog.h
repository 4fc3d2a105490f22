/* catalog: the registry's acts on manifest and objects together: promote, open, delete, and the repair at start. Each act
 * that changes something is in the audit log before it happens, or it doesn't happen. Thread-safe. */
#pragma once

#include "core/audit_client.h"
#include "core/keys.h"
#include "registry/blocklist.h"
#include "registry/manifest.h"
#include "registry/objects.h"

struct catalog; /* opaque */

struct catalog_parts { /* all borrowed */
        struct manifest *manifest;
        struct objects *objects;
        struct blocklist *blocklist;
        struct public_key *evidence_key;
        struct audit_client *audit;
};

SAI_NODISCARD int catalog_new(const struct catalog_parts *parts, struct catalog **ret);
struct catalog *catalog_free(struct catalog *c); /* NULL is fine; returns NULL */

/* Why an act was refused, for the other program and for people. */
struct refusal {
        const char *code; /* stable */
        bool final;       /* no retry will help */
        char text[200];
};

/* After a crash: removes objects that no model owns (the source is still with quarantine, which asks again) and marks models
 * whose object is gone as failed. Numbers of each. */
SAI_NODISCARD int catalog_repair(struct catalog *c, uint64_t *ret_orphans, uint64_t *ret_missing);

struct promotion {
        struct view job, name;
        struct view evidence, signature; /* decoded */
        int fd;                          /* borrowed */
};
/* 0 with *ret_digest and *ret_duplicate (was there already, by another job), or negative and *reterr. The same job may ask
 * again and again. */
SAI_NODISCARD int catalog_promote(struct catalog *c, const struct promotion *p, struct sha256 *ret_digest,
                                  bool *ret_duplicate, struct refusal *reterr);

/* A read-only descriptor of a model that is in order; counts as loaded until catalog_release. `name` gets its name. */
SAI_NODISCARD int catalog_open(struct catalog *c, const struct sha256 *digest, uint64_t *ret_size,
                               struct buf *name, struct refusal *reterr);
void catalog_release(struct catalog *c, const struct sha256 *digest);
bool catalog_is_loaded(struct catalog *c, const struct sha256 *digest);

/* -ENOENT unknown, -EBUSY loaded, others. */
SAI_NODISCARD int catalog_delete(struct catalog *c, const struct sha256 *digest, struct view caller,
                                 struct refusal *reterr);
/* The background check's result. A damaged model is not opened from then on. */
SAI_NODISCARD int catalog_checked(struct catalog *c, const struct sha256 *digest, bool good);
/* Tells the audit log of damage that it doesn't know yet; what can't be told now stays for the next call. */
SAI_NODISCARD int catalog_report_damage(struct catalog *c);
