#include "core/audit_client.h"

#include "wire/http_client.h"

#define APPEND_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define APPEND_BYTES_MAX    ((size_t)64 << 10)

struct audit_client {
        struct http_client *http;
};

int audit_client_new(const char *socket_path, struct view token, struct audit_client **ret) {
        struct audit_client *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = http_client_new(socket_path, 0, token, &c->http);
        if (r < 0) {
                free(c);
                return r;
        }
        *ret = c;
        return 0;
}

struct audit_client *audit_client_free(struct audit_client *c) {
        if (!c)
                return NULL;
        http_client_free(c->http);
        free(c);
        return NULL;
}

static int write_event(const struct audit_event *e, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "event", e->event);
        json_member_string(&w, "decision", e->decision);
        if (e->rule)
                json_member_string(&w, "rule", e->rule);
        if (e->subject.p)
                json_member_view(&w, "subject", e->subject);
        if (e->detail.p) {
                json_key(&w, "detail");
                json_put_raw(&w, e->detail);
        }
        json_object_end(&w);
        return json_write_end(&w);
}

static int result_of(unsigned status) {
        switch (status) {
        case 200:
                return 0;
        case 401:
        case 403:
                return -EACCES;
        case 507:
                return -ENOSPC;
        default:
                return -EIO;
        }
}

int audit_append(struct audit_client *c, const struct audit_event *e) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(APPEND_BYTES_MAX);
        _cleanup_(json_document_freep) struct json_document *answer = NULL;
        unsigned status;
        int r;

        if (!c)
                return -ENOENT;
        r = write_event(e, &body);
        if (r < 0)
                return r;
        r = http_call_json(c->http, "POST", "/v1/append", buf_view(&body), APPEND_TIMEOUT_USEC, &status,
                           &answer);
        return r < 0 ? r : result_of(status);
}
