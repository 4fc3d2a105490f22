/* sig_intoto: in-toto Statements v1 of others than Model Signing: which artifacts (subjects, by SHA-256) something is said of, and what.
 * Read only after the signature over it is known to be right. Pure.
 *
 * SLSA provenance v1 says who built something, and how. Of it the builder is believed or not (policy.yaml, provenance.builders); the rest
 * is well-formed or the statement is refused, but it is not judged. Members of the predicate that are unknown are skipped, as SLSA
 * wants it; unknown members of the statement itself are not.
 *
 * A SLSA verification summary v1 of this project's own quarantine says what the verdict was (quarantine/documents.h). */
#pragma once

#include "core/sig_bundle.h"
#include "core/sig_statement.h"
#include "core/sig_trust.h"

struct sig_subject {
        struct view name;
        struct sha256 sha256;
};

struct sig_intoto {
        struct view type; /* of the predicate */
        const struct json *predicate;
        struct sig_subject *subjects;
        size_t n;
        struct json_document *document;
};

/* 0 and *ret (caller owns), or PROVENANCE-020, -021 in *reterr. */
SAI_NODISCARD int sig_intoto_read(struct view payload, struct sig_intoto **ret, struct fault *reterr);
struct sig_intoto *sig_intoto_free(struct sig_intoto *s); /* NULL is fine; returns NULL */
static inline void sig_intoto_freep(struct sig_intoto **s) {
        *s = sig_intoto_free(*s);
}

/* A statement about files, whoever's: one of Model Signing as it is, or the subjects of a SLSA provenance by a builder that `t` names. `file`:
 * the SHA-256 of the one file that is asked about, or NULL for a folder, whose files the subjects' names are. *ret_builder (may be
 * empty) lives as long as the statement. PROVENANCE-020 to -026. */
SAI_NODISCARD int sig_intoto_files(struct view payload, const struct sig_trust *t, const struct sha256 *file,
                                   struct sig_statement **ret, struct view *ret_builder,
                                   struct fault *reterr);

struct sig_summary {
        bool is_pass;
        struct view name, scanner, policy; /* of the artifact; of who judged; 64 hex digits */
        struct sha256 sha256;
        struct sig_statement *files; /* of a folder; NULL: a single file */
        struct sig_intoto *statement;
};
/* An envelope (sig_envelope_read) that quarantine's `key` must have signed. 0 and *ret (caller: sig_summary_done), also when the verdict is
 * reject; or PROVENANCE-016, -017, -020 to -022, -027. */
SAI_NODISCARD int sig_summary_read(const struct sig_bundle *envelope, const struct sig_key *key,
                                   struct sig_summary *ret, struct fault *reterr);
/* Whether the verdict is about this, and lets it in. PROVENANCE-028, -030 to -034. */
SAI_NODISCARD int sig_summary_check_file(const struct sig_summary *s, const struct sha256 *digest,
                                         struct fault *reterr);
SAI_NODISCARD int sig_summary_check_folder(const struct sig_summary *s, int dir_fd, uint64_t *ret_files,
                                           uint64_t *ret_bytes, struct fault *reterr);
void sig_summary_done(struct sig_summary *s);
static inline void sig_summary_donep(struct sig_summary *s) {
        sig_summary_done(s);
}
