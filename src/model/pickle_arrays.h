/* pickle_arrays: what joblib writes between the opcodes of its pickles: behind the BUILD of a NumpyArrayWrapper stands the
 * array itself, as plain bytes or, when it holds Python objects, as another pickle (joblib/numpy_pickle.py). How long it is
 * follows from the wrapper's shape and dtype. Pure. */
#pragma once

#include "model/pickle_values.h"

/* Size of an element as a value carries it (pickle_value.n): bytes + 1. */
#define PICKLE_ELEMENT_UNKNOWN 0u
#define PICKLE_ELEMENT_OBJECT  UINT16_MAX

/* "f8", "<i4", "U12", "O" … to the above. */
uint16_t pickle_element_size(struct view dtype);

struct pickle_array {
        bool has_shape, has_element;
        bool is_padded; /* a byte tells how many others stand in front */
        uint16_t element;
        uint64_t count;
};

/* An item of the wrapper's dictionary. */
void pickle_array_take(struct pickle_array *a, const struct pickle_values *v, struct pickle_value key,
                       struct pickle_value value);
/* Bytes of the array. -ENODATA when it is not known, -EISDIR when it is a pickle instead. */
SAI_NODISCARD int pickle_array_size(const struct pickle_array *a, uint64_t *ret);
