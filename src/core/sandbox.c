#include "core/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core/sandbox_parts.h"

#define NAMESPACES_ALL                                                                                       \
        (SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS | SANDBOX_NS_MOUNT |             \
         SANDBOX_NS_CGROUP)
#define CALLS_ALL                                                                                            \
        (SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS | SANDBOX_CALLS_SERVER |           \
         SANDBOX_CALLS_CONNECT | SANDBOX_CALLS_INOTIFY)
#define ACCESS_ALL (SANDBOX_READ | SANDBOX_WRITE | SANDBOX_EXECUTE)

/* A word that this version does not know must not silently mean "nothing". */
static int check_profile(const struct sandbox_profile *p, struct fault *reterr) {
        if (!p->program || p->namespaces & ~(unsigned)NAMESPACES_ALL || p->calls & ~(unsigned)CALLS_ALL)
                return fault_set(reterr, -EINVAL, "SANDBOX-001", 0,
                                 "profile names namespaces or call sets that do not exist");
        for (const struct sandbox_path *path = p->paths; path && path->path; path++)
                if (path->path[0] != '/' || path->access == 0 || path->access & ~(unsigned)ACCESS_ALL)
                        return fault_set(reterr, -EINVAL, "SANDBOX-001", 0,
                                         "profile: \"%.100s\" needs an absolute path and a known access",
                                         path->path);
        return 0;
}

static int limit(int what, uint64_t n, const char *name, struct fault *reterr) {
        struct rlimit now, wanted = {n, n};

        if (getrlimit((__rlimit_resource_t)what, &now) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-002", 0, "%s can't be read: %m", name);
        if (now.rlim_max != RLIM_INFINITY && now.rlim_max < n)
                wanted.rlim_cur = wanted.rlim_max = now.rlim_max; /* stricter already */
        if (setrlimit((__rlimit_resource_t)what, &wanted) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-002", 0, "%s can't be set: %m", name);
        return 0;
}

static int apply_limits(const struct sandbox_profile *p, struct fault *reterr) {
        int r = limit(RLIMIT_CORE, 0, "RLIMIT_CORE", reterr);

        if (r >= 0 && p->memory_bytes > 0 && !SANDBOX_SANITIZER)
                r = limit(RLIMIT_DATA, p->memory_bytes, "RLIMIT_DATA", reterr);
        if (r >= 0 && p->files > 0)
                r = limit(RLIMIT_NOFILE, p->files, "RLIMIT_NOFILE", reterr);
        return r;
}

/* Also root in a namespace of its own has capabilities there, and those open kernel code that we never need. */
static int drop_capabilities(struct fault *reterr) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

        for (unsigned long i = 0; i < 64; i++)
                (void)prctl(PR_CAPBSET_DROP, i, 0, 0,
                            0); /* without CAP_SETPCAP there is nothing to drop from */
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        if (syscall(SYS_capset, &header, none) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-003", 0,
                                 "capabilities can't be dropped: %m");
        return 0;
}

/* The same user's other programs must not read our memory (tokens, keys, prompts). */
static int hide_memory(struct fault *reterr) {
        if (!SANDBOX_SANITIZER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-003", 0, "memory can't be hidden: %m");
        return 0;
}

int sandbox_enter(const struct sandbox_profile *profile, struct sandbox_report *ret, struct fault *reterr) {
        struct sandbox_report report = {0};
        int r = check_profile(profile, reterr);

        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-003", 0, "no_new_privs can't be set: %m");
        r = sandbox_namespaces(profile, &report, reterr);
        if (r >= 0)
                r = drop_capabilities(reterr);
        if (r >= 0)
                r = hide_memory(reterr);
        if (r >= 0)
                r = apply_limits(profile, reterr);
        if (r >= 0)
                r = sandbox_landlock(profile, &report, reterr);
        if (r >= 0)
                r = sandbox_seccomp(profile, reterr);
        if (r < 0)
                return r;
        *ret = report;
        return 0;
}
