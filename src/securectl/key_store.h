/* key_store: the folder <state>/keys with the owner's signing keys. */
#pragma once

#include "securectl/layout.h"

#define KEY_STORE_FILE_MAX ((size_t)16 << 10)
#define KEY_STORE_DEFAULT  "owner" /* the key that `sign` takes when none is named */

/* Opens the folder, mode 0700; with `create` makes it and its parents. Returns the descriptor. */
SAI_NODISCARD int key_store_open(const struct layout *l, bool create);
/* Says why the key could not be loaded; returns the exit code. */
int key_store_complain(const char *name, int r);
