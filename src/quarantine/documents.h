/* documents: what quarantine tells others about an artifact, in forms that their tools read. Pure but for the signature, and
 * reproducible bit for bit: the same file, policy and scanner give the same text, at any time and on any machine (a signature
 * of Ed25519 has no chance in it either).
 *
 * statement: a DSSE envelope around an in-toto Statement v1 with the predicate https://slsa.dev/verification_summary/v1: "this verifier has
 * held these digests against this policy, and they passed". It is what other tools understand of somebody else's verdict. The stages and
 * the rules that were quoted stand in members of our own, whose names begin with secai_ as SLSA wants it for extensions.
 *
 * bom: CycloneDX 1.6 with one component of type machine-learning-model and, for a folder, its files. What is said of the model was read out
 * of its own bytes; nothing is looked up. */
#pragma once

#include "core/keys.h"
#include "core/set_listing.h"
#include "quarantine/verdict.h"

#define STATEMENT_TEXT_MAX                                                                                   \
        ((size_t)40 << 20) /* of SET_MEMBERS_MAX files; in base64 it stays below DOCUMENT_BYTES_MAX */

/* `members`: of an artifact that is a folder, sorted; NULL for a file. All append; -EFBIG past the maximum of `out`. The verdict must be
 * known (is_known): without a digest there is nothing to speak of, -EINVAL. */
SAI_NODISCARD int document_statement(const struct verdict *v, const struct set_listing *members,
                                     const struct signing_key *key, struct buf *out);
/* The statement alone, before it is signed. `verifier`: 64 hex digits of the key. */
SAI_NODISCARD int document_statement_text(const struct verdict *v, const struct set_listing *members,
                                          const char *verifier, struct buf *out);
SAI_NODISCARD int document_bom(const struct verdict *v, const struct set_listing *members, struct buf *out);
