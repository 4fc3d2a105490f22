/* pickle_names: what is known about a name that a pickle imports. Pure tables: exact names that plain tensors need,
 * and, for the words in a finding, what the well-known dangerous ones do. */
#pragma once

#include "base/view.h"

enum pickle_verdict {
        PICKLE_NAME_HARMLESS, /* on the exact list, when it is used as it is meant to be */
        PICKLE_NAME_UNLISTED, /* nobody vouches for it */
        PICKLE_NAME_DANGEROUS, /* known to run programs or code, to read or write files, or to reach such a thing */
        PICKLE_NAME_EXTENSION /* a number in the loading program's registry stands for it */
};

/* `ret_why`: what it does, to follow "it " in a sentence; static. */
enum pickle_verdict pickle_name_judge(struct view module, struct view name, const char **ret_why);
