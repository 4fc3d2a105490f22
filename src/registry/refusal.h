/* refusal: why an act was refused, for the other program and for people. */
#pragma once

#include "base/macros.h"

struct refusal {
        const char *code; /* stable */
        bool final;       /* no retry will help */
        char text[200];
};

/* Fills it and returns `code`, a negative errno. */
int refuse(struct refusal *f, int code, bool final, const char *name, const char *format, ...)
        SAI_PRINTF(5, 6);
/* Failures that are nobody's fault and may pass. */
int refuse_for_now(struct refusal *f, int error, const char *what);
/* A failure of objects_admit. */
int refuse_admission(struct refusal *f, int error);
