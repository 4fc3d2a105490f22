/* untested: what nobody looked at in this artifact, in whole sentences for people. A verdict says what was found; this says what it does not
 * speak of, so that a pass is not taken for more than it is. Pure: read out of the verdict, the same each time. */
#pragma once

#include "quarantine/verdict.h"

#define UNTESTED_MAX       24 /* sentences */
#define UNTESTED_TEXT_SIZE 320

struct untested {
        char text[UNTESTED_MAX][UNTESTED_TEXT_SIZE];
        size_t n;
};
void untested_find(const struct verdict *v, struct untested *ret);
