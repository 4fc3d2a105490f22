#include "core/sandbox_parts.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Newer than the headers of Debian 12 (linux/landlock.h of 6.12) */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* ABI 3 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP    (1ULL << 0) /* ABI 4 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6 */
#define LANDLOCK_SCOPE_SIGNAL               (1ULL << 1)
#endif

/* The kernel's struct landlock_ruleset_attr as it has grown; older kernels take the front part. */
struct ruleset_attributes {
        uint64_t files, net, scoped;
};

#define FILES_ABI_1                                                                                          \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |         \
         LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |      \
         LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |          \
         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |       \
         LANDLOCK_ACCESS_FS_MAKE_SYM)
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Ordinary files and folders: no device, no link by name, no socket and no pipe is ever made by a service. */
#define WRITE_RIGHTS                                                                                         \
        (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |    \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER |              \
         LANDLOCK_ACCESS_FS_TRUNCATE)
/* What makes sense for a rule on a single file; the kernel refuses the others there. */
#define FILE_RIGHTS                                                                                          \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |         \
         LANDLOCK_ACCESS_FS_TRUNCATE)

static struct ruleset_attributes attributes_of(int abi) {
        struct ruleset_attributes a = {.files = FILES_ABI_1};

        if (abi >= 2)
                a.files |= LANDLOCK_ACCESS_FS_REFER;
        if (abi >= 3)
                a.files |= LANDLOCK_ACCESS_FS_TRUNCATE;
        if (abi >= 4)
                a.net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
        if (abi >= 5)
                a.files |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
        if (abi >= 6)
                a.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
        return a;
}

static size_t size_for(int abi) {
        return abi >= 6   ? sizeof(struct ruleset_attributes)
               : abi >= 4 ? offsetof(struct ruleset_attributes, scoped)
                          : offsetof(struct ruleset_attributes, net);
}

static uint64_t rights_of(unsigned access) {
        return (access & SANDBOX_READ ? READ_RIGHTS : 0) | (access & SANDBOX_WRITE ? WRITE_RIGHTS : 0) |
               (access & SANDBOX_EXECUTE ? LANDLOCK_ACCESS_FS_EXECUTE : 0);
}

static int add_path(int ruleset, uint64_t handled, const struct sandbox_path *path, struct fault *reterr) {
        _cleanup_(closep) int fd = open(path->path, O_PATH | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = {.parent_fd = fd};
        struct stat s;

        if (fd < 0 && errno == ENOENT && path->optional)
                return 0;
        if (fd < 0 || fstat(fd, &s) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-005", 0, "the sandbox needs %.90s: %m",
                                 path->path);
        rule.allowed_access = rights_of(path->access) & handled &
                              (S_ISDIR(s.st_mode) ? UINT64_MAX : FILE_RIGHTS);
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-005", 0, "Landlock rule for %.90s: %m",
                                 path->path);
        return 0;
}

static int add_paths(int ruleset, uint64_t handled, const struct sandbox_path *paths, struct fault *reterr) {
        for (const struct sandbox_path *path = paths; path && path->path; path++) {
                int r = add_path(ruleset, handled, path, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* What is open already can be read beneath, wherever it lies: only Landlock would refuse it. */
static int add_folders(int ruleset, uint64_t handled, const struct sandbox_profile *p, struct fault *reterr) {
        for (size_t i = 0; i < p->n_folders; i++) {
                struct landlock_path_beneath_attr rule = {.parent_fd = p->folders[i],
                                                          .allowed_access = READ_RIGHTS & handled};

                if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                        return fault_set(reterr, negative_errno(), "SANDBOX-005", 0,
                                         "Landlock rule for an open folder: %m");
        }
        return 0;
}

int sandbox_landlock(const struct sandbox_profile *profile, struct sandbox_report *ret,
                     struct fault *reterr) {
        static const struct sandbox_path proc[] = {{"/proc", SANDBOX_READ, true}, {0}};
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), r;
        struct ruleset_attributes a = attributes_of(abi);
        _cleanup_(closep) int ruleset = -EBADF;

        if (abi < 1)
                return fault_set(
                        reterr, abi < 0 ? negative_errno() : -EOPNOTSUPP, "SANDBOX-006", 0,
                        "this kernel has no Landlock (5.13 or newer, with \"landlock\" in its lsm= list)");
        ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, size_for(abi), 0);
        if (ruleset < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-006", 0, "Landlock ruleset: %m");
        r = add_paths(ruleset, a.files, profile->paths, reterr);
        if (r >= 0)
                r = add_folders(ruleset, a.files, profile, reterr);
        if (r >= 0 && SANDBOX_SANITIZER)
                r = add_paths(ruleset, a.files, proc, reterr);
        if (r < 0)
                return r;
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-006", 0, "Landlock can't be entered: %m");
        ret->landlock_abi = abi;
        return 0;
}
