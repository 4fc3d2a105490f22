#include "quarantine/promote.h"

#include "base/clock.h"
#include "base/text.h"
#include "core/fd_channel.h"

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

enum promote_answer promote(const struct quarantine *q, const struct job *j, int fd,
                            struct promote_result *ret) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(FD_MESSAGE_MAX);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(closep) int sock = -EBADF;
        int r;

        *ret = (struct promote_result){0};
        r = write_request(j, &request);
        if (r == -EFBIG) {
                tell(ret, "evidence_too_large",
                     VIEW("the evidence is larger than a message to the registry may be"));
                return PROMOTE_REFUSED;
        }
        sock = r < 0 ? r
                     : fd_channel_connect(q->registry_socket, service_token(q->service, "registry"),
                                          CONNECT_USEC);
        r = sock < 0 ? sock : fd_channel_send(sock, buf_view(&request), fd, CONNECT_USEC);
        if (r >= 0)
                r = receive(q, sock, &doc);
        if (r < 0) {
                tell(ret, "registry_unreachable", view_of(strerror(-r)));
                return PROMOTE_LATER;
        }
        return read_answer(json_root(doc), j, ret);
}
