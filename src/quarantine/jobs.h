/* jobs: the table of files under examination, in SQLite. What it says survives kill -9; what is not in it did not happen.
 * Thread-safe. Names and signatures are kept as the bytes they were. */
#pragma once

#include "base/buf.h"
#include "core/db.h"
#include "quarantine/artifact.h"
#include "quarantine/verdict.h"

#define JOB_ID_SIZE 25 /* 24 hex digits and NUL: time, then chance */

enum job_state {
        JOB_RECEIVING,
        JOB_WAITING,
        JOB_SCANNING,
        JOB_PROMOTING,
        JOB_PROMOTED,
        JOB_REJECTED,
        JOB_PARKED,
        JOB_STATE_MAX
};
const char *job_state_name(enum job_state s);
static inline bool job_state_is_final(enum job_state s) {
        return s == JOB_PROMOTED || s == JOB_REJECTED || s == JOB_PARKED;
}

struct job {
        char id[JOB_ID_SIZE];
        struct buf name; /* as it came */
        struct buf url;
        struct buf signature; /* of stage 4; empty: none */
        uint64_t size;
        enum source_kind source;
        bool from_inbox;
        enum job_state state;
        unsigned stage, tries, starts;
        struct buf code, reason; /* of PARKED and REJECTED */
        uint64_t created_usec, updated_usec, not_before_usec;
        bool duplicate;
        bool kept;                    /* REJECTED: the file is still there */
        char sha256[SHA256_HEX_SIZE]; /* "" until known */
        char file_id[128];            /* of the claim when `verdict` was made */
        struct buf verdict;           /* verdict_store, or empty */
        struct buf evidence, evidence_signature;
        char inbox_id[128]; /* of the inbox entry */
};
#define JOB_INIT                                                                                             \
        ((struct job){.name = BUF_INIT(ARTIFACT_NAME_MAX),                                                   \
                      .url = BUF_INIT(URL_MAX),                                                              \
                      .signature = BUF_INIT(BUNDLE_BYTES_MAX),                                               \
                      .code = BUF_INIT(64),                                                                  \
                      .reason = BUF_INIT(1024),                                                              \
                      .verdict = BUF_INIT((size_t)2 << 20),                                                  \
                      .evidence = BUF_INIT((size_t)2 << 20),                                                 \
                      .evidence_signature = BUF_INIT(256)})
void job_done(struct job *j);
static inline void job_donep(struct job *j) {
        job_done(j);
}

struct jobs; /* opaque */
SAI_NODISCARD int jobs_open(const char *path, struct jobs **ret);
struct jobs *jobs_free(struct jobs *s);

/* A new row; fills id, created and updated. */
SAI_NODISCARD int jobs_add(struct jobs *s, struct job *j);
/* -ENOENT. *ret is cleared first and owned by the caller (job_done). */
SAI_NODISCARD int jobs_get(struct jobs *s, struct view id, struct job *ret);
/* Writes everything but id, name and created; sets updated. -ENOENT when the row is gone. */
SAI_NODISCARD int jobs_put(struct jobs *s, struct job *j);
SAI_NODISCARD int jobs_delete(struct jobs *s, struct view id);

/* The waiting or promoting job whose turn it is, marked as scanning (promoting stays) with one more start. -ENOENT: none. */
SAI_NODISCARD int jobs_take(struct jobs *s, uint64_t now_real_usec, struct job *ret);

/* Ids (24 digits each, one after the other), newest first. `state` JOB_STATE_MAX: all. */
SAI_NODISCARD int jobs_list(struct jobs *s, enum job_state state, bool oldest_first, unsigned most,
                            struct buf *ids);
/* The parked row that says why this inbox entry is refused; -ENOENT. */
SAI_NODISCARD int jobs_find_refusal(struct jobs *s, const char *inbox_id, char ret_id[JOB_ID_SIZE]);
/* Sum of the sizes of rejected files that are kept. */
SAI_NODISCARD int jobs_kept_bytes(struct jobs *s, uint64_t *ret);
/* Forgets the oldest rows without a file (promoted, or rejected and evicted) beyond `most`. */
SAI_NODISCARD int jobs_trim(struct jobs *s, unsigned most);
