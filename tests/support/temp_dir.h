/* temp_dir: a folder for one test, removed with all that is in it when the variable goes out of scope. */
#pragma once

#include <fcntl.h>
#include <ftw.h>

#include "base/macros.h"

struct temp_dir {
        int fd;
        char path[64];
};

static inline int temp_dir_remove_one(const char *path, const struct stat *s, int kind, struct FTW *where) {
        return remove(path);
}

static inline struct temp_dir temp_dir_new(void) {
        struct temp_dir t = {.path = "/tmp/secai-test-XXXXXX"};

        if (!mkdtemp(t.path))
                abort();
        t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (t.fd < 0)
                abort();
        return t;
}

static inline void temp_dir_done(struct temp_dir *t) {
        close(t->fd);
        nftw(t->path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
