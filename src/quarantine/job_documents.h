/* job_documents: what quarantine writes down about an artifact besides the verdict. Documents are JSON texts in the job's own
 * folder, claims/<job>/<name>.json; they move along to rejected/<job>/ and go with the job. When a model is promoted they are handed to
 * the registry; the signed evidence names their digests.
 *
 * A document is written under a temporary name, synced and renamed: whoever opens it sees all of it or none. Functions take the folder's
 * descriptor (job_documents_folder); one writer a document at a time. */
#pragma once

#include "core/keys.h"
#include "core/set_listing.h"
#include "quarantine/claim.h"

/* The names are part of interfaces; append only. */
enum document {
        DOCUMENT_TENSORS,   /* secai.tensors/1: what was seen of each tensor */
        DOCUMENT_STATEMENT, /* DSSE envelope of the in-toto statement of the verdict */
        DOCUMENT_BOM,       /* CycloneDX 1.6 */
        DOCUMENT_BEHAVIOUR, /* report of stage 6 */
        DOCUMENT_MAX
};
const char *document_name(enum document d);                                 /* "tensors" … */
SAI_NODISCARD int document_from_name(struct view name, enum document *ret); /* -ENOENT */

/* The job's folder below claims/ or, once it is rejected, rejected/. The descriptor, or -ENOENT. */
SAI_NODISCARD int job_documents_folder(const struct claims *c, const char *job);

/* For texts that are made piece by piece; memory stays constant. -EFBIG past DOCUMENT_BYTES_MAX. */
struct document_writer;
SAI_NODISCARD int document_writer_new(int folder, enum document d, struct document_writer **ret);
SAI_NODISCARD int document_writer_put(struct document_writer *w, struct view text);
/* Everything is on disk under its name now; replaces what was there. The writer is still to be freed. */
SAI_NODISCARD int document_writer_end(struct document_writer *w, struct sha256 *ret);
struct document_writer *document_writer_free(struct document_writer *w); /* without _end nothing is kept */
static inline void document_writer_freep(struct document_writer **w) {
        *w = document_writer_free(*w);
}
/* All at once. */
SAI_NODISCARD int document_write(int folder, enum document d, struct view text, struct sha256 *ret);

/* A read-only descriptor at position 0. -ENOENT: there is none; -EFBIG. */
SAI_NODISCARD int document_open(int folder, enum document d, int *ret_fd, uint64_t *ret_size);
/* Missing is fine. */
SAI_NODISCARD int document_remove(int folder, enum document d);

/* Which are there. */
void job_documents_look(int folder, bool ret[DOCUMENT_MAX]);

struct job_documents {
        struct {
                bool exists;
                uint64_t size;
                struct sha256 sha256;
        } of[DOCUMENT_MAX];
};
/* What lies in the folder now. Reads all of it for the digests. */
SAI_NODISCARD int job_documents_list(int folder, struct job_documents *ret);
/* The documents and what a cut-off writer has left. */
SAI_NODISCARD int job_documents_remove(int folder);
/* Writes the statement of the verdict and, for what passed, the bill of materials. `members`: as for documents.h. */
SAI_NODISCARD int job_documents_make(int folder, const struct verdict *v, const struct set_listing *members,
                                     const struct signing_key *key);
