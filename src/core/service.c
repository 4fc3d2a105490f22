#include "core/service.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/num.h"
#include "base/secret.h"
#include "core/identity.h"

#define PASSED_FIRST         3 /* SD_LISTEN_FDS_START */
#define PASSED_MAX           8
#define SOCKET_NAME_MAX      32
#define TOKENS_BYTES_MAX     ((size_t)64 << 10)
#define NOTIFY_PATIENCE_USEC 500000
#define TICK_NSEC            1000000000L

struct passed {
        char name[SOCKET_NAME_MAX];
        int fd;
};

struct service {
        const char *name;
        char *config_path, *state_path, *run_path, *share_path, *libexec_path, *credentials_path,
                *worker_root_path;
        int config_dir, state_dir, share_dir;
        struct passed passed[PASSED_MAX];
        size_t n_passed;
        struct identity *identity;
        struct audit_client *audit;
        int notify_fd;
        bool watchdog;
        bool given_up;
};

/* One service a process: /health needs no pointer. */
static struct {
        const char *name;
        uint64_t started_usec;
} running;

/* --- arguments --- */

static void usage(const char *name) {
        printf("usage: %s --config DIR --state DIR --run DIR --share DIR [--credentials DIR]\n"
               "       %*s [--worker-root DIR] [--libexec DIR]\n"
               "\n"
               "The %s service of SecAI OS. Listening sockets are passed in as systemd does (LISTEN_FDS with "
               "the\n"
               "names http-unix, http-tcp, fd); `securectl up` starts all services this way.\n"
               "\n"
               "  --config DIR       configuration (service-acl.yaml, config/, policy/)\n"
               "  --state DIR        folder that this service writes to\n"
               "  --run DIR          folder with the sockets of all services\n"
               "  --share DIR        data files that came with the program\n"
               "  --credentials DIR  tokens.json: who may call, and as whom to call others\n"
               "  --worker-root DIR  sealed root of the model workers\n"
               "  --libexec DIR      folder of the other programs (default: the one of this program)\n"
               "  --help, --version\n",
               name, (int)strlen(name), "", name);
}

enum {
        OPT_CONFIG = 256,
        OPT_STATE,
        OPT_RUN,
        OPT_SHARE,
        OPT_CREDENTIALS,
        OPT_WORKER_ROOT,
        OPT_LIBEXEC,
        OPT_HELP,
        OPT_VERSION
};

static const struct option options[] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"state", required_argument, NULL, OPT_STATE},
        {"run", required_argument, NULL, OPT_RUN},
        {"share", required_argument, NULL, OPT_SHARE},
        {"credentials", required_argument, NULL, OPT_CREDENTIALS},
        {"worker-root", required_argument, NULL, OPT_WORKER_ROOT},
        {"libexec", required_argument, NULL, OPT_LIBEXEC},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {0},
};

static char **path_option(struct service *s, int option) {
        switch (option) {
        case OPT_CONFIG:
                return &s->config_path;
        case OPT_STATE:
                return &s->state_path;
        case OPT_RUN:
                return &s->run_path;
        case OPT_SHARE:
                return &s->share_path;
        case OPT_CREDENTIALS:
                return &s->credentials_path;
        case OPT_WORKER_ROOT:
                return &s->worker_root_path;
        case OPT_LIBEXEC:
                return &s->libexec_path;
        default:
                return NULL;
        }
}

/* Absolute paths, because sandbox tables name them and the working directory may change. */
static int set_path(char **at, const char *value) {
        free(*at);
        *at = realpath(value, NULL);
        if (*at)
                return 0;
        log_error("bad_path", "%s: %s; expected an existing folder", value, strerror(errno));
        return negative_errno();
}

static int parse_arguments(struct service *s, int argc, char *argv[]) {
        int option;

        optind = 1;
        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                char **at = path_option(s, option);

                if (at && set_path(at, optarg) < 0)
                        return -EINVAL;
                if (option == OPT_HELP) {
                        usage(s->name);
                        return 1;
                }
                if (option == OPT_VERSION) {
                        printf("%s %s\n", s->name, SAI_VERSION);
                        return 1;
                }
                if (option == '?')
                        return -EINVAL;
        }
        if (optind == argc && s->config_path && s->state_path && s->run_path && s->share_path)
                return 0;
        log_error("usage", "expected --config DIR --state DIR --run DIR --share DIR; see --help");
        return -EINVAL;
}

static int default_libexec(struct service *s) {
        char *self, *slash;

        if (s->libexec_path)
                return 0;
        self = realpath("/proc/self/exe", NULL);
        slash = self ? strrchr(self, '/') : NULL;
        if (!slash) {
                free(self);
                return log_error("no_libexec", "/proc/self/exe: %s; give --libexec", strerror(errno)),
                       -ENOENT;
        }
        *slash = '\0';
        s->libexec_path = self;
        return 0;
}

static int open_folder(const char *path, int *ret) {
        int fd = open_dir(path);

        if (fd < 0) {
                log_error("bad_path", "%s: %s; expected a folder that this service may read", path,
                          strerror(-fd));
                return fd;
        }
        *ret = fd;
        return 0;
}

static int open_folders(struct service *s) {
        int r = open_folder(s->config_path, &s->config_dir);

        if (r == 0)
                r = open_folder(s->state_path, &s->state_dir);
        if (r == 0)
                r = open_folder(s->share_path, &s->share_dir);
        return r;
}

/* --- what the supervisor passes in (sd_listen_fds(3), sd_notify(3)) --- */

static int environment_number(const char *name, uint64_t max, uint64_t *ret) {
        const char *text = secure_getenv(name);

        return text ? u64_parse(view_of(text), max, ret) : -ENOENT;
}

static int keep_passed(struct service *s, int fd, struct view name) {
        struct passed *p = &s->passed[s->n_passed];

        if (name.n >= sizeof(p->name) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return -EINVAL;
        memcpy(p->name, name.p, name.n);
        p->name[name.n] = '\0';
        p->fd = fd;
        s->n_passed++;
        return 0;
}

static int take_sockets(struct service *s) {
        const char *text = secure_getenv("LISTEN_FDNAMES");
        struct view names = view_of(text ? text : ""), name;
        uint64_t pid, n;

        if (environment_number("LISTEN_PID", INT32_MAX, &pid) < 0 || (pid_t)pid != getpid() ||
            environment_number("LISTEN_FDS", PASSED_MAX, &n) < 0)
                n = 0;
        for (uint64_t i = 0; i < n; i++) {
                if (!view_split(&names, ':', &name)) {
                        name = names;
                        names = VIEW_NULL;
                }
                if (name.n == 0 || keep_passed(s, PASSED_FIRST + (int)i, name) < 0) {
                        log_error("bad_socket",
                                  "LISTEN_FDS=%llu but LISTEN_FDNAMES has no good name for each",
                                  (unsigned long long)n);
                        return -EINVAL;
                }
        }
        (void)unsetenv("LISTEN_PID");
        (void)unsetenv("LISTEN_FDS");
        (void)unsetenv("LISTEN_FDNAMES");
        return 0;
}

/* Connected now: after sandbox_enter no socket can be made. */
static int open_notify(struct service *s) {
        const char *path = secure_getenv("NOTIFY_SOCKET");
        const struct timeval patience = {.tv_usec = NOTIFY_PATIENCE_USEC};
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        size_t n = path ? strlen(path) : 0;
        uint64_t usec;

        if (n == 0)
                return 0;
        if (n >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
                return -EINVAL;
        memcpy(a.sun_path, path, n);
        if (path[0] == '@')
                a.sun_path[0] = '\0';
        s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (s->notify_fd < 0 ||
            setsockopt(s->notify_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
            connect(s->notify_fd, (struct sockaddr *)&a,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                return negative_errno();
        s->watchdog = environment_number("WATCHDOG_USEC", UINT64_MAX, &usec) == 0;
        (void)unsetenv("NOTIFY_SOCKET");
        (void)unsetenv("WATCHDOG_USEC");
        return 0;
}

/* Waits a little where the supervisor is behind: its queue holds ten. */
static void notify(const struct service *s, const char *text) {
        if (s->notify_fd >= 0)
                (void)send(s->notify_fd, text, strlen(text), MSG_NOSIGNAL);
}

static void block_signals(void) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigset_t stop;

        sigemptyset(&stop);
        sigaddset(&stop, SIGTERM);
        sigaddset(&stop, SIGINT);
        sigaddset(&stop, SIGHUP);
        (void)sigprocmask(SIG_BLOCK, &stop, NULL);
        (void)sigaction(SIGPIPE, &ignore, NULL);
}

/* --- credentials --- */

static int read_tokens(const char *path, struct buf *out) {
        _cleanup_(closep) int dir = open_dir(path), fd = -EBADF;
        struct stat st;

        if (dir < 0)
                return dir;
        fd = open_beneath(dir, "tokens.json", O_RDONLY, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_mode & 077) /* somebody else may have read them */
                return -EPERM;
        return buf_read_file(out, fd);
}

static int load_identity(struct service *s) {
        _cleanup_(buf_donep) struct buf tokens = BUF_INIT(TOKENS_BYTES_MAX);
        struct fault fault = FAULT_NONE;
        int r = s->credentials_path ? read_tokens(s->credentials_path, &tokens) : 0;

        if (r < 0) {
                log_error("bad_credentials",
                          "%s/tokens.json: %s; expected a file that only its owner may read",
                          s->credentials_path, strerror(-r));
                return r;
        }
        r = identity_new(buf_view(&tokens), s->config_dir, &s->identity, &fault);
        if (tokens.n > 0)
                wipe(tokens.p, tokens.n);
        if (r < 0)
                log_error("bad_configuration", "%s", fault.text);
        return r;
}

static char *socket_path(const struct service *s, const char *target) {
        char *path = NULL;

        return asprintf(&path, "%s/%s.sock", s->run_path, target) < 0 ? NULL : path;
}

static int open_audit(struct service *s) {
        struct view token = identity_token_for(s->identity, VIEW("audit"));
        _cleanup_(freep) char *path = NULL;

        if (!token.p)
                return 0;
        path = socket_path(s, "audit");
        return path ? audit_client_new(path, token, &s->audit) : -ENOMEM;
}

static int logged(const char *event, int r, const char *what) {
        if (r < 0)
                log_error(event, "%s: %s", what, strerror(-r));
        return r;
}

int service_new(const char *name, int argc, char *argv[], struct service **ret) {
        struct service *s = calloc(1, sizeof(*s));
        int r;

        log_set_program(name);
        block_signals();
        if (!s)
                return log_error("out_of_memory", "can't start"), -ENOMEM;
        s->name = name;
        s->config_dir = s->state_dir = s->share_dir = s->notify_fd = -EBADF;
        r = parse_arguments(s, argc, argv);
        if (r == 0)
                r = default_libexec(s);
        if (r == 0)
                r = open_folders(s);
        if (r == 0)
                r = take_sockets(s);
        if (r == 0)
                r = logged("no_supervisor", open_notify(s), "NOTIFY_SOCKET can't be used");
        if (r == 0)
                r = load_identity(s);
        if (r == 0)
                r = logged("no_audit", open_audit(s), "no client for the audit log");
        if (r != 0) {
                service_free(s);
                return r;
        }
        running.name = name;
        running.started_usec = clock_monotonic_usec();
        *ret = s;
        return 0;
}

struct service *service_free(struct service *s) {
        if (!s)
                return NULL;
        audit_client_free(s->audit);
        identity_free(s->identity);
        for (size_t i = 0; i < s->n_passed; i++)
                (void)close_fd(s->passed[i].fd);
        (void)close_fd(s->config_dir);
        (void)close_fd(s->state_dir);
        (void)close_fd(s->share_dir);
        (void)close_fd(s->notify_fd);
        free(s->config_path);
        free(s->state_path);
        free(s->run_path);
        free(s->share_path);
        free(s->libexec_path);
        free(s->credentials_path);
        free(s->worker_root_path);
        free(s);
        return NULL;
}

/* --- what services ask for --- */

int service_config_dir(const struct service *s) {
        return s->config_dir;
}
int service_state_dir(const struct service *s) {
        return s->state_dir;
}
int service_share_dir(const struct service *s) {
        return s->share_dir;
}
const char *service_config_path(const struct service *s) {
        return s->config_path;
}
const char *service_state_path(const struct service *s) {
        return s->state_path;
}
const char *service_run_path(const struct service *s) {
        return s->run_path;
}
const char *service_share_path(const struct service *s) {
        return s->share_path;
}
const char *service_libexec_path(const struct service *s) {
        return s->libexec_path;
}
const char *service_credentials_path(const struct service *s) {
        return s->credentials_path;
}
const char *service_worker_root_path(const struct service *s) {
        return s->worker_root_path;
}

int service_take_fd(struct service *s, const char *name) {
        for (size_t i = 0; i < s->n_passed; i++)
                if (s->passed[i].fd >= 0 && strcmp(s->passed[i].name, name) == 0)
                        return TAKE_FD(s->passed[i].fd);
        return -ENOENT;
}

int service_client(const struct service *s, const char *target, struct http_client **ret) {
        struct view token = service_token(s, target);
        _cleanup_(freep) char *path = NULL;

        if (!token.p)
                return -ENOENT;
        path = socket_path(s, target);
        return path ? http_client_new(path, 0, token, ret) : -ENOMEM;
}

struct audit_client *service_audit(const struct service *s) {
        return s->audit;
}

struct view service_caller_of_token(const struct service *s, struct view token) {
        return identity_of_token(s->identity, token);
}

bool service_may(const struct service *s, struct view caller, const char *permission) {
        return identity_may(s->identity, caller, permission);
}

struct view service_token(const struct service *s, const char *target) {
        return identity_token_for(s->identity, view_of(target));
}

static struct view caller_of(const struct service *s, const struct http_request *q) {
        struct view header = http_header(q, "Authorization");
        struct http_peer peer = http_peer(q);

        if (view_starts(header, VIEW("Bearer ")))
                return identity_of_token(s->identity, view_sub(header, 7, SIZE_MAX));
        /* A wrong kind of credential is not the same as none. */
        return peer.is_unix && !header.p ? identity_of_uid(s->identity, peer.uid) : VIEW_NULL;
}

int service_authorize(struct http_request *q, const struct http_route *route, void *service) {
        const struct service *s = service;
        struct view caller = caller_of(s, q);
        int r;

        if (!caller.p)
                r = http_reply_error(q, 401, "unknown_caller", NULL,
                                     "Give the token that was minted for you as Authorization: Bearer.");
        else if (!identity_may(s->identity, caller, route->permission))
                r = http_reply_error(q, 403, "forbidden_route", NULL,
                                     "%.*s may not do this: service-acl.yaml lists no %s.", VIEW_ARG(caller),
                                     route->permission);
        else
                return http_set_caller(q, caller);
        return r < 0 ? r : -EACCES;
}

int service_health(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(1024);
        struct json_writer w = JSON_WRITER(&body);
        int r;

        json_object_begin(&w);
        json_member_string(&w, "status", "ok");
        json_member_string(&w, "service", running.name);
        json_member_string(&w, "version", SAI_VERSION);
        json_member_u64(&w, "uptime_s", (clock_monotonic_usec() - running.started_usec) / USEC_PER_SEC);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

int service_run(struct service *s, void (*tick)(void *), void *userdata) {
        static const struct timespec second = {.tv_nsec = TICK_NSEC - 1};
        sigset_t stop;

        sigemptyset(&stop);
        sigaddset(&stop, SIGTERM);
        sigaddset(&stop, SIGINT);
        notify(s, "READY=1");
        for (;;) {
                int n = sigtimedwait(&stop, NULL, &second);

                if (n > 0)
                        break;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return negative_errno();
                if (s->watchdog)
                        notify(s, "READY=1\nWATCHDOG=1"); /* the first READY may have been lost */
                if (tick)
                        tick(userdata);
                if (s->given_up)
                        return -ECONNABORTED;
        }
        notify(s, "STOPPING=1");
        return 0;
}

void service_give_up(struct service *s) {
        s->given_up = true;
}
