#include "securectl/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "securectl/up_limits.h"

static void say(const struct supervisor *s, enum log_level level, const char *event, const struct unit *u,
                const char *text) {
        const struct report_event e = {level, event, u->name, u->pid};

        report(&s->report, &e, "%s", text);
}

struct unit *supervisor_unit(struct supervisor *s, const char *name) {
        for (size_t i = 0; i < s->n_units; i++)
                if (strcmp(s->units[i].name, name) == 0)
                        return &s->units[i];
        return NULL;
}

static struct unit *unit_of_pid(struct supervisor *s, pid_t pid) {
        for (size_t i = 0; i < s->n_units; i++)
                if (pid > 0 && s->units[i].pid == pid)
                        return &s->units[i];
        return NULL;
}

static bool audit_is_there(struct supervisor *s) {
        const struct unit *u = supervisor_unit(s, "audit");

        return u && u->state == UNIT_READY;
}

static void record(struct supervisor *s, const char *event, const char *decision, const char *subject,
                   const char *detail) {
        recorder_add(&s->recorder, event, decision, subject, detail);
        if (audit_is_there(s))
                recorder_flush(&s->recorder);
}

/* --- the socket for READY=1 --- */

static int open_notify(struct supervisor *s) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", s->places.run), r;
        const int yes = 1;
        mode_t before;

        if (n < 0 || (size_t)n >= sizeof a.sun_path)
                return -ENAMETOOLONG;
        s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->notify_fd < 0 || setsockopt(s->notify_fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) < 0)
                return negative_errno();
        if (unlink(a.sun_path) < 0 && errno != ENOENT)
                return negative_errno();
        before = umask(0177);
        r = bind(s->notify_fd, (const struct sockaddr *)&a, sizeof a) < 0 ? negative_errno() : 0;
        (void)umask(before);
        return r < 0 ? r : place_join(s->notify_path, s->places.run, "notify");
}

static int block_signals(struct supervisor *s) {
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
                return negative_errno();
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return s->signal_fd < 0 ? negative_errno() : 0;
}

int supervisor_prepare(struct supervisor *s) {
        int r = block_signals(s);

        return r < 0 ? r : open_notify(s);
}

void supervisor_done(struct supervisor *s) {
        if (s->notify_path[0])
                (void)unlink(s->notify_path);
        s->notify_fd = close_fd(s->notify_fd);
        s->signal_fd = close_fd(s->signal_fd);
        s->recorder.client = audit_client_free(s->recorder.client);
}

static void became_ready(struct supervisor *s, struct unit *u) {
        char detail[64];

        u->state = UNIT_READY;
        say(s, LOG_LEVEL_INFO, "service_ready", u, "ready");
        if (u->crashes > 0) {
                (void)snprintf(detail, sizeof detail, "{\"crashes\":%u}", u->crashes);
                record(s, "service_restarted", "info", u->name, detail);
        } else if (audit_is_there(s))
                recorder_flush(&s->recorder);
}

static void handle_notice(struct supervisor *s, struct unit *u, struct view text) {
        struct view line;

        u->alive_usec = clock_monotonic_usec();
        while (text.n > 0) {
                if (!view_split(&text, '\n', &line)) {
                        line = text;
                        text = VIEW_NULL;
                }
                if (view_eq(line, VIEW("READY=1")) && u->state == UNIT_STARTING)
                        became_ready(s, u);
        }
}

/* The kernel tells who has sent a notice: only the service's own process counts. */
static pid_t sender_of(struct msghdr *m) {
        pid_t pid = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                struct ucred peer;

                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof peer)) {
                        memcpy(&peer, CMSG_DATA(c), sizeof peer);
                        pid = peer.pid;
                }
        }
        return pid;
}

/* Not more at a time: a service that sends without end must not keep the supervisor from the others, and from signals. */
static void read_notices(struct supervisor *s) {
        for (unsigned n = 0; n < UP_NOTICES_AT_ONCE; n++) {
                union {
                        char space[CMSG_SPACE(
                                sizeof(struct ucred))]; /* no room for descriptors: none are taken */
                        struct cmsghdr align;
                } control;
                char text[UP_NOTIFY_BYTES];
                struct iovec piece = {text, sizeof text};
                struct msghdr m = {.msg_iov = &piece,
                                   .msg_iovlen = 1,
                                   .msg_control = &control,
                                   .msg_controllen = sizeof control};
                ssize_t got = recvmsg(s->notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                struct unit *u;

                if (got < 0)
                        return;
                u = unit_of_pid(s, sender_of(&m));
                if (u)
                        handle_notice(s, u, view_make(text, (size_t)got));
        }
}

/* --- ends --- */

static uint64_t pause_after(unsigned crashes) {
        uint64_t pause = UP_PAUSE_FIRST_USEC;

        while (--crashes > 0 && pause < UP_PAUSE_MAX_USEC)
                pause *= 2;
        return MIN_OF(pause, UP_PAUSE_MAX_USEC);
}

static void crashed(struct supervisor *s, struct unit *u) {
        uint64_t now = clock_monotonic_usec(), pause;
        char how[64], text[160], detail[160];

        if (u->state == UNIT_READY && now - u->since_usec >= UP_STEADY_USEC)
                u->crashes = 0;
        u->crashes++;
        pause = pause_after(u->crashes);
        u->state = UNIT_WAITING;
        u->deadline_usec = now + pause;
        unit_describe_status(u->status, how);
        (void)snprintf(text, sizeof text, "ended unexpectedly (%s); starts again in %llu ms", how,
                       (unsigned long long)(pause / USEC_PER_MSEC));
        say(s, LOG_LEVEL_ERROR, "service_crashed", u, text);
        (void)snprintf(detail, sizeof detail, "{\"how\":\"%s\",\"crashes\":%u}", how, u->crashes);
        record(s, "service_crashed", "error", u->name, detail);
}

static void ended(struct supervisor *s, struct unit *u, int status) {
        u->status = status;
        u->pid = 0;
        if (u->state == UNIT_STOPPING)
                u->state = UNIT_DOWN;
        else if (s->starting) {
                u->state = UNIT_DOWN;
                if (!s->failed)
                        s->failed = u;
        } else
                crashed(s, u);
}

static void reap(struct supervisor *s) {
        int status;

        for (size_t i = 0; i < s->n_units; i++) {
                struct unit *u = &s->units[i];

                if (u->pid > 0 && waitpid(u->pid, &status, WNOHANG) == u->pid)
                        ended(s, u, status);
        }
}

static void read_signals(struct supervisor *s) {
        struct signalfd_siginfo info;

        while (read(s->signal_fd, &info, sizeof info) == sizeof info)
                if (info.ssi_signo != SIGCHLD)
                        s->stop_requests++;
        reap(s);
}

/* Waits for something to happen, at most until `deadline` (monotonic), and takes note of it. */
static void wait_until(struct supervisor *s, uint64_t deadline) {
        struct pollfd p[2] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = s->notify_fd, .events = POLLIN}};

        if (poll(p, 2, clock_poll_timeout(deadline)) <= 0)
                return;
        /* notices first: a service may say that it is ready and end */
        if (p[1].revents)
                read_notices(s);
        if (p[0].revents)
                read_signals(s);
}

/* --- start --- */

static int begin(struct supervisor *s, struct unit *u) {
        int r = unit_start(u, &s->places, s->notify_path);

        if (r < 0)
                return r;
        u->state = UNIT_STARTING;
        u->deadline_usec = u->since_usec + UP_READY_USEC;
        return 0;
}

static int start_one(struct supervisor *s, struct unit *u) {
        int r = begin(s, u);

        if (r < 0)
                s->failed = u;
        while (r >= 0 && u->state != UNIT_READY) {
                wait_until(s, u->deadline_usec);
                if (s->stop_requests > 0)
                        return -ECANCELED;
                if (s->failed)
                        return -ECHILD;
                if (u->state != UNIT_READY && clock_monotonic_usec() >= u->deadline_usec) {
                        s->failed = u;
                        return -ETIMEDOUT;
                }
        }
        return r;
}

int supervisor_start(struct supervisor *s) {
        int r = 0;

        s->starting = true;
        for (size_t i = 0; i < s->n_units && r >= 0; i++)
                r = start_one(s, &s->units[i]);
        s->starting = false;
        if (r >= 0)
                record(s, "system_started", "info", "supervisor", NULL);
        return r;
}

/* --- watch --- */

static void kill_hung(struct supervisor *s, struct unit *u, const char *why) {
        say(s, LOG_LEVEL_ERROR, "service_hung", u, why);
        (void)kill(u->pid, SIGKILL); /* its end is seen as a crash */
        u->alive_usec = clock_monotonic_usec();
        u->deadline_usec = u->alive_usec + UP_READY_USEC;
        if (strcmp(u->name, "audit") == 0) /* would keep us waiting: it hears of it when it is back */
                recorder_add(&s->recorder, "service_hung", "error", u->name, NULL);
        else
                record(s, "service_hung", "error", u->name, NULL);
}

static void try_again(struct supervisor *s, struct unit *u) {
        int r = begin(s, u);
        char text[160];

        if (r >= 0)
                return;
        u->crashes++;
        u->deadline_usec = clock_monotonic_usec() + pause_after(u->crashes);
        (void)snprintf(text, sizeof text, "can't be started: %s", strerrordesc_np(-r));
        say(s, LOG_LEVEL_ERROR, "service_not_started", u, text);
}

/* Does what is due for one service; returns when the next thing is. */
static uint64_t look_after(struct supervisor *s, struct unit *u) {
        uint64_t now = clock_monotonic_usec();

        switch (u->state) {
        case UNIT_WAITING:
                if (now < u->deadline_usec)
                        return u->deadline_usec;
                try_again(s, u);
                return u->deadline_usec;
        case UNIT_STARTING:
                if (now >= u->deadline_usec)
                        kill_hung(s, u, "was not ready in time; killed");
                return u->deadline_usec;
        case UNIT_READY:
                if (now - u->alive_usec >= UP_SILENCE_USEC)
                        kill_hung(s, u, "gave no sign of life; killed");
                return u->alive_usec + UP_SILENCE_USEC;
        default:
                return UINT64_MAX;
        }
}

void supervisor_watch(struct supervisor *s) {
        while (s->stop_requests == 0) {
                uint64_t next = UINT64_MAX;

                for (size_t i = 0; i < s->n_units; i++) {
                        uint64_t due = look_after(s, &s->units[i]);

                        next = MIN_OF(next, due);
                }
                wait_until(s, next);
        }
}

/* --- stop --- */

static void wait_for_end(struct supervisor *s, struct unit *u, uint64_t timeout_usec, unsigned patience) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;

        while (u->pid > 0 && s->stop_requests < patience && clock_monotonic_usec() < deadline)
                wait_until(s, deadline);
}

static void stop_one(struct supervisor *s, struct unit *u) {
        unsigned patience = MAX_OF(s->stop_requests, 1u) + 1; /* one more signal and we do not wait */

        u->state = u->pid > 0 ? UNIT_STOPPING : UNIT_DOWN;
        if (u->pid == 0)
                return;
        (void)kill(u->pid, SIGTERM);
        wait_for_end(s, u, UP_GRACE_USEC, s->stop_requests > 1 ? 0 : patience);
        if (u->pid > 0) {
                say(s, LOG_LEVEL_WARNING, "service_killed", u, "did not stop in time; killed");
                (void)kill(u->pid, SIGKILL);
                wait_for_end(s, u, UP_KILL_USEC, UINT32_MAX);
        }
        say(s, LOG_LEVEL_INFO, "service_stopped", u, "stopped");
}

void supervisor_stop(struct supervisor *s) {
        record(s, "system_stopping", "info", "supervisor", NULL);
        for (size_t i = s->n_units; i-- > 0;)
                stop_one(s, &s->units[i]);
}
