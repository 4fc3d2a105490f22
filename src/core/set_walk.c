#include "core/set_walk.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/num.h"

/* Folders that have been seen and not been looked into yet, as paths; "" is the top. */
struct pending {
        char **list;
        size_t n, cap;
};

struct walk {
        int root;
        struct set_walk *found;
        struct pending pending;
        struct fault *fault;
        size_t text; /* of the listing to come */
        bool is_claim;
};

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

static void pending_done(struct pending *p) {
        for (size_t i = 0; i < p->n; i++)
                free(p->list[i]);
        free(p->list);
}

void set_walk_done(struct set_walk *w) {
        for (size_t i = 0; i < w->n; i++)
                free(w->files[i].path);
        free(w->files);
        *w = (struct set_walk){0};
}

struct set_identity set_identity_of(const struct stat *st) {
        return (struct set_identity){.device = st->st_dev,
                                     .inode = st->st_ino,
                                     .changed_nsec = (uint64_t)st->st_ctim.tv_sec * 1000000000U +
                                                     (uint64_t)st->st_ctim.tv_nsec};
}

bool set_name_is_left_out(const char *name) {
        static const char *const names[] = {"model.sig", ".git", ".gitattributes", ".github", ".gitignore"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

static int refuse(const struct walk *w, int code, const char *word, const char *path, const char *what) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);

        if (buf_append_escaped(&shown, view_of(path[0] ? path : "the folder"), 60) < 0)
                buf_clear(&shown);
        return fault_set(w->fault, code, word, 0, "%s: %s", buf_str(&shown), what);
}

static int no_memory(const struct walk *w) {
        return fault_set(w->fault, -ENOMEM, "out_of_memory", 0, "out of memory");
}

static bool is_unfinished(const char *name) {
        static const char *const endings[] = {".part", ".partial", ".crdownload", ".download",
                                              ".tmp",  ".aria2",   ".incomplete"};

        for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
                if (view_ends(view_of(name), view_of(endings[i])))
                        return true;
        return false;
}

static int push(struct walk *w, const char *path) {
        struct pending *p = &w->pending;

        if (p->n == p->cap) {
                size_t cap = p->cap ? 2 * p->cap : 16;
                char **more = reallocarray(p->list, cap, sizeof *more);

                if (!more)
                        return no_memory(w);
                p->list = more;
                p->cap = cap;
        }
        p->list[p->n] = strdup(path);
        return p->list[p->n++] ? 0 : no_memory(w);
}

static int see_folder(struct walk *w, const char *path) {
        unsigned depth = 1;

        for (const char *p = path; (p = strchr(p, '/')); p++)
                depth++;
        if (depth >= SET_DEPTH_MAX)
                return refuse(w, -E2BIG, "too_deep", path, "folders are nested deeper than 32 levels");
        if (w->found->folders == SET_MEMBERS_MAX)
                return refuse(w, -E2BIG, "too_many_files", path, "more than 20,000 folders");
        w->found->folders++;
        return push(w, path);
}

static int keep_file(struct walk *w, const char *path, const struct stat *st) {
        struct set_walk *f = w->found;
        char *copy;

        if ((f->n & (f->n - 1)) == 0) { /* the capacity is the next power of two */
                struct set_file *more = reallocarray(f->files, f->n ? 2 * f->n : 1, sizeof *more);

                if (!more)
                        return no_memory(w);
                f->files = more;
        }
        copy = strdup(path);
        if (!copy)
                return no_memory(w);
        f->files[f->n++] = (struct set_file){
                .path = copy, .size = (uint64_t)st->st_size, .id = set_identity_of(st)};
        f->size += (uint64_t)st->st_size;
        return 0;
}

static int see_file(struct walk *w, const char *path, const struct stat *st) {
        uint64_t sum;

        if (st->st_nlink > 1 && !w->is_claim)
                return refuse(w, -EBADMSG, "hard_link", path,
                              "has a second name (hard link), through which it could be changed");
        if (st->st_mode & (S_ISUID | S_ISGID | S_ISVTX))
                return refuse(w, -EBADMSG, "special_mode", path, "is set-user-ID, set-group-ID or sticky");
        w->text += strlen(path) + SHA256_HEX_SIZE + 22; /* at most: digest, size and two separators */
        if (w->text > SET_LISTING_MAX - sizeof SET_LISTING_HEAD)
                return refuse(w, -E2BIG, "names_too_long", path, "all names together are longer than 8 MiB");
        if (w->found->n == SET_MEMBERS_MAX)
                return refuse(w, -E2BIG, "too_many_files", path, "more than 20,000 files");
        if (st->st_size < 0 || u64_add(w->found->size, (uint64_t)st->st_size, &sum) < 0 ||
            sum > SET_BYTES_MAX)
                return refuse(w, -E2BIG, "too_large", path, "the folder is larger than can be counted");
        return keep_file(w, path, st);
}

static int see_other(struct walk *w, const char *path, const struct stat *st) {
        return S_ISLNK(st->st_mode)
                       ? refuse(w, -EBADMSG, "symbolic_link", path,
                                "is a symbolic link; the folder must hold the files themselves")
                       : refuse(w, -EBADMSG, "special_file", path, "is a pipe, socket or device");
}

static int see_entry(struct walk *w, int dir, const char *folder, const char *name) {
        char path[SET_PATH_MAX + 2];
        struct set_identity id;
        struct stat st;
        int n = folder[0] ? snprintf(path, sizeof path, "%s/%s", folder, name)
                          : snprintf(path, sizeof path, "%s", name);

        if (n < 0 || (size_t)n > SET_PATH_MAX)
                return refuse(w, -ENAMETOOLONG, "name_too_long", path,
                              "this path is longer than 1,024 bytes");
        if (!folder[0] && set_name_is_left_out(name))
                return 0;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return refuse(w, negative_errno(), "folder_changed", path, "is gone while it was looked at");
        id = set_identity_of(&st);
        w->found->newest_nsec = MAX_OF(w->found->newest_nsec, id.changed_nsec);
        if (S_ISDIR(st.st_mode)) {
                if (!set_path_is_valid(view_of(name)))
                        return refuse(w, -EBADMSG, "bad_name", path, "control characters or no UTF-8");
                return see_folder(w, path);
        }
        if (!S_ISREG(st.st_mode))
                return see_other(w, path, &st);
        if (!set_path_is_valid(view_of(path)))
                return refuse(w, -EBADMSG, "bad_name", path, "control characters, or no UTF-8");
        w->found->unfinished |= is_unfinished(name);
        return see_file(w, path, &st);
}

static int list_folder(struct walk *w, const char *path) {
        _cleanup_(closedirp) DIR *d = NULL;
        int fd = open_beneath(w->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
        struct dirent *e;

        if (fd >= 0)
                d = fdopendir(fd);
        if (!d) {
                r = fd < 0 ? fd : negative_errno();
                close_fd(fd);
                return refuse(w, r, r == -EACCES || r == -EPERM ? "unreadable" : "folder_changed", path,
                              r == -EACCES || r == -EPERM ? "this folder may not be read"
                                                          : "this folder changed while it was looked at");
        }
        errno = 0;
        while (r >= 0 && (e = readdir(d))) {
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = see_entry(w, dirfd(d), path, e->d_name);
                errno = 0;
        }
        return r >= 0 && errno != 0 ? refuse(w, negative_errno(), "unreadable", path, "can't be listed") : r;
}

static int by_path(const void *a, const void *b) {
        return strcmp(((const struct set_file *)a)->path, ((const struct set_file *)b)->path);
}

static int walk_all(struct walk *w) {
        int r = push(w, "");

        w->found->folders = 1;
        while (r >= 0 && w->pending.n > 0) {
                _cleanup_(freep) char *path = w->pending.list[--w->pending.n];

                r = list_folder(w, path);
        }
        if (r >= 0 && w->found->n == 0)
                return refuse(w, -ENODATA, "empty", "", "holds no file");
        if (r >= 0)
                qsort(w->found->files, w->found->n, sizeof *w->found->files, by_path);
        return r;
}

static int walk_from(int dir_fd, bool is_claim, struct set_walk *ret, struct fault *reterr) {
        struct walk w = {.root = dir_fd, .found = ret, .fault = reterr, .is_claim = is_claim};
        struct stat st;
        int r;

        *ret = (struct set_walk){0};
        if (fstat(dir_fd, &st) < 0)
                return fault_set(reterr, negative_errno(), "unreadable", 0, "the folder can't be read");
        ret->newest_nsec = set_identity_of(&st).changed_nsec;
        r = walk_all(&w);
        pending_done(&w.pending);
        return r;
}

int set_walk(int dir_fd, struct set_walk *ret, struct fault *reterr) {
        return walk_from(dir_fd, false, ret, reterr);
}

int set_walk_claim(int dir_fd, struct set_walk *ret, struct fault *reterr) {
        return walk_from(dir_fd, true, ret, reterr);
}

static bool is_same(const struct set_identity *a, const struct set_identity *b) {
        return a->device == b->device && a->inode == b->inode && a->changed_nsec == b->changed_nsec;
}

int set_walk_open(int dir_fd, const struct set_file *f) {
        _cleanup_(closep) int fd = open_beneath(dir_fd, f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        struct set_identity id;
        struct stat st;

        if (fd < 0)
                return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        id = set_identity_of(&st);
        if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size != f->size ||
            !is_same(&id, &f->id))
                return -ESTALE;
        return TAKE_FD(fd);
}

bool set_walk_equal(const struct set_walk *a, const struct set_walk *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->files[i].path, b->files[i].path) != 0 || a->files[i].size != b->files[i].size ||
                    !is_same(&a->files[i].id, &b->files[i].id))
                        return false;
        return true;
}

int set_walk_digest(const struct set_walk *w, struct sha256 *ret) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        int r = digest_new(&d);

        for (size_t i = 0; i < w->n && r >= 0; i++) {
                const struct set_file *f = &w->files[i];
                uint64_t numbers[] = {f->size, f->id.device, f->id.inode, f->id.changed_nsec};

                r = digest_update(d, view_make(f->path, strlen(f->path) + 1));
                if (r >= 0)
                        r = digest_update(d, view_make(numbers, sizeof numbers));
        }
        return r < 0 ? r : digest_final(d, ret);
}
