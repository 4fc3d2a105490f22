/* scan-worker: reads the bytes of one artifact from the ring and says what it found. It is started for one artifact, compiles
 * the rules that quarantine hands it, then locks itself: no files, no network, no new process; a forbidden system
 * call kills it. Only after that does it look at the first byte. */
#include "quarantine/collector.h"
#include "quarantine/ring.h"
#include "quarantine/signature_scan.h"
#include "quarantine/worker_protocol.h"
#include "quarantine/worker_sandbox.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct worker {
        struct worker_order begin;
        struct ring_view ring;
        struct rules *rules;
        struct collector findings;
        struct finding_sink sink;
        struct model_scan *model;
        struct signature_scan *signatures;
        uint64_t at;
        uint64_t slots;
};

static int reply(const void *p, size_t n) {
        ssize_t sent;

        do
                sent = send(WORKER_CONTROL_FD, p, n, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent == (ssize_t)n ? 0 : -EPIPE;
}

static int fail(const char *what, int code, const struct fault *why) {
        struct worker_failed f = {.head.type = WORKER_FAILED};

        (void)snprintf(f.text, sizeof f.text, "%s: %s", what,
                       why && why->text[0] ? why->text : strerror(-code));
        (void)reply(&f, sizeof f);
        return code;
}

/* The next order; *ret_fd gets the descriptor that came along (BEGIN), if any. */
static int receive_order(struct worker_order *o, int *ret_fd) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = o, .iov_len = sizeof *o};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        if (ret_fd) {
                m.msg_control = &control;
                m.msg_controllen = sizeof control;
        }
        do
                n = recvmsg(WORKER_CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof *o)
                return n == 0 ? -EPIPE : -EPROTO;
        if (ret_fd) {
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);

                if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
                        return -EPROTO;
                memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        }
        return 0;
}

static int load_rules(int fd, struct rules **ret, struct fault *reterr) {
        struct stat st;
        void *p;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size <= 0 || (uint64_t)st.st_size > RULES_TEXT_MAX)
                return fault_set(reterr, -EFBIG, "RULES-003", 0,
                                 "the rules are empty or longer than %zu bytes", RULES_TEXT_MAX);
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        r = rules_load(view_make(p, (size_t)st.st_size), ret, reterr);
        (void)munmap(p, (size_t)st.st_size);
        return r;
}

static int prepare(struct worker *w) {
        _cleanup_(closep) int rules_fd = -EBADF;
        struct fault why = FAULT_NONE;
        int r;

        r = receive_order(&w->begin, &rules_fd);
        if (r < 0)
                return r;
        if (w->begin.type != WORKER_BEGIN || w->begin.name_n > ARTIFACT_NAME_MAX)
                return -EPROTO;
        r = ring_view_map(WORKER_RING_FD, RING_SLOTS, RING_SLOT_BYTES, &w->ring);
        if (r < 0)
                return fail("mapping the ring", r, NULL);
        r = load_rules(rules_fd, &w->rules, &why);
        if (r < 0)
                return fail("signature rules", r, &why);
        (void)close(WORKER_RING_FD);
        return 0;
}

static int start(struct worker *w) {
        struct worker_ready ready = {.head.type = WORKER_READY, .rules = rules_count(w->rules)};
        struct fault why = FAULT_NONE;
        int r;

        r = worker_sandbox_enter(&why);
        if (r < 0)
                return fail("sandbox", r, &why);
        w->sink = collector_sink(&w->findings);
        r = model_scan_new(w->begin.n, view_make(w->begin.name, w->begin.name_n), &w->sink, &w->model);
        if (r >= 0)
                r = signature_scan_new(w->rules, &w->sink, &w->signatures);
        return r < 0 ? fail("memory", r, NULL) : reply(&ready, sizeof ready);
}

static int take_slot(struct worker *w, const struct worker_order *o) {
        struct worker_taken taken = {.head.type = WORKER_TAKEN};
        struct view bytes = {(const char *)ring_view_slot(&w->ring, w->slots), (size_t)o->n};
        bool last;
        int r;

        if (o->slot != w->slots % RING_SLOTS || o->n == 0 || o->n > RING_SLOT_BYTES ||
            o->n > w->begin.n - w->at)
                return -EPROTO;
        last = w->at + o->n == w->begin.n;
        if (!last && o->n != RING_SLOT_BYTES)
                return -EPROTO;
        r = model_scan_feed(w->model, bytes);
        if (r >= 0)
                r = signature_scan_feed(w->signatures, bytes, w->slots ? RING_SLOT_BYTES : 0, w->at, last);
        if (r < 0)
                return r;
        w->at += o->n;
        taken.slots = w->slots++; /* this one is still looked at together with the next */
        return reply(&taken, sizeof taken);
}

static int tell(struct worker *w) {
        struct worker_summary s = {.head.type = WORKER_SUMMARY};
        int r;

        r = model_scan_finish(w->model, &s.summary);
        if (r < 0)
                return r;
        for (size_t i = 0; i < w->findings.n; i++) {
                struct worker_finding f = {.head.type = WORKER_FINDING, .finding = w->findings.list[i]};

                r = reply(&f, sizeof f);
                if (r < 0)
                        return r;
        }
        s.dropped = w->findings.dropped;
        s.windows = signature_scan_windows(w->signatures);
        return reply(&s, sizeof s);
}

static int serve(struct worker *w) {
        for (;;) {
                struct worker_order o;
                int r;

                r = receive_order(&o, NULL);
                if (r >= 0)
                        r = o.type == WORKER_SLOT ? take_slot(w, &o) : o.type == WORKER_END ? 1 : -EPROTO;
                if (r < 0)
                        return r;
                if (r == 1)
                        return tell(w);
        }
}

int main(int argc, char *argv[]) {
        static struct worker w;
        int r;

        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                (void)puts("scan-worker " SAI_VERSION);
                return 0;
        }
        r = prepare(&w);
        if (r >= 0)
                r = start(&w);
        if (r >= 0)
                r = serve(&w);
        /* No tidying up: the memory goes with the process, and exit handlers of libraries have no business here. */
        _exit(r < 0 ? 1 : 0);
}
