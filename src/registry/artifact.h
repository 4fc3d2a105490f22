/* artifact: does what was handed in fit the evidence? For a set the promoted descriptor is the listing of its files, and
 * each of them must have been handed in; of the documents exactly those that the evidence names. */
#pragma once

#include "core/set_listing.h"
#include "registry/blocklist.h"
#include "registry/evidence.h"
#include "registry/handover.h"

struct artifact {
        struct set_listing listing; /* of a set */
        uint64_t size;              /* of the file behind the promoted descriptor */
        uint64_t document_sizes[DOCUMENT_KIND_MAX];
};

void artifact_done(struct artifact *a);
static inline void artifact_donep(struct artifact *a) {
        artifact_done(a);
}
/* `handed` NULL: nothing was. 0 and *ret, or negative and *reterr: bad_descriptor, size_mismatch, sha256_mismatch, bad_listing,
 * member_missing, blocked, documents_mismatch. */
SAI_NODISCARD int artifact_check(const struct evidence *e, int fd, const struct handover *handed,
                                 struct blocklist *blocklist, struct artifact *ret, struct refusal *reterr);
