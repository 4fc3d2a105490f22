/* manifest: which models are trusted, in SQLite, under a signed head.
 *
 * Each change of the list raises the version and signs {version, number of models, digest over all of them}; the head is
 * written in the same transaction and then to head.json. At start the list, the head in the database and head.json are
 * compared, so that an older database, an older head.json or a changed row is noticed. Thread-safe. */
#pragma once

#include "base/fault.h"
#include "core/db.h"
#include "core/digest.h"
#include "registry/evidence.h"
#include "registry/parts.h"

struct manifest; /* opaque */

enum check_state {
        CHECK_OK,
        CHECK_PENDING,
        CHECK_RUNNING,
        CHECK_FAILED,
        CHECK_UNREPORTED, /* failed, and the audit log doesn't know it yet */
        CHECK_STATE_MAX
};
static inline bool check_has_failed(enum check_state s) {
        return s == CHECK_FAILED || s == CHECK_UNREPORTED;
}
const char *check_state_name(enum check_state s); /* "ok", "pending", "running", "failed" */

/* One model; the views live while the callback that gets it runs. */
struct model {
        struct sha256 sha256;
        struct view name, kind, architecture, quantization, promoted_at, job, source, signature_status,
                signature_key;
        struct view verified_at; /* VIEW_NULL: never */
        struct view evidence;    /* the text that was signed */
        uint64_t size, parameters, context_length;
        uint64_t members;      /* files of a set; 0: a single file */
        struct view documents; /* names, separated by commas */
        enum check_state check;
};

struct manifest_head {
        uint64_t version;
        struct sha256 digest;
};

/* Opens <state_path>/manifest.db; makes key and first head when there is nothing yet. -EUCLEAN and *reterr with rule
 * "manifest_rolled_back" or "manifest_tampered" when what is there does not fit together (README.md: what an owner does);
 * -EBUSY (manifest_busy): another process has it open. */
SAI_NODISCARD int manifest_open(const char *state_path, int state_dir, struct manifest **ret,
                                struct fault *reterr);
/* The owner's decision: takes the database as it stands and signs it as a new version, REGISTRY_ACCEPT_STEP above
 * what the files say, so that it is above what the audit log has seen too. */
SAI_NODISCARD int manifest_accept(const char *state_path, int state_dir, struct fault *reterr);
struct manifest *manifest_free(struct manifest *m); /* NULL is fine; returns NULL */
static inline void manifest_freep(struct manifest **m) {
        *m = manifest_free(*m);
}

struct manifest_head manifest_head(struct manifest *m);
/* head.json may stay behind when its folder is full; call now and then. */
void manifest_publish_head(struct manifest *m);

/* A model as it is to be added; all borrowed. */
struct manifest_entry {
        const struct evidence *evidence;
        struct view text;                           /* of the evidence */
        struct view name;                           /* wanted; it gets one that no other model has */
        const struct set_listing *members;          /* NULL: a single file */
        uint64_t document_sizes[DOCUMENT_KIND_MAX]; /* of those that the evidence states */
};
/* 0, or -E2BIG (REGISTRY_MODELS_MAX, REGISTRY_MEMBERS_MAX). The job is noted with it. */
SAI_NODISCARD int manifest_add(struct manifest *m, const struct manifest_entry *entry);
/* -ENOENT. */
SAI_NODISCARD int manifest_remove(struct manifest *m, const struct sha256 *digest);
/* Remembers that this job asked for a model that was there already. */
SAI_NODISCARD int manifest_note_job(struct manifest *m, struct view job, const struct sha256 *digest);
/* What the job led to: 0 and *ret, *ret_duplicate; -ENOENT. */
SAI_NODISCARD int manifest_find_job(struct manifest *m, struct view job, struct sha256 *ret,
                                    bool *ret_duplicate);

typedef int (*manifest_seen)(const struct model *model, void *userdata);
/* In order of names. A negative result of `seen` ends it and is returned. `seen` must not call the manifest. */
SAI_NODISCARD int manifest_each(struct manifest *m, manifest_seen seen, void *userdata);
/* -ENOENT. */
SAI_NODISCARD int manifest_get(struct manifest *m, const struct sha256 *digest, manifest_seen seen,
                               void *userdata);
bool manifest_has(struct manifest *m, const struct sha256 *digest);
/* Files and documents; parts.h says more. `seen` must not call the manifest. */
SAI_NODISCARD int manifest_each_member(struct manifest *m, const struct sha256 *model, part_seen seen,
                                       void *userdata);
SAI_NODISCARD int manifest_each_document(struct manifest *m, const struct sha256 *model, part_seen seen,
                                         void *userdata);
SAI_NODISCARD int manifest_find_member(struct manifest *m, const struct sha256 *model, struct view path,
                                       struct sha256 *ret, uint64_t *ret_size);
SAI_NODISCARD int manifest_find_document(struct manifest *m, const struct sha256 *model,
                                         enum document_kind kind, struct sha256 *ret, uint64_t *ret_size);
/* True when a model is or has this object, and also when that can't be found out: who asks wants to remove it. */
bool manifest_owns(struct manifest *m, const struct sha256 *object);

/* The outcome of reading a model again; CHECK_OK and CHECK_UNREPORTED set the time too. -ENOENT. */
SAI_NODISCARD int manifest_set_check(struct manifest *m, const struct sha256 *digest, enum check_state state);
/* Models that were checked last before `before_usec` become pending. */
SAI_NODISCARD int manifest_make_due(struct manifest *m, uint64_t before_usec);
/* The first pending one: 0 with digest and size, -ENOENT. */
SAI_NODISCARD int manifest_next_pending(struct manifest *m, struct sha256 *ret, uint64_t *ret_size);
/* One whose damage is not in the audit log yet: 0, -ENOENT. */
SAI_NODISCARD int manifest_next_unreported(struct manifest *m, struct sha256 *ret);
