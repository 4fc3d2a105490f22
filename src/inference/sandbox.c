#include "inference/sandbox.h"

#include "inference/limits.h"

int inference_sandbox_enter(const char *run_path, struct sandbox_report *ret, struct fault *reterr) {
        const struct sandbox_path paths[] = {
                {.path = run_path,
                 .access = SANDBOX_READ}, /* sockets of registry, audit and the worker: to connect */
                {.path = "/proc/meminfo", .access = SANDBOX_READ},
                {.path = "/proc/self",
                 .access = SANDBOX_READ}, /* cgroup; fdinfo tells a worker's process id */
                {.path = "/sys/fs/cgroup", .access = SANDBOX_READ, .optional = true},
                {.path = "/sys/devices/system/cpu", .access = SANDBOX_READ, .optional = true},
                {0},
        };
        const struct sandbox_profile profile = {
                .program = "inference",
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS |
                              SANDBOX_NS_MOUNT,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER | SANDBOX_CALLS_CONNECT,
                .paths = paths,
                .memory_bytes = INFERENCE_MEMORY_MAX,
                .files = 1024,
                .no_memory_execute = true,
        };

        return sandbox_enter(&profile, ret, reterr);
}
