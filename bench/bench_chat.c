/* Time to the first word of a chat: through the inference service, against the bare llama-server that it supervises. The same worker,
 * the same request, in turns; median of each, their difference and ratio. The service runs in a process of its own, locked in
 * as shipped; only registry and audit log are left out.
 * usage: bench_chat WORKER-ROOT MODEL.gguf */
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/launcher.h"
#include "inference/routes.h"
#include "inference/sandbox.h"
#include "inference/worker_real.h"

#define ROUNDS  100
#define WARM_UP 10
#define MODEL   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REQUEST                                                                                              \
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello, who are "                                    \
        "you?\"}],\"stream\":true,\"max_tokens\":8,"                                                         \
        "\"temperature\":0,\"seed\":1}"

static int model_fd;
static char folder[] = "/tmp/secai-bench-XXXXXX";

SAI_NORETURN static void give_up(const char *what) {
        (void)fprintf(stderr, "bench_chat: %s: %s\n", what, strerror(errno));
        exit(2);
}

/* --- the service --- */

static int open_model(void *userdata, const char *sha256, struct worker_model *ret_model, int *ret_lease,
                      struct refusal *why) {
        struct stat st;
        int ends[2];

        if (fstat(model_fd, &st) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return refusal_set(why, -EIO, 503, "bench", "no model");
        *ret_model = (struct worker_model){.fds = {fcntl(model_fd, F_DUPFD_CLOEXEC, 0)},
                                           .n = 1,
                                           .first_size = (uint64_t)st.st_size,
                                           .size = (uint64_t)st.st_size};
        *ret_lease = ends[0];
        return 0;
}

static int record(void *userdata, const char *event, const char *decision, const char *sha256,
                  const char *detail) {
        return 0;
}

static int allow(struct http_request *q, const struct http_route *route, void *userdata) {
        return 0;
}

static int healthy(struct http_request *q, void *userdata) {
        return http_reply_json(q, 200, VIEW("{}"));
}

SAI_NORETURN static void serve(int listener, const char *worker_root) {
        const struct launcher_config launcher = {
                .libexec_path = "/", .worker_root_path = worker_root, .socket_dir = folder};
        struct worker_real real = {0};
        struct worker_ops ops = worker_real_ops;
        struct worker_config config = {
                .settings = {.context = 512, .threads = 1, .memory_percent = 60},
                .load_timeout_usec = 60 * USEC_PER_SEC,
                .ops = &ops,
                .userdata = &real,
        };
        struct routes_context routes = {
                .deadlines = answer_default_deadlines, .authorize = allow, .health = healthy};
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        struct http_server *server;
        sigset_t stop;
        int got;

        sigemptyset(&stop);
        sigaddset(&stop, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &stop, NULL) < 0)
                _exit(2);
        ops.open_model = open_model;
        ops.record = record;
        ops.note = NULL;
        if (launcher_start(&launcher, &real.launcher) < 0 ||
            inference_sandbox_enter(folder, &report, &fault) < 0) {
                (void)fprintf(stderr, "bench_chat: %s\n", fault.text);
                _exit(2);
        }
        if (worker_new(&config, &routes.worker) < 0 || routes_serve(&routes, &listener, 1, &server) < 0)
                _exit(2);
        (void)sigwait(&stop, &got);
        server = http_server_free(server);
        routes.worker = worker_free(routes.worker);
        real.launcher = launcher_free(real.launcher); /* also removes the worker's folder */
        _exit(0);
}

/* --- the client --- */

/* The first piece of text, in the worker's events or in ours. */
static bool has_word(const struct buf *b) {
        const char *p = buf_str(b);

        while ((p = strstr(p, "\"content\":\""))) {
                p += strlen("\"content\":\"");
                if (*p && *p != '"')
                        return true;
        }
        return false;
}

static uint64_t first_word_usec(struct http_client *c, const char *request) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(1 << 20);
        struct http_incoming *in = NULL;
        uint64_t start = clock_monotonic_usec(), first = 0;
        unsigned status = 0;
        int r = http_open(c, "POST", "/v1/chat/completions", "application/json", view_of(request),
                          60 * USEC_PER_SEC, &in, &status);

        if (r < 0 || status != 200)
                give_up("a chat failed");
        while ((r = http_incoming_read(in, 10 * USEC_PER_SEC, &answer)) == 1)
                if (first == 0 && has_word(&answer))
                        first = clock_monotonic_usec() - start;
        http_incoming_free(in);
        if (r < 0 || first == 0)
                give_up("a chat had no words");
        return first;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static double median_ms(const uint64_t *sorted) {
        return (double)(sorted[ROUNDS / 2 - 1] + sorted[ROUNDS / 2]) / 2000.0;
}

/* What is left when other programs did not get in between; on a busy machine the median is theirs as well. */
static double best_tenth_ms(const uint64_t *sorted) {
        return (double)sorted[ROUNDS / 10] / 1000.0;
}

static int listen_on(const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
                give_up(path);
        return fd;
}

/* The launcher makes one folder a worker. */
static void find_worker_socket(char *out, size_t n) {
        DIR *d = opendir(folder);
        struct dirent *e;

        while (d && (e = readdir(d))) {
                (void)snprintf(out, n, "%s/%.80s/w.sock", folder, e->d_name);
                if (e->d_name[0] != '.' && access(out, F_OK) == 0) {
                        closedir(d);
                        return;
                }
        }
        give_up("the worker's socket was not found");
}

static void measure(const char *socket) {
        static uint64_t ours[ROUNDS], bare[ROUNDS];
        struct http_client *service = NULL, *worker = NULL;
        char path[128];
        double a, b;

        if (http_client_new(socket, 0, VIEW_NULL, &service) < 0)
                give_up("client");
        (void)first_word_usec(service, "{\"model\":\"" MODEL
                                       "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello, who are "
                                       "you?\"}],\"stream\":true,\"max_tokens\":8}"); /* loads it */
        find_worker_socket(path, sizeof(path));
        if (http_client_new(path, 0, VIEW_NULL, &worker) < 0)
                give_up("client");
        for (int i = -WARM_UP; i < ROUNDS; i++) {
                uint64_t o = first_word_usec(service, REQUEST), w = first_word_usec(worker, REQUEST);

                if (i >= 0) {
                        ours[i] = o;
                        bare[i] = w;
                }
        }
        qsort(ours, ROUNDS, sizeof(*ours), compare);
        qsort(bare, ROUNDS, sizeof(*bare), compare);
        a = median_ms(ours);
        b = median_ms(bare);
        printf("first word, median of %d: bare llama-server %.3f ms, through inference %.3f ms\n", ROUNDS, b,
               a);
        printf("difference %.3f ms (target: below 2 ms), ratio %.2f; in the best tenth %.3f ms\n", a - b,
               a / b, best_tenth_ms(ours) - best_tenth_ms(bare));
        http_client_free(service);
        http_client_free(worker);
}

int main(int argc, char *argv[]) {
        char socket[64];
        int listener;
        pid_t pid;

        if (argc != 3) {
                (void)fprintf(stderr, "usage: bench_chat WORKER-ROOT MODEL.gguf\n");
                return 2;
        }
        model_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
        if (model_fd < 0 || !mkdtemp(folder))
                give_up(argv[2]);
        (void)snprintf(socket, sizeof(socket), "%s/inference.sock", folder);
        listener = listen_on(socket);
        pid = fork();
        if (pid == 0)
                serve(listener, argv[1]);
        close(listener);
        if (pid > 0)
                measure(socket);
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
        (void)unlink(socket);
        (void)rmdir(folder);
        return 0;
}
