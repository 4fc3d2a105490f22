/* Sockets and the life of a connection. One library daemon a listening socket, one thread a connection. */
#include "wire/http_internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

#define THREAD_STACK_BYTES ((size_t)1 << 20)
/* Accepted above the limit, only to be told so: without them the library would leave new peers unanswered. */
#define SPARE_CONNECTIONS 8

static unsigned idle_seconds(const struct http_server *s) {
        return (unsigned)((s->limits.idle_timeout_usec + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

/* --- requests --- */

static void count_active(struct http_server *s, int by) {
        pthread_mutex_lock(&s->mutex);
        s->active = (unsigned)((int)s->active + by);
        if (s->active == 0)
                pthread_cond_broadcast(&s->idle);
        pthread_mutex_unlock(&s->mutex);
}

static struct http_connection *connection_of(struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd,
                                                                       MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        return info ? info->socket_context : NULL;
}

/* The request line has arrived. The library has no way to fail here: without memory the handler refuses later. */
static void *on_request_line(void *listener, const char *target, struct MHD_Connection *mhd) {
        struct http_connection *c = connection_of(mhd);
        struct http_request *q;
        char *copy;

        if (!c || c->refused || c->request)
                return NULL;
        q = calloc(1, sizeof(*q));
        copy = strdup(target ? target : "");
        if (!q || !copy) {
                free(q);
                free(copy);
                return NULL;
        }
        q->server = c->listener->server;
        q->connection = c;
        q->mhd = mhd;
        q->target = view_of(copy);
        q->drain_limit = HTTP_DRAIN_MAX;
        c->request = q;
        http_watch_begun(q->server->watch, &c->watched);
        count_active(q->server, 1);
        return q;
}

static enum MHD_Result queue_answer(struct http_request *q) {
        enum MHD_Result ok;

        if (!q->response)
                http_reply_errno(q, -ENOMEM);
        if (!q->response)
                return MHD_NO;
        q->phase = HTTP_PHASE_ANSWERED;
        if ((q->close || atomic_load(&q->server->stopping)) &&
            !MHD_add_response_header(q->response, "Connection", "close"))
                return MHD_NO;
        if (!http_watch_phase(q->server->watch, &q->connection->watched,
                              q->is_stream ? 0 : q->server->limits.body_timeout_usec, false))
                return MHD_NO;
        ok = MHD_queue_response(q->mhd, q->status, q->response);
        MHD_destroy_response(q->response);
        q->response = NULL;
        return ok;
}

/* Refused, but the body can be read and dropped before the answer: a small one, or one of a route that takes large
 * ones, whose clients (browsers) read no answer before they have sent all. The deadline bounds it. */
static bool may_drain(struct http_request *q) {
        if (!q->is_framed || q->is_chunked)
                return false;
        if (q->route && q->route->sink)
                q->drain_limit = UINT64_MAX;
        return q->body_announced <= q->drain_limit;
}

static enum MHD_Result headers_done(struct http_request *q, const char *method, const char *version) {
        uint64_t timeout;
        int r;

        q->method = method;
        r = http_request_check(q, version);
        if (r < 0)
                http_reply_errno(q, r);
        timeout = r == 0 && q->route->body_timeout_usec > 0 ? q->route->body_timeout_usec
                                                            : q->server->limits.body_timeout_usec;
        if (!http_watch_phase(q->server->watch, &q->connection->watched, timeout, true))
                return MHD_NO;
        q->phase = HTTP_PHASE_BODY;
        if (r == 0 && q->route->permission)
                http_watch_yields(q->server->watch, &q->connection->watched, false);
        if (r == 0 || may_drain(q))
                return MHD_YES;
        q->close = true;
        return queue_answer(q);
}

static enum MHD_Result take_body(struct http_request *q, struct view piece) {
        int r;

        q->body_seen += piece.n;
        if (q->response) /* refused: dropped */
                return q->body_seen <= q->drain_limit ? MHD_YES : MHD_NO;
        if (q->body_seen > q->body_limit) {
                q->close = true;
                q->drain_limit = q->body_seen + HTTP_DRAIN_MAX;
                r = http_reply_error(q, 413, "body_too_large", NULL,
                                     "The body is larger than this route takes.");
        } else if (q->route->sink) {
                r = q->route->sink(q, piece, q->server->config.userdata);
                /* Browsers read the answer only when they could send everything; the deadline bounds this. */
                q->drain_limit = UINT64_MAX;
        } else {
                r = buf_append_view(&q->body, piece);
        }
        if (r < 0)
                http_reply_errno(q, r);
        return r < 0 && !q->response ? MHD_NO : MHD_YES;
}

static void run_handler(struct http_request *q) {
        int r;

        (void)MHD_set_connection_option(q->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
        r = q->route->handler(q, q->server->config.userdata);
        (void)MHD_set_connection_option(q->mhd, MHD_CONNECTION_OPTION_TIMEOUT, idle_seconds(q->server));
        if (!q->response)
                http_reply_errno(q, r < 0 ? r : -EPROTO);
}

static enum MHD_Result body_done(struct http_request *q) {
        /* The handler has deadlines of its own. */
        if (!http_watch_phase(q->server->watch, &q->connection->watched, 0, false))
                return MHD_NO;
        if (!q->response) {
                http_watch_yields(q->server->watch, &q->connection->watched, false);
                run_handler(q);
                http_watch_yields(q->server->watch, &q->connection->watched, !q->route->permission);
        }
        return queue_answer(q);
}

static enum MHD_Result on_request(void *listener, struct MHD_Connection *mhd, const char *target,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **request) {
        struct http_request *q = *request;
        struct view piece = {upload, *upload_n};

        if (!q)
                return MHD_NO;
        if (q->phase == HTTP_PHASE_HEADERS)
                return headers_done(q, method, version);
        if (q->phase != HTTP_PHASE_BODY)
                return MHD_NO;
        if (piece.n == 0)
                return body_done(q);
        *upload_n = 0;
        return take_body(q, piece);
}

static void request_end(struct http_connection *c) {
        struct http_request *q = c->request;
        const struct http_server_config *config = &c->listener->server->config;

        if (!q)
                return;
        if (config->on_done)
                config->on_done(q, q->phase == HTTP_PHASE_ANSWERED ? (int)q->status : -ECONNABORTED,
                                config->userdata);
        c->request = NULL;
        http_request_free(q);
        count_active(c->listener->server, -1);
}

static void on_completed(void *listener, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode why) {
        struct http_connection *c = connection_of(mhd);

        *request = NULL;
        if (!c || !c->request)
                return;
        request_end(c);
        (void)http_watch_phase(c->listener->server->watch, &c->watched,
                               c->listener->server->limits.header_timeout_usec, false);
        http_watch_yields(c->listener->server->watch, &c->watched, true);
}

/* --- connections --- */

static void read_peer(struct http_connection *c) {
        struct ucred cred;
        socklen_t n = sizeof(cred);

        c->peer.is_unix = c->listener->is_unix;
        c->peer.uid = UINT32_MAX;
        if (c->peer.is_unix && getsockopt(c->watched.fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0) {
                c->peer.uid = cred.uid;
                c->peer.pid = cred.pid;
        }
}

#define BUSY_BODY                                                                                            \
        "{\"error\":{\"code\":\"too_many_connections\",\"message\":\"Too many connections; close some and "  \
        "try "                                                                                               \
        "again.\",\"detail\":{}}}"

static void turn_away(int fd) {
        char text[512];
        int n = snprintf(text, sizeof(text),
                         "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                         sizeof(BUSY_BODY) - 1, BUSY_BODY);

        if (n > 0 && (size_t)n < sizeof(text))
                (void)send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_RDWR);
}

static bool connection_begin(struct http_listener *l, struct http_connection *c, int fd) {
        struct http_server *s = l->server;
        bool full;
        int one = 1;

        c->listener = l;
        c->watched.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (c->watched.fd < 0)
                return false;
        read_peer(c);
        if (!l->is_unix)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        pthread_mutex_lock(&s->mutex);
        full = ++s->connections > s->limits.connections;
        pthread_mutex_unlock(&s->mutex);
        http_watch_add(s->watch, &c->watched, s->limits.header_timeout_usec);
        /* Else whoever can connect could shut out all others by opening connections and saying nothing. */
        c->refused = full && !http_watch_cut_oldest(s->watch, &c->watched);
        if (c->refused)
                turn_away(fd);
        return true;
}

static void connection_end(struct http_connection *c) {
        struct http_server *s = c->listener->server;

        if (c->request) { /* cut in the middle: what the library owned of it is gone */
                c->request->method = NULL;
                c->request->n_headers = 0;
        }
        request_end(c);
        http_watch_remove(s->watch, &c->watched);
        (void)close_fd(c->watched.fd);
        pthread_mutex_lock(&s->mutex);
        s->connections--;
        pthread_mutex_unlock(&s->mutex);
        free(c);
}

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
        const union MHD_ConnectionInfo *info;
        struct http_connection *c;

        if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
                if (*context)
                        connection_end(*context);
                *context = NULL;
                return;
        }
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!info)
                return;
        c = calloc(1, sizeof(*c));
        if (c && connection_begin(userdata, c, info->connect_fd)) {
                *context = c;
                return;
        }
        free(c);
        (void)shutdown(info->connect_fd, SHUT_RDWR);
}

/* --- the server --- */

static size_t keep_escapes(void *userdata, struct MHD_Connection *mhd, char *text) {
        return strlen(text); /* http_request.c decodes, strictly */
}

static void drop_library_log(void *userdata, const char *format, va_list ap) {
}

static int listener_address(int fd, struct http_listener *l) {
        struct sockaddr_storage a = {0};
        socklen_t n = sizeof(a);

        if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
                return negative_errno();
        l->is_unix = a.ss_family == AF_UNIX;
        if (a.ss_family == AF_INET)
                l->port = ntohs(((struct sockaddr_in *)&a)->sin_port);
        else if (a.ss_family == AF_INET6)
                l->port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
        else if (!l->is_unix)
                return -EAFNOSUPPORT;
        return 0;
}

/* The stricter level of 0.9 adds only the demand for a Host, which http_request.c makes itself, and that version
 * writes the head of its own error answers twice. */
#if MHD_VERSION >= 0x00097701
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT, 0
#endif

static int listener_start(struct http_server *s, struct http_listener *l, int fd) {
        int r = listener_address(fd, l);

        if (r < 0)
                return r;
        l->server = s;
        /* The buffer holds the headers as sent and the library's list of them; the exact limit is checked by
         * http_request.c. */
        l->daemon = MHD_start_daemon(
                MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC |
                        MHD_USE_ERROR_LOG,
                0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, drop_library_log, NULL,
                MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                s->limits.connections + SPARE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds(s),
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, 4 * s->limits.header_bytes + ((size_t)32 << 10),
                MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)16 << 10, MHD_OPTION_THREAD_STACK_SIZE,
                THREAD_STACK_BYTES, STRICTNESS, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, l,
                MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
                l, MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_END);
        return l->daemon ? 0 : -ENOMEM;
}

static void set_limits(struct http_limits *l) {
        if (l->connections == 0)
                l->connections = 64;
        if (l->header_bytes == 0)
                l->header_bytes = (size_t)16 << 10;
        if (l->body_bytes == 0)
                l->body_bytes = (size_t)1 << 20;
        if (l->header_timeout_usec == 0)
                l->header_timeout_usec = 10 * USEC_PER_SEC;
        if (l->body_timeout_usec == 0)
                l->body_timeout_usec = 60 * USEC_PER_SEC;
        if (l->idle_timeout_usec == 0)
                l->idle_timeout_usec = 30 * USEC_PER_SEC;
        if (l->grace_usec == 0)
                l->grace_usec = 3 * USEC_PER_SEC;
}

static int server_alloc(const struct http_server_config *config, struct http_server **ret) {
        struct http_server *s = calloc(1, sizeof(*s));
        pthread_condattr_t attributes;
        int r;

        if (!s)
                return -ENOMEM;
        s->config = *config;
        s->limits = config->limits;
        set_limits(&s->limits);
        r = http_watch_new(&s->watch);
        if (r < 0) {
                free(s);
                return r;
        }
        pthread_mutex_init(&s->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&s->idle, &attributes);
        pthread_condattr_destroy(&attributes);
        *ret = s;
        return 0;
}

int http_server_new(const struct http_server_config *config, const int *listen_fds, size_t n_fds,
                    struct http_server **ret) {
        struct http_server *s = NULL;
        int r = n_fds == 0 || n_fds > HTTP_LISTENERS_MAX ? -EINVAL : server_alloc(config, &s);

        for (size_t i = 0; r == 0 && i < n_fds; i++) {
                r = listener_start(s, &s->listeners[i], listen_fds[i]);
                if (r == 0)
                        s->n_listeners++;
        }
        if (r == 0) {
                *ret = s;
                return 0;
        }
        for (size_t i = s ? s->n_listeners : 0; i < n_fds; i++)
                (void)close_fd(listen_fds[i]);
        http_server_free(s);
        return r;
}

static void wait_until_idle(struct http_server *s) {
        uint64_t until = clock_monotonic_usec() + s->limits.grace_usec;
        struct timespec at = {(time_t)(until / USEC_PER_SEC), (long)(until % USEC_PER_SEC) * 1000};

        pthread_mutex_lock(&s->mutex);
        while (s->active > 0)
                if (pthread_cond_timedwait(&s->idle, &s->mutex, &at) != 0)
                        break;
        pthread_mutex_unlock(&s->mutex);
}

struct http_server *http_server_free(struct http_server *s) {
        if (!s)
                return NULL;
        atomic_store(&s->stopping, true);
        for (size_t i = 0; i < s->n_listeners; i++)
                (void)close_fd(MHD_quiesce_daemon(s->listeners[i].daemon));
        wait_until_idle(s);
        for (size_t i = 0; i < s->n_listeners; i++)
                MHD_stop_daemon(s->listeners[i].daemon);
        http_watch_free(s->watch);
        pthread_cond_destroy(&s->idle);
        pthread_mutex_destroy(&s->mutex);
        free(s);
        return NULL;
}
