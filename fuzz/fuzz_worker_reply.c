/* What a hostile scan worker says: the input is packets, each behind two bytes of length, with orders of ours in between (length 0,
 * then one byte); packets are filled up to their type's size unless the highest bit of the length is set. What quarantine believes in the end must be clean. */
#include "quarantine/worker_link.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SLOTS_MOST 8u

static bool is_text(const char *p, size_t n) {
        struct view v = view_make(p, strnlen(p, n));

        for (size_t i = 0; i < v.n; i++)
                if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
                        return false;
        return v.n < n && utf8_first_fault(v) == SIZE_MAX;
}

static void check_finding(const struct worker_link *l, const struct finding *f) {
        if ((unsigned)f->severity >= FINDING_SEVERITY_MAX || (f->stage != 2 && f->stage != 5) ||
            f->member != 0 || (f->at != UINT64_MAX && f->at > l->size) || !is_text(f->rule, sizeof f->rule) ||
            !is_text(f->message, sizeof f->message) || !is_text(f->tensor, sizeof f->tensor) ||
            strncmp(f->rule, "WORKER", 6) == 0)
                abort();
}

static void check(const struct worker_link *l) {
        const struct model_summary *s = &l->summary;

        if (l->findings.n > FINDINGS_MAX || l->done > l->sent || l->taken > l->done)
                abort();
        for (size_t i = 0; i < l->findings.n; i++)
                check_finding(l, &l->findings.list[i]);
        if (l->phase == WORKER_PHASE_DONE &&
            ((unsigned)s->kind >= MODEL_KIND_MAX || s->size != l->total || l->done != l->sent ||
             !is_text(s->name, sizeof s->name) || !is_text(s->architecture, sizeof s->architecture) ||
             !is_text(s->quantization, sizeof s->quantization)))
                abort();
}

static void order(struct worker_link *l, uint8_t what) {
        if (l->phase == WORKER_PHASE_READING && what % 2 == 0 && l->sent < SLOTS_MOST)
                worker_link_send_slot(l, RING_SLOT_BYTES);
        else if (l->phase == WORKER_PHASE_READING && what % 2 == 1)
                worker_link_send_end(l);
}

static size_t size_of(uint32_t type) {
        switch (type) {
        case WORKER_READY:
                return sizeof(struct worker_ready);
        case WORKER_FAILED:
                return sizeof(struct worker_failed);
        case WORKER_TAKEN:
                return sizeof(struct worker_taken);
        case WORKER_FINDING:
                return sizeof(struct worker_finding);
        case WORKER_SUMMARY:
                return sizeof(struct worker_summary);
        case WORKER_MEMBER:
                return sizeof(struct worker_member);
        default:
                return 0;
        }
}

/* Unless it shall be as long as it is, a packet is filled up with zeros to what its type wants. */
static ssize_t send_packet(int worker, struct view v, bool exact) {
        union worker_reply m;
        size_t n;

        if (exact || v.n > sizeof m)
                return send(worker, v.p, v.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        memset(&m, 0, sizeof m);
        if (v.n > 0)
                memcpy(&m, v.p, v.n);
        n = size_of(m.head.type);
        return send(worker, &m, n > 0 ? n : v.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void play(struct worker_link *l, int worker, struct view v) {
        static char orders[65536];

        while (v.n >= 2 && !worker_link_is_over(l)) {
                uint16_t head = load_le16(v.p);
                bool exact = head & 0x8000;
                size_t n = head & 0x7fff;

                v = view_sub(v, 2, SIZE_MAX);
                if (n == 0 && v.n > 0) {
                        order(l, (uint8_t)v.p[0]);
                        v = view_sub(v, 1, SIZE_MAX);
                        continue;
                }
                n = MIN_OF(n, v.n);
                if (send_packet(worker, view_sub(v, 0, n), exact) < 0)
                        return;
                v = view_sub(v, n, SIZE_MAX);
                worker_link_attend(l);
                check(l);
                while (recv(worker, orders, sizeof orders, MSG_DONTWAIT) > 0)
                        ;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct worker_link l;
        int ends[2];

        memset(&l, 0, sizeof l);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                abort();
        l.sock = ends[0];
        l.worker.pid_fd = -EBADF;
        l.size = l.total = (uint64_t)SLOTS_MOST * RING_SLOT_BYTES;
        l.stall_usec = 3600 * USEC_PER_SEC;
        l.deadline_usec = clock_monotonic_usec() + l.stall_usec;
        play(&l, ends[1], view_make(data, n));
        check(&l);
        close_fd(ends[0]);
        close_fd(ends[1]);
        return 0;
}
