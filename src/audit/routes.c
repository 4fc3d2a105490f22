#include "audit/routes.h"

#include "audit/event.h"
#include "audit/limits.h"
#include "audit/records.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

static int authorize(struct http_request *q, const struct http_route *route, void *userdata) {
        const struct routes_context *c = userdata;

        return service_authorize(q, route, c->service);
}

static int refuse_append(struct http_request *q, int error) {
        if (error == -ENOSPC || error == -EDQUOT)
                return http_reply_error(
                        q, 507, "disk_full", NULL,
                        "The record could not be written: the disk of the audit log is full. Make room; "
                        "until then whatever must be recorded is refused.");
        if (error == -EFBIG)
                return http_reply_error(q, 400, "record_too_large", NULL,
                                        "The record is larger than %zu bytes.", AUDIT_LINE_MAX);
        if (error == -ENOMEM)
                return error;
        log_error("append_failed", "a record could not be written: %s", strerror(-error));
        return http_reply_error(q, 503, "log_unwritable", NULL, "The record could not be written: %s.",
                                strerror(-error));
}

static int reply_sequence(struct http_request *q, uint64_t sequence) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(64);
        int r = buf_printf(&body, "{\"sequence\":%llu}", (unsigned long long)sequence);

        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

static int append(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        _cleanup_(event_donep) struct event event = EVENT_INIT;
        struct fault fault = FAULT_NONE;
        const struct json *body;
        uint64_t sequence;
        int r = http_body_json(q, &body);

        if (r < 0)
                return r == -EBADMSG ? 0 : r; /* has been answered */
        r = event_read(body, http_caller(q), &event, &fault);
        if (r == -EINVAL)
                return http_reply_error(q, 400, "bad_record", NULL, "%s.", fault.text);
        if (r >= 0)
                r = writer_append(c->writer, &event.entry, &sequence);
        return r < 0 ? refuse_append(q, r) : reply_sequence(q, sequence);
}

static int head(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        struct log_end end = writer_end(c->writer);
        _cleanup_(buf_donep) struct buf body = BUF_INIT(512);
        char hash[SHA256_HEX_SIZE], time[CLOCK_TEXT_SIZE];
        int r;

        sha256_hex(&end.hash, hash);
        clock_format(end.real_usec, time);
        r = buf_printf(&body, "{\"sequence\":%llu,\"hash\":\"%s\",\"time\":\"%s\"}",
                       (unsigned long long)end.sequence, hash, time);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

/* The query's number, or `otherwise` when it is not there. */
static int query_number(struct http_request *q, const char *name, uint64_t max, uint64_t otherwise,
                        uint64_t *ret) {
        struct view v = http_query(q, name);

        if (!v.p) {
                *ret = otherwise;
                return 0;
        }
        return u64_parse(v, max, ret);
}

static int records(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        struct log_end end = writer_end(c->writer);
        _cleanup_(buf_donep) struct buf body = BUF_INIT(AUDIT_RECORDS_BYTES);
        uint64_t after, limit;
        int r;

        if (query_number(q, "after", INT64_MAX, 0, &after) < 0 ||
            query_number(q, "limit", AUDIT_RECORDS_MAX, AUDIT_RECORDS_DEFAULT, &limit) < 0)
                return http_reply_error(q, 400, "bad_query", NULL,
                                        "Expected after=N (a sequence) and limit=M (at most %llu).",
                                        (unsigned long long)AUDIT_RECORDS_MAX);
        r = buf_append_str(&body, "{\"records\":[");
        body.max -= 2; /* keeps room for the end */
        if (r >= 0)
                r = records_read(c->log_dir, &end, after, limit, &body);
        body.max += 2;
        if (r == -EUCLEAN || r == -ENOENT)
                return http_reply_error(q, 503, "log_damaged", NULL,
                                        "The log can't be read; `securectl audit verify` names the place.");
        if (r >= 0)
                r = buf_append_str(&body, "]}");
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = service_health},
        {.method = "POST",
         .path = "/v1/append",
         .handler = append,
         .permission = "audit.append",
         .body_bytes = AUDIT_BODY_MAX},
        {.method = "GET", .path = "/v1/head", .handler = head, .permission = "audit.read"},
        {.method = "GET", .path = "/v1/records", .handler = records, .permission = "audit.read"},
        {0},
};

int routes_serve(struct routes_context *context, const int *listen_fds, size_t n, struct http_server **ret) {
        const struct http_server_config config = {
                .name = "audit",
                .routes = routes,
                .limits = {.connections = AUDIT_CONNECTIONS},
                .authorize = authorize,
                .userdata = context,
        };

        return http_server_new(&config, listen_fds, n, ret);
}
