/* dtype: the number formats of safetensors (tensor.rs, Dtype). Pure. */
#pragma once

#include "model/weights.h"

struct dtype {
        const char *name;
        uint8_t bits;  /* of one element */
        uint8_t block; /* bytes that weights looks at as one number */
        struct weights_layout layout;
};

/* Number of the format with this name, or -EBADMSG. */
int dtype_find(struct view name);
const struct dtype *dtype_get(int number); /* a number that dtype_find gave */
