#include "core/sig_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/set_walk.h"

#define READ_BYTES ((size_t)1 << 20)

const char *const sig_default_ignored[] = {".git", ".gitattributes", ".github", ".gitignore", NULL};

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}
static void md_freep(EVP_MD_CTX **c) {
        EVP_MD_CTX_free(*c);
}

static int say(struct fault *f, int code, const char *rule, const char *path, const char *what) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);

        if (buf_append_escaped(&shown, view_of(path), 72) < 0)
                buf_clear(&shown);
        return fault_set(f, code, rule, 0, "%s: %s", buf_str(&shown), what);
}

void sig_tree_done(struct sig_tree *t) {
        for (size_t i = 0; i < t->n; i++)
                free(t->files[i].path);
        free(t->files);
        *t = (struct sig_tree){0};
}

static bool is_listed(const char *const *paths, const char *path) {
        for (; paths && *paths; paths++)
                if (strcmp(*paths, path) == 0)
                        return true;
        return false;
}

static int add_file(struct sig_tree *t, const char *path, struct fault *f) {
        char *copy;

        if (t->n == SIG_TREE_FILES_MAX)
                return fault_set(f, -E2BIG, "PROVENANCE-034", 0, "the folder has more than %d files",
                                 SIG_TREE_FILES_MAX);
        if (!t->files) {
                t->files = calloc(SIG_TREE_FILES_MAX, sizeof *t->files);
                if (!t->files)
                        return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        }
        copy = strdup(path);
        if (!copy)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        t->files[t->n++].path = copy;
        return 0;
}

struct walk {
        int root;
        const char *const *ignored;
        struct sig_tree *tree;
        struct fault *fault;
        size_t folders;
};

static int walk_folder(struct walk *w, const char *path, unsigned depth);

static int walk_entry(struct walk *w, int dir, const char *folder, const char *name, unsigned depth) {
        char path[SIG_PATH_BYTES_MAX + 1];
        struct stat st;
        int n = folder[0] ? snprintf(path, sizeof path, "%s/%s", folder, name)
                          : snprintf(path, sizeof path, "%s", name);

        if (n < 0 || (size_t)n >= sizeof path)
                return say(w->fault, -ENAMETOOLONG, "PROVENANCE-034", name, "its path is too long");
        if (is_listed(w->ignored, path))
                return 0;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return say(w->fault, negative_errno(), "PROVENANCE-030", path, strerrordesc_np(errno));
        if (S_ISREG(st.st_mode))
                return add_file(w->tree, path, w->fault);
        if (!S_ISDIR(st.st_mode))
                return say(w->fault, -EBADMSG, "PROVENANCE-033", path,
                           S_ISLNK(st.st_mode)
                                   ? "is a symbolic link; a signed folder must hold the files themselves"
                                   : "is no regular file");
        if (depth == SIG_TREE_DEPTH_MAX || ++w->folders > SIG_TREE_FILES_MAX)
                return say(w->fault, -E2BIG, "PROVENANCE-034", path,
                           "the folders are nested too deep or too many");
        return walk_folder(w, path, depth + 1);
}

static int walk_folder(struct walk *w, const char *path, unsigned depth) {
        _cleanup_(closedirp) DIR *d = NULL;
        int fd = open_beneath(w->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
        struct dirent *e;

        if (fd >= 0)
                d = fdopendir(fd);
        if (!d) {
                r = fd < 0 ? fd : negative_errno();
                close_fd(fd);
                return say(w->fault, r, "PROVENANCE-034", path[0] ? path : ".", strerrordesc_np(-r));
        }
        errno = 0;
        while (r >= 0 && (e = readdir(d))) {
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = walk_entry(w, dirfd(d), path, e->d_name, depth);
                errno = 0;
        }
        if (r >= 0 && errno != 0)
                r = say(w->fault, negative_errno(), "PROVENANCE-034", path, "can't be listed");
        return r;
}

static int by_path(const void *a, const void *b) {
        return strcmp(((const struct sig_file *)a)->path, ((const struct sig_file *)b)->path);
}

int sig_tree_list(int dir_fd, const char *const *ignored, struct sig_tree *ret, struct fault *reterr) {
        struct walk w = {.root = dir_fd, .ignored = ignored, .tree = ret, .fault = reterr};
        int r = walk_folder(&w, "", 0);

        if (r >= 0 && ret->n > 0)
                qsort(ret->files, ret->n, sizeof *ret->files, by_path);
        return r;
}

/* O_NONBLOCK: a FIFO that took the file's place must not make us wait. */
static int open_regular(int dir_fd, const char *path, uint64_t *ret_size, struct fault *f) {
        _cleanup_(closep) int fd = open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
        struct stat st;

        if (fd < 0)
                return say(f, fd, fd == -ELOOP ? "PROVENANCE-033" : "PROVENANCE-030", path,
                           strerrordesc_np(-fd));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return say(f, -EBADMSG, "PROVENANCE-033", path, "is no regular file");
        *ret_size = (uint64_t)st.st_size;
        return TAKE_FD(fd);
}

static int feed(EVP_MD_CTX *c, int fd, uint64_t start, uint64_t end) {
        _cleanup_(freep) char *block = malloc(READ_BYTES);
        int r = 0;

        if (!block)
                return -ENOMEM;
        while (r >= 0 && start < end) {
                size_t n = (size_t)MIN_OF(end - start, (uint64_t)READ_BYTES);

                r = pread_all(fd, block, n, start);
                if (r >= 0 && EVP_DigestUpdate(c, block, n) != 1)
                        r = -EIO;
                start += n;
        }
        return r;
}

static int hash_range(int fd, uint64_t start, uint64_t end, enum sig_hash hash, uint8_t out[SIG_DIGEST_MAX]) {
        _cleanup_(md_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        int r;

        if (!c || EVP_DigestInit_ex2(c, hash == SIG_BLAKE2B ? EVP_blake2b512() : EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        r = feed(c, fd, start, end);
        if (r >= 0 && EVP_DigestFinal_ex(c, out, NULL) != 1)
                r = -EIO;
        return r;
}

static int hash_file(int dir_fd, struct sig_tree *t, struct sig_file *file, struct fault *f) {
        _cleanup_(closep) int fd = -EBADF;
        uint8_t digest[SIG_DIGEST_MAX];
        uint64_t size = 0;
        int r;

        fd = open_regular(dir_fd, file->path, &size, f);
        if (fd < 0)
                return fd;
        r = hash_range(fd, 0, size, SIG_SHA256, digest);
        if (r < 0)
                return say(f, r, "PROVENANCE-034", file->path, strerrordesc_np(-r));
        memcpy(file->digest.b, digest, sizeof file->digest.b);
        t->bytes += size;
        return 0;
}

int sig_tree_hash(int dir_fd, struct sig_tree *t, struct fault *reterr) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n; i++)
                r = hash_file(dir_fd, t, &t->files[i], reterr);
        return r;
}

static int by_resource(const void *a, const void *b) {
        const struct sig_resource *x = *(const struct sig_resource *const *)a,
                                  *y = *(const struct sig_resource *const *)b;
        int order = view_compare(x->path, y->path);

        return order ? order : x->start < y->start ? -1 : x->start > y->start;
}

/* The paths that the walk leaves out: the signature itself, and Git's own names where the signer left them out. Whatever
 * else the signer left out is not covered, and so counts as extra when it is there. */
static void left_out(const struct sig_statement *s, const char *bundle, const char *out[]) {
        size_t n = 0;

        if (bundle)
                out[n++] = bundle;
        for (size_t i = 0; sig_default_ignored[i]; i++)
                for (size_t k = 0; k < s->n_ignored; k++)
                        if (view_eq_str(s->ignored[k], sig_default_ignored[i])) {
                                out[n++] = sig_default_ignored[i];
                                break;
                        }
        out[n] = NULL;
}

static int check_one(int dir_fd, const struct sig_statement *s, const char *path,
                     const struct sig_resource *const *parts, size_t n, uint64_t *bytes, struct fault *f) {
        _cleanup_(closep) int fd = -EBADF;
        uint64_t size = 0;
        int r = 0;

        fd = open_regular(dir_fd, path, &size, f);
        if (fd < 0)
                return fd;
        if (s->is_sharded && parts[n - 1]->end != size)
                return say(f, -EBADMSG, "PROVENANCE-031", path, "its length is not the one that was signed");
        for (size_t i = 0; i < n; i++) {
                uint8_t digest[SIG_DIGEST_MAX];

                r = hash_range(fd, s->is_sharded ? parts[i]->start : 0, s->is_sharded ? parts[i]->end : size,
                               s->hash, digest);
                if (r < 0)
                        return say(f, r, "PROVENANCE-034", path, strerrordesc_np(-r));
                if (memcmp(digest, parts[i]->digest, sig_hash_size(s->hash)) != 0)
                        return say(f, -EBADMSG, "PROVENANCE-031", path, "is not the file that was signed");
        }
        *bytes += size;
        return 0;
}

/* Shards leave out empty files. */
static int check_extra(int dir_fd, const struct sig_statement *s, const char *path, struct fault *f) {
        _cleanup_(closep) int fd = -EBADF;
        uint64_t size = 0;

        if (s->is_sharded) {
                fd = open_regular(dir_fd, path, &size, f);
                if (fd < 0)
                        return fd;
                if (size == 0)
                        return 0;
        }
        return say(f, -EBADMSG, "PROVENANCE-032", path, "is in the folder, but not among the signed files");
}

static int missing(struct view path, struct fault *f) {
        _cleanup_(freep) char *text = view_dup(path);

        return say(f, -ENOENT, "PROVENANCE-030", text ? text : "?", "was signed, but is not there");
}

/* Both lists are sorted by path. Names first, so that a missing or extra file is told before anything is read. */
static int compare(int dir_fd, const struct sig_statement *s, const struct sig_resource *const *parts,
                   const struct sig_tree *t, uint64_t *bytes, struct fault *f) {
        for (int reads = 0; reads < 2; reads++) {
                size_t i = 0, k = 0;

                while (i < t->n || k < s->n_resources) {
                        int order = i == t->n ? 1
                                    : k == s->n_resources
                                            ? -1
                                            : view_compare(view_of(t->files[i].path), parts[k]->path);
                        size_t n = 1;
                        int r = 0;

                        if (order > 0)
                                return missing(parts[k]->path, f);
                        while (order == 0 && k + n < s->n_resources &&
                               view_eq(parts[k + n]->path, parts[k]->path))
                                n++;
                        if (order < 0)
                                r = reads ? 0 : check_extra(dir_fd, s, t->files[i].path, f);
                        else {
                                if (reads)
                                        r = check_one(dir_fd, s, t->files[i].path, &parts[k], n, bytes, f);
                                k += n;
                        }
                        if (r < 0)
                                return r;
                        i++;
                }
        }
        return 0;
}

static const struct sig_resource **sorted_parts(const struct sig_statement *s) {
        const struct sig_resource **parts = calloc(s->n_resources, sizeof(const struct sig_resource *));

        if (!parts)
                return NULL;
        for (size_t i = 0; i < s->n_resources; i++)
                parts[i] = &s->resources[i];
        qsort(parts, s->n_resources, sizeof(const struct sig_resource *), by_resource);
        return parts;
}

static bool is_beside(struct view path) {
        _cleanup_(freep) char *top = NULL;
        struct view rest = path, head;

        top = view_dup(view_split(&rest, '/', &head) ? head : path);
        return top && set_name_is_left_out(top);
}

int sig_tree_check_listing(const struct sig_statement *s, const struct set_listing *l, struct fault *reterr) {
        _cleanup_(freep) const struct sig_resource **parts = NULL;
        size_t i = 0;

        if (s->is_sharded || s->hash != SIG_SHA256)
                return -EOPNOTSUPP;
        parts = sorted_parts(s);
        if (!parts)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        for (size_t k = 0; k < s->n_resources; k++) {
                const struct set_member *m = i < l->n ? &l->members[i] : NULL;
                int order = m ? view_compare(view_of(m->path), parts[k]->path) : 1;

                if (order < 0)
                        break;
                if (order > 0 && !is_beside(parts[k]->path))
                        return missing(parts[k]->path, reterr);
                if (order > 0)
                        continue;
                if (memcmp(m->sha256.b, parts[k]->digest, SHA256_SIZE) != 0)
                        return say(reterr, -EBADMSG, "PROVENANCE-031", m->path,
                                   "is not the file that was signed");
                i++;
        }
        return i == l->n ? 0
                         : say(reterr, -EBADMSG, "PROVENANCE-032", l->members[i].path,
                               "is in the folder, but not among the signed files");
}

int sig_tree_check(int dir_fd, const struct sig_statement *s, const char *bundle, uint64_t *ret_files,
                   uint64_t *ret_bytes, struct fault *reterr) {
        _cleanup_(freep) const struct sig_resource **parts = NULL;
        _cleanup_(sig_tree_donep) struct sig_tree t = {0};
        const char *ignored[8]; /* the bundle, four names of Git, the end */
        uint64_t bytes = 0;
        int r;

        left_out(s, bundle, ignored);
        parts = sorted_parts(s);
        if (!parts)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        r = sig_tree_list(dir_fd, ignored, &t, reterr);
        if (r >= 0)
                r = compare(dir_fd, s, parts, &t, &bytes, reterr);
        if (r < 0)
                return r;
        *ret_files = t.n;
        *ret_bytes = bytes;
        return 0;
}
