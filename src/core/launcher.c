#include "core/launcher.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/launcher_parts.h"

struct launcher {
        int sock;
        atomic_bool broken; /* an answer was missed: later ones would belong to other questions */
        pthread_mutex_t lock;
};

union control {
        char space[CMSG_SPACE(LAUNCHER_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
};

int launcher_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds) {
        union control control = {0};
        struct iovec piece = {(void *)(uintptr_t)p, n};
        struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
        ssize_t sent;

        if (n_fds > LAUNCHER_FDS_MAX)
                return -E2BIG;
        if (n_fds > 0) {
                struct cmsghdr *c;

                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        do
                sent = sendmsg(sock, &m, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent < 0)
                return errno == ECONNRESET ? -EPIPE : negative_errno();
        return (size_t)sent == n ? 0 : -EIO;
}

static int take_descriptors(struct msghdr *m, int *ret_fds, size_t max, size_t *ret_n) {
        int r = m->msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -EPROTO : 0;
        size_t taken = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
                                   ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int)
                                   : 0;

                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        if (taken < max) {
                                ret_fds[taken++] = fd;
                                continue;
                        }
                        close_fd(fd);
                        r = -EPROTO;
                }
        }
        while (r < 0 && taken > 0)
                close_fd(ret_fds[--taken]);
        *ret_n = taken;
        return r;
}

int launcher_receive(int sock, void *p, size_t n, int *ret_fds, size_t max, size_t *ret_n_fds) {
        union control control;
        struct iovec piece = {p, n};
        struct msghdr m = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        ssize_t got;
        int r;

        do
                got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return errno == ECONNRESET ? -EPIPE : errno == EAGAIN ? -ETIMEDOUT : negative_errno();
        if (got == 0)
                return -EPIPE;
        r = take_descriptors(&m, ret_fds, max, ret_n_fds);
        if (r >= 0 && (size_t)got != n) {
                while (*ret_n_fds > 0)
                        close_fd(ret_fds[--*ret_n_fds]);
                r = -EPROTO;
        }
        return r;
}

/* An answer that does not come means that the helper is stuck; the caller must not be stuck with it. */
static int limit_waiting(int sock) {
        struct timeval t = {.tv_sec = LAUNCHER_CALL_USEC / USEC_PER_SEC};

        if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) < 0 ||
            setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t) < 0)
                return negative_errno();
        return 0;
}

int launcher_start(const struct launcher_config *config, struct launcher **ret) {
        struct launcher *l;
        int sockets[2], r;
        pid_t pid;

        if (!config->libexec_path || config->libexec_path[0] != '/')
                return -EINVAL;
        l = calloc(1, sizeof *l);
        if (!l)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
                r = negative_errno();
                free(l);
                return r;
        }
        l->sock = sockets[0];
        pthread_mutex_init(&l->lock, NULL);
        r = limit_waiting(l->sock);
        pid = r < 0 ? -1 : fork();
        if (pid == 0)
                launcher_helper(sockets[1], config);
        if (r >= 0 && pid < 0)
                r = negative_errno();
        close_fd(sockets[1]);
        if (r < 0) {
                launcher_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

/* The helper ends all workers and itself when it sees the end of the stream; its own end closes the socket. It is not
 * waited for: the caller's sandbox has no such call. */
struct launcher *launcher_free(struct launcher *l) {
        char c;

        if (!l)
                return NULL;
        if (shutdown(l->sock, SHUT_WR) == 0)
                while (recv(l->sock, &c, 1, 0) > 0)
                        ;
        close_fd(l->sock);
        pthread_mutex_destroy(&l->lock);
        free(l);
        return NULL;
}

bool launcher_is_there(struct launcher *l) {
        struct pollfd p = {.fd = l->sock};

        return !l->broken && poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR));
}

static int exchange(struct launcher *l, const struct launcher_question *q, const int *fds, size_t n_fds,
                    struct launcher_answer *ret, int *ret_fd) {
        size_t n = 0;
        int r;

        pthread_mutex_lock(&l->lock);
        r = l->broken ? -EPIPE : launcher_send(l->sock, q, sizeof *q, fds, n_fds);
        if (r >= 0)
                r = launcher_receive(l->sock, ret, sizeof *ret, ret_fd, 1, &n);
        if (r < 0)
                l->broken = true;
        pthread_mutex_unlock(&l->lock);
        if (r >= 0 && n == 0)
                *ret_fd = -EBADF;
        return r < 0 ? r : ret->result;
}

int launcher_spawn(struct launcher *l, const struct launcher_request *request, struct launcher_worker *ret) {
        struct launcher_question q = {
                .verb = LAUNCHER_SPAWN,
                .kind = (uint32_t)request->kind,
                .n_fds = request->n_fds,
                .threads = request->threads,
                .context = request->context,
                .slots = request->slots,
                .memory_bytes = request->memory_bytes,
                .cpu_seconds = request->cpu_seconds,
        };
        struct launcher_answer a = {0};
        int fd = -EBADF, r;

        if (request->n_fds > ARRAY_SIZE(request->fds))
                return -EINVAL;
        r = exchange(l, &q, request->fds, request->n_fds, &a, &fd);
        if (r >= 0 && fd < 0)
                r = -EPROTO;
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        *ret = (struct launcher_worker){.id = a.id, .pid_fd = fd};
        memcpy(ret->socket_path, a.socket_path, sizeof ret->socket_path);
        return 0;
}

static int ask(struct launcher *l, enum launcher_verb verb, uint32_t id, int *ret_status) {
        struct launcher_question q = {.verb = (uint32_t)verb, .id = id};
        struct launcher_answer a = {0};
        int fd = -EBADF, r = exchange(l, &q, NULL, 0, &a, &fd);

        close_fd(fd);
        if (r >= 0 && ret_status)
                *ret_status = a.status;
        return r;
}

int launcher_kill(struct launcher *l, uint32_t id, int *ret_status) {
        int r = ask(l, LAUNCHER_KILL, id, ret_status);

        return r < 0 ? r : 0;
}

int launcher_poll(struct launcher *l, uint32_t id, int *ret_status) {
        int status = 0, r = ask(l, LAUNCHER_POLL, id, &status);

        if (r > 0 && ret_status)
                *ret_status = status;
        return r;
}
