#include "quarantine/claim_set.h"

#include "base/clock.h"
#include "base/file.h"
#include "core/set_remove.h"
#include "quarantine/claim_parts.h"

#include <fcntl.h>

#define LISTING "listing"

/* --- looking at the inbox --- */

static void describe(const struct stat *st, const struct set_walk *w, char out[128]) {
        (void)snprintf(out, 128, "%llx:%llx:%zu:%llu:%llu", (unsigned long long)st->st_dev,
                       (unsigned long long)st->st_ino, w->n, (unsigned long long)w->size,
                       (unsigned long long)w->newest_nsec);
}

/* 1 = leases were had for all, 0 = can't be had here, -EBUSY = a file is open for writing. */
static int try_leases(int dir, const struct set_walk *w) {
        int r = 1;

        for (size_t i = 0; i < w->n && r > 0; i++) {
                _cleanup_(closep) int fd = set_walk_open(dir, &w->files[i]);

                r = fd < 0 ? fd : claim_take_lease(fd); /* closing gives it back */
        }
        return r == -ESTALE || r == -EWOULDBLOCK ? -EBUSY : r;
}

static enum claim_readiness look_at_fault(int r, const struct fault *why, bool rests, struct inbox_entry *e) {
        if (r == -ENOMEM || r == -EIO || strcmp(why->rule, "folder_changed") == 0)
                return CLAIM_SETTLING;
        if (r == -ENODATA && !rests)
                return CLAIM_SETTLING; /* somebody begins to fill it */
        (void)snprintf(e->text, sizeof e->text, "%s", why->text);
        return claim_refuse(e, why->rule, e->text);
}

static enum claim_readiness look_at_files(int fd, const struct set_walk *w, bool rests, bool rests_long,
                                          struct inbox_entry *e) {
        int r;

        if (w->unfinished && rests_long)
                return claim_refuse(e, "unfinished",
                                    "a file in this folder has the name of a download under way; finish or "
                                    "remove it");
        if (w->unfinished || !rests)
                return CLAIM_SETTLING;
        r = try_leases(fd, w);
        if (r == -EACCES || r == -EPERM)
                return claim_refuse(
                        e, "unreadable",
                        "quarantine may not read a file of this folder; make all of them readable");
        if (r < 0)
                return CLAIM_BUSY;
        e->has_lease = r == 1;
        return e->has_lease || rests_long ? CLAIM_READY : CLAIM_SETTLING;
}

enum claim_readiness claim_look_at_folder(int fd, struct sighting *s, struct inbox_entry *e) {
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;
        bool rests, rests_long;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return CLAIM_GONE;
        r = set_walk(fd, &w, &why);
        e->is_folder = true;
        e->size = w.size;
        describe(&st, &w, e->id);
        rests = claim_is_settled(s, st.st_ino, w.size + w.n, w.newest_nsec, INBOX_SET_SETTLE_USEC) ||
                claim_is_old(w.newest_nsec, INBOX_SET_SETTLE_USEC);
        rests_long = clock_monotonic_usec() - s->since_usec >= INBOX_STABLE_USEC;
        return r < 0 ? look_at_fault(r, &why, rests_long, e) : look_at_files(fd, &w, rests, rests_long, e);
}

/* --- making a folder ours alone --- */

/* 1 = it is ours and closed to others now, 0 = somebody else's. */
static int close_to_others(int fd, mode_t mode) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_uid != geteuid())
                return 0;
        return fchmod(fd, mode) < 0 ? negative_errno() : 1;
}

/* The folders above a file; those that it shares with the file before are closed already. */
static int close_folders(int dir, const char *path, const char *before) {
        int r = 1;

        for (const char *p = strchr(path, '/'); p && r > 0; p = strchr(p + 1, '/')) {
                size_t n = (size_t)(p - path);
                _cleanup_(freep) char *folder = NULL;
                _cleanup_(closep) int fd = -EBADF;

                if (before && strncmp(before, path, n + 1) == 0)
                        continue;
                folder = view_dup(view_make(path, n));
                if (!folder)
                        return -ENOMEM;
                fd = open_beneath(dir, folder, O_RDONLY | O_DIRECTORY, 0);
                r = fd < 0 ? fd : close_to_others(fd, 0700);
        }
        return r;
}

static int close_all(int dir, const struct set_walk *w) {
        int r = close_to_others(dir, 0700);

        for (size_t i = 0; i < w->n && r > 0; i++) {
                _cleanup_(closep) int fd = -EBADF;

                r = close_folders(dir, w->files[i].path, i ? w->files[i - 1].path : NULL);
                if (r <= 0)
                        return r;
                fd = set_walk_open(dir, &w->files[i]);
                r = fd < 0 ? fd : close_to_others(fd, 0400);
        }
        return r;
}

/* 1 = nobody else can change it any more, 0 = that can't be had: copy. */
static int make_ours_alone(int dir) {
        _cleanup_(set_walk_donep) struct set_walk before = {0}, after = {0};
        struct fault why = FAULT_NONE;
        int r = set_walk(dir, &before, &why);

        if (r >= 0)
                r = close_all(dir, &before);
        if (r <= 0)
                return r;
        r = set_walk(dir, &after, &why); /* closing has changed the time of all */
        return r < 0 ? r : try_leases(dir, &after);
}

/* Makes the folders above the file. */
static int make_folders(int dir, const char *path) {
        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
                _cleanup_(freep) char *folder = view_dup(view_make(path, (size_t)(p - path)));
                _cleanup_(closep) int fd = -EBADF;

                if (!folder)
                        return -ENOMEM;
                if (mkdirat(dir, folder, 0700) < 0 && errno != EEXIST)
                        return negative_errno();
                fd = open_beneath(dir, folder, O_RDONLY | O_DIRECTORY, 0);
                if (fd < 0)
                        return fd;
        }
        return 0;
}

static int make_file(int dir, const char *path) {
        int r = make_folders(dir, path);

        return r < 0 ? r : open_beneath(dir, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

static int copy_file(int from, int to, const struct set_file *f) {
        _cleanup_(closep) int in = set_walk_open(from, f), out = -EBADF;
        int r;

        if (in < 0)
                return in;
        out = make_file(to, f->path);
        if (out < 0)
                return out;
        r = claim_fill_copy(in, f->size, out, NULL, NULL);
        return r < 0 ? r : fchmod(out, 0400) < 0 ? negative_errno() : 0;
}

static int copy_all(int from, int to) {
        _cleanup_(set_walk_donep) struct set_walk w = {0}, after = {0};
        struct fault why = FAULT_NONE;
        int r = set_walk(from, &w, &why);

        for (size_t i = 0; i < w.n && r >= 0; i++)
                r = copy_file(from, to, &w.files[i]);
        if (r >= 0)
                r = set_walk(from, &after, &why);
        return r < 0 ? r : set_walk_equal(&w, &after) ? 0 : -ESTALE;
}

/* Of a folder on which nobody waits: all that was written is on disk before its name says that it is complete. */
static int sync_all(int dir) {
        return syncfs(dir) < 0 ? negative_errno() : 0;
}

static int open_part(int folder, const char *name) {
        return open_beneath(folder, name, O_RDONLY | O_DIRECTORY, 0);
}

static int rename_to_set(int folder, const char *from) {
        return renameat2(folder, from, folder, CLAIM_SET, RENAME_NOREPLACE) < 0 ? negative_errno()
                                                                                : fsync_dir(folder);
}

static int copy_to_set(const struct claims *c, int folder, const char *from, uint64_t size) {
        _cleanup_(closep) int in = open_part(folder, from), out = -EBADF;
        int r = in < 0 ? in : claim_check_space(c, size);

        if (r >= 0)
                r = set_remove(folder, CLAIM_SET_COPY);
        if (r >= 0)
                r = out = open_or_make_dir(folder, CLAIM_SET_COPY, 0700);
        if (r >= 0)
                r = copy_all(in, out);
        if (r >= 0)
                r = sync_all(out);
        if (r >= 0)
                r = rename_to_set(folder, CLAIM_SET_COPY);
        if (r < 0)
                (void)!set_remove(folder, CLAIM_SET_COPY);
        return r < 0 ? r : set_remove(folder, from);
}

/* What lies in the claim's folder as `from` becomes the claim. */
static int settle(const struct claims *c, int folder, const char *from, uint64_t size) {
        _cleanup_(closep) int dir = open_part(folder, from);
        int r = dir < 0 ? dir : make_ours_alone(dir);

        if (r == 0)
                return copy_to_set(c, folder, from, size);
        if (r > 0 && strcmp(from, CLAIM_SET_PART) == 0)
                r = sync_all(dir);
        return r < 0 ? r : rename_to_set(folder, from);
}

/* --- from the inbox --- */

static bool is_same_folder(int folder, const struct inbox_entry *e) {
        struct stat by_name, by_fd;

        return fstatat(folder, CLAIM_SET_RAW, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
               fstat(e->fd, &by_fd) == 0 && by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

static int take_out(const struct claims *c, const char *name, int folder) {
        if (renameat2(c->incoming, name, folder, CLAIM_SET_RAW, RENAME_NOREPLACE) == 0)
                return fsync_dir(folder);
        return errno == ENOENT ? -EBUSY
               : errno == EXDEV || errno == EPERM || errno == EACCES || errno == EINVAL || errno == EBUSY ||
                               errno == EROFS
                       ? -EPERM
                       : negative_errno();
}

int claim_take_folder(const struct claims *c, const char *name, const struct inbox_entry *e,
                      const char *job) {
        _cleanup_(closep) int folder = -EBADF;
        int r = claim_open_folder(c, job, true, &folder), back;

        if (r >= 0)
                r = fsync_dir(c->claims);
        if (r >= 0)
                r = take_out(c, name, folder);
        if (r >= 0)
                r = is_same_folder(folder, e) ? settle(c, folder, CLAIM_SET_RAW, e->size) : -EBUSY;
        if (r >= 0)
                return fsync_dir(c->incoming);
        back = claim_set_give_back(c, job, name);
        if (back < 0)
                return back; /* stays where a restart finds it */
        (void)unlinkat(c->claims, job, AT_REMOVEDIR);
        return r == -ENOSPC || r == -EPERM || r == -ENOMEM ? r
                                                           : -EBUSY; /* the next look says what is wrong */
}

int claim_set_give_back(const struct claims *c, const char *job, const char *name) {
        _cleanup_(closep) int folder = open_beneath(c->claims, job, O_RDONLY | O_DIRECTORY, 0);
        char other[64];

        if (folder < 0)
                return folder == -ENOENT ? 0 : folder;
        if (renameat2(folder, CLAIM_SET_RAW, c->incoming, name, RENAME_NOREPLACE) < 0) {
                if (errno == ENOENT)
                        return 0;
                (void)snprintf(other, sizeof other, "recovered-%.40s", job);
                if (renameat2(folder, CLAIM_SET_RAW, c->incoming, other, RENAME_NOREPLACE) < 0)
                        return negative_errno();
        }
        return fsync_dir(c->incoming) < 0 || fsync_dir(folder) < 0 ? -EIO : 1;
}

/* --- file by file --- */

int claim_set_begin(const struct claims *c, const char *job, uint64_t size) {
        _cleanup_(closep) int folder = -EBADF, part = -EBADF;
        int r = claim_check_space(c, size);

        if (r >= 0)
                r = claim_open_folder(c, job, true, &folder);
        if (r >= 0)
                r = fsync_dir(c->claims);
        if (r < 0)
                return r;
        part = open_or_make_dir(folder, CLAIM_SET_PART, 0700);
        return MIN_OF(part, 0);
}

static int open_in_part(const struct claims *c, const char *job) {
        _cleanup_(closep) int folder = -EBADF;
        int r = claim_open_folder(c, job, false, &folder);

        return r < 0 ? r : open_part(folder, CLAIM_SET_PART);
}

int claim_set_file(const struct claims *c, const char *job, struct view path, uint64_t size, int source,
                   int *ret_writer) {
        _cleanup_(closep) int part = -EBADF, writer = -EBADF;
        _cleanup_(freep) char *name = NULL;
        struct view top = path, rest = path;

        (void)!view_split(&rest, '/', &top);
        name = view_dup(top);
        if (!set_path_is_valid(path) || !name || set_name_is_left_out(name))
                return -EINVAL;
        free(TAKE_PTR(name));
        name = view_dup(path);
        part = name ? open_in_part(c, job) : -ENOMEM;
        if (part < 0)
                return part;
        writer = make_file(part, name);
        if (writer < 0)
                return writer == -ENOTDIR || writer == -EISDIR ? -EEXIST : writer;
        if (source >= 0)
                return claim_fill_copy(source, size, writer, NULL, NULL);
        *ret_writer = TAKE_FD(writer);
        return 0;
}

int claim_set_commit(const struct claims *c, const char *job, uint64_t files, uint64_t size) {
        _cleanup_(closep) int folder = -EBADF, part = -EBADF;
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;
        int r = claim_open_folder(c, job, false, &folder);

        if (r >= 0)
                r = part = open_part(folder, CLAIM_SET_PART);
        if (r >= 0)
                r = set_walk(part, &w, &why);
        if (r == -ENODATA)
                return -EBADMSG;
        if (r < 0)
                return r;
        r = try_leases(part, &w);
        if (r < 0)
                return r;
        return w.n != files || w.size != size ? -EBADMSG : settle(c, folder, CLAIM_SET_PART, size);
}

/* --- the claim --- */

static int identify(const struct set_walk *w, char ret_id[128]) {
        char hex[SHA256_HEX_SIZE];
        struct sha256 digest;
        int r = set_walk_digest(w, &digest);

        if (r < 0)
                return r;
        sha256_hex(&digest, hex);
        (void)snprintf(ret_id, 128, "set:%s", hex);
        return 0;
}

int claim_open_set(const struct claims *c, const char *job, int *ret_fd, struct set_walk *ret, char *ret_id) {
        _cleanup_(closep) int folder = -EBADF, fd = -EBADF;
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;
        int r = claim_open_folder(c, job, false, &folder);

        if (r < 0)
                return r;
        fd = open_beneath(folder, CLAIM_SET, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        r = set_walk_claim(fd, &w, &why);
        if (r >= 0)
                r = identify(&w, ret_id);
        if (r < 0)
                return r == -ENOENT ? -ESTALE : r;
        *ret = w;
        w = (struct set_walk){0};
        *ret_fd = TAKE_FD(fd);
        return 0;
}

bool claim_set_is_same(int fd, const char *id) {
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;
        char now[128];

        return set_walk_claim(fd, &w, &why) >= 0 && identify(&w, now) >= 0 && strcmp(now, id) == 0;
}

int claim_write_listing(const struct claims *c, const char *job, const struct set_listing *l) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        _cleanup_(closep) int folder = -EBADF;
        int r = claim_open_folder(c, job, false, &folder);

        if (r >= 0)
                r = set_listing_write(l, &text);
        return r < 0 ? r : replace_file(folder, LISTING, buf_view(&text), 0400);
}

int claim_read_listing(const struct claims *c, const char *job, struct set_listing *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        _cleanup_(closep) int folder = -EBADF;
        int r = claim_open_folder(c, job, false, &folder);

        if (r >= 0)
                r = read_file_beneath(folder, LISTING, SET_LISTING_MAX, &text);
        return r < 0 ? r : set_listing_parse(buf_view(&text), ret);
}

int claim_open_listing(const struct claims *c, const char *job) {
        _cleanup_(closep) int folder = -EBADF;
        int r = claim_open_folder(c, job, false, &folder);

        return r < 0 ? r : open_beneath(folder, LISTING, O_RDONLY, 0);
}
