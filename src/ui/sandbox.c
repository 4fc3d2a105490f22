#include "ui/sandbox.h"

#include "ui/limits.h"

/* Its own state, the data files, and the other services' UNIX sockets; no network but the sockets that were passed in. */
int ui_sandbox_enter(const char *state_path, const char *share_path, const char *run_path,
                     struct sandbox_report *ret, struct fault *reterr) {
        const struct sandbox_path paths[] = {
                {.path = state_path, .access = SANDBOX_READ | SANDBOX_WRITE},
                {.path = share_path, .access = SANDBOX_READ},
                {.path = run_path, .access = SANDBOX_READ},
                {0},
        };
        const struct sandbox_profile profile = {
                .program = "ui",
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS |
                              SANDBOX_NS_MOUNT,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER | SANDBOX_CALLS_CONNECT,
                .paths = paths,
                .memory_bytes = UI_MEMORY_MAX,
                .files = UI_FILES_MAX,
                .no_memory_execute = true,
        };

        return sandbox_enter(&profile, ret, reterr);
}
