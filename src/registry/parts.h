/* parts: what belongs to a model besides itself, in the manifest's database: the files of a set and the documents. All
 * functions run inside a transaction of the caller (manifest.c); the signed head covers these rows too. */
#pragma once

#include "core/db.h"
#include "core/digest.h"
#include "core/set_listing.h"
#include "registry/evidence.h"

/* Appended to the manifest's migrations. */
#define PARTS_SCHEMA                                                                                         \
        "CREATE TABLE member("                                                                               \
        " model TEXT NOT NULL REFERENCES model(sha256) ON DELETE CASCADE, path TEXT NOT NULL,"               \
        " sha256 TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(model, path)) STRICT, WITHOUT ROWID;"     \
        "CREATE INDEX member_sha256 ON member(sha256);"                                                      \
        "CREATE TABLE document("                                                                             \
        " model TEXT NOT NULL REFERENCES model(sha256) ON DELETE CASCADE, name TEXT NOT NULL,"               \
        " sha256 TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(model, name)) STRICT, WITHOUT ROWID;"     \
        "CREATE INDEX document_sha256 ON document(sha256);"

/* One file of a set, or one document; the views live while the callback that gets it runs. */
struct part {
        struct sha256 model, sha256;
        struct view name; /* path in the set, or the document's name */
        uint64_t size;
};
typedef int (*part_seen)(const struct part *part, void *userdata);

/* `members` NULL: a single file. `sizes` of the documents that the evidence states. -E2BIG: REGISTRY_MEMBERS_MAX in all. */
SAI_NODISCARD int parts_insert(struct db *db, const struct evidence *e, const struct set_listing *members,
                               const uint64_t sizes[DOCUMENT_KIND_MAX]);
/* Adds all rows to a running digest; nothing when there are none. */
SAI_NODISCARD int parts_hash(struct db *db, struct digest *d);
/* Files of a set in order of their paths; `model` NULL: of all sets whose last check was good, in any order. */
SAI_NODISCARD int parts_each_member(struct db *db, const struct sha256 *model, part_seen seen,
                                    void *userdata);
SAI_NODISCARD int parts_each_document(struct db *db, const struct sha256 *model, part_seen seen,
                                      void *userdata);
/* 0 with *ret and *ret_size, or -ENOENT. */
SAI_NODISCARD int parts_find_member(struct db *db, const struct sha256 *model, struct view path,
                                    struct sha256 *ret, uint64_t *ret_size);
SAI_NODISCARD int parts_find_document(struct db *db, const struct sha256 *model, enum document_kind kind,
                                      struct sha256 *ret, uint64_t *ret_size);
/* 1 when any model is this object, or has it as a file or document; 0; negative. */
SAI_NODISCARD int parts_is_owned(struct db *db, const struct sha256 *object);
