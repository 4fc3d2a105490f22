#include "securectl/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/view.h"
#include "securectl/up_limits.h"

#define ARGUMENTS_MAX  24
#define FIRST_FD       3
#define SAFE_FD        64
#define TEXT_SIZE      64
#define LOG_BYTES_MAX  ((off_t)4 << 20) /* then it is kept once as .old */
#define LAST_WORDS_MAX 2048
#define RUN_PAUSE_NSEC 5000000L

static int log_path(char out[PLACE_MAX], const char *name, const struct places *places) {
        int n = snprintf(out, PLACE_MAX, "%s/log/services/%s.log", places->state_root, name);

        return n < 0 || n >= PLACE_MAX - 4 ? -ENAMETOOLONG : 0;
}

static int open_log(const char *name, const struct places *places) {
        char path[PLACE_MAX], old[PLACE_MAX];
        struct stat s;
        int r = log_path(path, name, places), fd;

        if (r < 0)
                return r;
        if (stat(path, &s) == 0 && s.st_size > LOG_BYTES_MAX) {
                (void)snprintf(old, sizeof old, "%.*s.old", PLACE_MAX - 5, path);
                (void)rename(path, old);
        }
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? negative_errno() : fd;
}

/* --- in the child, before exec --- */

static SAI_NORETURN void child_failed(const char *what) {
        dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
        _exit(126);
}

static void settle(int log_fd, pid_t parent) {
        const struct sigaction default_action = {.sa_handler = SIG_DFL};
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        sigset_t none;

        sigemptyset(&none);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
            dup2(log_fd, STDERR_FILENO) < 0)
                _exit(126);
        /* Also a supervisor that is killed leaves nobody behind. Own session: Ctrl-C is for the supervisor alone. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent || setsid() < 0)
                child_failed("can't bind to the supervisor");
        (void)sigaction(SIGPIPE, &default_action, NULL); /* an ignored signal stays ignored through exec */
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || chdir("/") < 0)
                child_failed("can't settle");
        (void)umask(077);
}

static void place_sockets(const struct unit *u) {
        int high[UNIT_SOCKETS_MAX];

        for (size_t i = 0; i < u->n_sockets; i++) {
                high[i] = fcntl(u->sockets[i], F_DUPFD_CLOEXEC, SAFE_FD);
                if (high[i] < 0)
                        child_failed("sockets");
        }
        for (size_t i = 0; i < u->n_sockets; i++)
                if (dup2(high[i], FIRST_FD + (int)i) < 0)
                        child_failed("sockets");
}

/* name=value texts for exec; the sanitizers' options go through, so that a build with them behaves as it was told. */
struct environment {
        char pid[TEXT_SIZE], n_fds[TEXT_SIZE], names[TEXT_SIZE], notify[PLACE_MAX];
        char watchdog[TEXT_SIZE];
        char options[3][256];
        char *list[9];
};

static void fill_environment(struct environment *e, const struct unit *u, const char *notify_path) {
        static const char *const passed[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
        size_t n = 0, used;

        (void)snprintf(e->pid, sizeof e->pid, "LISTEN_PID=%ld", (long)getpid());
        (void)snprintf(e->n_fds, sizeof e->n_fds, "LISTEN_FDS=%zu", u->n_sockets);
        used = (size_t)snprintf(e->names, sizeof e->names, "LISTEN_FDNAMES=");
        for (size_t i = 0; i < u->n_sockets && used < sizeof e->names; i++)
                used += (size_t)snprintf(e->names + used, sizeof e->names - used, "%s%s", i ? ":" : "",
                                         u->socket_names[i]);
        (void)snprintf(e->notify, sizeof e->notify, "NOTIFY_SOCKET=%.*s", PLACE_MAX - 16, notify_path);
        e->list[n++] = e->pid;
        e->list[n++] = e->n_fds;
        e->list[n++] = e->names;
        e->list[n++] = e->notify;
        /* without it services send no keep-alives, and the supervisor would take them for hung */
        (void)snprintf(e->watchdog, sizeof e->watchdog, "WATCHDOG_USEC=%llu",
                       (unsigned long long)UP_SILENCE_USEC);
        e->list[n++] = e->watchdog;
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
                const char *value = secure_getenv(passed[i]);

                if (!value)
                        continue;
                (void)snprintf(e->options[i], sizeof e->options[i], "%s=%s", passed[i], value);
                e->list[n++] = e->options[i];
        }
        e->list[n] = NULL;
}

static SAI_NORETURN void become_service(const struct unit *u, const struct places *p,
                                        const char *notify_path) {
        static struct environment environment;
        char program[PLACE_MAX], state[PLACE_MAX], credentials[PLACE_MAX], below[PLACE_MAX];
        const char *arguments[ARGUMENTS_MAX] = {
                program,   "--config", p->config,   "--state",  state,           "--run",     p->run,
                "--share", p->share,   "--libexec", p->libexec, "--credentials", credentials,
        };
        size_t n = 13;

        if (place_join(program, p->libexec, u->name) < 0 || place_join(state, p->state_root, u->name) < 0 ||
            place_join(below, p->run, "credentials") < 0 || place_join(credentials, below, u->name) < 0) {
                errno = ENAMETOOLONG;
                child_failed(u->name);
        }
        if (p->worker_root[0]) {
                arguments[n++] = "--worker-root";
                arguments[n++] = p->worker_root;
        }
        place_sockets(u);
        fill_environment(&environment, u, notify_path);
        (void)execve(program, (char *const *)(uintptr_t)arguments, environment.list);
        child_failed(program);
}

int unit_start(struct unit *u, const struct places *places, const char *notify_path) {
        _cleanup_(closep) int log_fd = open_log(u->name, places);
        pid_t pid, parent = getpid();

        if (log_fd < 0)
                return log_fd;
        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0) {
                settle(log_fd, parent);
                become_service(u, places, notify_path);
        }
        u->pid = pid;
        u->since_usec = u->alive_usec = clock_monotonic_usec();
        return 0;
}

static int wait_for_end(pid_t pid, uint64_t timeout_usec, int *ret_status) {
        const struct timespec pause = {.tv_nsec = RUN_PAUSE_NSEC};
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;

        for (;;) {
                pid_t got = waitpid(pid, ret_status, WNOHANG);

                if (got == pid)
                        return 0;
                if (got < 0 && errno != EINTR)
                        return negative_errno();
                if (clock_monotonic_usec() >= deadline) {
                        (void)kill(pid, SIGKILL);
                        (void)waitpid(pid, ret_status, 0);
                        return -ETIMEDOUT;
                }
                nanosleep(&pause, NULL);
        }
}

int unit_run_once(const char *name, const char *const *arguments, const struct places *places,
                  uint64_t timeout_usec) {
        _cleanup_(closep) int log_fd = open_log(name, places);
        const char *list[ARGUMENTS_MAX] = {name};
        const struct unit no_sockets = {.name = name};
        struct environment environment = {0};
        char program[PLACE_MAX];
        pid_t pid, parent = getpid();
        int status = 0, r = log_fd < 0 ? log_fd : place_join(program, places->libexec, name);

        if (r < 0)
                return r;
        for (size_t n = 1; *arguments && n < ARGUMENTS_MAX - 1; n++)
                list[n] = *arguments++;
        pid = fork();
        if (pid < 0)
                return negative_errno();
        if (pid == 0) {
                settle(log_fd, parent);
                fill_environment(&environment, &no_sockets, "");
                (void)execve(program, (char *const *)(uintptr_t)list,
                             environment.list + 4); /* options only */
                child_failed(program);
        }
        r = wait_for_end(pid, timeout_usec, &status);
        return r < 0 ? r : status == 0 ? 0 : -ECHILD;
}

/* --- for people --- */

static struct view last_lines(struct view text, unsigned lines) {
        size_t at = text.n;

        while (at > 0 && text.p[at - 1] == '\n')
                text.n = --at;
        while (at > 0) {
                if (text.p[at - 1] == '\n' && --lines == 0)
                        break;
                at--;
        }
        return view_sub(text, at, SIZE_MAX);
}

void unit_last_words(const char *name, const struct places *places, char *out, size_t n) {
        char path[PLACE_MAX], text[LAST_WORDS_MAX];
        _cleanup_(closep) int fd = -EBADF;
        struct view words = VIEW("");
        ssize_t got = 0;
        off_t size;

        if (log_path(path, name, places) >= 0)
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        if (size > 0)
                got = pread(fd, text, sizeof text, size > LAST_WORDS_MAX ? size - LAST_WORDS_MAX : 0);
        if (got > 0)
                words = last_lines(view_make(text, (size_t)got), 3);
        (void)snprintf(out, n, "%.*s", VIEW_ARG(words));
}

void unit_describe_status(int status, char out[64]) {
        if (WIFSIGNALED(status))
                (void)snprintf(out, 64, "killed by signal %d (%s)", WTERMSIG(status),
                               sigdescr_np(WTERMSIG(status)));
        else
                (void)snprintf(out, 64, "exit status %d", WEXITSTATUS(status));
}
