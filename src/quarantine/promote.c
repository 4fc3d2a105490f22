#include "quarantine/promote.h"

#include "base/clock.h"
#include "base/text.h"
#include "core/fd_channel.h"
#include "quarantine/claim_set.h"
#include "quarantine/job_documents.h"

#include <poll.h>

#define CONNECT_USEC (UINT64_C(10) * USEC_PER_SEC)
#define ANSWER_USEC  (UINT64_C(30) * USEC_PER_SEC) /* for the rest of an answer that has begun */

static int write_base64(struct json_writer *w, const char *name, const struct buf *bytes) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FD_MESSAGE_MAX);
        int r = base64_encode(buf_view(bytes), &text);

        if (r >= 0)
                json_member_view(w, name, buf_view(&text));
        return r;
}

static int write_request(const struct job *j, struct buf *out) {
        _cleanup_(buf_donep) struct buf name = BUF_INIT(4 * ARTIFACT_NAME_MAX + 8);
        struct json_writer w = JSON_WRITER(out);
        int r;

        r = buf_append_escaped(&name, buf_view(&j->name), ARTIFACT_NAME_MAX);
        if (r < 0)
                return r;
        json_object_begin(&w);
        json_member_string(&w, "op", "promote");
        json_member_string(&w, "job", j->id);
        json_member_view(&w, "name", buf_view(&name));
        r = write_base64(&w, "evidence", &j->evidence);
        if (r >= 0)
                r = write_base64(&w, "signature", &j->evidence_signature);
        json_object_end(&w);
        return r < 0 ? r : json_write_end(&w);
}

static void tell(struct promote_result *ret, const char *code, struct view text) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(sizeof ret->text - 1);

        (void)snprintf(ret->code, sizeof ret->code, "%s", code);
        if (buf_append_escaped(&shown, text, 90) < 0)
                return;
        (void)snprintf(ret->text, sizeof ret->text, "%s", buf_str(&shown));
}

static enum promote_answer read_answer(const struct json *o, const struct job *j,
                                       struct promote_result *ret) {
        bool ok = false, final = false;
        char code[64];

        if (json_get_bool(o, "ok", &ok) < 0) {
                tell(ret, "registry_confused", VIEW("the registry's answer makes no sense"));
                return PROMOTE_LATER;
        }
        if (ok && view_eq_str(json_get_view(o, "sha256", VIEW_NULL), j->sha256)) {
                if (json_get_bool(o, "duplicate", &ret->duplicate) < 0)
                        ret->duplicate = false;
                return PROMOTE_TAKEN;
        }
        if (ok) {
                tell(ret, "registry_confused",
                     VIEW("the registry confirms another file than the one it was given"));
                return PROMOTE_REFUSED;
        }
        (void)snprintf(code, sizeof code, "%.*s", VIEW_ARG(json_get_view(o, "code", VIEW("refused"))));
        tell(ret, code, json_get_view(o, "message", VIEW_NULL));
        return json_get_bool(o, "final", &final) == 0 && final ? PROMOTE_REFUSED : PROMOTE_LATER;
}

/* Waits in steps: a service that stops does not wait for the registry. */
static int receive(const struct quarantine *q, int sock, struct json_document **ret) {
        uint64_t deadline = clock_monotonic_usec() + PROMOTE_TIMEOUT_USEC;
        struct pollfd p = {.fd = sock, .events = POLLIN};
        _cleanup_(closep) int unwanted = -EBADF;

        while (poll(&p, 1, (int)(PROMOTE_STEP_USEC / USEC_PER_MSEC)) <= 0) {
                if (live_is_stopping(q->live))
                        return -ECANCELED;
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
        }
        return fd_channel_receive(sock, ANSWER_USEC, ret, &unwanted);
}

/* --- one exchange --- */

struct handing {
        const struct quarantine *q;
        const struct job *job;
        int sock;
        struct promote_result *result;
        enum promote_answer answer; /* when a step failed */
};

static int fail(struct handing *h, enum promote_answer answer, const char *code, struct view text) {
        tell(h->result, code, text);
        h->answer = answer;
        return -EPERM;
}

static int unreachable(struct handing *h, int r) {
        return fail(h, PROMOTE_LATER, "registry_unreachable", view_of(strerror(-r)));
}

static int exchange(struct handing *h, struct view request, int fd, struct json_document **ret) {
        int r = fd_channel_send(h->sock, request, fd, CONNECT_USEC);

        if (r >= 0)
                r = receive(h->q, h->sock, ret);
        return r < 0 ? unreachable(h, r) : 0;
}

/* A step before the last: the registry says yes, or why not. */
static int hand_in(struct handing *h, struct view request, int fd) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        bool ok = false, final = false;
        const struct json *o;
        char code[64];
        int r = exchange(h, request, fd, &doc);

        if (r < 0)
                return r;
        o = json_root(doc);
        if (json_get_bool(o, "ok", &ok) == 0 && ok)
                return 0;
        (void)snprintf(code, sizeof code, "%.*s", VIEW_ARG(json_get_view(o, "code", VIEW("refused"))));
        return fail(h, json_get_bool(o, "final", &final) == 0 && final ? PROMOTE_REFUSED : PROMOTE_LATER,
                    code, json_get_view(o, "message", VIEW_NULL));
}

/* --- the files of a folder --- */

static int hand_in_member(struct handing *h, int dir, const struct set_file *f, const struct sha256 *digest) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(512);
        _cleanup_(closep) int fd = set_walk_open(dir, f);
        char hex[SHA256_HEX_SIZE];

        if (fd < 0)
                return fail(h, PROMOTE_LATER, "file_changed", view_of(strerror(-fd)));
        sha256_hex(digest, hex);
        if (buf_printf(&request, "{\"op\":\"member\",\"sha256\":\"%s\",\"size\":%llu}", hex,
                       (unsigned long long)f->size) < 0)
                return unreachable(h, -ENOMEM);
        return hand_in(h, buf_view(&request), fd);
}

struct content {
        const struct sha256 *digest;
        size_t position;
};

static int by_digest(const void *a, const void *b) {
        const struct content *x = a, *y = b;
        int order = memcmp(x->digest->b, y->digest->b, SHA256_SIZE);

        return order ? order : x->position < y->position ? -1 : 1;
}

/* Each content once, whatever names it has. */
static int hand_in_contents(struct handing *h, int dir, const struct set_walk *set,
                            const struct set_listing *l) {
        _cleanup_(freep) struct content *list = calloc(l->n, sizeof *list);
        uint64_t bytes = 0;
        int r = list ? 0 : unreachable(h, -ENOMEM);

        for (size_t i = 0; list && i < l->n; i++)
                list[i] = (struct content){&l->members[i].sha256, i};
        if (list)
                qsort(list, l->n, sizeof *list, by_digest);
        for (size_t i = 0; i < l->n && r >= 0; i++) {
                if (i > 0 && memcmp(list[i].digest->b, list[i - 1].digest->b, SHA256_SIZE) == 0)
                        continue;
                r = hand_in_member(h, dir, &set->files[list[i].position], list[i].digest);
                bytes += set->files[list[i].position].size;
                live_progress_set(h->q->live, h->job->id, 7, bytes);
        }
        return r;
}

/* The listing is the one that was judged, and the files are those of the listing. */
static int hand_in_members(struct handing *h, int dir, const struct set_walk *set) {
        _cleanup_(set_listing_donep) struct set_listing l = {0};
        char hex[SHA256_HEX_SIZE] = "";
        struct sha256 digest;
        int r = claim_read_listing(&h->q->claims, h->job->id, &l);

        if (r >= 0)
                r = set_listing_digest(&l, &digest);
        if (r >= 0)
                sha256_hex(&digest, hex);
        if (r < 0 || strcmp(hex, h->job->sha256) != 0 || l.n != set->n)
                return fail(h, PROMOTE_REFUSED, "listing_lost",
                            VIEW("the listing of this folder's files is not the one that was judged"));
        for (size_t i = 0; i < l.n; i++)
                if (strcmp(l.members[i].path, set->files[i].path) != 0 ||
                    l.members[i].size != set->files[i].size)
                        return fail(h, PROMOTE_REFUSED, "listing_lost",
                                    VIEW("the folder's files are not those that were judged"));
        return hand_in_contents(h, dir, set, &l);
}

/* --- documents --- */

static int hand_in_document(struct handing *h, int folder, enum document d, const struct sha256 *digest) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(512);
        _cleanup_(closep) int fd = -EBADF;
        char hex[SHA256_HEX_SIZE];
        uint64_t size;
        int r = document_open(folder, d, &fd, &size);

        if (r < 0)
                return unreachable(h, r);
        sha256_hex(digest, hex);
        if (buf_printf(&request, "{\"op\":\"document\",\"name\":\"%s\",\"sha256\":\"%s\"}", document_name(d),
                       hex) < 0)
                return unreachable(h, -ENOMEM);
        return hand_in(h, buf_view(&request), fd);
}

static int hand_in_documents(struct handing *h) {
        _cleanup_(closep) int folder = job_documents_folder(&h->q->claims, h->job->id);
        struct job_documents list;
        int r = folder < 0 ? folder : job_documents_list(folder, &list);

        if (r < 0)
                return unreachable(h, r);
        for (int d = 0; d < DOCUMENT_MAX && r >= 0; d++)
                if (list.of[d].exists)
                        r = hand_in_document(h, folder, (enum document)d, &list.of[d].sha256);
        return r;
}

/* --- all of it --- */

static int ask(struct handing *h, struct view request, int fd) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = exchange(h, request, fd, &doc);

        if (r < 0)
                return r;
        h->answer = read_answer(json_root(doc), h->job, h->result);
        return 0;
}

static int hand_over(struct handing *h, struct view request, int fd, const struct set_walk *set) {
        _cleanup_(closep) int listing = -EBADF;
        int r = set ? hand_in_members(h, fd, set) : 0;

        if (r >= 0 && set) {
                listing = claim_open_listing(&h->q->claims, h->job->id);
                r = listing < 0 ? unreachable(h, listing) : 0;
        }
        if (r >= 0)
                r = hand_in_documents(h);
        return r < 0 ? r : ask(h, request, set ? listing : fd);
}

enum promote_answer promote(const struct quarantine *q, const struct job *j, int fd,
                            const struct set_walk *set, struct promote_result *ret) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(FD_MESSAGE_MAX);
        struct handing h = {.q = q, .job = j, .result = ret, .answer = PROMOTE_LATER};
        _cleanup_(closep) int sock = -EBADF;
        int r;

        *ret = (struct promote_result){0};
        r = write_request(j, &request);
        if (r == -EFBIG) {
                tell(ret, "evidence_too_large",
                     VIEW("the evidence is larger than a message to the registry may be"));
                return PROMOTE_REFUSED;
        }
        if (r >= 0)
                r = sock = fd_channel_connect(q->registry_socket, service_token(q->service, "registry"),
                                              CONNECT_USEC);
        if (r < 0) {
                (void)unreachable(&h, r);
                return PROMOTE_LATER;
        }
        h.sock = sock;
        (void)hand_over(&h, buf_view(&request), fd, set); /* h.answer says how it ended */
        return h.answer;
}
