#include "rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "support/cm.h"
#include "base/clock.h"

/* --- routes --- */

static int on_health(struct http_request *q, void *userdata) {
        return http_reply_json(q, 200, VIEW("{\"status\":\"ok\"}"));
}

static int on_echo(struct http_request *q, void *userdata) {
        return http_reply(q, 200, "application/octet-stream", http_body(q));
}

/* What the handler sees of the target. */
static int on_show(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(65536);
        struct json_writer w = JSON_WRITER(&out);

        json_object_begin(&w);
        json_member_view(&w, "path", http_path(q));
        json_member_view(&w, "part", http_path_part(q, 0));
        json_member_view(&w, "second", http_path_part(q, 1));
        json_member_view(&w, "q", http_query(q, "q"));
        json_member_view(&w, "cookie", http_cookie(q, "secai"));
        json_member_view(&w, "caller", http_caller(q));
        json_member_bool(&w, "unix", http_peer(q).is_unix);
        json_member_u64(&w, "uid", http_peer(q).uid);
        json_object_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        return http_reply_json(q, 200, buf_view(&out));
}

static int on_json(struct http_request *q, void *userdata) {
        const struct json *body;
        int r = http_body_json(q, &body);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        return http_reply_json(q, 200, VIEW("{\"ok\":true}"));
}

static int on_fail(struct http_request *q, void *userdata) {
        return -EIO;
}

static int on_nothing(struct http_request *q, void *userdata) {
        return 0;
}

static int on_slow(struct http_request *q, void *userdata) {
        usleep(400000);
        return http_reply_json(q, 200, VIEW("{\"slow\":true}"));
}

static int sink(struct http_request *q, struct view piece, void *userdata) {
        struct rig *r = userdata;

        r->sunk += piece.n;
        if (memchr(piece.p, '!', piece.n))
                return -ENOSPC;
        return 0;
}

static int on_sunk(struct http_request *q, void *userdata) {
        return http_reply_json(q, 201, VIEW("{}"));
}

struct counter {
        struct rig *rig;
        unsigned left;
        unsigned pause_usec;
};

static int count_next(void *userdata, struct buf *out) {
        struct counter *c = userdata;
        char text[16];
        int n;

        if (c->left == 0)
                return 0;
        if (c->pause_usec > 0)
                usleep(c->pause_usec);
        n = snprintf(text, sizeof(text), "%u", c->left--);
        return sse_append(out, "count", (struct view){text, (size_t)n}) < 0 ? -ENOMEM : 1;
}

static void count_destroy(void *userdata) {
        struct counter *c = userdata;

        __atomic_sub_fetch(&c->rig->streams_open, 1, __ATOMIC_SEQ_CST);
        free(c);
}

static int start_stream(struct http_request *q, struct rig *r, unsigned left, unsigned pause_usec) {
        struct counter *c = calloc(1, sizeof(*c));
        struct http_stream s = {"text/event-stream", count_next, count_destroy, c};

        *c = (struct counter){r, left, pause_usec};
        __atomic_add_fetch(&r->streams_open, 1, __ATOMIC_SEQ_CST);
        return http_reply_stream(q, 200, &s);
}

static int on_stream(struct http_request *q, void *userdata) {
        return start_stream(q, userdata, 5, 0);
}

static int on_endless(struct http_request *q, void *userdata) {
        return start_stream(q, userdata, UINT32_MAX, 20000);
}

static int authorize(struct http_request *q, const struct http_route *route, void *userdata) {
        int r;

        if (view_eq_str(http_header(q, "Authorization"), "Bearer right"))
                return http_set_caller(q, VIEW("tester"));
        r = http_reply_error(q, 401, "unknown_caller", NULL, "no");
        return r < 0 ? r : -EACCES;
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = on_health},
        {.method = "GET", .path = "/show/{a}", .handler = on_show},
        {.method = "GET", .path = "/show/{a}/with/{b}", .handler = on_show},
        {.method = "GET", .path = "/assets/*", .handler = on_show},
        {.method = "GET", .path = "/private", .handler = on_show, .permission = "test.read"},
        {.method = "POST", .path = "/private", .handler = on_echo, .permission = "test.write"},
        {.method = "POST", .path = "/echo", .handler = on_echo},
        {.method = "PUT", .path = "/echo", .handler = on_echo},
        {.method = "DELETE", .path = "/echo", .handler = on_health},
        {.method = "POST", .path = "/small", .handler = on_echo, .body_bytes = 10},
        {.method = "POST", .path = "/json", .handler = on_json},
        {.method = "GET", .path = "/fail", .handler = on_fail},
        {.method = "GET", .path = "/nothing", .handler = on_nothing},
        {.method = "GET", .path = "/slow", .handler = on_slow},
        {.method = "PUT", .path = "/sink", .handler = on_sunk, .sink = sink, .body_bytes = 1 << 30},
        {.method = "GET", .path = "/stream", .handler = on_stream},
        {.method = "GET", .path = "/endless", .handler = on_endless},
        {0},
};

/* --- start and stop --- */

static int listen_tcp(uint16_t *ret_port) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 64), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        *ret_port = ntohs(a.sin_port);
        return fd;
}

static struct sockaddr_un unix_address(const struct rig *r) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->unix_path);
        return a;
}

static int listen_unix(const struct rig *r) {
        struct sockaddr_un a = unix_address(r);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 64), 0);
        return fd;
}

void rig_start(struct rig *r, const struct http_limits *limits) {
        struct http_server_config config = {
                .name = "rig", .routes = routes, .authorize = authorize, .userdata = r};
        int fds[2];

        *r = (struct rig){.dir = "/tmp/secai-http-XXXXXX"};
        if (limits)
                config.limits = *limits;
        assert_non_null(mkdtemp(r->dir));
        (void)snprintf(r->unix_path, sizeof(r->unix_path), "%s/s.sock", r->dir);
        fds[0] = listen_unix(r);
        fds[1] = listen_tcp(&r->port);
        assert_int_equal(http_server_new(&config, fds, 2, &r->server), 0);
}

void rig_stop(struct rig *r) {
        r->server = http_server_free(r->server);
        (void)unlink(r->unix_path);
        (void)rmdir(r->dir);
}

/* --- raw connections --- */

int rig_connect_tcp(const struct rig *r) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_port = htons(r->port);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

int rig_connect_unix(const struct rig *r) {
        struct sockaddr_un a = unix_address(r);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

bool rig_send(int fd, struct view bytes) {
        while (bytes.n > 0) {
                ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                bytes = view_sub(bytes, (size_t)n, SIZE_MAX);
        }
        return true;
}

/* 1 = data, 0 = closed, -1 = nothing until the deadline */
static int read_some(int fd, uint64_t deadline, struct buf *out) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char piece[4096];
        ssize_t n;

        if (poll(&p, 1, clock_poll_timeout(deadline)) <= 0)
                return -1;
        n = recv(fd, piece, sizeof(piece), 0);
        if (n <= 0)
                return 0;
        assert_int_equal(buf_append(out, piece, (size_t)n), 0);
        return 1;
}

bool rig_read_to_end(int fd, uint64_t timeout_usec, struct buf *out) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        int r;

        while ((r = read_some(fd, deadline, out)) > 0)
                ;
        return r == 0;
}

bool rig_read_until(int fd, const char *text, uint64_t timeout_usec, struct buf *out) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;

        while (view_find(buf_view(out), view_of(text)) == SIZE_MAX)
                if (read_some(fd, deadline, out) <= 0)
                        return false;
        return true;
}

unsigned rig_exchange(const struct rig *r, struct view bytes, struct buf *ret_answer) {
        _cleanup_(closep) int fd = rig_connect_tcp(r);
        unsigned status = 0;

        (void)rig_send(fd, bytes);
        (void)shutdown(fd, SHUT_WR);
        (void)rig_read_to_end(fd, 10 * USEC_PER_SEC, ret_answer);
        if (sscanf(buf_str(ret_answer), "HTTP/1.%*1[01] %3u ", &status) != 1)
                return 0;
        return status;
}

unsigned rig_get(const struct rig *r, const char *target, const char *more_headers, struct buf *ret_answer) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1 << 20);

        assert_int_equal(buf_printf(&text,
                                    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n%s\r\n",
                                    target, r->port, more_headers),
                         0);
        return rig_exchange(r, buf_view(&text), ret_answer);
}
