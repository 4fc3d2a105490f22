#include "quarantine/names.h"

#include <dirent.h>
#include <fcntl.h>

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

void names_done(struct names *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->list[i]);
        l->n = 0;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_stream(int dir_fd, DIR **ret) {
        _cleanup_(closep) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d;

        if (fd < 0)
                return negative_errno();
        d = fdopendir(fd);
        if (!d)
                return negative_errno();
        TAKE_FD(fd);
        *ret = d;
        return 0;
}

static int add(struct names *l, const char *name) {
        if (l->n == NAMES_MAX)
                return -E2BIG;
        l->list[l->n] = view_dup(view_of(name));
        if (!l->list[l->n])
                return -ENOMEM;
        l->n++;
        return 0;
}

int names_list(int dir_fd, struct view suffix, struct names *ret) {
        _cleanup_(names_donep) struct names l = {.n = 0};
        _cleanup_(closedirp) DIR *d = NULL;
        int r;

        r = open_stream(dir_fd, &d);
        if (r < 0)
                return r;
        for (;;) {
                struct dirent *e;

                errno = 0;
                e = readdir(d);
                if (!e && errno)
                        return negative_errno();
                if (!e)
                        break;
                if (e->d_name[0] == '.' || !view_ends(view_of(e->d_name), suffix))
                        continue;
                r = add(&l, e->d_name);
                if (r < 0)
                        return r;
        }
        qsort(l.list, l.n, sizeof l.list[0], compare_names);
        *ret = l;
        l.n = 0;
        return 0;
}
