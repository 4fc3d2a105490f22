#include "core/launcher_parts.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file.h"
#include "core/llama_calls.h"
#include "core/sandbox.h"
#include "core/sandbox_parts.h"

#define BWRAP         "/usr/bin/bwrap"
#define SHARD_FOLDER  "/tmp" /* an empty folder of the sealed root */
#define ARGUMENTS_MAX (64 + 3 * LAUNCHER_FDS_MAX)
#define FIRST_FD      3                             /* where a worker finds its descriptors */
#define FDS_MAX       (LAUNCHER_FDS_MAX + 1)        /* the model's files and the filter */
#define SAFE_FD       (FIRST_FD + (int)FDS_MAX + 4) /* above all of these */
#define WORKER_FILES  256
#define NUMBER_SIZE   16

/* All text is made before the fork; the child only makes system calls. */
struct program {
        const char *path;
        char *arguments[ARGUMENTS_MAX];
        size_t n_arguments;
        int fds[FDS_MAX]; /* become FIRST_FD, FIRST_FD + 1 … */
        size_t n_fds;
        uint64_t memory_bytes, cpu_seconds;
        bool keeps_errors; /* standard error stays open */
};

static void add(struct program *p, const char *argument) {
        if (p->n_arguments < ARGUMENTS_MAX - 1) /* a constant list, far shorter */
                p->arguments[p->n_arguments++] = (char *)(uintptr_t)argument;
}

static void add_all(struct program *p, const char *const *arguments) {
        for (; *arguments; arguments++)
                add(p, *arguments);
}

static int limit(int what, uint64_t n) {
        struct rlimit l = {n, n};

        return setrlimit((__rlimit_resource_t)what, &l);
}

/* RLIMIT_DATA and not RLIMIT_AS: a mapped model file is address space, but it is not memory that the worker costs. */
static int set_limits(const struct program *p) {
        if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NOFILE, WORKER_FILES) < 0)
                return -1;
        /* a sanitizer's report goes to standard error, which may be a file */
        if (!SANDBOX_SANITIZER && limit(RLIMIT_FSIZE, 0) < 0)
                return -1;
        if (p->memory_bytes > 0 && !SANDBOX_SANITIZER && limit(RLIMIT_DATA, p->memory_bytes) < 0)
                return -1;
        return p->cpu_seconds > 0 ? limit(RLIMIT_CPU, p->cpu_seconds) : 0;
}

/* Silent: what a worker prints is text from a hostile file's reach, and a log is no place for it. Sanitizer builds
 * of our own workers keep standard error, because that is where their findings go. */
static int set_standard_streams(const struct program *p, int null_fd) {
        for (int fd = 0; fd <= (p->keeps_errors ? STDOUT_FILENO : STDERR_FILENO); fd++)
                if (dup2(null_fd, fd) < 0)
                        return -1;
        return 0;
}

/* The descriptors may lie anywhere, also on each other's places: first all out of the way, then into place. The pipe
 * for the error goes behind them and closes with exec. */
static int place_descriptors(const struct program *p, int *error_fd) {
        int moved[ARRAY_SIZE(p->fds)];

        *error_fd = fcntl(*error_fd, F_DUPFD_CLOEXEC, SAFE_FD);
        if (*error_fd < 0)
                return -1;
        for (size_t i = 0; i < p->n_fds; i++) {
                moved[i] = fcntl(p->fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
                if (moved[i] < 0)
                        return -1;
        }
        for (size_t i = 0; i < p->n_fds; i++)
                if (dup2(moved[i], FIRST_FD + (int)i) < 0)
                        return -1;
        if (dup2(*error_fd, SAFE_FD - 1) < 0 || fcntl(SAFE_FD - 1, F_SETFD, FD_CLOEXEC) < 0)
                return -1;
        *error_fd = SAFE_FD - 1;
        if (close_range(FIRST_FD + (unsigned)p->n_fds, SAFE_FD - 2, 0) < 0)
                return -1;
        return close_range(SAFE_FD, UINT_MAX, 0);
}

static int prepare(const struct program *p, int null_fd, int *error_fd, pid_t parent) {
        sigset_t none;

        sigemptyset(&none);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
                return -1;
        if (setsid() < 0 || chdir("/") < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return -1;
        if (set_standard_streams(p, null_fd) < 0 || place_descriptors(p, error_fd) < 0 || set_limits(p) < 0)
                return -1;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

SAI_NORETURN static void become(const struct program *p, int null_fd, int error_fd, pid_t parent) {
        char *no_environment[] = {NULL};
        int error;

        if (prepare(p, null_fd, &error_fd, parent) >= 0)
                (void)execve(p->path, p->arguments, no_environment);
        error = errno > 0 ? errno : EIO;
        if (write(error_fd, &error, sizeof error) < 0)
                _exit(126);
        _exit(127);
}

/* 0 once exec has happened; else the child's errno. */
static int await_exec(int error_fd) {
        int error = 0;
        ssize_t got;

        do
                got = read(error_fd, &error, sizeof error);
        while (got < 0 && errno == EINTR);
        return got == 0 ? 0 : got == sizeof error && error > 0 ? -error : -EIO;
}

static int run_program(const struct program *p, pid_t *ret_pid) {
        _cleanup_(closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), reader = -EBADF,
                              writer = -EBADF;
        int ends[2], r;
        pid_t pid, parent = getpid();

        if (null_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return negative_errno();
        reader = ends[0];
        writer = ends[1];
        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0)
                become(p, null_fd, writer, parent);
        (void)close_fd(TAKE_FD(writer)); /* its end tells that the worker has replaced itself */
        r = await_exec(reader);
        if (r < 0) {
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return r;
        }
        *ret_pid = pid;
        return 0;
}

static int start_scan_worker(const struct launcher_start *s, pid_t *ret_pid) {
        char path[PATH_MAX];
        struct program p = {
                .path = path,
                .fds = {s->fds[0], s->fds[1]},
                .n_fds = 2,
                .memory_bytes = s->question->memory_bytes,
                .cpu_seconds = s->question->cpu_seconds,
                .keeps_errors = SANDBOX_SANITIZER,
        };
        int n = snprintf(path, sizeof path, "%s/scan-worker", s->config->libexec_path);

        if (n < 0 || (size_t)n >= sizeof path)
                return -ENAMETOOLONG;
        add(&p, "scan-worker");
        return run_program(&p, ret_pid);
}

/* How the descriptors are called inside: llama.cpp finds the other files of a split model by the name of the first. */
struct shard_names {
        unsigned n;
        char path[LAUNCHER_FDS_MAX][48], target[LAUNCHER_FDS_MAX][32];
};

static void name_shards(struct shard_names *names, unsigned n) {
        names->n = n;
        for (unsigned i = 0; i < n; i++) {
                (void)snprintf(names->target[i], sizeof names->target[i], "/proc/self/fd/%u", FIRST_FD + i);
                (void)snprintf(names->path[i], sizeof names->path[i], SHARD_FOLDER "/model-%05u-of-%05u.gguf",
                               i + 1, n);
        }
}

/* A folder of links in memory, which nobody can change afterwards. */
static void add_shards(struct program *p, const struct shard_names *names) {
        add_all(p, (const char *const[]){"--tmpfs", SHARD_FOLDER, NULL});
        for (unsigned i = 0; i < names->n; i++)
                add_all(p, (const char *const[]){"--symlink", names->target[i], names->path[i], NULL});
        add_all(p, (const char *const[]){"--remount-ro", SHARD_FOLDER, NULL});
}

/* Empty namespaces, its own read-only root, nothing of the host but the socket folder. The model is not mounted: it
 * is the open descriptors from 3 on, and the filter lets llama-server open things for reading only. */
static void llama_command(struct program *p, const struct launcher_start *s, const struct shard_names *names,
                          const char *filter_fd) {
        static const char *const walls[] = {
                "--unshare-user",
                "--unshare-ipc",
                "--unshare-pid",
                "--unshare-net",
                "--unshare-uts",
                "--unshare-cgroup-try",
                "--hostname",
                "worker",
                "--new-session",
                "--die-with-parent",
                "--cap-drop",
                "ALL",
                "--uid",
                "65534",
                "--gid",
                "65534",
                "--clearenv",
                "--chdir",
                "/",
                NULL,
        };

        add(p, "bwrap");
        add_all(p, walls);
        add_all(p, (const char *const[]){"--ro-bind", s->config->worker_root_path, "/", NULL});
        add_all(p, (const char *const[]){"--proc", "/proc", "--dev", "/dev", NULL});
        if (names->n > 1)
                add_shards(p, names);
        add_all(p, (const char *const[]){"--bind", s->folder, "/run", "--seccomp", filter_fd, "--", NULL});
}

/* The prompt cache across conversations (8 GB by default) is off: it would carry one chat's text into another's time. */
static void llama_server(struct program *p, const struct shard_names *names, const char *threads,
                         const char *context, const char *slots, const char *http_threads) {
        static const char *const fixed[] = {
                "--alias",   "model",      "--host",      "/run/w.sock", "--offline", "--no-ui",
                "--metrics", "--no-slots", "--cache-ram", "0",           NULL,
        };

        add_all(p, (const char *const[]){"/usr/bin/llama-server", "--model",
                                         names->n > 1 ? names->path[0] : names->target[0], NULL});
        add_all(p, fixed);
        add_all(p, (const char *const[]){"--threads", threads, "--threads-http", http_threads, NULL});
        add_all(p, (const char *const[]){"--ctx-size", context, "--parallel", slots, NULL});
}

static int start_llama_server(const struct launcher_start *s, pid_t *ret_pid) {
        const struct launcher_question *q = s->question;
        char threads[NUMBER_SIZE], context[NUMBER_SIZE], slots[NUMBER_SIZE], http_threads[NUMBER_SIZE],
                filter_fd[NUMBER_SIZE];
        struct shard_names names;
        _cleanup_(closep) int filter = -EBADF;
        struct program p = {.path = BWRAP, .memory_bytes = q->memory_bytes, .cpu_seconds = q->cpu_seconds};
        int r = sandbox_export_filter(llama_calls, &filter, NULL);

        if (r < 0)
                return r;
        memcpy(p.fds, s->fds, q->n_fds * sizeof p.fds[0]);
        p.fds[q->n_fds] = filter;
        p.n_fds = q->n_fds + 1;
        name_shards(&names, q->n_fds);
        (void)snprintf(filter_fd, sizeof filter_fd, "%u", FIRST_FD + q->n_fds);
        (void)snprintf(threads, sizeof threads, "%u", q->threads);
        (void)snprintf(context, sizeof context, "%u", q->context);
        (void)snprintf(slots, sizeof slots, "%u", q->slots);
        (void)snprintf(http_threads, sizeof http_threads, "%u", q->slots + 4);
        llama_command(&p, s, &names, filter_fd);
        llama_server(&p, &names, threads, context, slots, http_threads);
        return run_program(&p, ret_pid);
}

int launcher_execute(const struct launcher_start *s, pid_t *ret_pid) {
        return s->question->kind == LAUNCHER_SCAN_WORKER ? start_scan_worker(s, ret_pid)
                                                         : start_llama_server(s, ret_pid);
}
