/* sandbox: what the ui service may touch once it serves. */
#pragma once

#include "core/sandbox.h"

SAI_NODISCARD int ui_sandbox_enter(const char *state_path, const char *share_path, const char *run_path,
                                   struct sandbox_report *ret, struct fault *reterr);
