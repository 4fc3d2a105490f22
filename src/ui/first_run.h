/* first_run: the one-time code that proves that whoever chooses the passphrase is the owner of this machine: it is in
 * <state>/first-run-code (0600), and the supervisor shows it. */
#pragma once

#include "base/view.h"

/* Makes the code when there is none yet; one from an interrupted first run stays good. */
SAI_NODISCARD int first_run_begin(int state_dir);
/* 1 = right, 0 = wrong, negative. Case, dashes and spaces don't count; 0 and O, 1, I and L are taken for each other. */
SAI_NODISCARD int first_run_check(int state_dir, struct view typed);
/* Set up: the code is gone. */
SAI_NODISCARD int first_run_end(int state_dir);
