/* tflite: names the custom operators of a TensorFlow Lite model, which are machine code that the loading program must
 * bring. A FlatBuffer points back and forth, so it is kept as a whole, up to TFLITE_MAX bytes; a larger one is said to be
 * too large. */
#pragma once

#include "model/report.h"

struct tflite; /* opaque */

SAI_NODISCARD int tflite_new(struct model_report *report, struct tflite **ret); /* -ENOMEM */
SAI_NODISCARD int tflite_feed(struct tflite *t, struct view bytes);             /* -ENOMEM */
void tflite_finish(struct tflite *t);
struct tflite *tflite_free(struct tflite *t); /* NULL is fine; returns NULL */
