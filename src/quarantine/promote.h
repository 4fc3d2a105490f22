/* promote: hands a job's claim to the registry over its descriptor channel: of a folder its files first, each content once, then the
 * documents, then file or listing with the evidence. What the registry has taken without the last it lets go of by itself. */
#pragma once

#include "core/set_walk.h"
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
/* `fd`: of the file, or of the folder in which `set` lies (NULL: a file). */
enum promote_answer promote(const struct quarantine *q, const struct job *j, int fd,
                            const struct set_walk *set, struct promote_result *ret);
