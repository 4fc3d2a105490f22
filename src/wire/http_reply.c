/* Answering: an answer is prepared here and handed to the library by http_server.c, once the body of the request has
 * been read. */
#include "wire/http_internal.h"

#include <poll.h>

#include "base/clock.h"

#define ERROR_TEXT_MAX ((size_t)4 << 10)

int http_add_header(struct http_request *q, const char *name, const char *value) {
        _cleanup_(freep) char *n = NULL, *v = NULL;

        if (q->n_extra == HTTP_EXTRA_MAX)
                return -E2BIG;
        n = strdup(name);
        v = strdup(value);
        if (!n || !v)
                return -ENOMEM;
        q->extra[q->n_extra].value = view_of(v);
        q->extra[q->n_extra++].name = view_of(n);
        (void)TAKE_PTR(n);
        (void)TAKE_PTR(v);
        return 0;
}

static bool has_extra(const struct http_request *q, const char *name) {
        for (size_t i = 0; i < q->n_extra; i++)
                if (strcmp(q->extra[i].name.p, name) == 0)
                        return true;
        return false;
}

static int add_all(struct http_request *q, struct MHD_Response *response, const char *content_type) {
        const char *const *common = q->server->config.headers;
        bool ok = true;

        for (; common && common[0] && ok; common += 2)
                ok = MHD_add_response_header(response, common[0], common[1]);
        for (size_t i = 0; i < q->n_extra; i++)
                ok = ok && MHD_add_response_header(response, q->extra[i].name.p, q->extra[i].value.p);
        if (content_type)
                ok = ok && MHD_add_response_header(response, "Content-Type", content_type);
        if (!has_extra(q, "Cache-Control"))
                ok = ok && MHD_add_response_header(response, "Cache-Control", "no-store");
        ok = ok && MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        return ok ? 0 : -ENOMEM;
}

/* Takes the response over, also when it fails. */
static int prepare(struct http_request *q, unsigned status, const char *content_type,
                   struct MHD_Response *response) {
        int r;

        if (!response)
                return -ENOMEM;
        if (q->response) {
                MHD_destroy_response(response);
                return -EALREADY;
        }
        r = add_all(q, response, content_type);
        if (r < 0) {
                MHD_destroy_response(response);
                return r;
        }
        q->response = response;
        q->status = status;
        return 0;
}

int http_reply(struct http_request *q, unsigned status, const char *content_type, struct view body) {
        /* The library's parameter is not const, but it copies. */
        return prepare(
                q, status, body.n > 0 ? content_type : NULL,
                MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY));
}

int http_reply_json(struct http_request *q, unsigned status, struct view json_text) {
        return http_reply(q, status, "application/json", json_text);
}

int http_reply_static(struct http_request *q, unsigned status, const char *content_type, struct view body) {
        return prepare(
                q, status, content_type,
                MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_PERSISTENT));
}

int http_reply_error(struct http_request *q, unsigned status, const char *code, const char *detail_json,
                     const char *format, ...) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ERROR_TEXT_MAX), body = BUF_INIT(8 * ERROR_TEXT_MAX);
        struct json_writer w = JSON_WRITER(&body);
        va_list ap;
        int r;

        va_start(ap, format);
        r = buf_vprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        json_object_begin(&w);
        json_key(&w, "error");
        json_object_begin(&w);
        json_member_string(&w, "code", code);
        json_member_view(&w, "message", buf_view(&text));
        json_key(&w, "detail");
        json_put_raw(&w, detail_json ? view_of(detail_json) : VIEW("{}"));
        json_object_end(&w);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, status, buf_view(&body));
}

void http_reply_errno(struct http_request *q, int error) {
        int r;

        if (q->response)
                return;
        q->error = error;
        if (error == -ENOMEM)
                r = http_reply_error(q, 503, "out_of_memory", NULL,
                                     "Not enough memory for this now; try again.");
        else if (error == -ENOSPC || error == -EDQUOT)
                r = http_reply_error(q, 507, "disk_full", NULL,
                                     "The disk is full; free some space and try again.");
        else
                r = http_reply_error(q, 500, "internal_error", NULL,
                                     "Something went wrong inside %s; its log says more.",
                                     q->server->config.name);
        if (r < 0)
                q->close = true; /* not even memory for that: the connection is cut */
}

/* --- streams --- */

struct stream {
        struct http_stream source;
        struct http_server *server;
        struct MHD_Connection *mhd;
        int fd;
        struct buf out;
        size_t sent;
        bool finished;
};

/* A peer that closed its side has gone: nobody half-closes while waiting for a stream. */
static bool peer_has_gone(int fd, int wait_msec) {
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};

        return poll(&p, 1, wait_msec) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

bool http_is_abandoned(const struct http_request *q) {
        return http_is_stopping(q) || peer_has_gone(q->connection->watched.fd, 0);
}

/* The library measures idleness since the last byte; time spent in the source must not count. */
static void restart_idle_time(const struct stream *s) {
        unsigned seconds = (unsigned)((s->server->limits.idle_timeout_usec + USEC_PER_SEC - 1) /
                                      USEC_PER_SEC);

        (void)MHD_set_connection_option(s->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
        (void)MHD_set_connection_option(s->mhd, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

/* Asks the source once: 0 or the library's verdict on the stream. */
static ssize_t stream_fill(struct stream *s) {
        int r;

        if (s->finished || atomic_load(&s->server->stopping))
                return MHD_CONTENT_READER_END_OF_STREAM;
        if (peer_has_gone(s->fd, 0))
                return MHD_CONTENT_READER_END_WITH_ERROR;
        buf_clear(&s->out);
        s->sent = 0;
        r = s->source.next(s->source.userdata, &s->out);
        restart_idle_time(s);
        if (r < 0)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        s->finished = r == 0;
        if (r > 0 && s->out.n == 0 && peer_has_gone(s->fd, 1)) /* and a source without data can't spin */
                return MHD_CONTENT_READER_END_WITH_ERROR;
        return 0;
}

static ssize_t stream_read(void *userdata, uint64_t position, char *out, size_t max) {
        struct stream *s = userdata;
        size_t n;

        while (s->sent == s->out.n) {
                ssize_t r = stream_fill(s);

                if (r < 0)
                        return r;
        }
        n = MIN_OF(max, s->out.n - s->sent);
        memcpy(out, s->out.p + s->sent, n);
        s->sent += n;
        return (ssize_t)n;
}

static void stream_free(void *userdata) {
        struct stream *s = userdata;

        if (s->source.destroy)
                s->source.destroy(s->source.userdata);
        buf_done(&s->out);
        free(s);
}

int http_reply_stream(struct http_request *q, unsigned status, const struct http_stream *stream) {
        struct MHD_Response *response;
        struct stream *s = calloc(1, sizeof(*s));

        if (!s) {
                if (stream->destroy)
                        stream->destroy(stream->userdata);
                return -ENOMEM;
        }
        *s = (struct stream){.source = *stream,
                             .server = q->server,
                             .mhd = q->mhd,
                             .fd = q->connection->watched.fd,
                             .out = BUF_INIT(HTTP_STREAM_MAX)};
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, (size_t)16 << 10, stream_read, s,
                                                     stream_free);
        if (!response) {
                stream_free(s);
                return -ENOMEM;
        }
        q->is_stream = true;
        return prepare(q, status, stream->content_type, response);
}
