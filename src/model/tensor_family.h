/* tensor_family: what kind of model it is, by the names of its tensors alone: what general.architecture or config.json say
 * can be wrong. Pure. */
#pragma once

#include "base/view.h"

struct tensor_family {
        uint32_t seen; /* parts of names that were met */
};

void tensor_family_see(struct tensor_family *f, struct view name);
/* "llama", "bert", "vae" …; "" when no rule fits. Static. */
const char *tensor_family_name(const struct tensor_family *f);
/* The name with each run of digits as '#': layers of one kind get one name. At most `size` bytes; how many. */
size_t tensor_family_normalise(struct view name, char *out, size_t size);
