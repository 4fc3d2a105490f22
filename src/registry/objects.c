#include "registry/objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "registry/limits.h"

#define HEX_SIZE (SHA256_HEX_SIZE - 1)

struct objects {
        int root;     /* objects/sha256 */
        int incoming; /* half-written ones, on the same file system; emptied at start */
        _Atomic unsigned counter;
};

struct object_path {
        char folder[3];
        char name[HEX_SIZE - 1];
};

static struct object_path path_of(const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];
        struct object_path p = {{0}, {0}};

        sha256_hex(digest, hex);
        memcpy(p.folder, hex, 2);
        memcpy(p.name, hex + 2, HEX_SIZE - 2);
        return p;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

/* A stream of its own over a folder; the descriptor stays the caller's. */
static DIR *list_dir(int dir_fd) {
        int fd = open_beneath(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d)
                close_fd(fd);
        return d;
}

static int empty_dir(int dir_fd) {
        _cleanup_(closedirp) DIR *d = list_dir(dir_fd);

        if (!d)
                return negative_errno();
        for (struct dirent *e = readdir(d); e; e = readdir(d))
                if (file_name_is_safe(view_of(e->d_name)) && unlinkat(dir_fd, e->d_name, 0) < 0)
                        return negative_errno();
        return 0;
}

int objects_open_store(int state_dir, struct objects **ret) {
        _cleanup_(closep) int parent = open_or_make_dir(state_dir, "objects", 0700);
        struct objects *o = calloc(1, sizeof *o);
        int r = o ? 0 : -ENOMEM;

        if (!o)
                return r;
        o->root = o->incoming = -EBADF;
        r = parent;
        if (r >= 0)
                r = o->root = open_or_make_dir(parent, "sha256", 0700);
        if (r >= 0)
                r = o->incoming = open_or_make_dir(parent, "incoming", 0700);
        if (r >= 0)
                r = empty_dir(o->incoming);
        if (r >= 0)
                r = fsync_dir(parent);
        if (r < 0) {
                objects_free(o);
                return r;
        }
        *ret = o;
        return 0;
}

struct objects *objects_free(struct objects *o) {
        if (!o)
                return NULL;
        close_fd(o->root);
        close_fd(o->incoming);
        free(o);
        return NULL;
}

/* Opens the folder of an object, made durably when it is missing. */
static int open_folder(struct objects *o, const struct object_path *p) {
        _cleanup_(closep) int fd = open_beneath(o->root, p->folder, O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (fd != -ENOENT)
                return TAKE_FD(fd);
        fd = open_or_make_dir(o->root, p->folder, 0700);
        if (fd < 0)
                return fd;
        r = fsync_dir(o->root);
        return r < 0 ? r : TAKE_FD(fd);
}

static int check_source(int fd, uint64_t size, struct stat *st) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fstat(fd, st) < 0)
                return negative_errno();
        if (!S_ISREG(st->st_mode) || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
                return -EBADFD;
        return (uint64_t)st->st_size == size ? 0 : -EMSGSIZE;
}

/* A read lease is given only when nobody has the file open for writing, and is broken by whoever opens it so.
 * 1 it is ours, 0 this file system or owner gives none, -ETXTBSY there is a writer. */
static int take_lease(int fd) {
        if (fcntl(fd, F_SETLEASE, F_RDLCK) >= 0)
                return 1;
        return errno == EAGAIN ? -ETXTBSY : 0;
}

static int compare_digest(int fd, uint64_t size, const struct sha256 *digest) {
        struct sha256 found;
        int r = sha256_of_fd(fd, size, &found);

        if (r == -EIO)
                return -EMSGSIZE; /* it changed its length while it was read */
        if (r < 0)
                return r;
        return memcmp(found.b, digest->b, SHA256_SIZE) == 0 ? 0 : -EBADMSG;
}

/* Puts a checked, private file into its place. */
static int link_into_place(int fd, const char *from_path, int folder, const char *name) {
        if (fchmod(fd, 0400) < 0 || fsync(fd) < 0)
                return negative_errno();
        if (linkat(AT_FDCWD, from_path, folder, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
                return negative_errno();
        return fsync_dir(folder);
}

/* The same inode: nothing is copied. -EXDEV when this can't be had. */
static int admit_by_link(int fd, uint64_t size, const struct sha256 *digest, int folder, const char *name) {
        char self[64];
        int r = compare_digest(fd, size, digest);

        if (r < 0)
                return r;
        if (fcntl(fd, F_GETLEASE) != F_RDLCK)
                return -ETXTBSY;
        (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        r = link_into_place(fd, self, folder, name);
        return r == -ENOSPC || r == -EIO || r >= 0 ? r : -EXDEV;
}

static int copy_bytes(int from, int to, uint64_t size, struct digest *d, char *buffer) {
        for (uint64_t at = 0; at < size;) {
                size_t n = (size_t)MIN_OF(size - at, (uint64_t)REGISTRY_COPY_BUFFER);
                int r = pread_all(from, buffer, n, at);

                if (r < 0)
                        return r == -EIO ? -EMSGSIZE : r;
                r = write_all(to, buffer, n);
                if (r >= 0)
                        r = digest_update(d, view_make(buffer, n));
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}

/* Copies and hashes what is written, in one pass. */
static int copy_checked(int from, int to, uint64_t size, const struct sha256 *digest) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        _cleanup_(freep) char *buffer = malloc(REGISTRY_COPY_BUFFER);
        struct sha256 found;
        int r = buffer ? digest_new(&d) : -ENOMEM;

        if (r >= 0)
                r = copy_bytes(from, to, size, d, buffer);
        if (r >= 0)
                r = digest_final(d, &found);
        if (r < 0)
                return r;
        return memcmp(found.b, digest->b, SHA256_SIZE) == 0 ? 0 : -EBADMSG;
}

static int fill_private(int from, int to, uint64_t size, const struct sha256 *digest) {
        struct stat st;

        if (ioctl(to, FICLONE, from) < 0)
                return copy_checked(from, to, size, digest);
        if (fstat(to, &st) < 0)
                return negative_errno();
        return (uint64_t)st.st_size == size ? compare_digest(to, size, digest) : -EMSGSIZE;
}

/* A private copy, so that it doesn't matter who still holds the source: what is checked is what is kept. */
static int admit_by_copy(struct objects *o, int from, uint64_t size, const struct sha256 *digest, int folder,
                         const char *name) {
        _cleanup_(closep) int fd = -EBADF;
        char temporary[32];
        int r;

        (void)snprintf(temporary, sizeof temporary, "in-%u", atomic_fetch_add(&o->counter, 1));
        fd = open_beneath(o->incoming, temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
                return fd;
        r = fill_private(from, fd, size, digest);
        if (r >= 0 && (fchmod(fd, 0400) < 0 || fsync(fd) < 0))
                r = negative_errno();
        if (r >= 0 && renameat2(o->incoming, temporary, folder, name, RENAME_NOREPLACE) < 0)
                r = errno == EEXIST ? 1 : negative_errno();
        if (r != 0)
                (void)unlinkat(o->incoming, temporary, 0);
        return r < 0 ? r : fsync_dir(folder);
}

/* An object of that name from before: kept when it holds what it should, removed when it is damaged. */
static int check_existing(int folder, const char *name, uint64_t size, const struct sha256 *digest) {
        _cleanup_(closep) int fd = open_beneath(folder, name, O_RDONLY, 0);
        struct stat st;
        int r;

        if (fd < 0)
                return fd;
        r = check_source(fd, size, &st);
        if (r >= 0)
                r = compare_digest(fd, size, digest);
        if (r >= 0)
                return 0;
        if (r != -EMSGSIZE && r != -EBADMSG && r != -EBADFD)
                return r;
        return unlinkat(folder, name, 0) < 0 ? negative_errno() : -ENOENT;
}

int objects_admit(struct objects *o, int fd, uint64_t size, const struct sha256 *digest) {
        struct object_path p = path_of(digest);
        _cleanup_(closep) int folder = -EBADF;
        struct stat st;
        int r = check_source(fd, size, &st), leased;

        if (r < 0)
                return r;
        folder = open_folder(o, &p);
        if (folder < 0)
                return folder;
        r = check_existing(folder, p.name, size, digest);
        if (r != -ENOENT)
                return r;
        leased = take_lease(fd);
        if (leased < 0)
                return leased;
        /* another name of the inode would let its owner change it later: then only a copy is ours alone */
        r = leased && st.st_uid == geteuid() && st.st_nlink == 1
                    ? admit_by_link(fd, size, digest, folder, p.name)
                    : -EXDEV;
        if (r == -EXDEV)
                r = admit_by_copy(o, fd, size, digest, folder, p.name);
        if (leased)
                (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        return r;
}

int objects_open(struct objects *o, const struct sha256 *digest) {
        struct object_path p = path_of(digest);
        char path[HEX_SIZE + 2];
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;

        (void)snprintf(path, sizeof path, "%s/%s", p.folder, p.name);
        fd = open_beneath(o->root, path, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -ENOENT;
}

int objects_remove(struct objects *o, const struct sha256 *digest) {
        struct object_path p = path_of(digest);
        _cleanup_(closep) int folder = open_beneath(o->root, p.folder, O_RDONLY | O_DIRECTORY, 0);

        if (folder < 0)
                return folder == -ENOENT ? 0 : folder;
        if (unlinkat(folder, p.name, 0) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        return fsync_dir(folder);
}

static int each_in_folder(int folder, const char *prefix, int (*seen)(const struct sha256 *, void *),
                          void *userdata) {
        _cleanup_(closedirp) DIR *d = list_dir(folder);
        int r = 0;

        if (!d)
                return negative_errno();
        for (struct dirent *e = readdir(d); e && r >= 0; e = readdir(d)) {
                char hex[sizeof e->d_name + 4];
                struct sha256 digest;

                (void)snprintf(hex, sizeof hex, "%.2s%s", prefix, e->d_name);
                if (sha256_from_hex(view_of(hex), &digest) >= 0)
                        r = seen(&digest, userdata);
        }
        return r;
}

int objects_each(struct objects *o, int (*seen)(const struct sha256 *digest, void *userdata),
                 void *userdata) {
        char prefix[3];
        int r = 0;

        for (unsigned i = 0; i < 256 && r >= 0; i++) {
                _cleanup_(closep) int folder = -EBADF;

                (void)snprintf(prefix, sizeof prefix, "%02x", i);
                folder = open_beneath(o->root, prefix, O_RDONLY | O_DIRECTORY, 0);
                if (folder == -ENOENT)
                        continue;
                r = folder < 0 ? folder : each_in_folder(folder, prefix, seen, userdata);
        }
        return r;
}
