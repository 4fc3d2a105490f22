/* verdict: what the seven stages said about one artifact, and the document secai.verdict/1. Pure. */
#pragma once

#include "core/digest.h"
#include "core/set_listing.h"
#include "model/scan.h"
#include "quarantine/stage.h"

#define SCANNER_NAME_MAX 96

struct verdict {
        char name[4 * ARTIFACT_NAME_MAX + 8]; /* escaped */
        bool is_known; /* the pass over the bytes is through: sha256 and summary hold */
        struct sha256 sha256;
        struct model_summary summary;
        struct member_names names; /* of a set's members: all, or those that restored findings name */
        struct set_listing
                members;        /* of a set, when is_known; who restores a verdict adds it from the claim */
        enum model_kind *kinds; /* of the members, or NULL (restored) */
        struct stage stages[STAGES + 1]; /* by number; [0] is unused */
        unsigned last_stage;             /* asked for; 7 unless --stages limited it */
        char policy_digest[SHA256_HEX_SIZE];
        char scanner[SCANNER_NAME_MAX];
};

void verdict_done(struct verdict *v);
static inline void verdict_donep(struct verdict *v) {
        verdict_done(v);
}
/* A stage failed. */
bool verdict_is_reject(const struct verdict *v);
/* Every stage up to last_stage passed or does not apply: "not_run" never passes. */
bool verdict_is_pass(const struct verdict *v);
/* The document. An artifact that did not pass is "reject" there: there is no third word. */
void verdict_write(struct json_writer *w, const struct verdict *v);
/* The document with one member more: "members", for a set [{path,size,sha256,kind} …], else []. */
void verdict_write_with_members(struct json_writer *w, const struct verdict *v);
void verdict_write_stages(struct json_writer *w, const struct verdict *v);
/* {architecture,parameters,context_length,quantization,format_version,tensors} as evidence carries it. */
void verdict_write_summary(struct json_writer *w, const struct verdict *v);

/* Everything, for the job's row: a restart goes on after the last finished stage. */
void verdict_store(struct json_writer *w, const struct verdict *v);
SAI_NODISCARD int verdict_restore(struct view text, struct verdict *ret);
