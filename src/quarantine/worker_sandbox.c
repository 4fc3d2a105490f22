#include "quarantine/worker_sandbox.h"

#include "core/sandbox.h"
#include "quarantine/limits.h"

static const char *const more_calls[] = {"recvmsg", "sendto", NULL};

static const struct sandbox_profile profile = {
        .program = "scan-worker",
        .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS | SANDBOX_NS_MOUNT,
        .calls = SANDBOX_CALLS_BASE,
        .more_calls = more_calls,
        .paths = NULL,
        .memory_bytes = WORKER_MEMORY_BYTES,
        .files = 0,
        .processes = 0,
        .kill_process = true,
        .no_memory_execute = true,
};

int worker_sandbox_enter(struct fault *reterr) {
        struct sandbox_report report;

        return sandbox_enter(&profile, &report, reterr);
}
