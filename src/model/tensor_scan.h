/* tensor_scan: what the readers of both formats do with tensors: every tensor's bytes are looked at once for numbers that
 * are none (weights), for what they look like (tensor_stats), and hashed (merkle); what stands out beyond the limits of
 * policy becomes a finding, and each tensor's record goes to the sink. Pure; memory does not depend on the tensors. */
#pragma once

#include "model/merkle.h"
#include "model/report.h"
#include "model/scan.h"
#include "model/tensor_stats.h"

struct tensor_scan; /* opaque; free with tensor_scan_free */

struct tensor_about {
        struct view name;
        const char *type; /* static */
        const uint64_t *shape;
        uint32_t rank;
        uint64_t at, bytes; /* in the file; used by tensor_scan_begin */
        const struct weights_layout *layout;
        size_t block;
};

/* Both borrowed until the end. -ENOMEM. */
SAI_NODISCARD int tensor_scan_new(struct model_report *report, struct model_summary *summary,
                                  struct tensor_scan **ret);
/* Before the first tensor; copied. NULL: the limits that are built in, nobody to tell. */
void tensor_scan_set(struct tensor_scan *t, const struct weights_limits *limits,
                     const struct tensor_sink *sink);
struct tensor_scan *tensor_scan_free(struct tensor_scan *t); /* NULL is fine; returns NULL */

/* While the header is read, in its order: name with its full length, type, shape. */
void tensor_scan_declare(struct tensor_scan *t, const struct tensor_about *about);
/* The data, tensor by tensor in the order of their bytes. */
void tensor_scan_begin(struct tensor_scan *t, const struct tensor_about *about);
void tensor_scan_feed(struct tensor_scan *t, struct view bytes);
void tensor_scan_end(struct tensor_scan *t);
/* After the last one: structure, family and root go into the summary. */
void tensor_scan_finish(struct tensor_scan *t);
