/* safetensors: strict streaming reader of safetensors files, rules SAFETENSORS-S1 to S12 of the catalogue,
 * and the rules of tensor_scan. Pure; 24 bytes a tensor and its name and shape (tensor_table), a set of
 * names while the header is read, else constant memory. */
#pragma once

#include "model/report.h"
#include "model/scan.h"

struct safetensors; /* opaque; free with safetensors_free */

/* `size` of the whole file; findings go to `report`, facts to `summary` (both borrowed until the end).
 * -ENOMEM. */
SAI_NODISCARD int safetensors_new(uint64_t size, struct model_report *report, struct model_summary *summary,
                                  struct safetensors **ret);
struct safetensors *safetensors_free(struct safetensors *s); /* NULL is fine; returns NULL */
static inline void safetensors_freep(struct safetensors **s) {
        *s = safetensors_free(*s);
}
/* Where limits and sink can be set; its facts are in the summary at the end. */
struct tensor_scan;
struct tensor_scan *safetensors_tensors(struct safetensors *s);
/* What the reader understood of the header, in the order of the text; for comparison with other readers. */
enum safetensors_part {
        SAFETENSORS_METADATA_KEY,
        SAFETENSORS_METADATA_TEXT,
        SAFETENSORS_NAME, /* a tensor begins */
        SAFETENSORS_DTYPE,
        SAFETENSORS_DIMENSION,
        SAFETENSORS_OFFSET
};
struct safetensors_visitor {
        void *userdata;
        /* `text` of names and texts, unescaped and at most JSON_STREAM_TEXT_MAX bytes of `number`; else VIEW_NULL and
         * the number. */
        void (*part)(void *userdata, enum safetensors_part part, struct view text, uint64_t number);
};
/* Before the first byte; `visitor` is borrowed until the end. */
void safetensors_visit(struct safetensors *s, const struct safetensors_visitor *visitor);
/* The next bytes in order. After a structural fault the rest is ignored. -ENOMEM. */
SAI_NODISCARD int safetensors_feed(struct safetensors *s, struct view bytes);
/* After the last byte: reports a file that ended too early. */
void safetensors_finish(struct safetensors *s);
