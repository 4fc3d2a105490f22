#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/secret.h"
#include "core/digest.h"

#define SERVICES_MAX     16
#define PATH_SIZE        512
#define START_USEC       (20 * USEC_PER_SEC)
#define STOP_USEC        (15 * USEC_PER_SEC)
#define POLL_USEC        5000
#define SANITIZER_FACTOR 3

static const char *const callers[] = {"ui",        "registry",   "quarantine", "inference", "audit",
                                      "securectl", "supervisor", "stranger",   NULL};
static const char *const kinds[] = {"http-unix", "http-tcp", "fd"};

struct harness_service {
        char name[32];
        pid_t pid;
        int sockets[ARRAY_SIZE(kinds)];
        uint16_t port;
        char program[PATH_SIZE], state[PATH_SIZE], credentials[PATH_SIZE], log[PATH_SIZE];
        struct buf stderr_text;
};

struct harness {
        char root[64], run[PATH_SIZE], config[PATH_SIZE], share[PATH_SIZE], libexec[PATH_SIZE],
                worker_root[PATH_SIZE];
        uint8_t seed[32];
        char token[SHA256_HEX_SIZE];
        int notify;
        struct harness_service services[SERVICES_MAX];
        size_t n_services;
};

static void path_of(char out[PATH_SIZE], const char *a, const char *b) {
        int n = snprintf(out, PATH_SIZE, "%s/%s", a, b);

        assert_true(n > 0 && n < PATH_SIZE);
}

static const char *stage(void) {
        const char *path = secure_getenv("SECAI_STAGE");

        if (!path)
                fail_msg("SECAI_STAGE is not set: run the tests with `make test` or `meson test`");
        return path;
}

static void open_notify(struct harness *h) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", h->root);

        assert_true(n > 0 && (size_t)n < sizeof(a.sun_path));
        h->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(h->notify >= 0);
        assert_int_equal(bind(h->notify, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void find_worker_root(struct harness *h) {
        const char *given = secure_getenv("SECAI_WORKER_ROOT"), *home = secure_getenv("HOME");

        if (given)
                (void)snprintf(h->worker_root, sizeof(h->worker_root), "%s", given);
        else if (home)
                path_of(h->worker_root, home, ".cache/secure-ai/worker-root");
        if (access(h->worker_root, X_OK) < 0)
                h->worker_root[0] = '\0';
}

struct harness *harness_new(void) {
        struct harness *h = calloc(1, sizeof(*h));
        static const char *const folders[] = {"state", "run", "log", "credentials"};
        char path[PATH_SIZE];

        assert_non_null(h);
        (void)snprintf(h->root, sizeof(h->root), "/tmp/secai-test-XXXXXX");
        assert_non_null(mkdtemp(h->root));
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                path_of(path, h->root, folders[i]);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        path_of(h->run, h->root, "run");
        path_of(h->config, stage(), "etc/secure-ai");
        path_of(h->share, stage(), "usr/share/secure-ai");
        path_of(h->libexec, stage(), "usr/libexec/secure-ai");
        assert_int_equal(random_bytes(h->seed, sizeof(h->seed)), 0);
        find_worker_root(h);
        open_notify(h);
        return h;
}

/* --- names, tokens, sockets --- */

const char *harness_token(struct harness *h, const char *caller, const char *target) {
        char pair[128];
        struct sha256 digest;
        int n = snprintf(pair, sizeof(pair), "%s>%s", caller, target);

        assert_true(n > 0 && (size_t)n < sizeof(pair));
        assert_int_equal(hmac_sha256(view_make(h->seed, sizeof(h->seed)), view_of(pair), &digest), 0);
        sha256_hex(&digest, h->token);
        return h->token;
}

static void write_tokens(struct harness *h, const char *name, const char *folder) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
        struct json_writer w = JSON_WRITER(&text);
        _cleanup_(closep) int dir = open_dir(folder);

        json_object_begin(&w);
        json_key(&w, "inbound");
        json_array_begin(&w);
        for (const char *const *c = callers; *c; c++) {
                struct sha256 digest;
                char hex[SHA256_HEX_SIZE];

                assert_int_equal(sha256_of(view_of(harness_token(h, *c, name)), &digest), 0);
                sha256_hex(&digest, hex);
                json_object_begin(&w);
                json_member_string(&w, "caller", *c);
                json_member_string(&w, "sha256", hex);
                json_object_end(&w);
        }
        json_array_end(&w);
        json_key(&w, "outbound");
        json_array_begin(&w);
        for (const char *const *c = callers; *c; c++) {
                if (strcmp(*c, name) == 0 || strcmp(*c, "stranger") == 0)
                        continue;
                json_object_begin(&w);
                json_member_string(&w, "target", *c);
                json_member_string(&w, "token", harness_token(h, name, *c));
                json_object_end(&w);
        }
        json_array_end(&w);
        json_object_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        assert_int_equal(replace_file(dir, "tokens.json", buf_view(&text), 0600), 0);
}

static int listen_unix(const struct harness *h, const char *name, const char *suffix) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s%s", h->run, name, suffix);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(n > 0 && (size_t)n < sizeof(a.sun_path) && fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 128), 0);
        return fd;
}

static int listen_tcp(uint16_t *ret_port) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 128), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        *ret_port = ntohs(a.sin_port);
        return fd;
}

static void make_folder(char out[PATH_SIZE], const struct harness *h, const char *parent, const char *name) {
        char path[PATH_SIZE];

        path_of(path, h->root, parent);
        path_of(out, path, name);
        assert_true(mkdir(out, 0700) == 0 || errno == EEXIST);
}

static struct harness_service *service_of(struct harness *h, const char *name) {
        struct harness_service *s;
        char logs[PATH_SIZE];

        for (size_t i = 0; i < h->n_services; i++)
                if (strcmp(h->services[i].name, name) == 0)
                        return &h->services[i];
        assert_true(h->n_services < SERVICES_MAX && strlen(name) < sizeof(s->name));
        s = &h->services[h->n_services++];
        (void)snprintf(s->name, sizeof(s->name), "%s", name);
        path_of(s->program, h->libexec, name);
        make_folder(s->state, h, "state", name);
        make_folder(s->credentials, h, "credentials", name);
        path_of(logs, h->root, "log");
        path_of(s->log, logs, name);
        write_tokens(h, name, s->credentials);
        s->sockets[0] = listen_unix(h, name, ".sock");
        s->sockets[1] = listen_tcp(&s->port);
        s->sockets[2] = listen_unix(h, name, ".fd.sock");
        s->stderr_text = BUF_INIT((size_t)16 << 20);
        return s;
}

int harness_take_socket(struct harness *h, const char *name, const char *kind) {
        struct harness_service *s = service_of(h, name);

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strcmp(kinds[i], kind) == 0)
                        return TAKE_FD(s->sockets[i]);
        fail_msg("no such kind of socket: %s", kind);
        return -ENOENT;
}

/* --- processes --- */

void harness_use_program(struct harness *h, const char *name, const char *path) {
        struct harness_service *s = service_of(h, name);
        int n = snprintf(s->program, sizeof(s->program), "%s", path);

        assert_true(n > 0 && n < PATH_SIZE);
}

/* In the child: descriptors 3… are the sockets that are there, in order; `names` gets their names. */
static unsigned place_sockets(const struct harness_service *s, char names[64]) {
        int high[ARRAY_SIZE(kinds)];
        unsigned n = 0;

        names[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                size_t used = strlen(names);

                if (s->sockets[i] < 0)
                        continue;
                high[n] = fcntl(s->sockets[i], F_DUPFD_CLOEXEC, 100);
                if (high[n++] < 0)
                        _exit(126);
                (void)snprintf(names + used, 64 - used, "%s%s", used > 0 ? ":" : "", kinds[i]);
        }
        for (unsigned i = 0; i < n; i++)
                if (dup2(high[i], 3 + (int)i) < 0)
                        _exit(126);
        return n;
}

static void set_environment(const struct harness *h, const char *names, unsigned n) {
        static const char *const kept[] = {"PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
        char values[ARRAY_SIZE(kept)][1024] = {{0}};
        char text[PATH_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                if (secure_getenv(kept[i]))
                        (void)snprintf(values[i], sizeof(values[i]), "%s", secure_getenv(kept[i]));
        (void)clearenv();
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                if (values[i][0])
                        (void)setenv(kept[i], values[i], 1);
        (void)snprintf(text, sizeof(text), "%d", getpid());
        (void)setenv("LISTEN_PID", text, 1);
        (void)snprintf(text, sizeof(text), "%u", n);
        (void)setenv("LISTEN_FDS", text, 1);
        (void)setenv("LISTEN_FDNAMES", names, 1);
        (void)snprintf(text, sizeof(text), "%s/notify", h->root);
        (void)setenv("NOTIFY_SOCKET", text, 1);
}

static void redirect(int fd, const char *path, int flags) {
        int opened = open(path, flags | O_CLOEXEC, 0600);

        if (opened < 0 || dup2(opened, fd) < 0)
                _exit(126);
}

#define ARGUMENTS_MAX 256

/* Optional folders are passed when they are there. */
static size_t path_argument(char **arguments, const char *option, const char *path) {
        if (!path[0] || access(path, X_OK) < 0)
                return 0;
        arguments[0] = (char *)(uintptr_t)option;
        arguments[1] = (char *)(uintptr_t)path;
        return 2;
}

static SAI_NORETURN void run_child(struct harness *h, struct harness_service *s, const char *const *more) {
        char names[64];
        const char *fixed[] = {s->program, "--config", h->config, "--state",       s->state,      "--run",
                               h->run,     "--share",  h->share,  "--credentials", s->credentials};
        char *arguments[ARGUMENTS_MAX] = {NULL};
        size_t n = 0;
        sigset_t none;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
                arguments[n++] = (char *)(uintptr_t)fixed[i];
        n += path_argument(arguments + n, "--libexec", h->libexec);
        n += path_argument(arguments + n, "--worker-root", h->worker_root);
        for (; more && *more && n < ARGUMENTS_MAX - 1; more++)
                arguments[n++] = (char *)(uintptr_t)*more;
        redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
        redirect(STDOUT_FILENO, s->log, O_WRONLY | O_CREAT | O_APPEND);
        redirect(STDERR_FILENO, s->log, O_WRONLY | O_CREAT | O_APPEND);
        set_environment(h, names, place_sockets(s, names));
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        execv(s->program, arguments);
        dprintf(STDERR_FILENO, "%s: %s\n", s->program, strerror(errno));
        _exit(127);
}

/* True when the process has ended by itself. */
static bool reaped(struct harness_service *s, int *ret_status) {
        if (waitpid(s->pid, ret_status, WNOHANG) != s->pid)
                return false;
        s->pid = 0;
        return true;
}

static bool is_ready(const struct harness *h, const struct harness_service *s, unsigned wait_usec) {
        struct pollfd p = {.fd = h->notify, .events = POLLIN};
        char text[256];
        ssize_t n;

        if (poll(&p, 1, (int)(wait_usec / 1000)) <= 0)
                return false;
        n = recv(h->notify, text, sizeof(text), MSG_DONTWAIT);
        return n > 0 && view_find((struct view){text, (size_t)n}, VIEW("READY=1")) != SIZE_MAX;
}

static void drain_notify(const struct harness *h) {
        char text[256];

        while (recv(h->notify, text, sizeof(text), MSG_DONTWAIT) > 0)
                ;
}

int harness_try_start(struct harness *h, const char *name, const char *const *more) {
        struct harness_service *s = service_of(h, name);
        uint64_t deadline = clock_monotonic_usec() + START_USEC * SANITIZER_FACTOR;
        int status;

        assert_int_equal(s->pid, 0);
        drain_notify(h); /* STOPPING=1 and keep-alives of others */
        s->pid = fork();
        assert_true(s->pid >= 0);
        if (s->pid == 0)
                run_child(h, s, more);
        while (clock_monotonic_usec() < deadline) {
                if (is_ready(h, s, POLL_USEC))
                        return 0;
                if (reaped(s, &status))
                        return status != 0 ? status : -ECHILD;
        }
        harness_kill(h, name);
        return -ETIMEDOUT;
}

void harness_start(struct harness *h, const char *name, const char *const *more) {
        int r = harness_try_start(h, name, more);

        if (r != 0)
                fail_msg("%s did not become ready (%d); it said:\n%s", name, r, harness_stderr(h, name));
}

static int wait_end(struct harness_service *s, uint64_t deadline, int *ret_status) {
        while (s->pid > 0 && !reaped(s, ret_status)) {
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
                usleep(POLL_USEC);
        }
        return 0;
}

int harness_stop(struct harness *h, const char *name) {
        struct harness_service *s = service_of(h, name);
        int status = 0;

        if (s->pid == 0)
                return 0;
        (void)kill(s->pid, SIGTERM);
        if (wait_end(s, clock_monotonic_usec() + STOP_USEC, &status) < 0) {
                harness_kill(h, name);
                fail_msg("%s did not stop on SIGTERM; it said:\n%s", name, harness_stderr(h, name));
        }
        return status;
}

void harness_kill(struct harness *h, const char *name) {
        struct harness_service *s = service_of(h, name);
        int status;

        if (s->pid == 0)
                return;
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, &status, 0);
        s->pid = 0;
}

pid_t harness_pid(struct harness *h, const char *name) {
        struct harness_service *s = service_of(h, name);
        int status;

        return s->pid > 0 && !reaped(s, &status) ? s->pid : 0;
}

const char *harness_stderr(struct harness *h, const char *name) {
        struct harness_service *s = service_of(h, name);

        buf_done(&s->stderr_text);
        return read_file(s->log, s->stderr_text.max, &s->stderr_text) < 0 ? "" : buf_str(&s->stderr_text);
}

int harness_run(struct harness *h, const char *name, const char *const *arguments, struct buf *ret_output) {
        char program[PATH_SIZE], output[PATH_SIZE];
        char *list[ARGUMENTS_MAX] = {program};
        int status = -1;
        pid_t pid;

        path_of(program, h->libexec, name);
        path_of(output, h->root, "output");
        for (size_t n = 1; arguments && *arguments && n < ARGUMENTS_MAX - 1; arguments++)
                list[n++] = (char *)(uintptr_t)*arguments;
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
                redirect(STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC);
                (void)dup2(STDOUT_FILENO, STDERR_FILENO);
                execv(program, list);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ret_output)
                assert_int_equal(read_file(output, (size_t)16 << 20, ret_output), 0);
        return status;
}

/* --- places --- */

const char *harness_root(const struct harness *h) {
        return h->root;
}
const char *harness_run_path(const struct harness *h) {
        return h->run;
}
const char *harness_share_path(const struct harness *h) {
        return h->share;
}
const char *harness_worker_root_path(const struct harness *h) {
        return h->worker_root[0] ? h->worker_root : NULL;
}
const char *harness_state_path(struct harness *h, const char *name) {
        return service_of(h, name)->state;
}
const char *harness_credentials_path(struct harness *h, const char *name) {
        return service_of(h, name)->credentials;
}
uint16_t harness_port(struct harness *h, const char *name) {
        return service_of(h, name)->port;
}

void harness_use_config(struct harness *h, const char *dir) {
        int n = snprintf(h->config, sizeof(h->config), "%s", dir);

        assert_true(n > 0 && n < PATH_SIZE);
}

static struct {
        size_t skip;
        const char *to;
} copying; /* nftw has no user data */

static int copy_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
        _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)1 << 20);
        _cleanup_(closep) int fd = -EBADF;
        char to[PATH_SIZE];

        path_of(to, copying.to, path + copying.skip);
        if (type == FTW_D) {
                assert_true(mkdir(to, 0700) == 0 || errno == EEXIST);
                return 0;
        }
        assert_int_equal(read_file(path, content.max, &content), 0);
        fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, buf_str(&content), content.n), 0);
        return 0;
}

const char *harness_copy_config(struct harness *h) {
        char to[PATH_SIZE];

        path_of(to, h->root, "config");
        copying.skip = strlen(h->config);
        copying.to = to;
        assert_int_equal(nftw(h->config, copy_entry, 16, FTW_PHYS), 0);
        harness_use_config(h, to);
        return h->config;
}

/* --- clients --- */

struct http_client *harness_client(struct harness *h, const char *caller, const char *target) {
        struct http_client *c = NULL;
        char path[PATH_SIZE];
        int n = snprintf(path, sizeof(path), "%s/%s.sock", h->run, target);

        assert_true(n > 0 && n < PATH_SIZE);
        (void)service_of(h, target);
        assert_int_equal(http_client_new(path, 0, view_of(harness_token(h, caller, target)), &c), 0);
        return c;
}

unsigned harness_call(struct http_client *c, const char *method, const char *path, const char *json,
                      struct http_answer *ret) {
        struct http_answer a = {0};
        int r = http_call(c, method, path, json ? "application/json" : NULL, view_of(json), 30 * USEC_PER_SEC,
                          (size_t)16 << 20, &a);

        if (r < 0)
                fail_msg("%s %s: %s", method, path, strerror(-r));
        *ret = a;
        return a.status;
}

/* --- the end --- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
        return remove(path);
}

struct harness *harness_free(struct harness *h) {
        if (!h)
                return NULL;
        for (size_t i = h->n_services; i-- > 0;) {
                struct harness_service *s = &h->services[i];

                harness_kill(h, s->name);
                for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                        (void)close_fd(s->sockets[k]);
                buf_done(&s->stderr_text);
        }
        (void)close_fd(h->notify);
        if (secure_getenv("SECAI_KEEP"))
                fprintf(stderr, "# kept: %s\n", h->root);
        else
                (void)nftw(h->root, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        free(h);
        return NULL;
}
