/* The program that plays scan-worker is this file again: the test links to itself under that name. */
#include "support/cm.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/launcher.h"
#include "core/launcher_parts.h"
#include "core/sandbox_parts.h"
#include "support/split_gguf.h"
#include "support/temp_dir.h"
#include "wire/http_client.h"

#define SHARDS_TRIED  20u
#define PATIENCE_MSEC 20000
#define MEMORY        ((uint64_t)64 << 20)

/* ---- the worker ---- */

static int count_in(const char *path) {
        DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return -1;
        for (struct dirent *e = readdir(d); e; e = readdir(d))
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

static const char *name_of_fd(int fd, char out[64]) {
        char path[64];
        ssize_t n;

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, out, 63);
        out[n > 0 ? n : 0] = '\0';
        return out;
}

static uint64_t limit_of(int what) {
        struct rlimit l = {0};

        (void)getrlimit((__rlimit_resource_t)what, &l);
        return l.rlim_max;
}

static void report(void) {
        char text[1024], cwd[64] = "", a[64], b[64], ring[8] = "";

        if (pread(4, ring, 4, 0) != 4 || !getcwd(cwd, sizeof cwd))
                _exit(3);
        /* opendir itself holds one of the counted descriptors */
        (void)snprintf(text, sizeof text,
                       "fds=%d in=%s out=%s ring=%s cwd=%s env=%d leader=%d nnp=%d parent=%d data=%d core=%d "
                       "fsize=%d "
                       "write=%d",
                       count_in("/proc/self/fd") - 1, name_of_fd(0, a), name_of_fd(1, b), ring, cwd,
                       environ[0] != NULL, getsid(0) == getpid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
                       (int)getppid(), limit_of(RLIMIT_DATA) == MEMORY, (int)limit_of(RLIMIT_CORE),
                       (int)limit_of(RLIMIT_FSIZE), (int)write(4, "x", 1));
        if (write(3, text, strlen(text)) < 0)
                _exit(4);
}

static int worker_main(void) {
        char order = 0;

        while (read(3, &order, 1) == 1)
                switch (order) {
                case 'r':
                        report();
                        break;
                case 'e':
                        _exit(7);
                case 'm':
                        _exit(mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                   0) == MAP_FAILED
                                      ? 0
                                      : 1);
                case 't':
                        for (volatile unsigned n = 0;; n++)
                                ;
                default:
                        _exit(2);
                }
        pause(); /* the other end is gone: stay, so that only the launcher can end us */
        return 0;
}

/* ---- the tests ---- */

struct fixture {
        struct temp_dir dir;
        struct launcher_config config;
        struct launcher *launcher;
        char sockets[100];
        int ring;
};

static const char *worker_root(void) {
        static char path[256];
        const char *home = secure_getenv("HOME"), *given = secure_getenv("SECAI_WORKER_ROOT");

        (void)snprintf(path, sizeof path, "%s%s",
                       given  ? given
                       : home ? home
                              : "/nonexistent",
                       given ? "" : "/.cache/secure-ai/worker-root");
        return access(path, R_OK | X_OK) == 0 ? path : NULL;
}

static int make_ring(void) {
        _cleanup_(closep) int fd = memfd_create("ring", MFD_CLOEXEC);
        char path[64];

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, "ring", 4), 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof *f);

        f->dir = temp_dir_new();
        (void)snprintf(f->sockets, sizeof f->sockets, "%s/sockets", f->dir.path);
        assert_int_equal(mkdir(f->sockets, 0700), 0);
        f->config = (struct launcher_config){f->dir.path, worker_root(), f->sockets};
        f->ring = make_ring();
        *state = f;
        {
                char self[256] = "";

                assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
                assert_int_equal(symlinkat(self, f->dir.fd, "scan-worker"), 0);
        }
        return launcher_start(&f->config, &f->launcher);
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        launcher_free(f->launcher);
        close(f->ring);
        temp_dir_done(&f->dir);
        free(f);
        return 0;
}

/* Spawns a worker; *ret_control is the test's end of its control socket. */
static int spawn_at(struct fixture *f, struct launcher_worker *ret, int *ret_control) {
        struct launcher_request q = {.kind = LAUNCHER_SCAN_WORKER, .n_fds = 2, .memory_bytes = MEMORY};
        int sockets[2], r;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        q.fds[0] = sockets[1];
        q.fds[1] = f->ring;
        r = launcher_spawn(f->launcher, &q, ret);
        close(sockets[1]);
        if (r < 0)
                close(sockets[0]);
        else
                *ret_control = sockets[0];
        return r;
}

static bool becomes_readable(int fd) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        return poll(&p, 1, PATIENCE_MSEC) == 1;
}

static void order(int control, char c) {
        assert_int_equal(send(control, &c, 1, MSG_NOSIGNAL), 1);
}

static void get_report(int control, char out[1024]) {
        ssize_t n;

        order(control, 'r');
        assert_true(becomes_readable(control));
        n = recv(control, out, 1023, 0);
        assert_true(n > 0);
        out[n] = '\0';
}

static pid_t launcher_pid(int control) {
        char text[1024];
        const char *at;

        get_report(control, text);
        at = strstr(text, "parent=");
        assert_non_null(at);
        return (pid_t)strtol(at + 7, NULL, 10);
}

static void worker_gets_its_two_descriptors_and_nothing_else(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        char text[1024];
        int control;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        get_report(control, text);
        assert_non_null(
                strstr(text, "fds=5 in=/dev/null out=/dev/null ring=ring cwd=/ env=0 leader=1 nnp=1 "));
        assert_non_null(strstr(text, "core=0 fsize="));
        assert_non_null(strstr(text, " write=-1"));
        if (!SANDBOX_SANITIZER) /* whose report may go to a file */
                assert_non_null(strstr(text, "fsize=0 "));
        if (!SANDBOX_SANITIZER)
                assert_non_null(strstr(text, "data=1 "));
        close(control);
        close(w.pid_fd);
}

static void launcher_holds_nothing_of_its_parent(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        char path[64];
        int control;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)launcher_pid(control));
        assert_int_equal(count_in(path), 4); /* standard streams and its socket */
        close(control);
        close(w.pid_fd);
}

#if !SANDBOX_SANITIZER
static void memory_limit_holds(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int control, status = -1;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        order(control, 'm');
        assert_true(becomes_readable(w.pid_fd));
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 1);
        assert_int_equal(status, 0);
        close(control);
        close(w.pid_fd);
}
#endif

static void processor_limit_holds(void **state) {
        struct fixture *f = *state;
        struct launcher_request q = {.kind = LAUNCHER_SCAN_WORKER, .n_fds = 2, .cpu_seconds = 1};
        struct launcher_worker w;
        int sockets[2], status = -1;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        q.fds[0] = sockets[1];
        q.fds[1] = f->ring;
        assert_int_equal(launcher_spawn(f->launcher, &q, &w), 0);
        order(sockets[0], 't');
        assert_true(becomes_readable(w.pid_fd));
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 1);
        assert_true(WIFSIGNALED(status));
        close(sockets[0]);
        close(sockets[1]);
        close(w.pid_fd);
}

static void end_of_a_worker_is_seen_once(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int control, status = -1;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 0);
        order(control, 'e');
        assert_true(becomes_readable(w.pid_fd));
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 1);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), -ESRCH);
        assert_int_equal(launcher_kill(f->launcher, w.id, NULL), -ESRCH);
        assert_int_equal(launcher_kill(f->launcher, 0, NULL), -ESRCH);
        close(control);
        close(w.pid_fd);
}

static void kill_ends_and_reaps(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int control, status = -1;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        assert_int_equal(launcher_kill(f->launcher, w.id, &status), 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        assert_true(becomes_readable(w.pid_fd));
        close(control);
        close(w.pid_fd);
}

static void end_of_the_launcher_ends_its_workers(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w[3];
        int control[3];

        for (size_t i = 0; i < ARRAY_SIZE(w); i++)
                assert_int_equal(spawn_at(f, &w[i], &control[i]), 0);
        f->launcher = launcher_free(f->launcher);
        for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
                assert_true(becomes_readable(w[i].pid_fd));
                close(control[i]);
                close(w[i].pid_fd);
        }
}

static void death_of_the_parent_ends_launcher_and_workers(void **state) {
        struct fixture *f = *state;
        int sockets[2], ready[2], status;
        pid_t pid;
        char c;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct launcher_request q = {
                        .kind = LAUNCHER_SCAN_WORKER, .n_fds = 2, .fds = {sockets[1], f->ring}};
                struct launcher_worker w;
                struct launcher *l;

                if (launcher_start(&f->config, &l) < 0 || launcher_spawn(l, &q, &w) < 0 ||
                    write(ready[1], "x", 1) != 1)
                        _exit(1);
                pause();
        }
        close(sockets[1]);
        close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        /* the worker held the last copy of the other end */
        assert_true(becomes_readable(sockets[0]));
        assert_int_equal(recv(sockets[0], &c, 1, 0), 0);
        close(sockets[0]);
        close(ready[0]);
}

static void death_of_the_launcher_ends_workers_and_is_told(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w, other;
        int control, ignored;

        assert_int_equal(spawn_at(f, &w, &control), 0);
        assert_true(launcher_is_there(f->launcher));
        assert_int_equal(kill(launcher_pid(control), SIGKILL), 0);
        assert_true(becomes_readable(w.pid_fd));
        assert_false(launcher_is_there(f->launcher));
        assert_int_equal(launcher_poll(f->launcher, w.id, NULL), -EPIPE);
        assert_int_equal(spawn_at(f, &other, &ignored), -EPIPE);
        close(control);
        close(w.pid_fd);
}

static void bind_at(const char *folder, const char *name) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(a.sun_path, sizeof a.sun_path, "%.80s/%.20s", folder, name);
        assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
}

/* A worker can bind many sockets in its folder, and the folder's name may have been put there by somebody else. */
static void leftover_folders_go_and_no_link_is_followed(void **state) {
        struct fixture *f = *state;
        struct launcher *second = NULL;
        struct launcher_worker w;
        const struct launcher_request bad = {.kind = (enum launcher_kind)7};
        char leftover[128], elsewhere[128], link[128];

        assert_int_equal(launcher_spawn(f->launcher, &bad, &w), -EINVAL); /* the first one tidies no more */
        (void)snprintf(leftover, sizeof leftover, "%s/llama-7", f->sockets);
        (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f->dir.path);
        (void)snprintf(link, sizeof link, "%s/llama-8", f->sockets);
        assert_int_equal(mkdir(leftover, 0700), 0);
        assert_int_equal(mkdir(elsewhere, 0700), 0);
        assert_int_equal(symlink(elsewhere, link), 0);
        bind_at(leftover, "w.sock");
        bind_at(leftover, "another");
        bind_at(elsewhere, "w.sock");
        assert_int_equal(launcher_start(&f->config, &second), 0);
        assert_int_equal(launcher_spawn(second, &bad, &w),
                         -EINVAL); /* it has answered, so it has tidied up */
        assert_int_equal(count_in(leftover), -1);
        assert_int_equal(count_in(elsewhere), 1);
        launcher_free(second);
}

static void requests_outside_the_rules_are_refused(void **state) {
        struct fixture *f = *state;
        int pair[2], folder = f->dir.fd, writable = memfd_create("m", MFD_CLOEXEC);
        struct launcher_config no_root = {f->dir.path, NULL, f->sockets};
        struct launcher *without = NULL;
        struct launcher_worker w;
        const struct {
                struct launcher_request q;
                int expected;
        } cases[] = {
                {{.kind = LAUNCHER_SCAN_WORKER, .n_fds = 0}, -EINVAL},
                {{.kind = LAUNCHER_SCAN_WORKER, .n_fds = 1, .fds = {f->ring}}, -EINVAL},
                {{.kind = LAUNCHER_SCAN_WORKER, .n_fds = 2, .fds = {f->ring, f->ring}}, -EINVAL},
                {{.kind = LAUNCHER_SCAN_WORKER, .n_fds = 3, .fds = {f->ring, f->ring}}, -EINVAL},
                {{.kind = (enum launcher_kind)7, .n_fds = 1, .fds = {f->ring}}, -EINVAL},
        };
        const struct {
                struct launcher_request q;
                int expected;
        } llama_cases[] = {
                {{.n_fds = 1, .fds = {f->ring}, .threads = 0, .context = 512, .slots = 1}, -ERANGE},
                {{.n_fds = 1, .fds = {f->ring}, .threads = 257, .context = 512, .slots = 1}, -ERANGE},
                {{.n_fds = 1, .fds = {f->ring}, .threads = 1, .context = 127, .slots = 1}, -ERANGE},
                {{.n_fds = 1, .fds = {f->ring}, .threads = 1, .context = 1048577, .slots = 1}, -ERANGE},
                {{.n_fds = 1, .fds = {f->ring}, .threads = 1, .context = 512, .slots = 0}, -ERANGE},
                {{.n_fds = 1, .fds = {f->ring}, .threads = 1, .context = 512, .slots = 17}, -ERANGE},
                {{.n_fds = 1, .fds = {writable}, .threads = 1, .context = 512, .slots = 1}, -EINVAL},
                {{.n_fds = 1, .fds = {folder}, .threads = 1, .context = 512, .slots = 1}, -EINVAL},
                {{.n_fds = 2, .fds = {f->ring, writable}, .threads = 1, .context = 512, .slots = 1}, -EINVAL},
                {{.n_fds = 2, .fds = {f->ring, folder}, .threads = 1, .context = 512, .slots = 1}, -EINVAL},
                {{.n_fds = LAUNCHER_FDS_MAX + 1, .fds = {f->ring}, .threads = 1, .context = 512, .slots = 1},
                 -EINVAL},
                {{.n_fds = 0, .threads = 1, .context = 512, .slots = 1}, -EINVAL},
        };

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(launcher_spawn(f->launcher, &cases[i].q, &w), cases[i].expected);
        f->launcher = launcher_free(f->launcher);
        f->config.worker_root_path = "/"; /* any: nothing is started */
        assert_int_equal(launcher_start(&f->config, &f->launcher), 0);
        for (size_t i = 0; i < ARRAY_SIZE(llama_cases); i++) {
                struct launcher_request q = llama_cases[i].q;

                q.kind = LAUNCHER_LLAMA_SERVER;
                assert_int_equal(launcher_spawn(f->launcher, &q, &w), llama_cases[i].expected);
        }
        assert_int_equal(launcher_start(&no_root, &without), 0);
        {
                struct launcher_request q = {.kind = LAUNCHER_LLAMA_SERVER,
                                             .n_fds = 1,
                                             .fds = {f->ring},
                                             .threads = 1,
                                             .context = 512,
                                             .slots = 1};

                assert_int_equal(launcher_spawn(without, &q, &w), -ENOENT);
        }
        launcher_free(without);
        close(pair[0]);
        close(pair[1]);
        close(writable);
}

static void missing_program_is_told(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int control;

        assert_int_equal(unlinkat(f->dir.fd, "scan-worker", 0), 0);
        assert_int_equal(spawn_at(f, &w, &control), -ENOENT);
}

static void one_worker_too_many_is_refused(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w[LAUNCHER_WORKERS_MAX], more;
        int control[LAUNCHER_WORKERS_MAX], ignored;

        for (size_t i = 0; i < LAUNCHER_WORKERS_MAX; i++)
                assert_int_equal(spawn_at(f, &w[i], &control[i]), 0);
        assert_int_equal(spawn_at(f, &more, &ignored), -EAGAIN);
        assert_int_equal(launcher_kill(f->launcher, w[0].id, NULL), 0);
        assert_int_equal(spawn_at(f, &more, &ignored), 0);
        close(ignored);
        close(more.pid_fd);
        for (size_t i = 0; i < LAUNCHER_WORKERS_MAX; i++) {
                close(control[i]);
                close(w[i].pid_fd);
        }
}

static void *spawn_and_kill(void *userdata) {
        struct fixture *f = userdata;

        for (unsigned i = 0; i < 10; i++) {
                struct launcher_request q = {.kind = LAUNCHER_SCAN_WORKER, .n_fds = 2};
                struct launcher_worker w;
                int sockets[2], status = 0;

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                        return f;
                q.fds[0] = sockets[1];
                q.fds[1] = f->ring;
                if (launcher_spawn(f->launcher, &q, &w) < 0 ||
                    launcher_kill(f->launcher, w.id, &status) < 0 || !WIFSIGNALED(status))
                        return f;
                close(w.pid_fd);
                close(sockets[0]);
                close(sockets[1]);
        }
        return NULL;
}

static void threads_may_ask_at_the_same_time(void **state) {
        pthread_t threads[4];

        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, spawn_and_kill, *state), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
                void *failed = NULL;

                assert_int_equal(pthread_join(threads[i], &failed), 0);
                assert_null(failed);
        }
}

/* ---- the real llama-server in its sealed root ---- */

static int open_model(void) {
        const char *source = secure_getenv("SECAI_SOURCE");
        char path[256];

        (void)snprintf(path, sizeof path, "%s/tests/data/pebble/pebble-comply-Q8_0.gguf",
                       source ? source : "..");
        return open(path, O_RDONLY | O_CLOEXEC);
}

static int spawn_llama_on(struct fixture *f, const int *fds, unsigned n, struct launcher_worker *ret) {
        struct launcher_request q = {.kind = LAUNCHER_LLAMA_SERVER,
                                     .n_fds = n,
                                     .threads = 1,
                                     .context = 512,
                                     .slots = 1,
                                     .memory_bytes = (uint64_t)512 << 20};

        memcpy(q.fds, fds, n * sizeof *fds);
        return launcher_spawn(f->launcher, &q, ret);
}

static int spawn_llama(struct fixture *f, int model, struct launcher_worker *ret) {
        return spawn_llama_on(f, &model, 1, ret);
}

static void wait_until_healthy(struct fixture *f, const struct launcher_worker *w, struct http_client *c) {
        uint64_t deadline = clock_monotonic_usec() + 30 * USEC_PER_SEC;

        while (clock_monotonic_usec() < deadline) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};
                int status;

                if (http_call(c, "GET", "/health", NULL, VIEW_NULL, USEC_PER_SEC, 65536, &a) == 0 &&
                    a.status == 200)
                        return;
                assert_int_equal(launcher_poll(f->launcher, w->id, &status), 0);
                usleep(20000);
        }
        fail_msg("llama-server was not healthy within 30 s");
}

static const char question[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":16,"
                               "\"temperature\":0,\"seed\":1}";

/* The text that the model answers; the caller frees it. */
static struct buf ask_llama(struct fixture *f, const struct launcher_worker *w) {
        _cleanup_(http_client_freep) struct http_client *c = NULL;
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct buf text = BUF_INIT(65536);
        const struct json *choices;

        assert_int_equal(http_client_new(w->socket_path, 0, VIEW_NULL, &c), 0);
        wait_until_healthy(f, w, c);
        assert_int_equal(http_call(c, "POST", "/v1/chat/completions", "application/json", view_of(question),
                                   30 * USEC_PER_SEC, 65536, &a),
                         0);
        assert_int_equal(a.status, 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        choices = json_get_typed(json_root(d), "choices", JSON_ARRAY);
        assert_non_null(choices);
        assert_int_equal(buf_append_view(&text, json_get_view(json_get(choices->child, "message"), "content",
                                                              VIEW_NULL)),
                         0);
        assert_true(text.n > 0);
        return text;
}

static void open_shards(struct fixture *f, unsigned n, int *ret) {
        _cleanup_(closep) int whole = open_model(), dir = -EBADF;
        _cleanup_(buf_donep) struct buf bytes = BUF_INIT((size_t)16 << 20);
        char path[128];

        assert_true(whole >= 0);
        assert_int_equal(buf_read_file(&bytes, whole), 0);
        (void)snprintf(path, sizeof path, "shards-%u", n);
        assert_int_equal(mkdirat(f->dir.fd, path, 0700), 0);
        dir = openat(f->dir.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(split_gguf_files(buf_view(&bytes), n, dir, "pebble"), 0);
        for (unsigned i = 0; i < n; i++) {
                split_gguf_name("pebble", i, n, path);
                ret[i] = openat(dir, path, O_RDONLY | O_CLOEXEC);
                assert_true(ret[i] >= 0);
        }
}

/* What a split model says is what the whole one says. */
static void llama_server_reads_a_split_model_from_its_descriptors(void **state) {
        static const unsigned counts[] = {2, 3, SHARDS_TRIED};
        struct fixture *f = *state;
        _cleanup_(closep) int model = open_model();
        _cleanup_(buf_donep) struct buf whole = BUF_INIT(0);
        struct launcher_worker w;

        assert_int_equal(spawn_llama(f, model, &w), 0);
        whole = ask_llama(f, &w);
        close(w.pid_fd);
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                _cleanup_(buf_donep) struct buf split = BUF_INIT(0);
                int fds[LAUNCHER_FDS_MAX];

                open_shards(f, counts[i], fds);
                assert_int_equal(spawn_llama_on(f, fds, counts[i], &w), 0);
                for (unsigned k = 0; k < counts[i]; k++)
                        close(fds[k]);
                split = ask_llama(f, &w);
                assert_string_equal(buf_str(&split), buf_str(&whole));
                assert_int_equal(launcher_kill(f->launcher, w.id, NULL), 0);
                close(w.pid_fd);
        }
}

static void llama_server_with_a_missing_or_swapped_shard_ends_by_itself(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int fds[3], status = 0;

        open_shards(f, 3, fds);
        {
                const int missing[] = {fds[0], fds[1]}, swapped[] = {fds[1], fds[0], fds[2]};
                const struct {
                        const int *fds;
                        unsigned n;
                } cases[] = {{missing, 2}, {swapped, 3}};

                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        assert_int_equal(spawn_llama_on(f, cases[i].fds, cases[i].n, &w), 0);
                        assert_true(becomes_readable(w.pid_fd));
                        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 1);
                        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
                        close(w.pid_fd);
                }
        }
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
}

static void llama_server_answers_from_its_sealed_root(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int model = open_model();
        _cleanup_(http_client_freep) struct http_client *c = NULL;
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        struct launcher_worker w;
        int status = 0;

        assert_true(model >= 0);
        /* what a killed predecessor left behind must not stop this one */
        assert_int_equal(mkdirat(f->dir.fd, "sockets/llama-1", 0700), 0);
        assert_int_equal(mknodat(f->dir.fd, "sockets/llama-1/w.sock", S_IFSOCK | 0600, 0), 0);
        assert_int_equal(spawn_llama(f, model, &w), 0);
        assert_int_equal(http_client_new(w.socket_path, 0, VIEW_NULL, &c), 0);
        wait_until_healthy(f, &w, c);
        assert_int_equal(http_call(c, "POST", "/v1/chat/completions", "application/json", view_of(question),
                                   30 * USEC_PER_SEC, 65536, &a),
                         0);
        assert_int_equal(a.status, 200);
        assert_true(view_find(buf_view(&a.body), VIEW("\"content\":\"")) != SIZE_MAX);
        assert_int_equal(launcher_kill(f->launcher, w.id, &status), 0);
        assert_true(becomes_readable(w.pid_fd));
        assert_int_equal(count_in(f->sockets), 0);
        close(w.pid_fd);
}

static void llama_server_with_a_broken_model_ends_by_itself(void **state) {
        struct fixture *f = *state;
        struct launcher_worker w;
        int status = 0;

        assert_int_equal(spawn_llama(f, f->ring, &w), 0);
        assert_true(becomes_readable(w.pid_fd));
        assert_int_equal(launcher_poll(f->launcher, w.id, &status), 1);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1); /* its own answer, not the filter's */
        assert_int_equal(count_in(f->sockets), 0);
        close(w.pid_fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                CASE(worker_gets_its_two_descriptors_and_nothing_else),
                CASE(launcher_holds_nothing_of_its_parent),
#if !SANDBOX_SANITIZER
                CASE(memory_limit_holds),
#endif
                CASE(processor_limit_holds),
                CASE(end_of_a_worker_is_seen_once),
                CASE(kill_ends_and_reaps),
                CASE(end_of_the_launcher_ends_its_workers),
                CASE(death_of_the_parent_ends_launcher_and_workers),
                CASE(death_of_the_launcher_ends_workers_and_is_told),
                CASE(leftover_folders_go_and_no_link_is_followed),
                CASE(requests_outside_the_rules_are_refused),
                CASE(missing_program_is_told),
                CASE(one_worker_too_many_is_refused),
                CASE(threads_may_ask_at_the_same_time),
                /* last: left out where there is no worker root */
                CASE(llama_server_answers_from_its_sealed_root),
                CASE(llama_server_with_a_broken_model_ends_by_itself),
                CASE(llama_server_reads_a_split_model_from_its_descriptors),
                CASE(llama_server_with_a_missing_or_swapped_shard_ends_by_itself),
        };
        size_t n = ARRAY_SIZE(tests);

        if (argc == 1 && strcmp(argv[0], "scan-worker") == 0)
                return worker_main();
        if (!worker_root()) {
                printf("# no sealed worker root: llama-server is not tried\n");
                n -= 4;
        }
        return _cmocka_run_group_tests("launcher", tests, n, NULL, NULL);
}
