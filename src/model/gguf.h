/* gguf: strict streaming reader of GGUF version 2 and 3. It accepts only what all reference readers
 * understand in the same way: rules GGUF-G1 to G17 of the catalogue, and WEIGHTS-001. Pure; at most 64 bytes
 * a tensor, the names' hashes while the header is read, two bits a vocabulary entry, else constant memory. */
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
/* The next bytes in order. After a structural fault the rest is ignored. -ENOMEM. */
SAI_NODISCARD int gguf_feed(struct gguf *g, struct view bytes);
/* After the last byte: reports a file that ended too early. */
void gguf_finish(struct gguf *g);
