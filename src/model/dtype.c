#include "model/dtype.h"

#define NUMBERS(what)                                                                                        \
        { .numbers = WEIGHTS_##what }

static const struct dtype dtypes[] = {
        {"F4", 4, 1, NUMBERS(INTEGERS)},
        {"F6_E2M3", 6, 1, NUMBERS(INTEGERS)},
        {"F6_E3M2", 6, 1, NUMBERS(INTEGERS)},
        {"BOOL", 8, 1, NUMBERS(INTEGERS)},
        {"U8", 8, 1, NUMBERS(INTEGERS)},
        {"I8", 8, 1, NUMBERS(INTEGERS)},
        {"F8_E5M2", 8, 1, NUMBERS(F8_E5M2)},
        {"F8_E4M3", 8, 1, NUMBERS(F8_E4M3)},
        {"F8_E8M0", 8, 1, NUMBERS(F8_E8M0)},
        {"F8_E4M3FNUZ", 8, 1, NUMBERS(F8_FNUZ)},
        {"F8_E5M2FNUZ", 8, 1, NUMBERS(F8_FNUZ)},
        {"I16", 16, 2, NUMBERS(INTEGERS)},
        {"U16", 16, 2, NUMBERS(INTEGERS)},
        {"F16", 16, 2, NUMBERS(F16)},
        {"BF16", 16, 2, NUMBERS(BF16)},
        {"I32", 32, 4, NUMBERS(INTEGERS)},
        {"U32", 32, 4, NUMBERS(INTEGERS)},
        {"F32", 32, 4, NUMBERS(F32)},
        {"F64", 64, 8, NUMBERS(F64)},
        {"I64", 64, 8, NUMBERS(INTEGERS)},
        {"U64", 64, 8, NUMBERS(INTEGERS)},
        {"C64", 64, 4, NUMBERS(F32)},
};

int dtype_find(struct view name) {
        for (size_t i = 0; i < ARRAY_SIZE(dtypes); i++)
                if (view_eq_str(name, dtypes[i].name))
                        return (int)i;
        return -EBADMSG;
}

const struct dtype *dtype_get(int number) {
        return &dtypes[(unsigned)number < ARRAY_SIZE(dtypes) ? (unsigned)number : 0];
}
