/* machine: what this machine can't give, said plainly and never pretended. */
#pragma once

#include "base/buf.h"
#include "securectl/places.h"

struct absence {
        const char *what, *why, *what_to_do;
};

#define ABSENCES_MAX 8

/* Looks at the machine; returns how many things are absent. */
size_t machine_absences(const struct places *places, struct absence out[ABSENCES_MAX]);
/* {"absent":[{"what","why","what_to_do"}]} */
SAI_NODISCARD int machine_write(const struct absence *a, size_t n, struct buf *out);
