/* keras: looks through the JSON description of a Keras model, where it stands as plain text (HDF5 attributes, a stored
 * config.json), for layers that are Python code. What is compressed or spelt with \u is not seen. Streaming. */
#pragma once

#include "model/report.h"

#define KERAS_PATTERNS 4u

struct keras {
        struct model_report *report;
        uint64_t at; /* of the next byte, in its file */
        uint8_t matched[KERAS_PATTERNS];
};

/* `base`: where the text begins in its file. */
void keras_init(struct keras *k, struct model_report *report, uint64_t base);
void keras_feed(struct keras *k, struct view bytes);
