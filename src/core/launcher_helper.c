#include "core/launcher_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/view.h"

#define SOCKET_NAME        "w.sock"
#define FOLDER_PREFIX      "llama-"
#define FOLDER_ENTRIES_MAX 65536u

struct worker {
        uint32_t id; /* 0: free */
        pid_t pid;
        char folder[108]; /* "" when it has none */
};

struct helper {
        struct launcher_config config;
        struct worker workers[LAUNCHER_WORKERS_MAX];
        uint32_t last_id;
};

static struct worker *find_worker(struct helper *h, uint32_t id) {
        for (size_t i = 0; i < LAUNCHER_WORKERS_MAX; i++)
                if (h->workers[i].id == id)
                        return &h->workers[i];
        return NULL;
}

static bool is_socket(int dir, const char *name) {
        struct stat s;

        return fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(s.st_mode);
}

/* A worker can bind sockets of any name here, and nothing else: so nothing else is removed, and no link is followed. What is
 * beyond FOLDER_ENTRIES_MAX is left to the next start. */
static void empty_folder(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        for (unsigned n = 0; d && n < FOLDER_ENTRIES_MAX && (e = readdir(d)); n++)
                if (is_socket(fd, e->d_name))
                        (void)unlinkat(fd, e->d_name, 0);
        if (d)
                closedir(d);
        else
                close_fd(fd);
}

static void remove_folder(const struct worker *w) {
        if (!w->folder[0])
                return;
        empty_folder(w->folder);
        (void)rmdir(w->folder);
}

/* Own, private, and without the socket that a killed predecessor may have left: llama-server would not start. */
static int make_folder(struct worker *w, const char *below) {
        struct stat s;
        int n = snprintf(w->folder, sizeof w->folder, "%s/" FOLDER_PREFIX "%u", below, w->id);

        if (n < 0 || (size_t)n + sizeof "/" SOCKET_NAME > sizeof w->folder) {
                w->folder[0] = '\0';
                return -ENAMETOOLONG;
        }
        if (mkdir(w->folder, 0700) < 0 && errno != EEXIST)
                return negative_errno();
        if (lstat(w->folder, &s) < 0)
                return negative_errno();
        if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 0777) != 0700)
                return -EPERM;
        empty_folder(w->folder);
        return 0;
}

/* A predecessor that was killed could not clean up. */
static void remove_leftovers(const char *below) {
        DIR *d = below ? opendir(below) : NULL;
        struct worker w = {0};

        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
                int n = snprintf(w.folder, sizeof w.folder, "%s/%s", below, e->d_name);

                if (view_starts(view_of(e->d_name), VIEW(FOLDER_PREFIX)) && n > 0 &&
                    (size_t)n < sizeof w.folder)
                        remove_folder(&w);
        }
        if (d)
                closedir(d);
}

static bool is_kind(int fd, mode_t kind) {
        struct stat s;

        return fstat(fd, &s) == 0 && (s.st_mode & S_IFMT) == kind;
}

static bool is_read_only(int fd) {
        int flags = fcntl(fd, F_GETFL);

        return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_RDONLY;
}

/* The asking side may have been taken over: nothing of what it says is believed. */
static int check_scan_worker(const struct launcher_question *q, const int *fds, size_t n) {
        if (q->n_fds != 2 || n != 2 || !is_kind(fds[0], S_IFSOCK) || !is_kind(fds[1], S_IFREG))
                return -EINVAL;
        return 0;
}

static int check_llama_server(const struct helper *h, const struct launcher_question *q, const int *fds,
                              size_t n) {
        if (!h->config.worker_root_path || !h->config.socket_dir)
                return -ENOENT;
        if (q->n_fds < 1 || q->n_fds > LAUNCHER_FDS_MAX || n != q->n_fds)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                if (!is_kind(fds[i], S_IFREG) || !is_read_only(fds[i]))
                        return -EINVAL;
        if (q->threads < 1 || q->threads > 256 || q->context < 128 || q->context > 1048576 || q->slots < 1 ||
            q->slots > 16)
                return -ERANGE;
        return 0;
}

static int check_question(const struct helper *h, const struct launcher_question *q, const int *fds,
                          size_t n) {
        switch (q->kind) {
        case LAUNCHER_SCAN_WORKER:
                return check_scan_worker(q, fds, n);
        case LAUNCHER_LLAMA_SERVER:
                return check_llama_server(h, q, fds, n);
        default:
                return -EINVAL;
        }
}

static int stop_worker(struct worker *w, int *ret_status);

static int start_worker(struct helper *h, struct worker *w, const struct launcher_question *q, const int *fds,
                        struct launcher_answer *a, int *ret_pid_fd) {
        struct launcher_start s = {.config = &h->config, .question = q, .fds = fds};
        int r = 0, ignored;

        if (q->kind == LAUNCHER_LLAMA_SERVER) {
                r = make_folder(w, h->config.socket_dir);
                s.folder = w->folder;
        }
        if (r >= 0)
                r = launcher_execute(&s, &w->pid);
        if (r < 0) {
                remove_folder(w);
                return r;
        }
        *ret_pid_fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
        if (*ret_pid_fd < 0) {
                r = negative_errno();
                (void)stop_worker(w, &ignored);
                return r;
        }
        a->id = w->id;
        if (w->folder[0])
                (void)snprintf(a->socket_path, sizeof a->socket_path, "%.*s/" SOCKET_NAME,
                               (int)(sizeof a->socket_path - sizeof SOCKET_NAME - 1), w->folder);
        return 0;
}

static int spawn(struct helper *h, const struct launcher_question *q, const int *fds, size_t n,
                 struct launcher_answer *a, int *ret_pid_fd) {
        struct worker *w = find_worker(h, 0);
        int r = check_question(h, q, fds, n);

        if (r < 0)
                return r;
        if (!w)
                return -EAGAIN;
        if (h->last_id == UINT32_MAX)
                return -EOVERFLOW;
        w->id = ++h->last_id;
        r = start_worker(h, w, q, fds, a, ret_pid_fd);
        if (r < 0)
                *w = (struct worker){0};
        return r;
}

/* A killed process normally ends at once; one that hangs in the kernel must not hang us. */
static int reap_within(pid_t pid, uint64_t timeout_usec, int *ret_status) {
        const struct timespec pause = {.tv_nsec = 2000000};
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;

        for (;;) {
                pid_t got = waitpid(pid, ret_status, WNOHANG);

                if (got == pid)
                        return 0;
                if (got < 0 && errno != EINTR)
                        return negative_errno();
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
                nanosleep(&pause, NULL);
        }
}

static int stop_worker(struct worker *w, int *ret_status) {
        int r;

        (void)kill(w->pid, SIGKILL);
        r = reap_within(w->pid, LAUNCHER_KILL_USEC, ret_status);
        if (r < 0)
                return r;
        remove_folder(w);
        *w = (struct worker){0};
        return 0;
}

/* 1 when it has ended, 0 when it runs. */
static int poll_worker(struct worker *w, int *ret_status) {
        pid_t got = waitpid(w->pid, ret_status, WNOHANG);

        if (got == 0)
                return 0;
        if (got < 0)
                return negative_errno();
        remove_folder(w);
        *w = (struct worker){0};
        return 1;
}

static int answer_question(struct helper *h, const struct launcher_question *q, const int *fds, size_t n,
                           struct launcher_answer *a, int *ret_pid_fd) {
        struct worker *w = q->id ? find_worker(h, q->id) : NULL;
        int status = 0, r;

        if (q->verb == LAUNCHER_SPAWN)
                return spawn(h, q, fds, n, a, ret_pid_fd);
        if (!w || n > 0)
                return -ESRCH;
        switch (q->verb) {
        case LAUNCHER_KILL:
                r = stop_worker(w, &status);
                break;
        case LAUNCHER_POLL:
                r = poll_worker(w, &status);
                break;
        default:
                return -EINVAL;
        }
        a->status = status;
        return r;
}

/* One question, one answer. Negative: the other half is gone or out of step. */
static int serve_one(struct helper *h, int sock) {
        struct launcher_question q = {0};
        struct launcher_answer a = {0};
        int fds[LAUNCHER_FDS_MAX], pid_fd = -EBADF, r;
        size_t n = 0;

        r = launcher_receive(sock, &q, sizeof q, fds, ARRAY_SIZE(fds), &n);
        if (r < 0)
                return r;
        a.result = answer_question(h, &q, fds, n, &a, &pid_fd);
        for (size_t i = 0; i < n; i++)
                close_fd(fds[i]);
        r = launcher_send(sock, &a, sizeof a, &pid_fd, pid_fd >= 0);
        close_fd(pid_fd);
        return r;
}

/* Whatever the parent had open is not ours to keep: a socket held here would outlive the service. */
static int keep_only(int sock) {
        if (sock > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, (unsigned)sock - 1, 0) < 0)
                return negative_errno();
        return close_range((unsigned)sock + 1, UINT_MAX, 0) < 0 ? negative_errno() : 0;
}

/* Signals to the service's group (Ctrl-C) are the service's business: we end when it ends. */
static int settle(int sock) {
        if (keep_only(sock) < 0 || setsid() < 0 || chdir("/") < 0)
                return -EIO;
        for (int s = 1; s < SIGRTMIN; s++) {
                const struct sigaction default_action = {.sa_handler = SIG_DFL};

                (void)sigaction(s, &default_action, NULL);
        }
        (void)umask(077);
        return prctl(PR_SET_NAME, "launcher", 0, 0, 0);
}

void launcher_helper(int sock, const struct launcher_config *config) {
        static struct helper h;
        int ignored;

        h.config = *config;
        if (settle(sock) < 0)
                _exit(1);
        remove_leftovers(config->socket_dir);
        while (serve_one(&h, sock) >= 0)
                ;
        for (size_t i = 0; i < LAUNCHER_WORKERS_MAX; i++)
                if (h.workers[i].id)
                        (void)stop_worker(&h.workers[i], &ignored);
        _exit(0);
}
