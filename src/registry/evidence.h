/* evidence: what quarantine states about an artifact, and whether that is enough to trust it. Pure: text in, facts out.
 * The signature is checked by the caller (promote.c) over EVIDENCE_CONTEXT and the text, before the text is read. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"
#include "wire/json.h"

#define EVIDENCE_CONTEXT "secai.evidence/1\n"

/* Papers about an artifact that are kept with it. */
enum document_kind {
        DOCUMENT_TENSORS,
        DOCUMENT_STATEMENT,
        DOCUMENT_BOM,
        DOCUMENT_BEHAVIOUR,
        DOCUMENT_KIND_MAX
};
const char *document_kind_name(enum document_kind k);    /* "tensors", "statement", "bom", "behaviour" */
enum document_kind document_kind_from(struct view name); /* DOCUMENT_KIND_MAX: none of them */

/* Views into the document. */
struct evidence {
        struct json_document *document; /* owned: evidence_done */
        struct view job, name, kind, source, policy_digest, scanner, created;
        struct sha256 sha256;
        uint64_t size;
        struct view architecture, quantization;
        uint64_t parameters, context_length, format_version, tensors;
        uint64_t members; /* files of a set; 0: the artifact is one file */
        bool has_document[DOCUMENT_KIND_MAX];
        struct sha256 documents[DOCUMENT_KIND_MAX];
        const struct json *verdict;
        bool is_signed;  /* provenance: by a trusted key … */
        struct view key; /* … with this id, 64 hex digits */
};

void evidence_done(struct evidence *e);
static inline void evidence_donep(struct evidence *e) {
        evidence_done(e);
}

/* Strict reading: every member there and of its type, nothing unknown. The verdict must be "pass", over the same artifact,
 * with stages 1 to 7 in order under their names; format_gate and static_scan passed, behavioral_test passed for what can be
 * run (gguf, gguf-set) and does not apply to the rest, diffusion_scan passed for diffusion, the others passed or do not
 * apply, "not_run" and "fail" nowhere, no finding that rejects. A set has members, a single file has none. 0 and *ret; -EBADMSG (not evidence) or -EPERM (evidence that doesn't allow promotion) and *reterr; -ENOMEM. */
SAI_NODISCARD int evidence_read(struct view text, struct evidence *ret, struct fault *reterr);
/* A set is named by its listing (core/set_listing.h) and has its files beside it. */
bool evidence_is_set(const struct evidence *e);
/* True for 1..REGISTRY_ID_MAX letters, digits, '-' and '_'. */
bool evidence_id_is_valid(struct view id);
