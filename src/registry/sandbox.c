#include "registry/sandbox.h"

#include "registry/limits.h"

int registry_sandbox_enter(const struct registry_paths *paths, struct sandbox_report *ret,
                           struct fault *reterr) {
        const struct sandbox_path table[] = {
                {.path = paths->state, .access = SANDBOX_READ | SANDBOX_WRITE},
                {.path = paths->config, .access = SANDBOX_READ},
                {.path = paths->claims, .access = SANDBOX_READ | SANDBOX_WRITE, .optional = true},
                {0},
        };
        const struct sandbox_profile profile = {
                .program = "registry",
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER | SANDBOX_CALLS_CONNECT,
                .paths = table,
                .memory_bytes = REGISTRY_MEMORY_MAX,
                .files = 512,
                .no_memory_execute = true,
        };

        return sandbox_enter(&profile, ret, reterr);
}
