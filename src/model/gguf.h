/* gguf: strict streaming reader of GGUF version 2 and 3. It accepts only what all reference readers
 * understand in the same way: rules GGUF-G1 to G17 of the catalogue, and those of tensor_scan. Pure; 9 bytes
 * a tensor and its name and shape (tensor_table), the names' hashes while the header is read, two bits a vocabulary entry, else constant memory. */
#pragma once

#include "model/report.h"
#include "model/scan.h"

struct gguf; /* opaque; free with gguf_free */

/* `size` of the whole file; findings go to `report`, facts to `summary` (both borrowed until the end).
 * -ENOMEM. */
SAI_NODISCARD int gguf_new(uint64_t size, struct model_report *report, struct model_summary *summary,
                           struct gguf **ret);
struct gguf *gguf_free(struct gguf *g); /* NULL is fine; returns NULL */
static inline void gguf_freep(struct gguf **g) {
        *g = gguf_free(*g);
}
/* What the reader understood, as it goes on; for comparison with other readers. Each function may be NULL. */
struct gguf_visitor {
        void *userdata;
        /* `element_type` and `count` are those of a list, GGUF_TYPE_MAX and 1 otherwise (gguf_metadata.h). */
        void (*pair)(void *userdata, struct view key, uint32_t type, uint32_t element_type, uint64_t count);
        /* Bytes of the last pair's value as they stand in the file, texts behind their 8 bytes of length; in pieces of any
         * size. */
        void (*value)(void *userdata, struct view bytes);
        void (*tensor)(void *userdata, struct view name, uint32_t type, uint32_t rank,
                       const uint64_t *dimensions, uint64_t offset);
        void (*data)(void *userdata, uint64_t start); /* file offset that tensors' offsets count from */
};
/* Before the first byte; `visitor` is borrowed until the end. */
void gguf_visit(struct gguf *g, const struct gguf_visitor *visitor);
/* Where limits and sink can be set; its facts are in the summary at the end. */
struct tensor_scan;
struct tensor_scan *gguf_tensors(struct gguf *g);
/* The next bytes in order. After a structural fault the rest is ignored. -ENOMEM. */
SAI_NODISCARD int gguf_feed(struct gguf *g, struct view bytes);
/* After the last byte: reports a file that ended too early. */
void gguf_finish(struct gguf *g);
