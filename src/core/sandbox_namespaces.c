#include "core/sandbox_parts.h"

#include <fcntl.h>
#include <sched.h>

#include "base/file.h"

static const struct {
        unsigned ours;
        int kernels;
} kinds[] = {
        {SANDBOX_NS_USER, CLONE_NEWUSER}, {SANDBOX_NS_NET, CLONE_NEWNET},
        {SANDBOX_NS_IPC, CLONE_NEWIPC},   {SANDBOX_NS_UTS, CLONE_NEWUTS},
        {SANDBOX_NS_MOUNT, CLONE_NEWNS},  {SANDBOX_NS_CGROUP, CLONE_NEWCGROUP},
};

static int flags_of(unsigned namespaces) {
        int flags = 0;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (namespaces & kinds[i].ours)
                        flags |= kinds[i].kernels;
        return flags;
}

static int write_proc(const char *path, const char *text) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? negative_errno() : write_all(fd, text, strlen(text));
}

/* Our own id stays what it is, and no other id exists. */
static int map_own_id(uid_t uid, gid_t gid) {
        char text[64];
        int r = write_proc("/proc/self/setgroups", "deny");

        if (r < 0)
                return r;
        (void)snprintf(text, sizeof text, "%u %u 1", uid, uid);
        r = write_proc("/proc/self/uid_map", text);
        if (r < 0)
                return r;
        (void)snprintf(text, sizeof text, "%u %u 1", gid, gid);
        return write_proc("/proc/self/gid_map", text);
}

/* One call, so that the kernel gives all or nothing. Some refuse user namespaces but let root have the others. */
static unsigned unshare_most(unsigned wanted, int *ret_error) {
        if (unshare(flags_of(wanted)) == 0)
                return wanted;
        *ret_error = errno;
        wanted &= ~(unsigned)SANDBOX_NS_USER;
        return wanted && unshare(flags_of(wanted)) == 0 ? wanted : 0;
}

int sandbox_namespaces(const struct sandbox_profile *profile, struct sandbox_report *ret,
                       struct fault *reterr) {
        uid_t uid = geteuid();
        gid_t gid = getegid();
        unsigned entered;
        int error = 0, r;

        if (profile->namespaces == 0)
                return 0;
        entered = unshare_most(profile->namespaces, &error);
        if (entered != profile->namespaces)
                (void)snprintf(ret->absent, sizeof ret->absent, "%s refused by this kernel: %s",
                               entered ? "user namespace" : "private namespaces", strerrordesc_np(error));
        if (entered & SANDBOX_NS_USER) {
                r = map_own_id(uid, gid);
                if (r < 0)
                        return fault_set(reterr, r, "SANDBOX-004", 0,
                                         "user namespace: own id can't be mapped: %s", strerrordesc_np(-r));
        }
        ret->namespaces_entered = entered;
        return entered & SANDBOX_NS_MOUNT ? sandbox_root(profile, ret, reterr) : 0;
}
