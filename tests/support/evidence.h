/* evidence: builds signed evidence as quarantine would, for tests of the registry and of what stands behind it. */
#pragma once

#include "base/buf.h"
#include "core/digest.h"

/* What the evidence says; start from evidence_spec_for and change what the test is about. */
struct evidence_spec {
        char job[65];
        const char *name, *kind, *source, *verdict, *quantization;
        const char *statuses[7]; /* of stages 1 to 7 */
        const char *policy_digest;
        struct sha256 sha256;
        uint64_t size;
        uint64_t members;      /* of a set */
        const char *documents; /* NULL, or the members of "documents": "\"bom\":\"…\"" */
        const char *extra;     /* NULL, or a further member: "\"more\":1" */
        const char *finding;   /* NULL, or the severity of a finding in stage 5 */
        bool is_signed;        /* stage 4 says that a trusted key signed the file */
};

/* Evidence that passes: a GGUF named `name` with that content, under a new job id. */
struct evidence_spec evidence_spec_for(const char *name, struct view content);
/* Appends the evidence's text. */
void evidence_write(const struct evidence_spec *s, struct buf *out);
/* Makes quarantine's key pair in `private_dir` once and puts evidence.pub into `credentials_dir`. */
void evidence_make_key(const char *private_dir, const char *credentials_dir);
/* The promote message for the channel, signed with that key. */
void evidence_message(const char *private_dir, const struct evidence_spec *s, struct buf *out);
/* The same for any text. */
void evidence_message_of(const char *private_dir, const char *job, const char *name, struct view text,
                         struct buf *out);
