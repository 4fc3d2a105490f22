/* refusal: why a request gets no answer, in the form that goes out: HTTP status, stable code, a text that says what is
 * wrong and what to do, and an object with numbers. */
#pragma once

#include "base/macros.h"

struct refusal {
        unsigned status;
        const char *code; /* static, snake_case */
        char text[320];   /* text from outside has been escaped */
        char detail[256]; /* a JSON object's text, or "" */
};

/* Fills *r (NULL is fine) and returns `code`, a negative errno. */
int refusal_set(struct refusal *r, int error, unsigned status, const char *code, const char *format, ...)
        SAI_PRINTF(5, 6);
