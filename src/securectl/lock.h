/* lock: one supervisor a state root. The kernel holds the lock and knows its holder, so a killed supervisor leaves
 * nothing behind that a person would have to remove. */
#pragma once

#include <sys/types.h>

#include "base/macros.h"

/* Takes the lock in the folder and writes the process id into the file (for people). Returns the descriptor, which is
 * kept open as long as the lock is to be held; -EBUSY and *ret_holder when another process has it. */
SAI_NODISCARD int lock_take(int state_root_fd, pid_t *ret_holder);
/* The process that holds the lock: 0 when nobody does. */
SAI_NODISCARD int lock_holder(int state_root_fd, pid_t *ret_holder);
