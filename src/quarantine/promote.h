/* promote: hands a job's claim to the registry over its descriptor channel. */
#pragma once

#include "quarantine/quarantine.h"

enum promote_answer {
        PROMOTE_TAKEN,
        PROMOTE_LATER,   /* the registry can't now: try again with the same evidence */
        PROMOTE_REFUSED, /* no retry will help */
};
struct promote_result {
        bool duplicate;
        char code[64];
        char text[400]; /* escaped */
};
enum promote_answer promote(const struct quarantine *q, const struct job *j, int fd,
                            struct promote_result *ret);
