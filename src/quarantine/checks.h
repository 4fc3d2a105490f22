/* checks: the stages that look at circumstances instead of bytes: where it came from (1), whether its kind is accepted (part
 * of 2), what is known about its digest (3), who signed it (4). Each puts findings; stage_settle says pass or fail. */
#pragma once

#include "core/set_listing.h"
#include "model/scan.h"
#include "quarantine/artifact.h"
#include "quarantine/policy.h"
#include "quarantine/stage.h"

SAI_NODISCARD int check_source(const struct policy *p, const struct artifact *a, struct stage *s);
SAI_NODISCARD int check_format(const struct policy *p, const struct model_summary *summary, struct stage *s);
/* `set`: the members of a set, each of which may be pinned (as "NAME/path") or blocked as well; NULL for a single file. */
SAI_NODISCARD int check_integrity(const struct policy *p, const struct artifact *a,
                                  const struct sha256 *digest, const struct model_summary *summary,
                                  const struct set_listing *set, struct stage *s);
/* A bare signature of a set is one over the text of its listing; a bundle's statement names the members.
 * Ed25519 signs the message itself: files up to ED25519_BYTES_MAX are read a second time for it, and only when a signature
 * and an Ed25519 key are there. ECDSA uses the digest of the pass. */
SAI_NODISCARD int check_provenance(const struct policy *p, const struct artifact *a,
                                   const struct sha256 *digest, const struct set_listing *set,
                                   struct stage *s);
