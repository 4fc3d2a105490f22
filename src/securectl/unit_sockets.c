#include "securectl/unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static const char *suffix_of(const char *kind) {
        return strcmp(kind, "fd") == 0 ? ".fd.sock" : ".sock";
}

static int path_of(struct sockaddr_un *a, const char *run, const char *name, const char *kind) {
        int n = snprintf(a->sun_path, sizeof a->sun_path, "%s/%s%s", run, name, suffix_of(kind));

        a->sun_family = AF_UNIX;
        return n < 0 || (size_t)n >= sizeof a->sun_path ? -ENAMETOOLONG : 0;
}

static int listen_unix(const char *run, const char *name, const char *kind, int *ret) {
        _cleanup_(closep) int fd = -EBADF;
        struct sockaddr_un a = {0};
        mode_t before;
        int r = path_of(&a, run, name, kind);

        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        if (unlink(a.sun_path) < 0 && errno != ENOENT)
                return negative_errno();
        before = umask(0177);
        r = bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ? negative_errno() : 0;
        (void)umask(before);
        if (r >= 0 && listen(fd, SOMAXCONN) < 0)
                r = negative_errno();
        if (r < 0)
                return r;
        *ret = TAKE_FD(fd);
        return 0;
}

static int listen_tcp(uint16_t *port, int *ret) {
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in a = {
                .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof a;
        const int yes = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
            bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 || listen(fd, SOMAXCONN) < 0 ||
            getsockname(fd, (struct sockaddr *)&a, &n) < 0)
                return negative_errno();
        *port = ntohs(a.sin_port);
        *ret = TAKE_FD(fd);
        return 0;
}

static void keep(struct unit *u, int fd, const char *name) {
        u->sockets[u->n_sockets] = fd;
        u->socket_names[u->n_sockets++] = name;
}

static int open_unix(struct unit *u, const char *run, const char *kind, struct fault *reterr) {
        int fd, r = listen_unix(run, u->name, kind, &fd);

        if (r < 0)
                return fault_set(reterr, r, "UP-005", 0, "socket of %s in %.90s: %s", u->name, run,
                                 strerrordesc_np(-r));
        keep(u, fd, kind);
        return 0;
}

static int open_tcp(struct unit *u, struct fault *reterr) {
        int fd, r = listen_tcp(&u->port, &fd);

        if (r == -EADDRINUSE)
                return fault_set(reterr, r, "UP-006", 0, "port %u (%s) is in use by another program; %s",
                                 u->port, u->name,
                                 strcmp(u->name, "ui") == 0 ? "choose another with --port N"
                                                            : "leave it out with --no-tcp");
        if (r < 0)
                return fault_set(reterr, r, "UP-006", 0, "port %u (%s): %s", u->port, u->name,
                                 strerrordesc_np(-r));
        keep(u, fd, "http-tcp");
        return 0;
}

int unit_open_sockets(struct unit *u, const char *run, struct fault *reterr) {
        int r = open_unix(u, run, "http-unix", reterr);

        if (r >= 0 && u->has_fd_socket)
                r = open_unix(u, run, "fd", reterr);
        if (r >= 0 && u->wants_tcp)
                r = open_tcp(u, reterr);
        return r;
}

void unit_close_sockets(struct unit *u, const char *run) {
        for (; u->n_sockets > 0; u->n_sockets--) {
                const char *kind = u->socket_names[u->n_sockets - 1];
                struct sockaddr_un a = {0};

                close_fd(u->sockets[u->n_sockets - 1]);
                if (strcmp(kind, "http-tcp") != 0 && path_of(&a, run, u->name, kind) >= 0)
                        (void)unlink(a.sun_path);
        }
}
