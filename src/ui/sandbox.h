/* sandbox: what the ui service may touch once it serves. */
#pragma once

#include "core/sandbox.h"
#include "core/service.h"

SAI_NODISCARD int ui_sandbox_enter(const struct service *s, struct sandbox_report *ret, struct fault *reterr);
