/* What this program may do once it is set up. */
#pragma once

#include "core/sandbox.h"

SAI_NODISCARD int inference_sandbox_enter(const char *run_path, struct sandbox_report *ret,
                                          struct fault *reterr);
