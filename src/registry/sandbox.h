/* sandbox: what the registry may still do once its files are open. */
#pragma once

#include "core/sandbox.h"

struct registry_paths {
        const char *state;  /* read and write */
        const char *config; /* read: the blocklist is read again when it changes */
        const char *claims; /* where quarantine keeps claims, to link them instead of copying; NULL: none */
};
SAI_NODISCARD int registry_sandbox_enter(const struct registry_paths *paths, struct sandbox_report *ret,
                                         struct fault *reterr);
