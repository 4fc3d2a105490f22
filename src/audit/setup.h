/* setup: makes the log's keys and first state, once, before the service ever runs; and starts a new log beside a broken
 * one when the owner decides so. */
#pragma once

#include "base/fault.h"

/* Folder of the log: $LOGS_DIRECTORY (systemd sets it), else the folder "log" beside the state folder. Caller frees; NULL:
 * out of memory. */
SAI_NODISCARD char *setup_log_path(const char *state_path);
/* Makes what is missing: verify.key (0400), checkpoint.pub, writer/, the empty log. Idempotent; a crash half-way is
 * finished by the next call. -EUCLEAN when what is there can't belong together. */
SAI_NODISCARD int setup_make_keys(const char *state_path, const char *log_path, struct fault *reterr);
/* Moves log, state and keys into set-aside-N folders (nothing is deleted) and makes new ones. -EBUSY: the service runs. */
SAI_NODISCARD int setup_start_over(const char *state_path, const char *log_path, struct fault *reterr);
