#include "core/fd_channel.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/num.h"
#include "core/service.h"

#define FRAME_HEADER ((size_t)4)
#define FRAME_TIMEOUT_USEC                                                                                   \
        (10 * USEC_PER_SEC) /* for one frame once its first byte is there, and for the hello */
#define CLIENTS_MAX  1024u
#define CLIENT_STACK ((size_t)1 << 20) /* RLIMIT_DATA counts stacks in full */

static uint64_t deadline_after(uint64_t timeout_usec) {
        uint64_t deadline;

        return u64_add(clock_monotonic_usec(), timeout_usec, &deadline) < 0 ? UINT64_MAX : deadline;
}

/* 0 when ready, -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline) {
        struct pollfd p = {.fd = fd, .events = events};

        for (;;) {
                int r = poll(&p, 1, clock_poll_timeout(deadline));

                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return negative_errno();
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
        }
}

/* Room for one descriptor more than is allowed, so that a second one is seen (and closed) and not just cut off. */
union control {
        char space[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
};

static ssize_t send_some(int sock, struct iovec *pieces, size_t n, int pass_fd) {
        union control control = {0};
        struct msghdr m = {.msg_iov = pieces, .msg_iovlen = n};

        if (pass_fd >= 0) {
                struct cmsghdr *c;

                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(sizeof pass_fd);
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof pass_fd);
                memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
        }
        return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends once, waiting when the peer's buffer is full; the descriptor travels with the first bytes. */
static int send_waiting(int sock, struct iovec *pieces, size_t n, int pass_fd, uint64_t deadline,
                        size_t *ret_sent) {
        for (;;) {
                ssize_t sent = send_some(sock, pieces, n, pass_fd);
                int r;

                if (sent > 0) {
                        *ret_sent = (size_t)sent;
                        return 0;
                }
                if (sent < 0 && errno != EAGAIN && errno != EINTR)
                        return errno == ECONNRESET ? -EPIPE : negative_errno();
                r = wait_for(sock, POLLOUT, deadline);
                if (r < 0)
                        return r;
        }
}

static void skip_sent(struct iovec pieces[2], size_t sent) {
        for (size_t i = 0; i < 2; i++) {
                size_t n = MIN_OF(sent, pieces[i].iov_len);

                pieces[i].iov_base = (char *)pieces[i].iov_base + n;
                pieces[i].iov_len -= n;
                sent -= n;
        }
}

int fd_channel_send(int sock, struct view json_text, int pass_fd, uint64_t timeout_usec) {
        uint64_t deadline = deadline_after(timeout_usec);
        uint8_t header[FRAME_HEADER];
        struct iovec pieces[2] = {{header, sizeof header}, {(char *)(uintptr_t)json_text.p, json_text.n}};

        if (json_text.n == 0)
                return -EINVAL;
        if (json_text.n > FD_MESSAGE_MAX)
                return -EFBIG;
        for (size_t i = 0; i < sizeof header; i++)
                header[i] = (uint8_t)(json_text.n >> 8 * i);
        while (pieces[0].iov_len + pieces[1].iov_len > 0) {
                size_t sent = 0;
                int r = send_waiting(sock, pieces, 2, pass_fd, deadline, &sent);

                if (r < 0)
                        return r;
                pass_fd = -EBADF;
                skip_sent(pieces, sent);
        }
        return 0;
}

/* Takes the descriptors out of a received message: the first goes to *fd when that is empty, all others are closed
 * and counted as a fault. */
static int take_descriptors(struct msghdr *m, int *fd) {
        int r = m->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
                        r = -EPROTO;
                        continue;
                }
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int one;

                        memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
                        if (*fd < 0) {
                                *fd = one;
                                continue;
                        }
                        close_fd(one);
                        r = -EPROTO;
                }
        }
        return r;
}

/* Fills `out`, collecting at most one descriptor. -EPIPE when the peer closes before the end. */
static int receive_exactly(int sock, void *out, size_t n, uint64_t deadline, int *fd) {
        char *at = out;

        while (n > 0) {
                union control control;
                struct iovec piece = {at, n};
                struct msghdr m = {.msg_iov = &piece,
                                   .msg_iovlen = 1,
                                   .msg_control = &control,
                                   .msg_controllen = sizeof control};
                ssize_t got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                int r;

                if (got == 0)
                        return -EPIPE;
                if (got > 0) {
                        r = take_descriptors(&m, fd);
                        at += got;
                        n -= (size_t)got;
                } else if (errno == EAGAIN || errno == EINTR)
                        r = wait_for(sock, POLLIN, deadline);
                else
                        r = errno == ECONNRESET ? -EPIPE : negative_errno();
                if (r < 0)
                        return r;
        }
        return 0;
}

static int receive_body(int sock, size_t n, uint64_t deadline, int *fd, struct json_document **ret) {
        _cleanup_(freep) char *text = malloc(n);
        _cleanup_(json_document_freep) struct json_document *document = NULL;
        int r;

        if (!text)
                return -ENOMEM;
        r = receive_exactly(sock, text, n, deadline, fd);
        if (r < 0)
                return r;
        r = json_parse(view_make(text, n), NULL, &document, NULL);
        if (r < 0)
                return r;
        if (json_root(document)->type != JSON_OBJECT)
                return -EBADMSG;
        *ret = TAKE_PTR(document);
        return 0;
}

int fd_channel_receive(int sock, uint64_t timeout_usec, struct json_document **ret, int *ret_fd) {
        _cleanup_(closep) int fd = -EBADF;
        struct json_document *document = NULL;
        uint64_t deadline = deadline_after(timeout_usec);
        uint8_t header[FRAME_HEADER];
        size_t n;
        int r;

        r = receive_exactly(sock, header, sizeof header, deadline, &fd);
        if (r < 0)
                return r;
        n = load_le32(header);
        if (n == 0)
                return -EBADMSG;
        if (n > FD_MESSAGE_MAX)
                return -EFBIG;
        r = receive_body(sock, n, deadline, &fd, &document);
        if (r < 0)
                return r;
        *ret = document;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int connect_within(int sock, const char *path, uint64_t timeout_usec) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct timeval t = {.tv_sec = (time_t)MIN_OF(timeout_usec / USEC_PER_SEC, UINT64_C(86400)),
                            .tv_usec = (suseconds_t)(timeout_usec % USEC_PER_SEC)};
        size_t n = strlen(path);

        if (n >= sizeof a.sun_path)
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, n + 1);
        if (t.tv_sec == 0 && t.tv_usec == 0)
                t.tv_usec = 1; /* zero would mean "for ever" */
        /* on UNIX sockets this limits how long connect() waits for room in the queue */
        if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t) < 0)
                return negative_errno();
        if (connect(sock, (const struct sockaddr *)&a, sizeof a) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : negative_errno();
        return 0;
}

static int hello_text(struct view token, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "op", "hello");
        json_member_view(&w, "token", token);
        json_object_end(&w);
        return json_write_end(&w);
}

int fd_channel_connect(const char *socket_path, struct view token, uint64_t timeout_usec) {
        _cleanup_(closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(buf_donep) struct buf hello = BUF_INIT(FD_MESSAGE_MAX);
        int r;

        if (sock < 0)
                return negative_errno();
        r = connect_within(sock, socket_path, timeout_usec);
        if (r >= 0)
                r = hello_text(token, &hello);
        if (r >= 0)
                r = fd_channel_send(sock, buf_view(&hello), -EBADF, timeout_usec);
        return r < 0 ? r : TAKE_FD(sock);
}

enum client_state { CLIENT_FREE, CLIENT_RUNNING, CLIENT_ENDED };

struct client {
        struct fd_channel_server *server;
        pthread_t thread;
        enum client_state state; /* under the server's lock */
        int sock;
};

struct fd_channel_server {
        struct service *service;
        struct fd_channel_handlers handlers;
        void *userdata;
        int listen_fd;
        int stop_fd; /* becomes readable for good when the server ends */
        pthread_t thread;
        bool accepting;
        pthread_mutex_t lock;
        unsigned n_clients;
        struct client clients[];
};

/* 0 when the socket has something, -ECANCELED when the server ends. */
static int wait_or_stop(const struct fd_channel_server *f, int fd) {
        struct pollfd p[2] = {{.fd = f->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

        for (;;) {
                int r = poll(p, 2, -1);

                if (r < 0 && errno != EINTR)
                        return negative_errno();
                if (r > 0 && p[0].revents)
                        return -ECANCELED;
                if (r > 0)
                        return 0;
        }
}

/* Who is it? The first frame must say so, soon, and must bring no descriptor. */
static int receive_hello(const struct fd_channel_server *f, int sock, struct view *ret_caller) {
        static const char *const names[] = {"op", "token", NULL};
        _cleanup_(json_document_freep) struct json_document *document = NULL;
        _cleanup_(closep) int fd = -EBADF;
        const struct json *hello;
        struct view caller;
        int r = fd_channel_receive(sock, FRAME_TIMEOUT_USEC, &document, &fd);

        if (r < 0)
                return r;
        hello = json_root(document);
        if (fd >= 0 || json_unknown_member(hello, names) ||
            !view_eq(json_get_view(hello, "op", VIEW_NULL), VIEW("hello")))
                return -EBADMSG;
        caller = service_caller_of_token(f->service, json_get_view(hello, "token", VIEW_NULL));
        if (!caller.p)
                return -EACCES;
        *ret_caller = caller;
        return 0;
}

static void refuse(int sock, struct view json_text) {
        int r = fd_channel_send(sock, json_text, -EBADF, USEC_PER_SEC);

        (void)r; /* the peer is sent away either way */
}

static int serve_one(struct fd_channel_server *f, int sock, struct view caller, void **session) {
        _cleanup_(json_document_freep) struct json_document *document = NULL;
        _cleanup_(closep) int fd = -EBADF;
        int r = wait_or_stop(f, sock);

        if (r >= 0)
                r = fd_channel_receive(sock, FRAME_TIMEOUT_USEC, &document, &fd);
        if (r >= 0)
                r = f->handlers.message(sock, caller, json_root(document), &fd, session, f->userdata);
        return r;
}

static void serve_client(struct fd_channel_server *f, int sock) {
        void *session = NULL;
        struct view caller;
        int r = receive_hello(f, sock, &caller);

        if (r == -EACCES)
                refuse(sock, VIEW("{\"ok\":false,\"code\":\"unknown_caller\",\"message\":\"token not known "
                                  "here\"}"));
        if (r < 0)
                return;
        while (r >= 0)
                r = serve_one(f, sock, caller, &session);
        if (f->handlers.closed)
                f->handlers.closed(session, f->userdata);
}

static void *client_main(void *userdata) {
        struct client *c = userdata;
        struct fd_channel_server *f = c->server;

        serve_client(f, c->sock);
        pthread_mutex_lock(&f->lock);
        c->sock = close_fd(c->sock);
        c->state = CLIENT_ENDED;
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

static int start_thread(pthread_t *thread, void *(*body)(void *), void *userdata) {
        pthread_attr_t attributes;
        int r = -pthread_attr_init(&attributes);

        if (r < 0)
                return r;
        r = -pthread_attr_setstacksize(&attributes, CLIENT_STACK);
        if (r >= 0)
                r = -pthread_create(thread, &attributes, body, userdata);
        pthread_attr_destroy(&attributes);
        return r;
}

/* A place for one more client; threads that have ended are joined on the way. */
static struct client *free_place(struct fd_channel_server *f) {
        struct client *found = NULL;

        for (unsigned i = 0; i < f->n_clients; i++) {
                struct client *c = &f->clients[i];

                pthread_mutex_lock(&f->lock);
                if (c->state == CLIENT_ENDED) {
                        pthread_join(c->thread, NULL); /* it only has to leave its last function */
                        c->state = CLIENT_FREE;
                }
                if (c->state == CLIENT_FREE)
                        found = c;
                pthread_mutex_unlock(&f->lock);
        }
        return found;
}

static void take_client(struct fd_channel_server *f, int accepted) {
        _cleanup_(closep) int sock = accepted;
        struct client *c = free_place(f);

        if (!c) {
                refuse(sock,
                       VIEW("{\"ok\":false,\"code\":\"too_many_clients\",\"message\":\"try again later\"}"));
                return;
        }
        pthread_mutex_lock(&f->lock);
        c->server = f;
        c->sock = sock;
        if (start_thread(&c->thread, client_main, c) < 0) {
                c->sock = -EBADF;
        } else {
                c->state = CLIENT_RUNNING;
                (void)TAKE_FD(sock);
        }
        pthread_mutex_unlock(&f->lock);
}

static void *accept_main(void *userdata) {
        struct fd_channel_server *f = userdata;

        while (wait_or_stop(f, f->listen_fd) >= 0) {
                int sock = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (sock >= 0)
                        take_client(f, sock);
                else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        usleep(20 *
                               1000); /* the queue stays readable: do not spin until descriptors are back */
        }
        return NULL;
}

int fd_channel_serve(struct service *s, int listen_fd, const struct fd_channel_handlers *handlers,
                     unsigned clients, void *userdata, struct fd_channel_server **ret) {
        struct fd_channel_server *f;
        int r;

        if (clients == 0 || clients > CLIENTS_MAX)
                return -EINVAL;
        f = calloc(1, sizeof *f + clients * sizeof f->clients[0]);
        if (!f)
                return -ENOMEM;
        f->service = s;
        f->handlers = *handlers;
        f->userdata = userdata;
        f->listen_fd = listen_fd;
        f->n_clients = clients;
        for (unsigned i = 0; i < clients; i++)
                f->clients[i].sock = -EBADF;
        pthread_mutex_init(&f->lock, NULL);
        f->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = f->stop_fd < 0 ? negative_errno() : start_thread(&f->thread, accept_main, f);
        if (r < 0) {
                fd_channel_server_free(f);
                return r;
        }
        f->accepting = true;
        *ret = f;
        return 0;
}

static void end_client(struct fd_channel_server *f, struct client *c) {
        bool started;

        pthread_mutex_lock(&f->lock);
        started = c->state != CLIENT_FREE;
        if (c->sock >= 0)
                shutdown(c->sock, SHUT_RDWR); /* wakes a thread in the middle of a frame */
        pthread_mutex_unlock(&f->lock);
        if (started)
                pthread_join(c->thread, NULL);
}

struct fd_channel_server *fd_channel_server_free(struct fd_channel_server *f) {
        if (!f)
                return NULL;
        if (f->accepting) {
                if (eventfd_write(f->stop_fd, 1) < 0)
                        abort(); /* cannot be full: it is written once */
                pthread_join(f->thread, NULL);
        }
        for (unsigned i = 0; i < f->n_clients; i++)
                end_client(f, &f->clients[i]);
        close_fd(f->stop_fd);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return NULL;
}
