/* places: where the programs, their data, their configuration and the state are, seen from this program. An installed
 * /usr/bin/securectl finds /usr/libexec/secure-ai and /etc/secure-ai, one in build/stage finds what lies beside it. */
#pragma once

#include "base/fault.h"
#include "base/macros.h"

#define PLACE_MAX 512 /* longer paths are refused */

struct places {
        char libexec[PLACE_MAX], share[PLACE_MAX], config[PLACE_MAX]; /* of the installation */
        char state_root[PLACE_MAX];
        char run[PLACE_MAX];         /* <state_root>/run */
        char worker_root[PLACE_MAX]; /* "" when there is none */
};

/* `state_root`, `worker_root`: as given by the user, or NULL for $XDG_DATA_HOME/secure-ai (~/.local/share/secure-ai),
 * and for $SECAI_WORKER_ROOT, ~/.cache/secure-ai/worker-root or the one of the installation, whichever is complete.
 * The configuration is <state_root>/config when the owner has made one. Nothing is created. */
SAI_NODISCARD int places_find(const char *state_root, const char *worker_root, struct places *ret,
                              struct fault *reterr);
/* "<folder>/<name>" into `out`; -ENAMETOOLONG. */
SAI_NODISCARD int place_join(char out[PLACE_MAX], const char *folder, const char *name);
