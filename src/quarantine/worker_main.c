/* scan-worker: reads the bytes of one artifact from the ring and says what it found. It compiles the rules that
 * quarantine hands it, then locks itself: no files, no network, no new process; a forbidden system call kills it. Then it waits for
 * one artifact (a file, or one lane's part of a folder). Only after all that does it look at the first byte. */
#include "base/num.h"
#include "core/set_listing.h"
#include "model/model_set.h"
#include "quarantine/archive_walk.h"
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
        bool told_early;
        struct finding_sink sink;
        struct model_set *set; /* of a folder */
        struct finding_sink
                set_sink; /* of the set: mute while lane 1 learns the names, which lane 0 judges */
        struct finding_sink file_sink; /* of the signatures: says which member it is about */
        bool mute;
        uint32_t member; /* that is read, or 0 */
        uint64_t size;   /* of the file that is read */
        uint64_t windows;
        struct view names; /* of the members */
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

/* The next order. */
static int receive_order(union worker_any_order *o) {
        struct iovec iov = {.iov_base = o, .iov_len = sizeof *o};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        do
                n = recvmsg(WORKER_CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return -EPIPE;
        if (n < (ssize_t)sizeof o->type)
                return -EPROTO;
        return n == (ssize_t)(o->type == WORKER_FACT ? sizeof o->fact : sizeof o->order) ? 0 : -EPROTO;
}

/* PREPARE comes with the descriptor of the rules, BEGIN of a folder with that of the names. */
static int receive_first(struct worker_order *o, enum worker_order_type type, int *ret_fd) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = o, .iov_len = sizeof *o};
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        struct cmsghdr *c;
        ssize_t n;

        do
                n = recvmsg(WORKER_CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof *o)
                return n == 0 ? -EPIPE : -EPROTO;
        if (o->type != type)
                return -EPROTO;
        if (type == WORKER_BEGIN && o->members == 0)
                return 0;
        c = CMSG_FIRSTHDR(&m);
        if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
                return -EPROTO;
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
        return 0;
}

/* -EFBIG for one that is empty or longer than `most`. */
static int map_text(int fd, size_t most, struct view *ret) {
        struct stat st;
        void *p;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size <= 0 || (uint64_t)st.st_size > most)
                return -EFBIG;
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        *ret = view_make(p, (size_t)st.st_size);
        return 0;
}

static int load_rules(int fd, struct rules **ret, struct fault *reterr) {
        struct view text;
        int r = map_text(fd, RULES_TEXT_MAX, &text);

        if (r == -EFBIG)
                return fault_set(reterr, r, "RULES-003", 0, "the rules are empty or longer than %zu bytes",
                                 RULES_TEXT_MAX);
        if (r < 0)
                return r;
        r = rules_load(text, ret, reterr);
        (void)munmap((void *)(uintptr_t)text.p, text.n);
        return r;
}

/* What needs neither the artifact nor trust in it; ends locked in. */
static int prepare(struct worker *w) {
        struct worker_ready prepared = {.head.type = WORKER_PREPARED};
        struct fault why = FAULT_NONE;
        _cleanup_(closep) int rules = -EBADF;
        int r;

        r = receive_first(&w->begin, WORKER_PREPARE, &rules);
        if (r < 0)
                return r;
        r = ring_view_map(WORKER_RING_FD, RING_SLOTS, RING_SLOT_BYTES, &w->ring);
        if (r < 0)
                return fail("mapping the ring", r, NULL);
        r = load_rules(rules, &w->rules, &why);
        if (r < 0)
                return fail("signature rules", r, &why);
        rules = close_fd(rules);
        (void)close(WORKER_RING_FD);
        r = archive_walk_prepare();
        if (r < 0)
                return fail("archives", r, NULL);
        r = worker_sandbox_enter(&why);
        if (r < 0)
                return fail("sandbox", r, &why);
        prepared.rules = rules_count(w->rules);
        return reply(&prepared, sizeof prepared);
}

/* A failure shows at the next reply. */
static void put_tensor(void *userdata, const struct tensor_record *r) {
        const struct worker *w = userdata;
        struct worker_tensor t = {.head.type = WORKER_TENSOR, .member = w->member, .record = *r};

        (void)reply(&t, sizeof t);
}

static void prepare_weights(struct worker *w) {
        struct tensor_sink sink = {.put = put_tensor, .userdata = w};

        model_scan_set_tensor_sink(w->model, &sink);
        model_scan_set_weights_limits(w->model, &w->begin.weights);
}

/* The first that rejects is told at once. A failure shows at the next reply. */
static void put_finding(struct worker *w, const struct finding *f) {
        struct worker_finding early = {.head.type = WORKER_EARLY, .finding = *f};

        collector_put(&w->findings, f);
        if (w->told_early || f->severity != FINDING_REJECT)
                return;
        w->told_early = true;
        (void)reply(&early, sizeof early);
}

static void put_of_single(void *userdata, const struct finding *f) {
        put_finding(userdata, f);
}

static void put_of_set(void *userdata, const struct finding *f) {
        struct worker *w = userdata;

        if (!w->mute)
                put_finding(w, f);
}

static void put_of_file(void *userdata, const struct finding *f) {
        struct worker *w = userdata;
        struct finding own = *f;

        own.member = w->member;
        put_finding(w, &own);
}

static int add_members(struct worker *w) {
        struct view rest = w->names, line, size;
        uint32_t n = 0;
        uint64_t bytes;

        for (; view_split(&rest, '\n', &line); n++) {
                int r;

                if (!view_split(&line, ' ', &size) || u64_parse(size, SET_BYTES_MAX, &bytes) < 0)
                        return -EPROTO;
                r = model_set_add(w->set, line, bytes);
                if (r < 0)
                        return r;
        }
        return n == w->begin.members && rest.n == 0 ? 0 : -EPROTO;
}

static int start_set(struct worker *w) {
        int r;

        w->set_sink = (struct finding_sink){.put = put_of_set, .userdata = w};
        w->file_sink = (struct finding_sink){.put = put_of_file, .userdata = w};
        r = model_set_new(&w->set_sink, &w->set);
        w->mute = w->begin.lane > 0;
        if (r >= 0)
                r = add_members(w);
        w->mute = false;
        return r;
}

static int start_file(struct worker *w) {
        int r = model_scan_new(w->begin.n, view_make(w->begin.name, w->begin.name_n), &w->sink, &w->model);

        w->size = w->begin.n;
        if (r < 0)
                return r;
        model_scan_set_unpacker(w->model, archive_walk_unpacker());
        prepare_weights(w);
        return signature_scan_new(w->rules, &w->sink, &w->signatures);
}

static int start(struct worker *w) {
        struct worker_ready ready = {.head.type = WORKER_READY, .rules = rules_count(w->rules)};
        _cleanup_(closep) int names = -EBADF;
        int r;

        r = receive_first(&w->begin, WORKER_BEGIN, &names);
        if (r < 0)
                return r;
        if (w->begin.name_n > ARTIFACT_NAME_MAX || w->begin.members > SET_MEMBERS_MAX)
                return -EPROTO;
        if (w->begin.members > 0)
                r = map_text(names, SET_LISTING_MAX, &w->names);
        if (r < 0)
                return fail("names", r, NULL);
        w->sink = (struct finding_sink){.put = put_of_single, .userdata = w};
        r = w->begin.members > 0 ? start_set(w) : start_file(w);
        return r < 0 ? fail("memory", r, NULL) : reply(&ready, sizeof ready);
}

static int take_slot(struct worker *w, const struct worker_order *o) {
        struct worker_taken taken = {.head.type = WORKER_TAKEN};
        struct view bytes = {(const char *)ring_view_slot(&w->ring, w->slots), (size_t)o->n};
        bool last;
        int r;

        if (!w->model || o->slot != w->slots % RING_SLOTS || o->n == 0 || o->n > RING_SLOT_BYTES ||
            o->n > w->size - w->at)
                return -EPROTO;
        last = w->at + o->n == w->size;
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

/* --- the files of a set --- */

static int begin_file(struct worker *w, const struct worker_order *o) {
        int r;

        if (!w->set || w->model || o->member == 0 || o->member > w->begin.members)
                return -EPROTO;
        w->member = o->member;
        w->size = o->n;
        w->at = w->slots = 0;
        r = model_set_scan_new(w->set, o->member - 1, &w->model);
        if (r < 0)
                return r;
        model_scan_set_unpacker(w->model, archive_walk_unpacker());
        prepare_weights(w);
        return signature_scan_new(w->rules, &w->file_sink, &w->signatures);
}

static int end_file(struct worker *w, const struct worker_order *o) {
        struct worker_member m = {.head.type = WORKER_MEMBER, .member = w->member};
        int r;

        if (!w->set || !w->model || o->member != w->member)
                return -EPROTO;
        r = model_scan_finish(w->model, &m.facts);
        if (r >= 0)
                r = model_set_fact(w->set, w->member - 1, &m.facts);
        if (r < 0)
                return r;
        w->windows += signature_scan_windows(w->signatures);
        w->model = model_scan_free(w->model);
        w->signatures = signature_scan_free(w->signatures);
        w->member = 0;
        return reply(&m, sizeof m);
}

static int take_fact(struct worker *w, const struct worker_fact *f) {
        if (!w->set || w->model || f->member == 0 || f->member > w->begin.members)
                return -EPROTO;
        return model_set_fact(w->set, f->member - 1, &f->facts);
}

/* Lane 1 has seen a part only: what the whole is, lane 0 says. */
static int finish(struct worker *w, struct model_summary *ret) {
        int r;

        *ret = (struct model_summary){.size = w->begin.n};
        if (w->set)
                return w->model ? -EPROTO : w->begin.lane > 0 ? 0 : model_set_finish(w->set, ret);
        r = model_scan_finish(w->model, ret);
        w->windows = signature_scan_windows(w->signatures);
        return r;
}

static int tell(struct worker *w) {
        struct worker_summary s = {.head.type = WORKER_SUMMARY};
        int r;

        r = finish(w, &s.summary);
        if (r < 0)
                return r;
        for (size_t i = 0; i < w->findings.n; i++) {
                struct worker_finding f = {.head.type = WORKER_FINDING, .finding = w->findings.list[i]};

                r = reply(&f, sizeof f);
                if (r < 0)
                        return r;
        }
        s.dropped = w->findings.dropped;
        s.windows = w->windows;
        return reply(&s, sizeof s);
}

/* 1 = all is told. */
static int follow(struct worker *w, const union worker_any_order *o) {
        int r;

        switch ((enum worker_order_type)o->type) {
        case WORKER_SLOT:
                return take_slot(w, &o->order);
        case WORKER_FILE:
                return begin_file(w, &o->order);
        case WORKER_FILE_END:
                return end_file(w, &o->order);
        case WORKER_FACT:
                return take_fact(w, &o->fact);
        case WORKER_END:
                r = tell(w);
                return r < 0 ? r : 1;
        case WORKER_BEGIN:
        case WORKER_PREPARE:
                break;
        }
        return -EPROTO;
}

static int serve(struct worker *w) {
        int r;

        do {
                union worker_any_order o;

                r = receive_order(&o);
                if (r >= 0)
                        r = follow(w, &o);
        } while (r == 0);
        return r;
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
