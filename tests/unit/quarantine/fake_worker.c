/* A scan-worker that misbehaves as the artifact's name tells it to. Takes the place of the real one in tests of what quarantine
 * believes. */
#include "quarantine/worker_protocol.h"

#include <math.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct worker_order begin;

static bool is(const char *name) {
        return begin.name_n == strlen(name) && memcmp(begin.name, name, begin.name_n) == 0;
}

static void put(const void *p, size_t n) {
        if (send(WORKER_CONTROL_FD, p, n, MSG_NOSIGNAL) != (ssize_t)n)
                _exit(3);
}

static void ready(void) {
        struct worker_ready r = {.head.type = WORKER_READY, .rules = 1};

        put(&r, sizeof r);
}

static void taken(uint64_t slots) {
        struct worker_taken t = {.head.type = WORKER_TAKEN, .slots = slots};

        put(&t, sizeof t);
}

static struct worker_finding finding(void) {
        struct worker_finding f = {.head.type = WORKER_FINDING,
                                   .finding = {.stage = 5,
                                               .severity = FINDING_WARNING,
                                               .rule = "TEST-001",
                                               .at = begin.members ? UINT64_MAX : 0,
                                               .message = "found"}};

        return f;
}

static void hang(void) {
        for (;;)
                (void)pause();
}

/* The real one can't: its sandbox kills it. Here the child keeps the line open after its parent has gone. */
static void fork_and_leave(void) {
        pid_t child = fork();

        if (child != 0)
                _exit(0);
        (void)sleep(3);
        _exit(0);
}

static void misbehave_early(void) {
        if (is("fork-and-leave"))
                fork_and_leave();
        if (is("crash-at-start"))
                _exit(1);
        if (is("abort-at-start"))
                abort();
        if (is("hang-at-start"))
                hang();
        if (is("ready-twice"))
                ready();
        if (is("short-packet"))
                put("x", 1);
        if (is("long-packet")) {
                static char big[sizeof(union worker_reply) + 100];

                put(big, sizeof big);
        }
        if (is("unknown-type"))
                put(&(struct worker_ready){.head.type = 0x77}, sizeof(struct worker_ready));
        if (is("finding-too-early")) {
                struct worker_finding f = finding();

                put(&f, sizeof f);
        }
        if (is("summary-too-early"))
                put(&(struct worker_summary){.head.type = WORKER_SUMMARY}, sizeof(struct worker_summary));
        if (is("failed-after-ready"))
                put(&(struct worker_failed){.head.type = WORKER_FAILED, .text = "no"},
                    sizeof(struct worker_failed));
        if (is("taken-too-far"))
                taken(1000);
        if (is("tensor-too-large")) {
                static char big[sizeof(struct worker_tensor) + 8];

                memcpy(big, &(uint32_t){WORKER_TENSOR}, sizeof(uint32_t));
                put(big, sizeof big);
        }
}

static void tell_early(const char *rule) {
        struct worker_finding f = finding();

        f.head.type = WORKER_EARLY;
        f.finding.severity = FINDING_REJECT;
        (void)snprintf(f.finding.rule, sizeof f.finding.rule, "%s", rule);
        if (is("early-warning"))
                f.finding.severity = FINDING_WARNING;
        put(&f, sizeof f);
        if (is("early-twice"))
                put(&f, sizeof f);
}

/* As it said before, or as it did not. */
static void stand_by_what_was_early(void) {
        struct worker_finding f = finding();

        f.finding.severity = FINDING_REJECT;
        if (is("early-and-in-the-end") || is("early-twice") || is("early-of-another"))
                put(&f, sizeof f);
}

static void misbehave_while_reading(uint64_t slots) {
        if (is("crash-while-reading"))
                _exit(0);
        if (is("hang-while-reading"))
                hang();
        if (is("taken-backwards") && slots == 3)
                taken(0);
}

static void lie_about_a_finding(void) {
        struct worker_finding f = finding();

        if (is("bad-rule"))
                (void)snprintf(f.finding.rule, sizeof f.finding.rule, "<b>");
        else if (is("borrowed-rule"))
                (void)snprintf(f.finding.rule, sizeof f.finding.rule, "WORKER-001");
        else if (is("unterminated-rule"))
                memset(f.finding.rule, 'A', sizeof f.finding.rule);
        else if (is("bad-utf8"))
                (void)snprintf(f.finding.message, sizeof f.finding.message, "a\xff");
        else if (is("control-characters"))
                (void)snprintf(f.finding.message, sizeof f.finding.message, "\x1b[2J");
        else if (is("direction-marks"))
                (void)snprintf(f.finding.tensor, sizeof f.finding.tensor, "\xe2\x80\xae");
        else if (is("unterminated-message"))
                memset(f.finding.message, 'a', sizeof f.finding.message);
        else if (is("empty-message"))
                f.finding.message[0] = '\0';
        else if (is("stage-of-others"))
                f.finding.stage = 6;
        else if (is("severity-out-of-range"))
                f.finding.severity = (enum finding_severity)77;
        else if (is("place-beyond-the-file"))
                f.finding.at = begin.n + 1;
        else
                return;
        put(&f, sizeof f);
}

static struct worker_tensor tensor(void) {
        struct worker_tensor t = {
                .head.type = WORKER_TENSOR,
                .record = {.name = "t", .type = "F32", .rank = 1, .bytes = 64, .sampled = 16}};

        t.record.shape[0] = 16;
        return t;
}

static void lie_about_a_tensor(void) {
        struct worker_tensor t = tensor();
        struct tensor_record *r = &t.record;

        if (is("tensor-with-escape"))
                (void)snprintf(r->name, sizeof r->name, "\x1b[2J");
        else if (is("tensor-unterminated"))
                memset(r->name, 'a', sizeof r->name);
        else if (is("tensor-without-a-type"))
                r->type[0] = '\0';
        else if (is("tensor-rank-out-of-range"))
                r->rank = TENSOR_RANK_MAX + 1;
        else if (is("tensor-beyond-the-file"))
                r->at = begin.n - 63;
        else if (is("tensor-larger-than-the-file"))
                r->bytes = UINT64_MAX;
        else if (is("tensor-flags-out-of-range"))
                r->flags = TENSOR_FLAGS_ALL + 1;
        else if (is("tensor-mean-is-no-number"))
                r->mean = (double)INFINITY - (double)INFINITY;
        else if (is("tensor-entropy-out-of-range"))
                r->entropy_max = 8.5;
        else if (is("tensor-moments-out-of-range"))
                r->moments = TENSOR_MOMENTS_MAX;
        else if (is("tensor-windows-out-of-range"))
                r->windows = 3;
        else if (is("tensor-of-a-member"))
                t.member = 1;
        else if (!is("tensors"))
                return;
        put(&t, sizeof t);
        for (unsigned i = 0; i < 9 && is("tensors"); i++)
                put(&t, sizeof t);
}

static void flood(void) {
        struct worker_finding f = finding();

        for (unsigned i = 0; is("flood") || (is("one-too-many") && i < FINDINGS_MAX + 1) ||
                             (is("as-many-as-allowed") && i < FINDINGS_MAX);
             i++)
                put(&f, sizeof f);
}

static void summarise(void) {
        struct worker_summary s = {.head.type = WORKER_SUMMARY,
                                   .summary = {.kind = MODEL_KIND_GGUF, .size = begin.n}};

        if (is("no-summary"))
                _exit(0);
        if (is("size-of-another"))
                s.summary.size++;
        if (is("kind-out-of-range"))
                s.summary.kind = (enum model_kind)99;
        if (is("bool-out-of-range"))
                memset(&s.summary.has_chat_template, 7, 1);
        if (is("name-with-escape"))
                (void)snprintf(s.summary.name, sizeof s.summary.name, "\x1b]0;x\x07");
        put(&s, sizeof s);
}

/* Tries to change what quarantine hashes. (A plain write would already end in the launcher's limit on file sizes.) */
static void write_to_the_ring(void) {
        void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, WORKER_RING_FD, 0);

        if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_RING_FD, 0) != MAP_FAILED ||
            mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0 || ftruncate(WORKER_RING_FD, 0) == 0)
                _exit(9); /* it worked: the test sees a crash where it expects none */
}

/* Of a set, the name of the member that is no model says how to misbehave. */
static void take_name(int names_fd) {
        static char text[4096];
        ssize_t n = pread(names_fd, text, sizeof text - 1, 0);
        char *line = text, *end;

        for (; n > 0 && (end = strchr(line, '\n')); line = end + 1) {
                *end = '\0';
                if (strstr(line, ".txt")) {
                        *strstr(line, ".txt") = '\0';
                        line = strchr(line, ' ') + 1;
                        begin.name_n = (uint32_t)strlen(line);
                        memcpy(begin.name, line, begin.name_n);
                        return;
                }
        }
}

static bool receive_begin(void) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = &begin, .iov_len = sizeof begin};
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        int fd;

        if (recvmsg(WORKER_CONTROL_FD, &m, 0) != (ssize_t)sizeof begin)
                return false;
        if (begin.members > 0) {
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
                take_name(fd);
        }
        return true;
}

static void prepared(void) {
        struct worker_ready r = {.head.type = WORKER_PREPARED, .rules = 1};

        put(&r, sizeof r);
}

static void lie_about_a_member(const struct worker_order *o) {
        struct worker_finding f = finding();

        if (is("finding-of-no-member"))
                f.finding.member = begin.members + 1;
        else if (is("place-beyond-the-member")) {
                f.finding.member = 1;
                f.finding.at = begin.n + 1;
        } else if (is("place-in-the-whole"))
                f.finding.at = 0;
        else if (is("stage-six-of-a-set"))
                f.finding.stage = 6;
        else
                return;
        put(&f, sizeof f);
}

static void answer_file(uint32_t member, uint64_t size) {
        struct worker_member m = {.head.type = WORKER_MEMBER,
                                  .member = member,
                                  .facts = {.kind = MODEL_KIND_SAFETENSORS, .size = size}};

        if (is("member-of-another"))
                m.member++;
        if (is("size-of-another-member"))
                m.facts.size++;
        if (is("hang-at-a-member"))
                hang();
        put(&m, sizeof m);
        if (is("member-twice"))
                put(&m, sizeof m);
        if (is("taken-between-files"))
                taken(0);
}

static int serve_set(void) {
        uint64_t slots = 0, size = 0;
        union worker_any_order o;

        if (is("crash-at-the-second-lane") && begin.lane == 1)
                _exit(1);
        while (recv(WORKER_CONTROL_FD, &o, sizeof o, 0) > 0) {
                if (o.type == WORKER_FILE) {
                        slots = 0;
                        size = o.order.n;
                } else if (o.type == WORKER_SLOT)
                        taken(slots++);
                else if (o.type == WORKER_FILE_END)
                        answer_file(o.order.member, size);
                else if (o.type == WORKER_END) {
                        lie_about_a_member(&o.order);
                        flood();
                        summarise();
                        return 0;
                }
        }
        return 1;
}

int main(void) {
        struct worker_order o;
        uint64_t slots = 0;

        if (recv(WORKER_CONTROL_FD, &o, sizeof o, 0) != (ssize_t)sizeof o || o.type != WORKER_PREPARE)
                return 1;
        prepared();
        if (!receive_begin())
                return 1;
        if (is("prepared-twice"))
                prepared();
        if (is("failed")) {
                put(&(struct worker_failed){.head.type = WORKER_FAILED, .text = "the rules do not compile"},
                    sizeof(struct worker_failed));
                return 1;
        }
        if (is("failed-with-escape"))
                put(&(struct worker_failed){.head.type = WORKER_FAILED, .text = "\x1b[1m"},
                    sizeof(struct worker_failed));
        if (is("write-to-the-ring"))
                write_to_the_ring();
        if (is("crash-at-start") || is("abort-at-start") || is("hang-at-start"))
                misbehave_early();
        ready();
        if (begin.members > 0)
                return serve_set();
        misbehave_early();
        if (is("early-and-in-the-end") || is("early-only") || is("early-twice") || is("early-warning"))
                tell_early("TEST-001");
        if (is("early-of-another"))
                tell_early("TEST-002");
        if (is("early-bad-rule"))
                tell_early("<b>");
        while (recv(WORKER_CONTROL_FD, &o, sizeof o, 0) == (ssize_t)sizeof o && o.type == WORKER_SLOT) {
                misbehave_while_reading(slots);
                if (slots > 0 || !is("never"))
                        taken(slots);
                slots++;
        }
        lie_about_a_tensor();
        lie_about_a_finding();
        stand_by_what_was_early();
        flood();
        summarise();
        return 0;
}
