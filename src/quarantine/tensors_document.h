/* tensors_document: writes secai.tensors/1, what the worker told about each tensor, piece by piece as it comes in; memory stays
 * constant. Thread-safe towards tensors_document_hearer: a set is read by two workers, and its tensors come in the order in
 * which they are done. docs/components/weights.md describes the text. */
#pragma once

#include "core/digest.h"
#include "core/set_walk.h"
#include "quarantine/worker_link.h"

struct tensors_document;

struct tensors_output {
        int (*put)(void *userdata,
                   struct view text); /* negative ends the writing; tensors_document_end says so */
        void *userdata;
};

/* `set` (borrowed) names the files, NULL: a single file. */
SAI_NODISCARD int tensors_document_new(const struct tensors_output *out, const struct set_walk *set,
                                       struct tensors_document **ret);
struct tensors_document *tensors_document_free(struct tensors_document *d);
static inline void tensors_document_freep(struct tensors_document **d) {
        *d = tensors_document_free(*d);
}
/* To be handed to the pass; valid as long as `d`. */
const struct tensor_hearer *tensors_document_hearer(struct tensors_document *d);
/* After the pass: what is true of the whole. Tensors beyond TENSORS_TEXT_MAX bytes of text are left out and counted. */
SAI_NODISCARD int tensors_document_end(struct tensors_document *d, const struct sha256 *sha256, uint64_t size,
                                       const struct model_summary *summary);
