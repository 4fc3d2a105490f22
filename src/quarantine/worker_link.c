#include "quarantine/worker_link.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static const struct {
        const char *rule, *text;
} troubles[WORKER_TROUBLE_MAX] = {
        [WORKER_FINE] = {"", ""},
        [WORKER_CRASHED] =
                {"WORKER-001",
                 "the scan worker ended before it had read the file; the file may be made to break readers"},
        [WORKER_STUCK] = {"WORKER-002", "the scan worker made no progress within its deadline"},
        [WORKER_LIED] = {"WORKER-003",
                         "the scan worker's answer broke the protocol; nothing it said is believed"},
        [WORKER_FLOODED] = {"WORKER-004",
                            "the scan worker answered with more than it may; nothing it said is believed"},
        [WORKER_NOT_READY] = {"WORKER-005", "the scan worker could not prepare itself"},
};

const char *worker_trouble_rule(enum worker_trouble t) {
        return troubles[t].rule;
}

const char *worker_trouble_text(enum worker_trouble t) {
        return troubles[t].text;
}

static void trouble(struct worker_link *l, enum worker_trouble t) {
        if (l->trouble == WORKER_FINE)
                l->trouble = t;
}

/* With the descriptor `fd`, if it is one. */
static void send_first(struct worker_link *l, struct worker_order *o, int fd) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec iov = {.iov_base = o, .iov_len = sizeof *o};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

        if (fd >= 0) {
                control.head.cmsg_level = SOL_SOCKET;
                control.head.cmsg_type = SCM_RIGHTS;
                control.head.cmsg_len = CMSG_LEN(sizeof fd);
                memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
                m.msg_control = &control;
                m.msg_controllen = sizeof control;
        }
        if (l->trouble == WORKER_FINE &&
            sendmsg(l->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof *o)
                trouble(l, WORKER_CRASHED);
}

int worker_link_prepare(const struct worker_link_config *c, struct worker_link *l) {
        _cleanup_(closep) int ours = -EBADF, theirs = -EBADF;
        struct launcher_request q = {
                .kind = LAUNCHER_SCAN_WORKER, .n_fds = 2, .memory_bytes = WORKER_MEMORY_BYTES};
        struct worker_order o = {.type = WORKER_PREPARE, .slot = RING_SLOTS};
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        ours = pair[0];
        theirs = pair[1];
        q.fds[0] = theirs;
        q.fds[1] = c->ring->fd;
        q.cpu_seconds = WORKER_CPU_LEAST_SEC + c->size / WORKER_CPU_BYTES;
        memset(l, 0, sizeof *l);
        l->sock = -EBADF;
        l->worker.pid_fd = -EBADF;
        r = launcher_spawn(c->launcher, &q, &l->worker);
        if (r < 0)
                return r;
        l->launcher = c->launcher;
        l->sock = TAKE_FD(ours);
        l->stall_usec = c->stall_usec ? c->stall_usec : WORKER_STALL_USEC;
        l->deadline_usec = clock_monotonic_usec() + (c->start_usec ? c->start_usec : WORKER_START_USEC);
        send_first(l, &o, c->rules_fd);
        return 0;
}

void worker_link_begin(const struct worker_link_config *c, struct worker_link *l) {
        struct worker_order o = {.type = WORKER_BEGIN,
                                 .n = c->size,
                                 .members = c->set ? (uint32_t)c->set->n : 0,
                                 .lane = c->lane};

        o.weights = c->weights ? *c->weights : weights_limits_default;
        o.name_n = (uint32_t)MIN_OF(c->name.n, (size_t)ARTIFACT_NAME_MAX);
        if (o.name_n > 0)
                memcpy(o.name, c->name.p, o.name_n);
        l->size = l->total = c->size;
        l->set = c->set;
        l->hearer = c->hearer;
        l->early_sink = c->early;
        l->phase = WORKER_PHASE_STARTING;
        l->deadline_usec = clock_monotonic_usec() + (c->start_usec ? c->start_usec : WORKER_START_USEC);
        send_first(l, &o, c->set ? c->names_fd : -EBADF);
}

void worker_link_done(struct worker_link *l) {
        if (!l->launcher)
                return;
        (void)launcher_kill(l->launcher, l->worker.id, NULL);
        l->sock = close_fd(l->sock);
        l->worker.pid_fd = close_fd(l->worker.pid_fd);
        l->launcher = NULL;
}

static void send_order(struct worker_link *l, const struct worker_order *o) {
        if (l->trouble == WORKER_FINE &&
            send(l->sock, o, sizeof *o, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof *o)
                trouble(l, WORKER_CRASHED);
}

/* The queue of a socket holds some hundred packets: waits for room, as long as the worker has for anything. */
static bool wait_for_room(const struct worker_link *l) {
        struct pollfd p = {.fd = l->sock, .events = POLLOUT};
        int n;

        do
                n = poll(&p, 1, (int)MIN_OF(l->stall_usec / USEC_PER_MSEC, (uint64_t)INT32_MAX));
        while (n < 0 && errno == EINTR);
        return n > 0 && (p.revents & POLLOUT) && !(p.revents & (POLLERR | POLLHUP));
}

void worker_link_send_fact(struct worker_link *l, uint32_t member, const struct model_summary *facts) {
        struct worker_fact f = {.type = WORKER_FACT, .member = member, .facts = *facts};
        ssize_t n = 0;

        if (l->trouble != WORKER_FINE)
                return;
        do
                n = send(l->sock, &f, sizeof f, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EAGAIN && wait_for_room(l));
        if (n != (ssize_t)sizeof f)
                trouble(l, n < 0 && errno == EAGAIN ? WORKER_STUCK : WORKER_CRASHED);
}

void worker_link_begin_file(struct worker_link *l, uint32_t member) {
        struct worker_order o = {.type = WORKER_FILE, .member = member};

        o.n = l->size = l->set->files[member - 1].size;
        l->member = member;
        l->sent = l->done = l->taken = 0;
        l->phase = WORKER_PHASE_READING;
        send_order(l, &o);
}

void worker_link_end_file(struct worker_link *l) {
        struct worker_order o = {.type = WORKER_FILE_END, .member = l->member};

        send_order(l, &o);
        l->phase = WORKER_PHASE_ENDING;
        l->deadline_usec = clock_monotonic_usec() + l->stall_usec;
}

void worker_link_send_slot(struct worker_link *l, uint64_t n) {
        struct worker_order o = {.type = WORKER_SLOT, .slot = (uint32_t)(l->sent % RING_SLOTS), .n = n};

        if (l->done == l->sent)
                l->deadline_usec = clock_monotonic_usec() +
                                   l->stall_usec; /* it was idle: our delay, not its own */
        send_order(l, &o);
        l->sent++;
}

void worker_link_send_end(struct worker_link *l) {
        struct worker_order o = {.type = WORKER_END};

        send_order(l, &o);
        l->size = l->total;
        l->member = 0;
        l->phase = WORKER_PHASE_TELLING;
        l->deadline_usec = clock_monotonic_usec() + l->stall_usec;
}

/* NUL-terminated within its array, UTF-8, and free of control and direction characters: what escaping leaves as it is. */
static bool text_is_clean(const char *p, size_t n) {
        _cleanup_(buf_donep) struct buf again = BUF_INIT(4096);
        size_t len = strnlen(p, n);

        if (len == n)
                return false;
        if (buf_append_escaped(&again, view_make(p, len), n) < 0)
                return false;
        return view_eq(buf_view(&again), view_make(p, len));
}

static bool rule_is_clean(const char rule[FINDING_RULE_MAX]) {
        size_t n = strnlen(rule, FINDING_RULE_MAX);

        return n >= 3 && n < FINDING_RULE_MAX && rule[0] >= 'A' && rule[0] <= 'Z' &&
               strspn(rule, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

/* Of a set, stage 7 is the worker's as well, and a place lies within the member that the finding names. */
static bool place_is_clean(const struct worker_link *l, const struct finding *f) {
        if (!l->set)
                return f->member == 0 && (f->stage == 2 || f->stage == 5) &&
                       (f->at == UINT64_MAX || f->at <= l->size);
        if ((f->stage != 2 && f->stage != 5 && f->stage != 7) || f->member > l->set->n)
                return false;
        return f->at == UINT64_MAX || (f->member > 0 && f->at <= l->set->files[f->member - 1].size);
}

static bool finding_is_clean(const struct worker_link *l, const struct finding *f) {
        return place_is_clean(l, f) && (unsigned)f->severity < FINDING_SEVERITY_MAX &&
               rule_is_clean(f->rule) && strncmp(f->rule, "WORKER", 6) != 0 &&
               text_is_clean(f->tensor, sizeof f->tensor) && text_is_clean(f->message, sizeof f->message) &&
               f->message[0];
}

/* A bool from another process may hold any byte; reading it as bool would be undefined. */
static bool byte_is_bool(const void *p) {
        return *(const unsigned char *)p <= 1;
}

static bool summary_is_clean(const struct model_summary *s, uint64_t size) {
        return (unsigned)s->kind < MODEL_KIND_MAX && s->size == size && byte_is_bool(&s->has_chat_template) &&
               text_is_clean(s->architecture, sizeof s->architecture) &&
               text_is_clean(s->name, sizeof s->name) && text_is_clean(s->license, sizeof s->license) &&
               text_is_clean(s->quantization, sizeof s->quantization) &&
               text_is_clean(s->family, sizeof s->family);
}

/* Nothing was begun, or what was begun it has not heard of. */
static bool is_starting(const struct worker_link *l) {
        return l->phase == WORKER_PHASE_WAITING || l->phase == WORKER_PHASE_STARTING;
}

static void take_failed(struct worker_link *l, const struct worker_failed *f) {
        if (!is_starting(l) || !text_is_clean(f->text, sizeof f->text)) {
                trouble(l, WORKER_LIED);
                return;
        }
        (void)snprintf(l->text, sizeof l->text, "%s", f->text);
        trouble(l, WORKER_NOT_READY);
}

/* One for each slot, in order. The slot itself stays in use until the next has been looked at together with it. */
static void take_taken(struct worker_link *l, const struct worker_taken *t) {
        if (is_starting(l) || l->phase == WORKER_PHASE_RESTING || t->slots != l->done || l->done >= l->sent) {
                trouble(l, WORKER_LIED);
                return;
        }
        l->taken = l->done++;
        l->deadline_usec = clock_monotonic_usec() + l->stall_usec;
}

/* Only what the worker says in the end counts; this is for who is waiting. */
static void take_early(struct worker_link *l, const struct worker_finding *f) {
        if (l->phase == WORKER_PHASE_WAITING || l->has_early || f->finding.severity != FINDING_REJECT ||
            !finding_is_clean(l, &f->finding)) {
                trouble(l, WORKER_LIED);
                return;
        }
        l->has_early = true;
        l->early = f->finding;
        if (l->early_sink)
                l->early_sink->put(l->early_sink->userdata, &l->early);
}

static bool is_same(const struct finding *a, const struct finding *b) {
        return a->stage == b->stage && a->severity == b->severity && a->at == b->at &&
               a->member == b->member && strcmp(a->rule, b->rule) == 0 && strcmp(a->tensor, b->tensor) == 0 &&
               strcmp(a->message, b->message) == 0;
}

static bool early_was_true(const struct worker_link *l) {
        for (size_t i = 0; i < l->findings.n; i++)
                if (is_same(&l->findings.list[i], &l->early))
                        return true;
        return !l->has_early;
}

static void take_finding(struct worker_link *l, const struct worker_finding *f) {
        if (l->phase != WORKER_PHASE_TELLING || !finding_is_clean(l, &f->finding))
                trouble(l, WORKER_LIED);
        else if (l->findings.n == FINDINGS_MAX)
                trouble(l, WORKER_FLOODED);
        else
                collector_put(&l->findings, &f->finding);
}

static void take_summary(struct worker_link *l, const struct worker_summary *s) {
        if (l->phase != WORKER_PHASE_TELLING || l->done != l->sent ||
            !summary_is_clean(&s->summary, l->size) || !early_was_true(l)) {
                trouble(l, WORKER_LIED);
                return;
        }
        l->findings.dropped = s->dropped;
        l->windows = s->windows;
        l->summary = s->summary;
        l->phase = WORKER_PHASE_DONE;
}

static void take_member(struct worker_link *l, const struct worker_member *m) {
        if (l->phase != WORKER_PHASE_ENDING || l->done != l->sent || m->member != l->member ||
            !summary_is_clean(&m->facts, l->size)) {
                trouble(l, WORKER_LIED);
                return;
        }
        l->facts = m->facts;
        l->phase = WORKER_PHASE_RESTING;
}

static bool number_is_within(double v, double most) {
        return v >= -most && v <= most; /* and no NaN */
}

static bool statistics_are_clean(const struct tensor_record *r) {
        return r->flags <= TENSOR_FLAGS_ALL && r->moments < TENSOR_MOMENTS_MAX && r->entropy_min >= 0 &&
               r->entropy_min <= 8 && r->entropy_mean >= 0 && r->entropy_mean <= 8 && r->entropy_max >= 0 &&
               r->entropy_max <= 8 && number_is_within(r->mean, 1e39) &&
               number_is_within(r->deviation, 1e39) && number_is_within(r->least, 1e39) &&
               number_is_within(r->most, 1e39) && number_is_within(r->peak, 1e39) && r->zeros >= 0 &&
               r->zeros <= 1 && r->saturated >= 0 && r->saturated <= 1 && r->sampled <= r->bytes &&
               r->non_finite <= r->bytes;
}

static bool record_is_clean(const struct tensor_record *r, uint64_t size) {
        uint64_t windows = r->bytes / TENSOR_WINDOW + 1;

        return text_is_clean(r->name, sizeof r->name) && text_is_clean(r->type, sizeof r->type) &&
               r->type[0] && r->rank <= TENSOR_RANK_MAX && r->at <= size && r->bytes <= size - r->at &&
               statistics_are_clean(r) && r->windows <= windows && r->constant_windows <= windows &&
               r->repeated_windows <= windows && r->hidden_windows <= windows && r->mixed_windows <= windows;
}

/* When its last byte was read; the last ones may come while the worker looks for the end. */
static void take_tensor(struct worker_link *l, const struct worker_tensor *t) {
        if (is_starting(l) || l->phase == WORKER_PHASE_RESTING ||
            (l->set && l->phase == WORKER_PHASE_TELLING) || t->member != l->member ||
            !record_is_clean(&t->record, l->size))
                trouble(l, WORKER_LIED);
        else if (++l->tensors > TENSORS_TOLD_MAX)
                trouble(l, WORKER_FLOODED);
        else if (l->hearer)
                l->hearer->put(t->member, &t->record, l->hearer->userdata);
}

static void take_prepared(struct worker_link *l) {
        if (!is_starting(l) || l->prepared)
                trouble(l, WORKER_LIED);
        l->prepared = true;
}

static void take_ready(struct worker_link *l) {
        if (l->phase != WORKER_PHASE_STARTING || !l->prepared) {
                trouble(l, WORKER_LIED);
                return;
        }
        l->phase = l->set ? WORKER_PHASE_RESTING : WORKER_PHASE_READING;
        l->deadline_usec = clock_monotonic_usec() + l->stall_usec;
}

/* 0 for a type that does not exist. */
static size_t reply_size(uint32_t type) {
        switch (type) {
        case WORKER_PREPARED:
        case WORKER_READY:
                return sizeof(struct worker_ready);
        case WORKER_FAILED:
                return sizeof(struct worker_failed);
        case WORKER_TAKEN:
                return sizeof(struct worker_taken);
        case WORKER_FINDING:
        case WORKER_EARLY:
                return sizeof(struct worker_finding);
        case WORKER_SUMMARY:
                return sizeof(struct worker_summary);
        case WORKER_MEMBER:
                return sizeof(struct worker_member);
        case WORKER_TENSOR:
                return sizeof(struct worker_tensor);
        default:
                return 0;
        }
}

/* Slots, findings and what frames them; of a set each member has a part of a slot at least, and an answer. */
static uint64_t most_packets(const struct worker_link *l) {
        return l->total / RING_SLOT_BYTES + FINDINGS_MAX + 16 + (l->set ? 2 * l->set->n : 0);
}

static void take(struct worker_link *l, const union worker_reply *m, size_t n) {
        uint32_t type = n >= sizeof m->head ? m->head.type : 0;

        if (n == 0 || n != reply_size(type)) {
                trouble(l, WORKER_LIED);
                return;
        }
        if (type == WORKER_TENSOR) { /* they have a limit of their own */
                take_tensor(l, &m->tensor);
                return;
        }
        if (++l->packets > most_packets(l)) {
                trouble(l, WORKER_FLOODED);
                return;
        }
        switch ((enum worker_reply_type)type) {
        case WORKER_PREPARED:
                take_prepared(l);
                break;
        case WORKER_READY:
                take_ready(l);
                break;
        case WORKER_FAILED:
                take_failed(l, &m->failed);
                break;
        case WORKER_TAKEN:
                take_taken(l, &m->taken);
                break;
        case WORKER_FINDING:
                take_finding(l, &m->finding);
                break;
        case WORKER_EARLY:
                take_early(l, &m->finding);
                break;
        case WORKER_SUMMARY:
                take_summary(l, &m->summary);
                break;
        case WORKER_MEMBER:
                take_member(l, &m->member);
                break;
        case WORKER_TENSOR:
                break;
        }
}

/* It has nothing to do: a slow disk is not its fault. */
static bool is_idle(const struct worker_link *l) {
        return (l->phase == WORKER_PHASE_WAITING && l->prepared) || l->phase == WORKER_PHASE_RESTING ||
               (l->phase == WORKER_PHASE_READING && l->done == l->sent);
}

void worker_link_attend(struct worker_link *l) {
        while (!worker_link_is_over(l)) {
                union worker_reply m;
                ssize_t n = recv(l->sock, &m, sizeof m, MSG_DONTWAIT | MSG_TRUNC);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n <= 0)
                        trouble(l, WORKER_CRASHED);
                else if ((size_t)n > sizeof m)
                        trouble(l, WORKER_LIED);
                else
                        take(l, &m, (size_t)n);
        }
        if (!worker_link_is_over(l) && !is_idle(l) && clock_monotonic_usec() >= l->deadline_usec)
                trouble(l, WORKER_STUCK);
}
