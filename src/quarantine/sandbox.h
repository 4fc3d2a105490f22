/* sandbox: what quarantine itself may do once it runs. */
#pragma once

#include "base/fault.h"
#include "core/sandbox.h"

struct quarantine_paths {
        const char *state, *run, *workers, *config, *share; /* NULL: not needed */
        const int *folders;                                 /* that are examined; open already */
        size_t n_folders;
};
SAI_NODISCARD int quarantine_sandbox_enter(const struct quarantine_paths *paths, struct sandbox_report *ret,
                                           struct fault *reterr);
