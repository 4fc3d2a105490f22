/* keras: reads the JSON description of a Keras model, where it stands as plain text (HDF5 attributes, config.json, the
 * metadata of a SavedModel), and names what is Python code in it: Lambda layers, functions and classes from outside of
 * Keras. The bytes around the text may be anything. JSON within a JSON text is read, too. Streaming, constant memory. */
#pragma once

#include "model/report.h"

struct keras; /* opaque */

/* `base`: where the text begins in its file. -ENOMEM. */
SAI_NODISCARD int keras_new(struct model_report *report, uint64_t base, struct keras **ret);
void keras_feed(struct keras *k, struct view bytes);
void keras_finish(struct keras *k);
struct keras *keras_free(struct keras *k); /* NULL is fine; returns NULL */
