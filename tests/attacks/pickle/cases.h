/* Pickles made to hide what they do: assembled opcode by opcode. */
#pragma once

#include "base/view.h"

struct pickle_case {
        const char *name;
        const char *rule; /* that has to refuse it … */
        const char *says; /* … in a message with these words … */
        uint64_t at;      /* … at this offset */
        struct view bytes;
};
extern const struct pickle_case pickle_cases[];
extern const size_t pickle_cases_n;
