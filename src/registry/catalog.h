/* catalog: the registry's acts on manifest and objects together: promote, open, delete, and the repair at start. Each act
 * that changes something is in the audit log before it happens, or it doesn't happen. Thread-safe. */
#pragma once

#include "core/audit_client.h"
#include "core/keys.h"
#include "registry/blocklist.h"
#include "registry/manifest.h"
#include "registry/objects.h"
#include "registry/refusal.h"

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

/* After a crash: removes objects that no model has as itself, file or document (the source is still with quarantine, which asks
 * again) and marks models as failed of which the file, or a file of the set, is gone. Numbers of each. */
SAI_NODISCARD int catalog_repair(struct catalog *c, uint64_t *ret_orphans, uint64_t *ret_missing);

struct handover;
struct promotion {
        struct view job, name;
        struct view evidence, signature; /* decoded */
        int fd;                          /* borrowed: the file, of a set its listing */
        struct handover *handed;         /* files of the set and documents that came before; NULL: none */
};
/* 0 with *ret_digest and *ret_duplicate (was there already, by another job), or negative and *reterr. The same job may ask
 * again and again. */
SAI_NODISCARD int catalog_promote(struct catalog *c, const struct promotion *p, struct sha256 *ret_digest,
                                  bool *ret_duplicate, struct refusal *reterr);

struct catalog_model {
        uint64_t size, members; /* members: files of a set, 0: a single file */
        struct buf name, kind;  /* the caller's: BUF_INIT */
};
/* A read-only descriptor of a model that is in order (of a set: of its listing); counts as loaded until catalog_release. */
SAI_NODISCARD int catalog_open(struct catalog *c, const struct sha256 *digest, struct catalog_model *ret,
                               struct refusal *reterr);
/* A file of a set that is open, and a document (which has been read and is as it was promoted). */
SAI_NODISCARD int catalog_open_member(struct catalog *c, const struct sha256 *set, struct view path,
                                      uint64_t *ret_size, struct refusal *reterr);
SAI_NODISCARD int catalog_open_document(struct catalog *c, const struct sha256 *model,
                                        enum document_kind kind, uint64_t *ret_size, struct refusal *reterr);
void catalog_release(struct catalog *c, const struct sha256 *digest);
bool catalog_is_loaded(struct catalog *c, const struct sha256 *digest);

/* For handover.c: while an object is held it is not removed, whoever owned it; afterwards it is when nobody does. */
SAI_NODISCARD int catalog_hold(struct catalog *c, const struct sha256 *digest);
void catalog_let_go(struct catalog *c, const struct sha256 *digest);
struct objects *catalog_objects(struct catalog *c);

/* -ENOENT unknown, -EBUSY loaded, others. */
SAI_NODISCARD int catalog_delete(struct catalog *c, const struct sha256 *digest, struct view caller,
                                 struct refusal *reterr);
/* The background check's result. A damaged model is not opened from then on. */
SAI_NODISCARD int catalog_checked(struct catalog *c, const struct sha256 *digest, bool good);
/* Tells the audit log of damage that it doesn't know yet; what can't be told now stays for the next call. */
SAI_NODISCARD int catalog_report_damage(struct catalog *c);
