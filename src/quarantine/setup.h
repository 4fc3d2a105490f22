/* setup: what the service and `quarantine --scan` prepare alike before they lock themselves in: policy, rules, prompts and the
 * launcher. */
#pragma once

#include "quarantine/pipeline.h"

struct setup {
        struct scan_spare *spare;
        struct policy *policy;
        struct prompt_set prompts;
        struct launcher *launcher;
        struct pipeline pipeline;
        int rules_fd, demo_fd;
};

/* `config_dir`, `share_dir`: descriptors. `worker_root` may be NULL. `socket_dir`: 0700, for the sockets of llama-server.
 * Forks the launcher: call before threads. *reterr says what to mend. */
SAI_NODISCARD int setup_make(int config_dir, int share_dir, const char *libexec, const char *worker_root,
                             const char *socket_dir, struct setup *ret, struct fault *reterr);
/* From now on a worker is kept ready for the next artifact: for who waits for artifacts. */
SAI_NODISCARD int setup_keep_spare(struct setup *s);
void setup_done(struct setup *s);
/* Runs the worker over nothing: rules that don't compile and a kernel without sandbox are found at start, not at the first file. */
SAI_NODISCARD int setup_try(const struct setup *s, struct fault *reterr);
