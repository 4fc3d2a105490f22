#include "core/sandbox_parts.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define CLONE_NEW_ALL                                                                                        \
        (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP |        \
         CLONE_NEWPID)
#define CLONE_THREAD_ALL (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

/* Calls that are allowed whatever their arguments are. Those that need a look at them are in the rules below. */
static const char *const base_calls[] = {
        "read",
        "readv",
        "pread64",
        "preadv",
        "preadv2",
        "write",
        "writev",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "lseek",
        "close",
        "close_range",
        "dup",
        "dup3",
        "fstat",
        "newfstatat",
        "fcntl",
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "munmap",
        "mremap",
        "madvise",
        "brk",
        "mlock",
        "mlock2",
        "munlock",
        "membarrier",
        "futex",
        "set_robust_list",
        "get_robust_list",
        "rseq",
        "sched_yield",
        "sched_getaffinity",
        "getcpu",
        "clock_gettime",
        "clock_getres",
        "clock_nanosleep",
        "nanosleep",
        "gettimeofday",
        "time",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigtimedwait",
        "rt_sigpending",
        "rt_sigsuspend",
        "sigaltstack",
        "signalfd4",
        "restart_syscall",
        "exit",
        "exit_group",
        "getpid",
        "gettid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getrandom",
        "getrlimit",
        "getrusage",
        "sysinfo",
        "uname",
        "times",
        NULL,
};
static const char *const files_calls[] = {
        "open",       "openat",
        "openat2",    "stat",
        "lstat",      "statx",
        "access",     "faccessat",
        "faccessat2", "readlink",
        "readlinkat", "getcwd",
        "getdents64", "mkdir",
        "mkdirat",    "rmdir",
        "unlink",     "unlinkat",
        "rename",     "renameat",
        "renameat2",  "link",
        "linkat",     "fsync",
        "fdatasync",  "sync_file_range",
        "syncfs",     "flock",
        "truncate",   "ftruncate",
        "fallocate",  "fadvise64",
        "readahead",  "copy_file_range",
        "sendfile",   "chmod",
        "fchmod",     "fchmodat",
        "fchown",     "utimensat",
        "statfs",     "fstatfs",
        "umask",      "msync",
        NULL,
};
static const char *const server_calls[] = {
        "accept",       "accept4",     "sendto",        "sendmsg",        "sendmmsg",        "recvfrom",
        "recvmsg",      "recvmmsg",    "sendfile",      "shutdown",       "getsockopt",      "setsockopt",
        "getsockname",  "getpeername", "epoll_create1", "epoll_ctl",      "epoll_wait",      "epoll_pwait",
        "epoll_pwait2", "eventfd2",    "pipe2",         "timerfd_create", "timerfd_settime", NULL,
};
static const char *const connect_calls[] = {
        "connect",    "sendto",      "sendmsg",     "recvfrom", "recvmsg", "shutdown", "getsockopt",
        "setsockopt", "getsockname", "getpeername", "eventfd2", "pipe2",   NULL,
};
static const char *const inotify_calls[] = {"inotify_init1", "inotify_add_watch", "inotify_rm_watch", NULL};
static const char *const process_calls[] = {"clone", "fork", "vfork", "wait4", "waitid", NULL};
static const char *const sanitizer_calls[] = {
        "clone",    "ptrace",  "wait4",      "waitid",           "kill",           "tkill",
        "tgkill",   "prctl",   "mmap",       "mprotect",         "openat",         "open",
        "stat",     "access",  "getcwd",     "readlink",         "getdents64",     "ioctl",
        "socket",   "connect", "prlimit64",  "setpriority",      "sched_getparam", "sched_getscheduler",
        "pipe",     "pipe2",   "arch_prctl", "process_vm_readv", "mincore",        "dup2",
        "getdents", NULL,
};

static const struct {
        unsigned set;
        const char *const *names;
} call_sets[] = {
        {SANDBOX_CALLS_BASE, base_calls},       {SANDBOX_CALLS_FILES, files_calls},
        {SANDBOX_CALLS_SERVER, server_calls},   {SANDBOX_CALLS_CONNECT, connect_calls},
        {SANDBOX_CALLS_INOTIFY, inotify_calls},
};

/* Calls that are allowed with certain arguments only. Rules of one call are alternatives. */
struct argument_rule {
        unsigned set;
        int call;
        struct scmp_arg_cmp compare;
};

static const struct argument_rule argument_rules[] = {
        {SANDBOX_CALLS_BASE, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, TCGETS)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, FIONREAD)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, FIONBIO)},
        {SANDBOX_CALLS_FILES, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, FICLONE)},
        {SANDBOX_CALLS_FILES, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, FICLONERANGE)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(prctl), SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(prctl), SCMP_A0_32(SCMP_CMP_EQ, PR_GET_NAME)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(prctl), SCMP_A0_32(SCMP_CMP_EQ, PR_SET_VMA)},
        {SANDBOX_CALLS_BASE, SCMP_SYS(prlimit64), SCMP_A2_64(SCMP_CMP_EQ, 0)}, /* read only: no new limit */
        {SANDBOX_CALLS_THREADS, SCMP_SYS(clone),
         SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD_ALL | CLONE_NEW_ALL, CLONE_THREAD_ALL)},
        {SANDBOX_CALLS_SERVER, SCMP_SYS(socketpair), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX)},
        {SANDBOX_CALLS_CONNECT, SCMP_SYS(socketpair), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX)},
        {SANDBOX_CALLS_CONNECT, SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX)},
};

static void releasep(scmp_filter_ctx *c) {
        if (*c)
                seccomp_release(*c);
}

static int filter_fault(struct fault *reterr, int r, const char *what) {
        return fault_set(reterr, r, "SANDBOX-007", 0, "seccomp: %.60s: %s", what, strerrordesc_np(-r));
}

static int allow_when(scmp_filter_ctx c, int call, const struct scmp_arg_cmp *compare, struct fault *reterr) {
        int r = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, call, compare ? 1 : 0, compare);

        return r == 0 || r == -EEXIST ? 0 : filter_fault(reterr, r, "rule refused");
}

static int allow_name(scmp_filter_ctx c, const char *name, struct fault *reterr) {
        int call = seccomp_syscall_resolve_name(name);

        if (call == __NR_SCMP_ERROR)
                return fault_set(reterr, -EINVAL, "SANDBOX-008", 0, "seccomp: \"%.60s\" is not a system call",
                                 name);
        return call < 0 ? 0 : allow_when(c, call, NULL, reterr); /* negative: not on this processor */
}

static int allow_names(scmp_filter_ctx c, const char *const *names, struct fault *reterr) {
        for (; names && *names; names++) {
                int r = allow_name(c, *names, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* clone3 hides its flags behind a pointer that a filter can't follow; on ENOSYS the C library uses clone. */
static int new_filter(uint32_t otherwise, scmp_filter_ctx *ret, struct fault *reterr) {
        scmp_filter_ctx c = seccomp_init(otherwise);
        int r;

        if (!c)
                return filter_fault(reterr, -ENOMEM, "out of memory");
        r = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r >= 0)
                r = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE,
                                     2); /* a tree, not a list: found in few steps */
        if (r >= 0)
                r = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        if (r < 0) {
                seccomp_release(c);
                return filter_fault(reterr, r, "filter can't be set up");
        }
        *ret = c;
        return 0;
}

static int allow_sets(scmp_filter_ctx c, unsigned sets, struct fault *reterr) {
        for (size_t i = 0; i < ARRAY_SIZE(call_sets); i++) {
                int r = sets & call_sets[i].set ? allow_names(c, call_sets[i].names, reterr) : 0;

                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ARRAY_SIZE(argument_rules); i++) {
                const struct argument_rule *a = &argument_rules[i];
                int r = sets & a->set ? allow_when(c, a->call, &a->compare, reterr) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int allow_memory(scmp_filter_ctx c, bool no_execute, struct fault *reterr) {
        static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
        const struct scmp_arg_cmp not_executable = SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);

        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                int r = allow_when(c, calls[i], no_execute ? &not_executable : NULL, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* raise() and abort(), not other processes. */
static int allow_own_signals(scmp_filter_ctx c, struct fault *reterr) {
        const struct scmp_arg_cmp own = SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid());

        return allow_when(c, SCMP_SYS(tgkill), &own, reterr);
}

static int fill_filter(scmp_filter_ctx c, const struct sandbox_profile *p, struct fault *reterr) {
        int r = allow_sets(c, p->calls, reterr);

        if (r >= 0 && p->calls & SANDBOX_CALLS_BASE)
                r = allow_memory(c, p->no_memory_execute, reterr);
        if (r >= 0 && p->calls & SANDBOX_CALLS_BASE)
                r = allow_own_signals(c, reterr);
        if (r >= 0 && p->processes > 0)
                r = allow_names(c, process_calls, reterr);
        if (r >= 0)
                r = allow_names(c, p->more_calls, reterr);
        if (r >= 0 && SANDBOX_SANITIZER)
                r = allow_names(c, sanitizer_calls, reterr);
        return r;
}

int sandbox_seccomp(const struct sandbox_profile *profile, struct fault *reterr) {
        _cleanup_(releasep) scmp_filter_ctx c = NULL;
        int r = new_filter(profile->kill_process ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM), &c, reterr);

        if (r < 0)
                return r;
        r = fill_filter(c, profile, reterr);
        if (r < 0)
                return r;
        r = seccomp_load(c);
        return r < 0 ? filter_fault(reterr, r, "the kernel refuses the filter") : 0;
}

/* Calls that exported filters allow in their harmless form only, when they are named at all. What is open for
 * reading could else be opened anew for writing through /proc/self/fd. */
static const struct {
        const char *name;
        int call;
        struct scmp_arg_cmp compare;
} tamed[] = {
        {"clone", SCMP_SYS(clone),
         SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD_ALL | CLONE_NEW_ALL, CLONE_THREAD_ALL)},
        {"socket", SCMP_SYS(socket), SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX)},
        {"open", SCMP_SYS(open), SCMP_A1_32(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)},
        {"openat", SCMP_SYS(openat), SCMP_A2_32(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)},
};

static int allow_exported(scmp_filter_ctx c, const char *name, struct fault *reterr) {
        for (size_t i = 0; i < ARRAY_SIZE(tamed); i++)
                if (strcmp(name, tamed[i].name) == 0)
                        return allow_when(c, tamed[i].call, &tamed[i].compare, reterr);
        return strcmp(name, "clone3") == 0 ? 0 : allow_name(c, name, reterr);
}

int sandbox_export_filter(const char *const *calls, int *ret_fd, struct fault *reterr) {
        _cleanup_(releasep) scmp_filter_ctx c = NULL;
        _cleanup_(closep) int fd = memfd_create("seccomp", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return filter_fault(reterr, negative_errno(), "memfd");
        r = new_filter(SCMP_ACT_KILL_PROCESS, &c, reterr);
        for (; r >= 0 && *calls; calls++)
                r = allow_exported(c, *calls, reterr);
        if (r < 0)
                return r;
        r = seccomp_export_bpf(c, fd);
        if (r < 0)
                return filter_fault(reterr, r, "export");
        if (lseek(fd, 0, SEEK_SET) < 0)
                return filter_fault(reterr, negative_errno(), "memfd");
        *ret_fd = TAKE_FD(fd);
        return 0;
}
