/* onnx: walks a refused ONNX model (a protobuf message, onnx.proto) to say what it refers to: operators from other
 * domains, files beside it, graphs within graphs. Strict: what readers could take differently is a fault. Streaming;
 * constant memory. */
#pragma once

#include "model/report.h"

struct onnx; /* opaque */

/* `size` of the file. -ENOMEM. */
SAI_NODISCARD int onnx_new(struct model_report *report, uint64_t size, struct onnx **ret);
void onnx_feed(struct onnx *o, struct view bytes);
void onnx_finish(struct onnx *o);
struct onnx *onnx_free(struct onnx *o); /* NULL is fine; returns NULL */
