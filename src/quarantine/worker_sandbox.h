/* worker_sandbox: what is left to the scan-worker once it is about to see hostile bytes. */
#pragma once

#include "base/fault.h"

SAI_NODISCARD int worker_sandbox_enter(struct fault *reterr);
