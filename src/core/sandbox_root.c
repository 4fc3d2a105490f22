/* A root of the program's own: an empty, read-only tmpfs that holds the profile's paths and nothing else. Landlock
 * refuses to open what is not listed, but it does not (yet) refuse to connect to a UNIX socket by its name: without
 * this, a program could talk to the message bus, to an agent or to a container daemon of the same user. */
#include "core/sandbox_parts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"

#define BASE         "/tmp" /* any folder: the new root is put together on top of it */
#define ROOT_FLAGS   (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define ROOT_OPTIONS "mode=0755,size=256k"
#define PATHS_MAX    16
#define PATH_SIZE    4096

struct source {
        const char *path;
        int fd;
        bool is_folder;
};

static size_t open_sources(const struct sandbox_path *paths, struct source *out) {
        static const struct sandbox_path proc = {"/proc", SANDBOX_READ, true};
        size_t n = 0;

        for (; paths && paths->path && n < PATHS_MAX; paths++) {
                struct stat s;
                int fd = open(paths->path, O_PATH | O_CLOEXEC);

                if (fd < 0 || fstat(fd, &s) < 0) { /* a missing one is the business of the rule for it */
                        close_fd(fd);
                        continue;
                }
                out[n++] = (struct source){paths->path, fd, S_ISDIR(s.st_mode)};
        }
        if (SANDBOX_SANITIZER)
                out[n++] = (struct source){proc.path, open(proc.path, O_PATH | O_CLOEXEC), true};
        return n;
}

static int make_place(const char *path, bool is_folder) {
        char parent[PATH_SIZE];
        char *slash;
        int fd, r;

        if (is_folder)
                return make_path(path, 0755);
        (void)snprintf(parent, sizeof parent, "%s", path);
        slash = strrchr(parent, '/');
        *slash = '\0'; /* the path is absolute and begins with BASE */
        r = make_path(parent, 0755);
        if (r < 0)
                return r;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd < 0 && errno != EACCES && errno != EROFS) /* there already, inside another of the paths */
                return negative_errno();
        close_fd(fd);
        return 0;
}

static int bind_source(const struct source *s) {
        char from[64], to[PATH_SIZE];
        int n = snprintf(to, sizeof to, BASE "%s", s->path), r;

        if (n < 0 || (size_t)n >= sizeof to)
                return -ENAMETOOLONG;
        r = make_place(to, s->is_folder);
        if (r < 0)
                return r;
        (void)snprintf(from, sizeof from, "/proc/self/fd/%d", s->fd);
        return mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 ? negative_errno() : 0;
}

static int fill_root(const struct source *sources, size_t n) {
        if (mount("tmpfs", BASE, "tmpfs", ROOT_FLAGS, ROOT_OPTIONS) < 0)
                return negative_errno();
        for (size_t i = 0; i < n; i++) {
                int r = bind_source(&sources[i]);

                if (r < 0) {
                        (void)umount2(BASE, MNT_DETACH);
                        return r;
                }
        }
        return 0;
}

/* From here on there is no way back. */
static int enter_root(struct fault *reterr) {
        if (chdir(BASE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
            chdir("/") < 0 || mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | ROOT_FLAGS, NULL) < 0)
                return fault_set(reterr, negative_errno(), "SANDBOX-009", 0,
                                 "private root can't be entered: %m");
        return 0;
}

int sandbox_root(const struct sandbox_profile *profile, struct sandbox_report *ret, struct fault *reterr) {
        struct source sources[PATHS_MAX + 1];
        size_t n;
        int r;

        n = open_sources(profile->paths, sources);
        r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? negative_errno() : fill_root(sources, n);
        for (size_t i = 0; i < n; i++)
                close_fd(sources[i].fd);
        if (r >= 0)
                return enter_root(reterr);
        (void)snprintf(ret->absent, sizeof ret->absent, "private root refused: %s", strerrordesc_np(-r));
        return 0;
}
