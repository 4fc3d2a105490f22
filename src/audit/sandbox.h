/* sandbox: what the audit service may still do once its files are open. */
#pragma once

#include "core/sandbox.h"

/* The writer's folder and the log's folder are all that it can reach: not the verification key beside them. */
SAI_NODISCARD int audit_sandbox_enter(const char *writer_path, const char *log_path,
                                      struct sandbox_report *ret, struct fault *reterr);
