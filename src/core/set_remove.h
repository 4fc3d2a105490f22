/* set_remove: removes a folder with all that is in it, however deep or large: linear, without recursion, with two descriptors.
 * What lies deeper is moved up first, so whoever is interrupted begins again with what is left. For folders that nobody else
 * changes meanwhile. Links are removed, never followed. */
#pragma once

#include "base/macros.h"

/* `name`: one component beneath `parent`, a folder or anything else. Missing is fine. Does not fsync. */
SAI_NODISCARD int set_remove(int parent, const char *name);
