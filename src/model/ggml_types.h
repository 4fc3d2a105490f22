/* ggml_types: the tensor types that a GGUF file may use, with their block sizes and where a block keeps its
 * scales (ggml.h, ggml-common.h). Removed and unknown ids are not in the table. Pure. */
#pragma once

#include "model/weights.h"

struct ggml_type_info {
        const char *name; /* "Q4_K" */
        uint16_t block;   /* elements of a block */
        uint16_t bytes;   /* bytes of a block */
        struct weights_layout layout;
};

#define GGML_TYPE_ID_MAX 43u /* one past the highest known id */

/* NULL for an id that was removed or never given out. */
const struct ggml_type_info *ggml_type_get(uint32_t id);
