/* handover: what one connection has handed in for a promotion: the files of a set and documents. They lie in the store
 * already, but belong to nobody: as long as the handover lives they stay, and when it ends, whatever no model has is
 * removed. One caller at a time. */
#pragma once

#include "registry/catalog.h"

struct handover; /* opaque */

SAI_NODISCARD int handover_new(struct catalog *c, struct handover **ret);
struct handover *handover_free(struct handover *h); /* NULL is fine; returns NULL */

/* A file of a set; the descriptor is taken when *fd is set to -EBADF. It is hashed beside, on two threads; when it is not as
 * stated, a later call says so, handover_wait at the latest. 0, or negative and *reterr. */
SAI_NODISCARD int handover_member(struct handover *h, int *fd, uint64_t size, const struct sha256 *digest,
                                  struct refusal *reterr);
/* A document; of each kind one. */
SAI_NODISCARD int handover_document(struct handover *h, int fd, enum document_kind kind,
                                    const struct sha256 *digest, struct refusal *reterr);
/* 0 when everything handed in is in the store as it was stated. */
SAI_NODISCARD int handover_wait(struct handover *h, struct refusal *reterr);
bool handover_has_member(const struct handover *h, const struct sha256 *digest, uint64_t size);
/* The document's size, 0 when there is none of this kind and content. */
uint64_t handover_document_size(const struct handover *h, enum document_kind kind,
                                const struct sha256 *digest);
/* Number of documents handed in. */
unsigned handover_documents(const struct handover *h);
/* After a promotion that has an end: nothing is handed in any more. */
void handover_clear(struct handover *h);
