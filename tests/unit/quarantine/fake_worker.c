/* A scan-worker that misbehaves as the artifact's name tells it to. Takes the place of the real one in tests of what quarantine
 * believes. */
#include "quarantine/worker_protocol.h"

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
                                               .at = 0,
                                               .message = "found"}};

        return f;
}

static void hang(void) {
        for (;;)
                (void)pause();
}

static void misbehave_early(void) {
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

int main(void) {
        struct worker_order o;
        uint64_t slots = 0;

        if (recv(WORKER_CONTROL_FD, &begin, sizeof begin, 0) != (ssize_t)sizeof begin)
                return 1;
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
        misbehave_early();
        while (recv(WORKER_CONTROL_FD, &o, sizeof o, 0) == (ssize_t)sizeof o && o.type == WORKER_SLOT) {
                misbehave_while_reading(slots);
                if (slots > 0 || !is("never"))
                        taken(slots);
                slots++;
        }
        lie_about_a_finding();
        flood();
        summarise();
        return 0;
}
