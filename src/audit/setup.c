#include "audit/setup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/secret.h"
#include "core/audit_state.h"
#include "core/audit_verify.h"

#define SET_ASIDE_MAX 1000u

struct folders {
        int state, writer, log;
};

static void folders_done(struct folders *f) {
        f->state = close_fd(f->state);
        f->writer = close_fd(f->writer);
        f->log = close_fd(f->log);
}

char *setup_log_path(const char *state_path) {
        const char *given = secure_getenv("LOGS_DIRECTORY");
        size_t n = strlen(state_path);
        char *path = NULL;

        if (given && given[0] == '/')
                return view_dup(view_of(given));
        while (n > 1 && state_path[n - 1] == '/')
                n--;
        while (n > 0 && state_path[n - 1] != '/')
                n--;
        return asprintf(&path, "%.*slog", (int)n, state_path) < 0 ? NULL : path;
}

static int open_each(const char *state_path, const char *log_path, struct folders *d) {
        int r = make_path(state_path, 0700);

        if (r >= 0)
                r = make_path(log_path, 0700);
        if (r >= 0)
                r = d->state = open_dir(state_path);
        if (r >= 0)
                r = d->writer = open_or_make_dir(d->state, AUDIT_WRITER_DIR_NAME, 0700);
        if (r >= 0)
                r = d->log = open_dir(log_path);
        return r;
}

/* *d is empty before; what was opened is the caller's to close, also on failure. */
static int open_folders(const char *state_path, const char *log_path, struct folders *d, struct fault *f) {
        int r = open_each(state_path, log_path, d);

        return r < 0 ? fault_set(f, r, "AUDIT-020", 0, "the folders %s and %s can't be used", state_path,
                                 log_path)
                     : 0;
}

static bool exists(int dir, const char *name) {
        return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int make_verify_key(int state_dir) {
        _cleanup_(secret_donep) struct secret key = SECRET_INIT;
        int r = secret_random(AUDIT_KEY_SIZE, &key);

        return r < 0 ? r : replace_file(state_dir, AUDIT_VERIFY_KEY_NAME, secret_view(&key), 0400);
}

/* The pair of the checkpoints: the private half for the writer, the public one beside the verification key. */
static int make_checkpoint_key(const struct folders *d) {
        _cleanup_(signing_key_freep) struct signing_key *key = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        int r = signing_key_load(d->writer, AUDIT_CHECKPOINT_PRIVATE, true, &key);

        if (r >= 0)
                r = signing_key_public_pem(key, &pem);
        return r < 0 ? r : replace_file(d->state, AUDIT_CHECKPOINT_PUBLIC, buf_view(&pem), 0444);
}

static int make_empty_log(int log_dir) {
        _cleanup_(closep) int fd = open_beneath(log_dir, AUDIT_FILE_NAME, O_WRONLY | O_CREAT | O_NONBLOCK,
                                                0600);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode) || st.st_size > 0)
                return -EUCLEAN;
        if (fsync(fd) < 0)
                return negative_errno();
        return fsync_dir(log_dir);
}

static int read_verify_key(int state_dir, struct audit_state *s) {
        _cleanup_(closep) int fd = open_beneath(state_dir, AUDIT_VERIFY_KEY_NAME, O_RDONLY | O_NONBLOCK, 0);

        return fd < 0 ? fd : pread_all(fd, s->chain.key, AUDIT_KEY_SIZE, 0);
}

/* First state: the verification key is the key of record 1. Both slots get their place on disk now, so that storing the
 * state later needs no space. It appears under its name only when it is whole. */
static int make_state(const struct folders *d) {
        static const char zeros[2 * AUDIT_STATE_SLOT_SIZE];
        _cleanup_(closep) int fd = open_beneath(d->writer, ".state", O_RDWR | O_CREAT | O_TRUNC, 0600);
        struct audit_state s = {.chain.next_sequence = 1};
        int r;

        if (fd < 0)
                return fd;
        r = read_verify_key(d->state, &s);
        if (r >= 0)
                r = write_all(fd, zeros, sizeof zeros);
        if (r >= 0)
                r = audit_state_store(fd, &s);
        audit_state_wipe(&s);
        if (r >= 0 && fsync(fd) < 0)
                r = negative_errno();
        if (r >= 0 && renameat(d->writer, ".state", d->writer, AUDIT_STATE_NAME) < 0)
                r = negative_errno();
        return r < 0 ? r : fsync_dir(d->writer);
}

static int lock_writer(int writer_dir) {
        _cleanup_(closep) int fd = open_beneath(writer_dir, "lock", O_RDWR | O_CREAT, 0600);

        if (fd < 0)
                return fd;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : negative_errno();
        return TAKE_FD(fd);
}

static int make_missing_locked(const struct folders *d, struct fault *f) {
        bool key = exists(d->state, AUDIT_VERIFY_KEY_NAME), state = exists(d->writer, AUDIT_STATE_NAME);
        int r;

        if (key && state)
                return 0; /* somebody else was faster */
        if (state)
                return fault_set(f, -EUCLEAN, "AUDIT-021", 0,
                                 "%s is missing, but the log has been begun with it", AUDIT_VERIFY_KEY_NAME);
        r = make_empty_log(d->log);
        if (r == -EUCLEAN)
                return fault_set(f, r, "AUDIT-022", 0, "%s has records, but the writer's state is missing",
                                 AUDIT_FILE_NAME);
        if (r >= 0 && !key)
                r = make_verify_key(d->state);
        if (r >= 0)
                r = make_checkpoint_key(d);
        if (r >= 0)
                r = make_state(d);
        return r < 0 ? fault_set(f, r, "AUDIT-023", 0, "the log's keys can't be written") : 0;
}

/* A running service has the lock, but then nothing is missing. */
static int make_missing(const struct folders *d, struct fault *f) {
        _cleanup_(closep) int lock = -EBADF;

        if (exists(d->state, AUDIT_VERIFY_KEY_NAME) && exists(d->writer, AUDIT_STATE_NAME))
                return 0;
        lock = lock_writer(d->writer);
        if (lock < 0)
                return fault_set(f, lock, "AUDIT-002", 0,
                                 "another audit service is about to use this folder");
        return make_missing_locked(d, f);
}

int setup_make_keys(const char *state_path, const char *log_path, struct fault *reterr) {
        _cleanup_(folders_done) struct folders d = {-EBADF, -EBADF, -EBADF};
        int r = open_folders(state_path, log_path, &d, reterr);

        return r < 0 ? r : make_missing(&d, reterr);
}

static int make_aside(int dir) {
        char name[32];

        for (unsigned i = 1; i <= SET_ASIDE_MAX; i++) {
                (void)snprintf(name, sizeof name, "set-aside-%u", i);
                if (mkdirat(dir, name, 0700) >= 0)
                        return open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
                if (errno != EEXIST)
                        return negative_errno();
        }
        return -EMLINK;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

/* Moves every entry whose name begins with `prefix`. */
static int move_aside(int dir, const char *prefix) {
        _cleanup_(closep) int aside = make_aside(dir);
        _cleanup_(closedirp) DIR *d = NULL;
        int copy;

        if (aside < 0)
                return aside;
        copy = open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
        if (copy < 0)
                return copy;
        d = fdopendir(copy);
        if (!d) {
                close_fd(copy);
                return negative_errno();
        }
        for (struct dirent *e = readdir(d); e; e = readdir(d))
                if (view_starts(view_of(e->d_name), view_of(prefix)) &&
                    renameat(dir, e->d_name, aside, e->d_name) < 0)
                        return negative_errno();
        return fsync_dir(dir);
}

static int set_aside(const struct folders *d) {
        static const char *const state_names[] = {AUDIT_VERIFY_KEY_NAME, AUDIT_CHECKPOINT_PUBLIC,
                                                  AUDIT_REMEMBERED_NAME, AUDIT_WRITER_DIR_NAME};
        _cleanup_(closep) int aside = -EBADF;
        int r = move_aside(d->log, "audit.");

        if (r >= 0)
                r = aside = make_aside(d->state);
        for (size_t i = 0; i < ARRAY_SIZE(state_names) && r >= 0; i++)
                if (renameat(d->state, state_names[i], aside, state_names[i]) < 0 && errno != ENOENT)
                        r = negative_errno();
        return r < 0 ? r : fsync_dir(d->state);
}

int setup_start_over(const char *state_path, const char *log_path, struct fault *reterr) {
        _cleanup_(folders_done) struct folders d = {-EBADF, -EBADF, -EBADF};
        _cleanup_(closep) int lock = -EBADF;
        int r = open_folders(state_path, log_path, &d, reterr);

        if (r < 0)
                return r;
        lock = lock_writer(d.writer);
        if (lock < 0)
                return fault_set(reterr, lock, "AUDIT-002", 0, "the audit service runs; stop it first");
        r = set_aside(&d);
        if (r < 0)
                return fault_set(reterr, r, "AUDIT-024", 0, "the old log can't be set aside");
        return setup_make_keys(state_path, log_path, reterr);
}
