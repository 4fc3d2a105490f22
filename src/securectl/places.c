#include "securectl/places.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include "base/view.h"

int place_join(char out[PLACE_MAX], const char *folder, const char *name) {
        int n = snprintf(out, PLACE_MAX, "%s/%s", folder, name);

        return n < 0 || n >= PLACE_MAX ? -ENAMETOOLONG : 0;
}

static bool is_folder(const char *path) {
        struct stat s;

        return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Cuts the last component off: "/a/b" becomes "/a", "/a" becomes "". */
static void cut_last(char *path) {
        char *slash = strrchr(path, '/');

        if (slash)
                *slash = '\0';
}

/* <prefix>/bin/securectl; the configuration of prefix /usr is in /etc, that of others beneath the prefix. */
static int find_installation(struct places *p) {
        char prefix[PLACE_MAX] = "", above[PLACE_MAX];
        ssize_t n = readlink("/proc/self/exe", prefix, sizeof prefix - 1);
        int r;

        if (n <= 0)
                return negative_errno();
        if ((size_t)n >= sizeof prefix - 1)
                return -ENAMETOOLONG;
        prefix[n] = '\0';
        cut_last(prefix);
        cut_last(prefix);
        memcpy(above, prefix, sizeof above);
        if (view_ends(view_of(above), VIEW("/usr")))
                cut_last(above);
        r = place_join(p->libexec, prefix, "libexec/secure-ai");
        if (r >= 0)
                r = place_join(p->share, prefix, "share/secure-ai");
        return r < 0 ? r : place_join(p->config, above, "etc/secure-ai");
}

static int find_state_root(const char *given, struct places *p) {
        const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");
        char path[PATH_MAX];

        if (given && given[0] != '/') {
                if (!getcwd(path, sizeof path))
                        return negative_errno();
                return place_join(p->state_root, path, given);
        }
        if (given)
                return snprintf(p->state_root, PLACE_MAX, "%s", given) >= PLACE_MAX ? -ENAMETOOLONG : 0;
        if (data && data[0] == '/')
                return place_join(p->state_root, data, "secure-ai");
        return home && home[0] == '/' ? place_join(p->state_root, home, ".local/share/secure-ai") : -ENOENT;
}

/* tools/worker-root.sh writes .complete last. */
static bool is_complete(const char *root) {
        char path[PLACE_MAX];

        return place_join(path, root, ".complete") >= 0 && access(path, R_OK) == 0;
}

static int find_worker_root(const char *given, struct places *p) {
        const char *home = secure_getenv("HOME");

        if (!given)
                given = secure_getenv("SECAI_WORKER_ROOT");
        if (given) {
                char absolute[PATH_MAX];

                if (!realpath(given, absolute))
                        return negative_errno();
                return snprintf(p->worker_root, PLACE_MAX, "%s", absolute) >= PLACE_MAX ? -ENAMETOOLONG
                       : is_complete(absolute)                                          ? 0
                                                                                        : -ENOENT;
        }
        if (home && place_join(p->worker_root, home, ".cache/secure-ai/worker-root") >= 0 &&
            is_complete(p->worker_root))
                return 0;
        if (place_join(p->worker_root, p->share, "worker-root") < 0 || !is_complete(p->worker_root))
                p->worker_root[0] = '\0';
        return 0;
}

static int use_own_config(struct places *p) {
        char own[PLACE_MAX];
        int r = place_join(own, p->state_root, "config");

        if (r >= 0 && is_folder(own))
                memcpy(p->config, own, sizeof own);
        return r;
}

int places_find(const char *state_root, const char *worker_root, struct places *ret, struct fault *reterr) {
        struct places p = {0};
        int r = find_installation(&p);

        if (r < 0)
                return fault_set(reterr, r, "UP-001", 0, "where this program is installed can't be read: %s",
                                 strerrordesc_np(-r));
        r = find_state_root(state_root, &p);
        if (r >= 0)
                r = place_join(p.run, p.state_root, "run");
        if (r >= 0)
                r = use_own_config(&p);
        if (r < 0)
                return fault_set(reterr, r, "UP-002", 0,
                                 "folder for the state: %s; give one with --state-root DIR",
                                 r == -ENOENT ? "HOME is not set" : strerrordesc_np(-r));
        r = find_worker_root(worker_root, &p);
        if (r < 0)
                return fault_set(reterr, r, "UP-003", 0,
                                 "sealed worker root %.80s: %s; tools/worker-root.sh builds it",
                                 worker_root ? worker_root : "",
                                 r == -ENOENT ? "not complete" : strerrordesc_np(-r));
        *ret = p;
        return 0;
}
