/* fault: what was wrong, at the borders that face people and auditors (parsers, verifiers, policy).
 * The rule id is stable: users, tests and documents quote it. */
#pragma once

#include "base/macros.h"

#define FAULT_TEXT_MAX 160

struct fault {
        int code;         /* negative errno; 0 means no fault */
        const char *rule; /* static string such as "GGUF-014", or NULL */
        uint64_t at;      /* byte offset, or line number for configuration */
        char text[FAULT_TEXT_MAX];
};

#define FAULT_NONE ((struct fault){0})

/* Fills *f (NULL is fine) and returns `code`, so that `return fault_set(...)` reads well. Text from outside must
 * have been escaped (buf_append_escaped); the text is cut to fit. */
int fault_set(struct fault *f, int code, const char *rule, uint64_t at, const char *format, ...)
        SAI_PRINTF(5, 6);
