#include "core/set_remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

struct removal {
        int top;
        uint64_t number; /* of the next name for what is moved up */
};

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

/* A folder of ours that was made unreadable is opened up first. */
static int open_folder(int parent, const char *name) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
                fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();
        (void)fchmod(fd, 0700);
        return fd;
}

/* 1 = gone, 0 = a folder that holds something. */
static int remove_simple(int dir, const char *name) {
        if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
                return 1;
        if (errno != EISDIR)
                return negative_errno();
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return 1;
        return errno == ENOTEMPTY || errno == EEXIST || errno == EACCES ? 0 : negative_errno();
}

static int move_up(struct removal *m, int from, const char *name) {
        char to[32];

        if (fchmodat(from, name, 0700, 0) < 0) /* its entry ".." is written */
                return negative_errno();
        do {
                (void)snprintf(to, sizeof to, ".up-%llx", (unsigned long long)m->number++);
                if (renameat2(from, name, m->top, to, RENAME_NOREPLACE) == 0)
                        return 0;
        } while (errno == EEXIST);
        return negative_errno();
}

static DIR *open_stream(int parent, const char *name, int *reterr) {
        int fd = open_folder(parent, name);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d) {
                *reterr = fd < 0 ? fd : negative_errno();
                close_fd(fd);
        }
        return d;
}

static bool is_dots(const char *name) {
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties a folder directly below the top: what holds something itself comes up to the top. */
static int empty_folder(struct removal *m, const char *name) {
        int r = 0;
        _cleanup_(closedirp) DIR *d = open_stream(m->top, name, &r);
        struct dirent *e;

        while (d && r >= 0 && (e = readdir(d))) {
                if (is_dots(e->d_name))
                        continue;
                r = remove_simple(dirfd(d), e->d_name);
                if (r == 0)
                        r = move_up(m, dirfd(d), e->d_name);
        }
        return r;
}

static int remove_entry(struct removal *m, const char *name) {
        int r = remove_simple(m->top, name);

        if (r != 0)
                return r;
        r = empty_folder(m, name);
        return r < 0 ? r : remove_simple(m->top, name);
}

/* A folder that changes while it is listed may show an entry late: so until a whole look finds nothing. */
static int empty_top(struct removal *m, DIR *d) {
        for (bool any = true; any;) {
                struct dirent *e;

                any = false;
                rewinddir(d);
                while ((e = readdir(d))) {
                        int r;

                        if (is_dots(e->d_name))
                                continue;
                        any = true;
                        r = remove_entry(m, e->d_name);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int set_remove(int parent, const char *name) {
        int r = remove_simple(parent, name);
        _cleanup_(closedirp) DIR *d = NULL;
        struct removal m = {0};

        if (r != 0)
                return MIN_OF(r, 0);
        d = open_stream(parent, name, &r);
        if (!d)
                return r;
        m.top = dirfd(d);
        r = empty_top(&m, d);
        if (r < 0)
                return r;
        return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? negative_errno() : 0;
}
