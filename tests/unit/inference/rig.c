#include "rig.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"

static int listen_on(const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        (void)unlink(path);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 16), 0);
        return fd;
}

/* --- the worker --- */

void rig_send(int connection, const char *text) {
        size_t n = strlen(text);

        while (n > 0) {
                ssize_t k = send(connection, text, n, MSG_NOSIGNAL);

                if (k <= 0)
                        return;
                text += k;
                n -= (size_t)k;
        }
}

void rig_good_answer(struct rig *r, int connection) {
        rig_send(connection, RIG_HEADERS RIG_CHUNK("Hel") RIG_CHUNK("lo") RIG_STOP
                 "data: "
                 "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5},"
                 "\"timings\":{\"prompt_n\":3,\"predicted_per_second\":12.5}}\n\n" RIG_DONE);
}

/* One request, headers and body; false when the peer has gone. */
static bool read_request(int connection, char *out, size_t max) {
        size_t n = 0, want = 0;

        while (n + 1 < max) {
                ssize_t k = recv(connection, out + n, max - 1 - n, 0);
                const char *end, *length;

                if (k <= 0)
                        return false;
                n += (size_t)k;
                out[n] = '\0';
                end = strstr(out, "\r\n\r\n");
                if (!end)
                        continue;
                length = strstr(out, "Content-Length: ");
                want = (size_t)(end - out) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
                if (n >= want)
                        return true;
        }
        return true;
}

static void play(struct rig *r, int connection) {
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        static const char not_yet[] =
                "HTTP/1.1 503 Loading\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        char request[65536];
        rig_script script;
        bool healthy;

        if (!read_request(connection, request, sizeof(request)))
                return;
        pthread_mutex_lock(&r->mutex);
        script = r->script ? r->script : rig_good_answer;
        healthy = r->healthy;
        pthread_mutex_unlock(&r->mutex);
        if (strncmp(request, "GET /health ", 12) == 0) {
                rig_send(connection, healthy ? ok : not_yet);
                return;
        }
        pthread_mutex_lock(&r->mutex);
        r->chats++;
        (void)snprintf(r->last_body, sizeof(r->last_body), "%s", strstr(request, "\r\n\r\n") + 4);
        pthread_mutex_unlock(&r->mutex);
        script(r, connection);
}

struct conversation {
        struct rig *rig;
        int fd;
};

static void *converse(void *userdata) {
        struct conversation *c = userdata;

        play(c->rig, c->fd);
        close(c->fd);
        free(c);
        return NULL;
}

static void *serve(void *userdata) {
        struct rig *r = userdata;
        int listener = r->listener;

        for (;;) {
                int fd = accept(listener, NULL, NULL);
                struct conversation *c;
                pthread_t t;

                if (fd < 0)
                        return NULL;
                c = calloc(1, sizeof(*c));
                assert_non_null(c);
                *c = (struct conversation){r, fd};
                assert_int_equal(pthread_create(&t, NULL, converse, c), 0);
                pthread_detach(t);
        }
}

static void end_server(struct rig *r) {
        if (!r->running)
                return;
        r->running = false;
        (void)shutdown(r->listener, SHUT_RDWR);
        pthread_join(r->thread, NULL);
        r->listener = close_fd(r->listener);
}

void rig_kill_worker(struct rig *r) {
        uint64_t one = 1;

        pthread_mutex_lock(&r->mutex);
        r->end_status = 9;
        end_server(r);
        assert_int_equal(write(r->pid_fd, &one, sizeof(one)), sizeof(one));
        pthread_mutex_unlock(&r->mutex);
}

/* --- what the supervisor asks for --- */

static int open_model(void *userdata, const char *sha256, struct worker_model *ret_model, int *ret_lease,
                      struct refusal *why) {
        struct rig *r = userdata;
        int ends[2];

        if (r->open_error < 0)
                return refusal_set(why, r->open_error, r->open_error == -ENOENT ? 404 : 503,
                                   r->open_error == -ENOENT ? "unknown_model" : "registry_unavailable",
                                   "the test says so");
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        close_fd(r->lease_peer);
        *ret_model = (struct worker_model){.fds = {memfd_create("model", MFD_CLOEXEC)}, .n = 1};
        ret_model->first_size = ret_model->size = r->model_size;
        *ret_lease = ends[0];
        r->lease_peer = ends[1];
        return 0;
}

static int read_machine(void *userdata, struct machine *ret) {
        struct rig *r = userdata;

        *ret = r->machine;
        return 0;
}

static int spawn(void *userdata, const struct worker_model *model, const struct plan *plan, uint32_t *ret_id,
                 int *ret_pid_fd, char ret_socket[108]) {
        struct rig *r = userdata;
        uint64_t one = 1;

        pthread_mutex_lock(&r->mutex);
        end_server(r);
        (void)snprintf(ret_socket, 108, "%s/w%u.sock", r->dir.path, ++r->serial);
        r->listener = listen_on(ret_socket);
        r->running = true;
        r->spawned++;
        r->end_status = 0;
        assert_int_equal(pthread_create(&r->thread, NULL, serve, r), 0);
        r->pid_fd = eventfd(0, EFD_CLOEXEC);
        *ret_pid_fd = dup(r->pid_fd);
        *ret_id = r->serial;
        if (r->dies_loading) {
                r->end_status = 1 << 8;
                assert_int_equal(write(r->pid_fd, &one, sizeof(one)), sizeof(one));
        }
        pthread_mutex_unlock(&r->mutex);
        return 0;
}

static void end(void *userdata, uint32_t id, int *ret_status) {
        struct rig *r = userdata;

        pthread_mutex_lock(&r->mutex);
        end_server(r);
        r->pid_fd = close_fd(r->pid_fd);
        r->killed++;
        *ret_status = r->end_status ? r->end_status : 9;
        pthread_mutex_unlock(&r->mutex);
}

static int record(void *userdata, const char *event, const char *decision, const char *sha256,
                  const char *detail) {
        struct rig *r = userdata;
        size_t n;

        pthread_mutex_lock(&r->mutex);
        n = strlen(r->events);
        (void)snprintf(r->events + n, sizeof(r->events) - n, "%s %c;", event, sha256[0]);
        pthread_mutex_unlock(&r->mutex);
        return r->log_broken ? -ENOSPC : 0;
}

static const struct worker_ops ops = {
        .open_model = open_model,
        .read_machine = read_machine,
        .spawn = spawn,
        .kill = end,
        .record = record,
};

/* --- the rig --- */

static int allow_all(struct http_request *q, const struct http_route *route, void *userdata) {
        return http_set_caller(q, VIEW("test"));
}

static int healthy(struct http_request *q, void *userdata) {
        return http_reply_json(q, 200, VIEW("{\"status\":\"ok\"}"));
}

static uint64_t otherwise(uint64_t n, uint64_t standard) {
        return n > 0 ? n : standard;
}

void rig_start(struct rig *r, const struct rig_options *o) {
        static const struct rig_options none = {0};
        struct worker_config config = {
                .settings = {.context = 4096, .memory_percent = 60},
                .ops = &ops,
                .userdata = r,
        };
        int fd;

        o = o ? o : &none;
        config.load_timeout_usec = otherwise(o->load_timeout_usec, 10 * USEC_PER_SEC);
        config.restart_first_usec = otherwise(o->restart_first_usec, 10 * USEC_PER_MSEC);
        config.idle_unload_usec = o->idle_unload_usec;
        *r = (struct rig){
                .dir = temp_dir_new(),
                .model_size = 1 << 20,
                .lease_peer = -EBADF,
                .listener = -EBADF,
                .pid_fd = -EBADF,
                .healthy = true,
                .machine = {.cores = 4,
                            .memory_total = UINT64_C(8) << 30,
                            .memory_available = UINT64_C(6) << 30},
        };
        pthread_mutex_init(&r->mutex, NULL);
        assert_int_equal(worker_new(&config, &r->worker), 0);
        r->routes = (struct routes_context){.worker = r->worker, .authorize = allow_all, .health = healthy};
        r->routes.deadlines = o->deadlines.total_usec > 0 ? o->deadlines : answer_default_deadlines;
        (void)snprintf(r->socket, sizeof(r->socket), "%s/inference.sock", r->dir.path);
        fd = listen_on(r->socket);
        assert_int_equal(routes_serve(&r->routes, &fd, 1, &r->server), 0);
        assert_int_equal(http_client_new(r->socket, 0, VIEW_NULL, &r->client), 0);
}

void rig_stop(struct rig *r) {
        worker_stop(r->worker);
        r->server = http_server_free(r->server);
        r->worker = worker_free(r->worker);
        r->client = http_client_free(r->client);
        pthread_mutex_lock(&r->mutex);
        end_server(r);
        pthread_mutex_unlock(&r->mutex);
        close_fd(r->lease_peer);
        close_fd(r->pid_fd);
        temp_dir_done(&r->dir);
}

bool rig_logged(struct rig *r, const char *event) {
        bool yes;

        pthread_mutex_lock(&r->mutex);
        yes = strstr(r->events, event) != NULL;
        pthread_mutex_unlock(&r->mutex);
        return yes;
}

unsigned rig_call(struct rig *r, const char *method, const char *path, const char *body,
                  struct http_answer *a) {
        *a = (struct http_answer){0};
        assert_int_equal(http_call(r->client, method, path, body ? "application/json" : NULL, view_of(body),
                                   60 * USEC_PER_SEC, (size_t)64 << 20, a),
                         0);
        return a->status;
}

void rig_await(struct rig *r, enum worker_state state) {
        uint64_t deadline = clock_monotonic_usec() + 10 * USEC_PER_SEC;
        struct worker_status s;

        do {
                worker_get_status(r->worker, &s);
                if (s.state == state)
                        return;
                usleep(2000);
        } while (clock_monotonic_usec() < deadline);
        fail_msg("state is %s, expected %s", worker_state_name(s.state), worker_state_name(state));
}
