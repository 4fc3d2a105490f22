/* demand: which signer the owner wants for files of a certain source (policy.yaml, provenance.sources). Where an entry matches a file, one of
 * the signers that it names must have signed it, whoever else is trusted. Every entry that matches must be met, so that an entry more
 * can only make the policy tighter. Pure, immutable.
 *
 * `match`: "local" (everything that did not come from an address), an address (that and what is below it), or a pattern for the
 * file's name in which * stands for any characters and ? for one. A name is chosen by whoever brings the file: a pattern protects the name, not
 * the source. */
#pragma once

#include "core/sig_check.h"
#include "quarantine/artifact.h"
#include "wire/url.h"

#define DEMANDS_MAX        64
#define DEMAND_SIGNERS_MAX 8
#define DEMAND_MATCH_MAX   512
#define DEMAND_TEXT_MAX    ((size_t)8192)

struct demands; /* opaque; free with demands_free */

/* `list`: provenance.sources, checked against the schema; NULL is fine. `trust` is borrowed and must outlive it: a signer that it does
 * not believe is a mistake. -EBADMSG or -E2BIG and CONFIG-002 in *reterr. */
SAI_NODISCARD int demands_read(const struct json *list, const struct sig_trust *trust, struct demands **ret,
                               struct fault *reterr);
struct demands *demands_free(struct demands *d); /* NULL is fine; returns NULL */

/* Whether anything is demanded of this artifact: then it must be signed. */
bool demands_concern(const struct demands *d, const struct artifact *a);
/* True when each entry that matches names this signer. Else the first that is not met is told in *out: "policy.yaml:12: files
 * matching … must be signed by …". `signer` NULL: nobody signed. -ENOMEM and others when that can't be told. */
SAI_NODISCARD int demands_check(const struct demands *d, const struct artifact *a,
                                const struct sig_result *signer, bool *ret_met, struct buf *out);
