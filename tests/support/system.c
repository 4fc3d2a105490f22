#include "system.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cm.h"
#include "base/clock.h"
#include "base/file.h"

#define SERVICES_MAX  8
#define ARGUMENTS_MAX 24
#define PATH_SIZE     512
#define PATIENCE_USEC (60 * USEC_PER_SEC)
#define OUTPUT_MAX    ((size_t)4 << 20)

struct service_seen {
        char name[32];
        pid_t pid;
        uint16_t port;
};

struct system {
        char program[PATH_SIZE], root[PATH_SIZE], folder[64];
        pid_t pid;
        int output_fd;
        struct buf output;
        size_t parsed; /* offset of the first line that was not looked at */
        bool running;
        char code[128];
        struct service_seen services[SERVICES_MAX];
        size_t n_services;
};

static void join(char out[PATH_SIZE], const char *a, const char *b) {
        int n = snprintf(out, PATH_SIZE, "%s/%s", a, b);

        assert_true(n > 0 && n < PATH_SIZE);
}

struct system *system_new(const char *prefix) {
        struct system *s = calloc(1, sizeof *s);

        assert_non_null(s);
        if (!prefix)
                prefix = secure_getenv("SECAI_STAGE");
        if (!prefix)
                fail_msg("SECAI_STAGE is not set: run the tests with `make test` or `meson test`");
        join(s->program, prefix, "usr/bin/securectl");
        (void)snprintf(s->folder, sizeof s->folder, "/tmp/secai-system-XXXXXX");
        assert_non_null(mkdtemp(s->folder));
        join(s->root, s->folder, "state");
        s->output = BUF_INIT(OUTPUT_MAX);
        s->output_fd = -EBADF;
        return s;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
        return remove(path);
}

struct system *system_free(struct system *s) {
        if (!s)
                return NULL;
        if (s->pid > 0) {
                (void)kill(s->pid, SIGKILL);
                (void)waitpid(s->pid, NULL, 0);
        }
        close_fd(s->output_fd);
        buf_done(&s->output);
        if (secure_getenv("SECAI_KEEP"))
                fprintf(stderr, "# kept: %s\n", s->folder);
        else
                (void)nftw(s->folder, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        free(s);
        return NULL;
}

static SAI_NORETURN void become(struct system *s, const char *const *arguments, int out) {
        sigset_t none;

        sigemptyset(&none);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
                _exit(126);
        (void)execv(s->program, (char *const *)(uintptr_t)arguments);
        dprintf(STDERR_FILENO, "%s: %s\n", s->program, strerrordesc_np(errno));
        _exit(127);
}

static pid_t spawn(struct system *s, const char *const *arguments, int *ret_out) {
        int ends[2];
        pid_t pid;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                become(s, arguments, ends[1]);
        close(ends[1]);
        assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        *ret_out = ends[0];
        return pid;
}

static struct service_seen *seen(struct system *s, struct view name) {
        struct service_seen *v;

        for (size_t i = 0; i < s->n_services; i++)
                if (view_eq_str(name, s->services[i].name))
                        return &s->services[i];
        assert_true(s->n_services < SERVICES_MAX && name.n < sizeof v->name);
        v = &s->services[s->n_services++];
        memcpy(v->name, name.p, name.n);
        return v;
}

static void note_running(struct system *s, const struct json *o) {
        const struct json *ports = json_get_typed(o, "ports", JSON_OBJECT);
        struct view code = json_get_view(o, "code", VIEW(""));

        (void)snprintf(s->code, sizeof s->code, "%.*s", VIEW_ARG(code));
        for (const struct json *p = ports ? ports->child : NULL; p; p = p->next)
                seen(s, p->key)->port = (uint16_t)p->integer;
        s->running = true;
}

/* Looks at one line; true when it is the event that is waited for. */
static bool take_line(struct system *s, struct view line, const char *event, const char *service,
                      pid_t *ret_pid) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *o;
        struct view name, of;
        uint64_t pid = 0;

        if (json_parse(line, NULL, &d, NULL) < 0)
                return false; /* text of a sanitizer or of securectl's own complaints */
        o = json_root(d);
        name = json_get_view(o, "event", VIEW(""));
        of = json_get_view(o, "service", VIEW(""));
        if (json_get_u64(o, "pid", &pid) < 0)
                pid = 0;
        if (view_eq(name, VIEW("service_ready")))
                seen(s, of)->pid = (pid_t)pid;
        if (view_eq(name, VIEW("running")))
                note_running(s, o);
        *ret_pid = (pid_t)pid;
        return view_eq_str(name, event) && (!service || view_eq_str(of, service));
}

static bool find_event(struct system *s, const char *event, const char *service, pid_t *ret_pid) {
        for (;;) {
                struct view rest = view_sub(buf_view(&s->output), s->parsed, SIZE_MAX), line;

                if (!view_split(&rest, '\n', &line))
                        return false;
                s->parsed += line.n + 1;
                if (take_line(s, line, event, service, ret_pid))
                        return true;
        }
}

/* False at the end of the output. */
static bool read_more(int fd, struct buf *out, uint64_t deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char text[4096];
        ssize_t n;

        if (poll(&p, 1, clock_poll_timeout(deadline)) <= 0)
                return true;
        n = read(fd, text, sizeof text);
        if (n > 0)
                assert_int_equal(buf_append(out, text, (size_t)n), 0);
        return n > 0 || (n < 0 && errno == EAGAIN);
}

/* 1 = found, 0 = the output has ended, -ETIMEDOUT. */
static int wait_event(struct system *s, const char *event, const char *service, pid_t *ret_pid) {
        uint64_t deadline = clock_monotonic_usec() + PATIENCE_USEC;

        while (clock_monotonic_usec() < deadline) {
                if (find_event(s, event, service, ret_pid))
                        return 1;
                if (!read_more(s->output_fd, &s->output, deadline))
                        return find_event(s, event, service, ret_pid);
        }
        return -ETIMEDOUT;
}

pid_t system_await(struct system *s, const char *event, const char *service) {
        pid_t pid = 0;

        if (wait_event(s, event, service, &pid) <= 0)
                fail_msg("no event %s of %s; securectl up said:\n%s", event, service ? service : "any",
                         buf_str(&s->output));
        return pid;
}

int system_try_start(struct system *s, const char *const *more) {
        const char *arguments[ARGUMENTS_MAX] = {s->program, "up",           "--json", "--port",
                                                "0",        "--state-root", s->root};
        pid_t ignored;

        assert_int_equal(s->pid, 0);
        for (size_t n = 7; more && *more && n < ARGUMENTS_MAX - 1; n++)
                arguments[n] = *more++;
        buf_clear(&s->output);
        s->parsed = 0;
        s->running = false;
        s->code[0] = '\0';
        s->output_fd = close_fd(s->output_fd);
        s->pid = spawn(s, arguments, &s->output_fd);
        if (wait_event(s, "running", NULL, &ignored) > 0)
                return 0;
        return system_wait(s);
}

void system_start(struct system *s, const char *const *more) {
        int status = system_try_start(s, more);

        if (status != 0)
                fail_msg("securectl up did not start the system (%d); it said:\n%s", status,
                         buf_str(&s->output));
}

int system_wait(struct system *s) {
        uint64_t deadline = clock_monotonic_usec() + PATIENCE_USEC;
        int status = 0;

        while (waitpid(s->pid, &status, WNOHANG) == 0) {
                if (clock_monotonic_usec() >= deadline)
                        fail_msg("securectl up did not end; it said:\n%s", buf_str(&s->output));
                (void)read_more(s->output_fd, &s->output, clock_monotonic_usec() + 10 * USEC_PER_MSEC);
                usleep(1000); /* at the end of the output nothing waits */
        }
        s->pid = 0;
        while (read_more(s->output_fd, &s->output, clock_monotonic_usec()) &&
               clock_monotonic_usec() < deadline) {
                struct pollfd p = {.fd = s->output_fd, .events = POLLIN};

                if (poll(&p, 1, 0) <= 0) /* a child that outlived it may hold the other end */
                        break;
        }
        return status;
}

int system_stop(struct system *s) {
        assert_true(s->pid > 0);
        assert_int_equal(kill(s->pid, SIGTERM), 0);
        return system_wait(s);
}

void system_kill(struct system *s) {
        assert_true(s->pid > 0);
        assert_int_equal(kill(s->pid, SIGKILL), 0);
        (void)system_wait(s);
}

int system_securectl(struct system *s, const char *const *arguments, struct buf *ret_output) {
        _cleanup_(buf_donep) struct buf output = BUF_INIT(OUTPUT_MAX);
        const char *list[ARGUMENTS_MAX] = {s->program};
        uint64_t deadline = clock_monotonic_usec() + PATIENCE_USEC;
        int out, status = -1;
        size_t n = 1;
        pid_t pid;

        for (; *arguments && n < ARGUMENTS_MAX - 3; n++)
                list[n] = *arguments++;
        list[n++] = "--state-root";
        list[n] = s->root;
        pid = spawn(s, list, &out);
        while (clock_monotonic_usec() < deadline && read_more(out, &output, deadline))
                ;
        close(out);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ret_output)
                *ret_output = TAKE_BUF(output);
        return status;
}

pid_t system_supervisor(const struct system *s) {
        return s->pid;
}

pid_t system_pid(const struct system *s, const char *service) {
        for (size_t i = 0; i < s->n_services; i++)
                if (strcmp(s->services[i].name, service) == 0)
                        return s->services[i].pid;
        return 0;
}

uint16_t system_port(const struct system *s, const char *service) {
        for (size_t i = 0; i < s->n_services; i++)
                if (strcmp(s->services[i].name, service) == 0)
                        return s->services[i].port;
        return 0;
}

const char *system_code(const struct system *s) {
        return s->code;
}

const char *system_root(const struct system *s) {
        return s->root;
}

const char *system_output(const struct system *s) {
        return buf_str(&s->output);
}

struct http_client *system_client(struct system *s, const char *caller, const char *target) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
        char path[PATH_SIZE];
        const struct json *list;
        struct http_client *c = NULL;

        (void)snprintf(path, sizeof path, "%.400s/run/credentials/%.40s/tokens.json", s->root, caller);
        assert_int_equal(read_file(path, text.max, &text), 0);
        assert_int_equal(json_parse(buf_view(&text), NULL, &d, NULL), 0);
        list = json_get_typed(json_root(d), "outbound", JSON_ARRAY);
        assert_non_null(list);
        (void)snprintf(path, sizeof path, "%.400s/run/%.40s.sock", s->root, target);
        for (const struct json *o = list->child; o; o = o->next)
                if (view_eq_str(json_get_view(o, "target", VIEW_NULL), target))
                        assert_int_equal(http_client_new(path, 0, json_get_view(o, "token", VIEW_NULL), &c),
                                         0);
        if (!c)
                fail_msg("%s has no token for %s", caller, target);
        return c;
}
