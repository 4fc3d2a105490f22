#include "audit/sandbox.h"

#include "audit/limits.h"

int audit_sandbox_enter(const char *writer_path, const char *log_path, struct sandbox_report *ret,
                        struct fault *reterr) {
        const struct sandbox_path paths[] = {
                {.path = writer_path, .access = SANDBOX_READ | SANDBOX_WRITE},
                {.path = log_path, .access = SANDBOX_READ | SANDBOX_WRITE},
                {.path = "/proc/sys/kernel/random/boot_id", .access = SANDBOX_READ, .optional = true},
                {0},
        };
        const struct sandbox_profile profile = {
                .program = "audit",
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER,
                .paths = paths,
                .memory_bytes = AUDIT_MEMORY_MAX,
                .files = 256,
                .no_memory_execute = true,
        };

        return sandbox_enter(&profile, ret, reterr);
}
