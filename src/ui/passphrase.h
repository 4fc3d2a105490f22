/* passphrase: the owner's one, kept as scrypt hash in <state>/passphrase.json. Not thread-safe: callers hold
 * app->passphrase_mutex, which also keeps parallel guesses from filling the memory. */
#pragma once

#include "base/fault.h"
#include "base/view.h"

/* 1 when there is one, 0 when not yet; -EUCLEAN when the file can't be what this program wrote. */
SAI_NODISCARD int passphrase_exists(int state_dir, struct fault *reterr);
/* Why it can't be taken, for people ("" text: it can). `min`: characters. */
SAI_NODISCARD bool passphrase_is_good(struct view passphrase, uint64_t min, struct fault *reterr);
/* Derives and replaces the file; survives a power cut when it returns 0. */
SAI_NODISCARD int passphrase_set(int state_dir, struct view passphrase);
/* 1 = right, 0 = wrong, negative = could not be decided. */
SAI_NODISCARD int passphrase_check(int state_dir, struct view passphrase);
