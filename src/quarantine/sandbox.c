#include "quarantine/sandbox.h"

#include "quarantine/limits.h"

/* memfd_create: the ring. sendto, recvfrom, socketpair: the workers' control sockets. No exec, no fork: the launcher has been forked
 * before and starts nothing but the two kinds of workers. */
static const char *const more_calls[] = {"memfd_create", "eventfd2", "sendto", "recvfrom", "recvmsg",
                                         "sendmsg",      "accept4",  "listen", NULL};

int quarantine_sandbox_enter(const struct quarantine_paths *paths, struct sandbox_report *ret,
                             struct fault *reterr) {
        struct sandbox_path list[8];
        size_t n = 0;
        struct sandbox_profile profile = {
                .program = "quarantine",
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS |
                              SANDBOX_NS_MOUNT,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER | SANDBOX_CALLS_CONNECT | SANDBOX_CALLS_INOTIFY,
                .more_calls = more_calls,
                .paths = list,
                .folders = paths->folders,
                .n_folders = paths->n_folders,
                .files = 4096,
                .kill_process = false,
                .no_memory_execute = true,
        };

        if (paths->state)
                list[n++] = (struct sandbox_path){paths->state, SANDBOX_READ | SANDBOX_WRITE, false};
        if (paths->run)
                list[n++] = (struct sandbox_path){paths->run, SANDBOX_READ, false};
        if (paths->workers)
                list[n++] = (struct sandbox_path){paths->workers, SANDBOX_READ, false};
        if (paths->config)
                list[n++] = (struct sandbox_path){paths->config, SANDBOX_READ, false};
        if (paths->share)
                list[n++] = (struct sandbox_path){paths->share, SANDBOX_READ, false};
        list[n] = (struct sandbox_path){0};
        return sandbox_enter(&profile, ret, reterr);
}
