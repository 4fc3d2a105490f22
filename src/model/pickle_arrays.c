#include "model/pickle_arrays.h"

#include "base/num.h"

#define ELEMENT_MAX 60000u

uint16_t pickle_element_size(struct view dtype) {
        uint64_t n;
        char code;

        if (dtype.n > 0 && strchr("<>=|", dtype.p[0]))
                dtype = view_sub(dtype, 1, SIZE_MAX);
        if (dtype.n == 0)
                return PICKLE_ELEMENT_UNKNOWN;
        code = dtype.p[0];
        if (code == 'O')
                return PICKLE_ELEMENT_OBJECT;
        if (!strchr("biufcSUVMm", code) || u64_parse(view_sub(dtype, 1, SIZE_MAX), ELEMENT_MAX, &n) < 0)
                return PICKLE_ELEMENT_UNKNOWN;
        if (code == 'U')
                n *= 4; /* UCS-4 */
        return n > ELEMENT_MAX ? PICKLE_ELEMENT_UNKNOWN : (uint16_t)(n + 1);
}

static void take_shape(struct pickle_array *a, struct pickle_value v) {
        a->has_shape = v.type == PICKLE_SHAPE || (v.type == PICKLE_TUPLE && v.count == 0);
        a->count = v.type == PICKLE_SHAPE ? pickle_number(v) : 1;
}

static void take_dtype(struct pickle_array *a, const struct pickle_values *v, struct pickle_value value) {
        bool known = value.type == PICKLE_RESULT && value.ref != PICKLE_REF_NONE &&
                     v->globals[value.ref].role == PICKLE_ROLE_DTYPE;

        a->element = known ? value.n : PICKLE_ELEMENT_UNKNOWN;
        a->has_element = a->element != PICKLE_ELEMENT_UNKNOWN;
}

void pickle_array_take(struct pickle_array *a, const struct pickle_values *v, struct pickle_value key,
                       struct pickle_value value) {
        struct view name = key.type == PICKLE_TEXT ? pickle_text(v, key) : VIEW_NULL;

        if (view_eq_str(name, "shape"))
                take_shape(a, value);
        else if (view_eq_str(name, "dtype"))
                take_dtype(a, v, value);
        else if (view_eq_str(name, "numpy_array_alignment_bytes"))
                a->is_padded = value.type == PICKLE_INT; /* None: written without */
}

int pickle_array_size(const struct pickle_array *a, uint64_t *ret) {
        if (!a->has_shape || !a->has_element)
                return -ENODATA;
        if (a->element == PICKLE_ELEMENT_OBJECT)
                return -EISDIR;
        return u64_mul(a->count, a->element - 1u, ret) < 0 ? -ENODATA : 0;
}
