#include "quarantine/claim.h"

#include "base/clock.h"
#include "base/file.h"
#include "core/set_remove.h"
#include "quarantine/claim_parts.h"
#include "quarantine/claim_set.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define COPY_BYTES ((size_t)1 << 20)
#define DATA       "data"
#define PART       "part" /* an upload under way */
#define COPY       "copy" /* a copy under way */

int claims_open(int state_dir, struct claims *ret) {
        struct claims c = {.state_dir = -EBADF, .incoming = -EBADF, .claims = -EBADF, .rejected = -EBADF};
        int r = 0;

        c.state_dir = fcntl(state_dir, F_DUPFD_CLOEXEC, 3);
        c.incoming = open_or_make_dir(state_dir, "incoming", 0770);
        c.claims = open_or_make_dir(state_dir, "claims", 0700);
        c.rejected = open_or_make_dir(state_dir, "rejected", 0700);
        if (c.state_dir < 0)
                r = negative_errno();
        else
                r = MIN_OF(0, MIN_OF(c.incoming, MIN_OF(c.claims, c.rejected)));
        if (r < 0) {
                claims_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}

void claims_done(struct claims *c) {
        c->state_dir = close_fd(c->state_dir);
        c->incoming = close_fd(c->incoming);
        c->claims = close_fd(c->claims);
        c->rejected = close_fd(c->rejected);
}

bool claim_name_is_ignored(struct view name) {
        static const char *const endings[] = {".part",  ".partial", ".crdownload",    ".download", ".tmp",
                                              ".aria2", ".sig",     ".sigstore.json", "~"};

        if (name.n == 0 || name.p[0] == '.')
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
                if (view_ends(name, view_of(endings[i])))
                        return true;
        return false;
}

static uint64_t changed_nsec(const struct stat *st) {
        return (uint64_t)st->st_ctim.tv_sec * 1000000000U + (uint64_t)st->st_ctim.tv_nsec;
}

/* Changes with every write, rename of the inode's content, truncation or change of mode. */
static void describe(const struct stat *st, char out[128]) {
        (void)snprintf(out, 128, "%llx:%llx:%llu:%llu.%09llu", (unsigned long long)st->st_dev,
                       (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
                       (unsigned long long)st->st_mtim.tv_sec, (unsigned long long)st->st_mtim.tv_nsec);
}

int claim_take_lease(int fd) {
        if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
                return 1;
        return errno == EAGAIN || errno == EBUSY ? -EBUSY : 0;
}

static bool lease_stands(int fd) {
        return fcntl(fd, F_GETLEASE) == F_RDLCK;
}

static void drop_lease(int fd) {
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
}

/* Whether the entry has been the same for so long. */
bool claim_is_settled(struct sighting *s, uint64_t inode, uint64_t size, uint64_t changed, uint64_t usec) {
        uint64_t now = clock_monotonic_usec();

        if (s->inode != inode || s->size != size || s->changed_nsec != changed) {
                s->inode = inode;
                s->size = size;
                s->changed_nsec = changed;
                s->since_usec = now;
        }
        return now - s->since_usec >= usec;
}

/* The kernel's own stamp says that it was changed long ago: no need to watch it first. */
bool claim_is_old(uint64_t changed, uint64_t usec) {
        uint64_t at = changed / 1000, now = clock_real_usec();

        return at < now && now - at >= usec;
}

enum claim_readiness claim_refuse(struct inbox_entry *e, const char *code, const char *reason) {
        e->code = code;
        e->reason = reason;
        return CLAIM_REFUSED;
}

/* What an entry that can't be opened as a regular file is. */
static enum claim_readiness look_at_other(const struct claims *c, const char *name, int r,
                                          struct inbox_entry *e) {
        struct stat st;

        if (fstatat(c->incoming, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return CLAIM_GONE;
        describe(&st, e->id);
        e->size = 0;
        if (S_ISLNK(st.st_mode))
                return claim_refuse(e, "symbolic_link",
                                    "a symbolic link; put the file itself into the inbox");
        if (!S_ISREG(st.st_mode))
                return claim_refuse(e, "special_file", "not a regular file (a pipe, socket or device)");
        if (r == -EACCES || r == -EPERM)
                return claim_refuse(e, "unreadable", "quarantine may not read this file; make it readable");
        return CLAIM_GONE;
}

static enum claim_readiness look_at_file(struct sighting *s, const struct stat *st, struct inbox_entry *e) {
        int r;

        describe(st, e->id);
        e->size = (uint64_t)st->st_size;
        if (st->st_nlink > 1)
                return claim_refuse(
                        e, "hard_link",
                        "the file has a second name (hard link), through which it could be changed; "
                        "put a copy into the inbox");
        if (st->st_nlink == 0)
                return CLAIM_GONE;
        r = claim_take_lease(e->fd);
        if (r == -EBUSY) {
                s->since_usec = clock_monotonic_usec();
                return CLAIM_BUSY;
        }
        e->has_lease = r == 1;
        if (e->has_lease && claim_is_old(changed_nsec(st), INBOX_SETTLE_USEC))
                return CLAIM_READY;
        return claim_is_settled(s, st->st_ino, (uint64_t)st->st_size, changed_nsec(st),
                                e->has_lease ? INBOX_SETTLE_USEC : INBOX_STABLE_USEC)
                       ? CLAIM_READY
                       : CLAIM_SETTLING;
}

enum claim_readiness claim_look(const struct claims *c, const char *name, struct sighting *s,
                                struct inbox_entry *ret) {
        _cleanup_(closep) int fd = -EBADF;
        enum claim_readiness answer;
        struct stat st;

        *ret = (struct inbox_entry){.fd = -EBADF};
        /* O_NONBLOCK: a FIFO must not make us wait, and a file under somebody's lease neither */
        fd = open_beneath(c->incoming, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd == -EWOULDBLOCK)
                return CLAIM_BUSY;
        if (fd < 0)
                return look_at_other(c, name, fd, ret);
        if (fstat(fd, &st) < 0)
                return CLAIM_GONE;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return look_at_other(c, name, 0, ret);
        ret->fd = fd;
        answer = S_ISDIR(st.st_mode) ? claim_look_at_folder(fd, s, ret) : look_at_file(s, &st, ret);
        if (answer == CLAIM_READY)
                TAKE_FD(fd);
        else
                ret->fd = -EBADF; /* closing gives the lease back */
        return answer;
}

int claim_open_folder(const struct claims *c, const char *job, bool make, int *ret_fd) {
        int fd = make ? open_or_make_dir(c->claims, job, 0700)
                      : open_beneath(c->claims, job, O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

/* After the rename: is it the file that was looked at, and can nobody write to it? */
static bool is_ours_alone(int folder, const struct inbox_entry *e) {
        struct stat by_name, by_fd;

        if (fstatat(folder, DATA, &by_name, AT_SYMLINK_NOFOLLOW) < 0 || fstat(e->fd, &by_fd) < 0)
                return false;
        return by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino && by_fd.st_nlink == 1 &&
               (uint64_t)by_fd.st_size == e->size && lease_stands(e->fd);
}

/* 1 = done, 0 = must be copied, -EBUSY. */
static int take_by_rename(const struct claims *c, const char *name, struct inbox_entry *e, int folder) {
        struct stat st;

        if (!e->has_lease || fstat(e->fd, &st) < 0 || st.st_uid != geteuid())
                return 0;
        if (renameat2(c->incoming, name, folder, DATA, RENAME_NOREPLACE) < 0)
                return errno == EXDEV || errno == EPERM || errno == EACCES || errno == EINVAL ||
                                       errno == EBUSY || errno == EROFS
                               ? 0
                       : errno == ENOENT ? -EBUSY
                                         : negative_errno();
        if (!is_ours_alone(folder, e)) {
                if (renameat2(folder, DATA, c->incoming, name, RENAME_NOREPLACE) == 0)
                        return -EBUSY;
                return 0; /* a new file of that name has come meanwhile: the claim keeps this one */
        }
        (void)fchmod(e->fd, 0400);
        return 1;
}

int claim_check_space(const struct claims *c, uint64_t size) {
        struct statvfs vfs;

        if (fstatvfs(c->claims, &vfs) < 0)
                return negative_errno();
        return (uint64_t)vfs.f_bavail * vfs.f_frsize < size + DISK_SPARE_BYTES ? -ENOSPC : 0;
}

int claim_check_room(const struct claims *c, const struct inbox_entry *e) {
        struct stat from, to;

        if (fstat(e->fd, &from) < 0 || fstat(c->claims, &to) < 0)
                return negative_errno();
        if (e->has_lease && from.st_uid == geteuid() && from.st_dev == to.st_dev)
                return 0; /* a rename takes none */
        return claim_check_space(c, e->size);
}

static int copy_bytes(int from, int to, uint64_t size, bool (*go_on)(uint64_t, void *), void *userdata) {
        _cleanup_(freep) char *buffer = malloc(COPY_BYTES);
        uint64_t at = 0;

        if (!buffer)
                return -ENOMEM;
        while (at < size) {
                ssize_t n = pread(from, buffer, (size_t)MIN_OF((uint64_t)COPY_BYTES, size - at), (off_t)at);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? negative_errno() : -ESTALE;
                r = write_all(to, buffer, (size_t)n);
                if (r < 0)
                        return r;
                at += (uint64_t)n;
                if (go_on && !go_on(at, userdata))
                        return -ECANCELED;
        }
        return 0;
}

static int check_unchanged(int source, const struct stat *before) {
        struct stat after;

        if (fstat(source, &after) < 0)
                return negative_errno();
        return after.st_size == before->st_size && changed_nsec(&after) == changed_nsec(before) ? 0 : -ESTALE;
}

int claim_fill_copy(int source, uint64_t size, int to, bool (*go_on)(uint64_t, void *), void *userdata) {
        struct stat before;
        int r;

        if (fstat(source, &before) < 0)
                return negative_errno();
        if (!S_ISREG(before.st_mode))
                return -EBADFD;
        if ((uint64_t)before.st_size != size)
                return -ESTALE;
        if (ioctl(to, FICLONE, source) < 0) {
                r = copy_bytes(source, to, size, go_on, userdata);
                if (r < 0)
                        return r;
        }
        r = check_unchanged(source, &before);
        if (r < 0)
                return r;
        return fsync(to) < 0 ? negative_errno() : 0;
}

static int copy_into(int folder, int source, uint64_t size, bool (*go_on)(uint64_t, void *), void *userdata) {
        _cleanup_(closep) int to = open_beneath(folder, COPY, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int r;

        if (to < 0)
                return to;
        r = claim_fill_copy(source, size, to, go_on, userdata);
        if (r >= 0 && fchmod(to, 0400) < 0)
                r = negative_errno();
        if (r >= 0 && renameat(folder, COPY, folder, DATA) < 0)
                r = negative_errno();
        if (r < 0) {
                (void)unlinkat(folder, COPY, 0);
                return r;
        }
        return fsync_dir(folder);
}

/* 1 = the entry is still the one of `id`, 0 = it is gone or another. */
static int inbox_has(const struct claims *c, const char *name, const char *id) {
        char now[128];
        struct stat st;

        if (fstatat(c->incoming, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        describe(&st, now);
        return strcmp(now, id) == 0;
}

int claim_drop_inbox(const struct claims *c, const char *name, const char *id) {
        int r = inbox_has(c, name, id);

        if (r <= 0)
                return r; /* another file of that name has come: it gets its own turn */
        if (unlinkat(c->incoming, name, 0) < 0)
                return errno == EBUSY || errno == EROFS || errno == EACCES ? -EPERM : negative_errno();
        return fsync_dir(c->incoming);
}

static int take_by_copy(const struct claims *c, const char *name, const struct inbox_entry *e, int folder) {
        int r;

        r = claim_check_space(c, e->size);
        if (r >= 0)
                r = copy_into(folder, e->fd, e->size, NULL, NULL);
        if (r < 0)
                return r;
        r = claim_drop_inbox(c, name, e->id);
        if (r < 0 &&
            inbox_has(c, name, e->id) == 1) /* else each look at the inbox would leave a copy behind */
                (void)unlinkat(folder, DATA, 0);
        return r;
}

int claim_take(const struct claims *c, const char *name, struct inbox_entry *e, const char *job) {
        _cleanup_(closep) int folder = -EBADF;
        int r;

        if (e->is_folder)
                return claim_take_folder(c, name, e, job);
        r = claim_open_folder(c, job, true, &folder);
        if (r < 0)
                return r;
        r = fsync_dir(c->claims);
        if (r >= 0)
                r = take_by_rename(c, name, e, folder);
        if (r == 0)
                r = claim_exists(c, job) ? 0 : take_by_copy(c, name, e, folder);
        if (r < 0) {
                (void)unlinkat(c->claims, job, AT_REMOVEDIR);
                return r;
        }
        r = fsync_dir(folder);
        return r < 0 ? r : fsync_dir(c->incoming);
}

int claim_copy(const struct claims *c, int source, uint64_t size, const char *job,
               bool (*go_on)(uint64_t, void *), void *userdata) {
        _cleanup_(closep) int folder = -EBADF;
        int r;

        r = claim_check_space(c, size);
        if (r >= 0)
                r = claim_open_folder(c, job, true, &folder);
        if (r >= 0)
                r = fsync_dir(c->claims);
        return r < 0 ? r : copy_into(folder, source, size, go_on, userdata);
}

int claim_upload_begin(const struct claims *c, const char *job, uint64_t size, int *ret_reader,
                       int *ret_writer) {
        _cleanup_(closep) int folder = -EBADF, writer = -EBADF, reader = -EBADF;
        int r;

        r = claim_check_space(c, size);
        if (r >= 0)
                r = claim_open_folder(c, job, true, &folder);
        if (r < 0)
                return r;
        writer = open_beneath(folder, PART, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (writer < 0)
                return writer;
        reader = open_beneath(folder, PART, O_RDONLY, 0);
        if (reader < 0)
                return reader;
        *ret_reader = TAKE_FD(reader);
        *ret_writer = TAKE_FD(writer);
        return 0;
}

int claim_upload_commit(const struct claims *c, const char *job, int reader, uint64_t size) {
        _cleanup_(closep) int folder = -EBADF;
        struct stat st;
        int r;

        r = claim_open_folder(c, job, false, &folder);
        if (r < 0)
                return r;
        r = claim_take_lease(reader);
        if (r < 0)
                return r;
        if (fstat(reader, &st) < 0)
                return negative_errno();
        if ((uint64_t)st.st_size != size)
                return -EBADMSG;
        if (r ==
            0) /* no leases here: the client may still hold its descriptor, so only a copy is ours alone */
                r = copy_into(folder, reader, size, NULL, NULL);
        if (r < 0 || !lease_stands(reader))
                return r;
        if (fchmod(reader, 0400) < 0 || fsync(reader) < 0 || renameat(folder, PART, folder, DATA) < 0)
                return negative_errno();
        drop_lease(reader);
        return fsync_dir(folder);
}

/* With the time of the last change of any sort, which nobody can set. */
static void describe_exactly(const struct stat *st, char out[128]) {
        (void)snprintf(out, 128, "%llx:%llx:%llu:%llu", (unsigned long long)st->st_dev,
                       (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
                       (unsigned long long)changed_nsec(st));
}

bool claim_is_same(int fd, const char *id) {
        char now[128];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return false;
        describe_exactly(&st, now);
        return strcmp(now, id) == 0;
}

int claim_open_data(const struct claims *c, const char *job, int *ret_fd, uint64_t *ret_size, char *ret_id) {
        _cleanup_(closep) int folder = -EBADF, fd = -EBADF;
        struct stat st;
        int r;

        r = claim_open_folder(c, job, false, &folder);
        if (r < 0)
                return r;
        fd = open_beneath(folder, DATA, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        if (claim_take_lease(fd) == -EBUSY)
                return -EBUSY;
        describe_exactly(&st, ret_id);
        *ret_size = (uint64_t)st.st_size;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static bool folder_has_data(int dir, const char *job) {
        _cleanup_(closep) int folder = open_beneath(dir, job, O_RDONLY | O_DIRECTORY, 0);
        struct stat st;

        return folder >= 0 && (fstatat(folder, DATA, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
                               fstatat(folder, CLAIM_SET, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

static uint64_t folder_size(int folder, const char *name) {
        _cleanup_(closep) int fd = open_beneath(folder, name, O_RDONLY | O_DIRECTORY, 0);
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;

        return fd >= 0 && set_walk(fd, &w, &why) >= 0 ? w.size : 0;
}

uint64_t claim_received(const struct claims *c, const char *job) {
        _cleanup_(closep) int folder = open_beneath(c->claims, job, O_RDONLY | O_DIRECTORY, 0);
        static const char *const names[] = {DATA, PART, COPY};
        struct stat st;

        for (size_t i = 0; i < ARRAY_SIZE(names) && folder >= 0; i++)
                if (fstatat(folder, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return (uint64_t)st.st_size;
        if (folder >= 0 && fstatat(folder, CLAIM_SET_PART, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return folder_size(folder, CLAIM_SET_PART);
        return 0;
}

bool claim_exists(const struct claims *c, const char *job) {
        return folder_has_data(c->claims, job);
}

int claim_reject(const struct claims *c, const char *job) {
        if (renameat(c->claims, job, c->rejected, job) < 0)
                return negative_errno();
        return fsync_dir(c->rejected);
}

static int remove_folder(int dir, const char *job) {
        int r = set_remove(dir, job);

        return r < 0 ? r : fsync_dir(dir);
}

int claim_remove(const struct claims *c, const char *job) {
        int a = remove_folder(c->claims, job), b = remove_folder(c->rejected, job);

        return a < 0 ? a : b;
}

static const char *const signature_endings[] = {".sig", ".sigstore.json"};

/* False when the name would be too long to exist. */
static bool signature_name(const char *name, const char *ending, char out[ARTIFACT_NAME_MAX + 16]) {
        return snprintf(out, ARTIFACT_NAME_MAX + 16, "%s%s", name, ending) <= ARTIFACT_NAME_MAX;
}

int claim_read_signature(const struct claims *c, const char *name, struct buf *out) {
        char path[ARTIFACT_NAME_MAX + 16];
        int r = -ENOENT;

        for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(signature_endings); i++)
                if (signature_name(name, signature_endings[i], path))
                        r = read_file_beneath(c->incoming, path, BUNDLE_BYTES_MAX, out);
        if (r == -ENOENT && snprintf(path, sizeof path, "%s/model.sig", name) < (int)sizeof path)
                r = read_file_beneath(c->incoming, path, BUNDLE_BYTES_MAX, out); /* of a folder */
        return r == -ENOTDIR ? -ENOENT : r;
}

void claim_drop_signature(const struct claims *c, const char *name) {
        char path[ARTIFACT_NAME_MAX + 16];

        for (size_t i = 0; i < ARRAY_SIZE(signature_endings); i++)
                if (signature_name(name, signature_endings[i], path))
                        (void)unlinkat(c->incoming, path, 0);
}
