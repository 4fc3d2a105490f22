/* sandbox: one declarative table per program, applied by the program to itself once its descriptors are open.
 * A rule that can't be loaded is an error, and the program must not start; only namespaces may be absent (`absent`
 * says so), because some kernels forbid unprivileged ones. */
#pragma once

#include "base/fault.h"
#include "base/macros.h"

enum sandbox_access {
        SANDBOX_READ = 1,
        SANDBOX_WRITE = 2, /* also create, rename, remove */
        SANDBOX_EXECUTE = 4,
};

struct sandbox_path {
        const char *path; /* absolute; must exist unless `optional` */
        unsigned access;
        bool optional;
};

/* MOUNT: a private root that holds the profile's paths only (list also the folder of the sockets that are connected to).
 * Descriptors that were open before stay good, but a hard link between one of those and a path is then -EXDEV. */
enum sandbox_namespace {
        SANDBOX_NS_USER = 1,
        SANDBOX_NS_NET = 2,
        SANDBOX_NS_IPC = 4,
        SANDBOX_NS_UTS = 8,
        SANDBOX_NS_MOUNT = 16,
        SANDBOX_NS_CGROUP = 32,
};

/* Sets of system calls; a profile names the sets and single calls beside them. */
enum sandbox_calls {
        SANDBOX_CALLS_BASE = 1,     /* memory, clock, signals, futex, read/write on open descriptors, exit */
        SANDBOX_CALLS_FILES = 2,    /* openat, stat, rename, unlink, fsync, flock, ftruncate, getdents… */
        SANDBOX_CALLS_THREADS = 4,  /* clone/clone3 for threads (not processes where the kernel can tell) */
        SANDBOX_CALLS_SERVER = 8,   /* accept4, sendmsg, recvmsg, poll, epoll, eventfd, shutdown, sockopt */
        SANDBOX_CALLS_CONNECT = 16, /* socket(AF_UNIX) + connect only */
        SANDBOX_CALLS_INOTIFY = 32,
};

struct sandbox_profile {
        const char *program;
        unsigned namespaces;
        unsigned calls;
        const char *const *more_calls;    /* NULL-terminated, may be NULL */
        const struct sandbox_path *paths; /* ends with path == NULL; may be NULL: no path at all */
        const int *folders;               /* open folders beneath which may be read, too */
        size_t n_folders;
        uint64_t memory_bytes;  /* RLIMIT_AS-like cap as RLIMIT_DATA; 0 = none */
        unsigned files;         /* RLIMIT_NOFILE; 0 = unchanged */
        unsigned processes;     /* RLIMIT_NPROC is per user and useless here: 0 = no new processes */
        bool kill_process;      /* forbidden call: true = SIGSYS kills (workers), false = EPERM */
        bool no_memory_execute; /* refuse PROT_EXEC mmap/mprotect after entry (not with JIT) */
};

struct sandbox_report {
        unsigned namespaces_entered;
        int landlock_abi;
        char absent[128]; /* human text: what the kernel did not give; "" when all */
};

/* Applies no_new_privs, namespaces, rlimits, Landlock, seccomp, in this order, to the calling thread: call before
 * threads exist. 0 and *ret, or negative errno and *reterr; on failure the process is half locked: exit. */
SAI_NODISCARD int sandbox_enter(const struct sandbox_profile *profile, struct sandbox_report *ret,
                                struct fault *reterr);
/* Appends a seccomp BPF program for another process (bwrap --seccomp FD): kill everything but `calls`; socket() for
 * AF_UNIX only; clone for threads only; open and openat for reading only. Written to a new memfd positioned at 0, which
 * the caller owns. */
SAI_NODISCARD int sandbox_export_filter(const char *const *calls, int *ret_fd, struct fault *reterr);
