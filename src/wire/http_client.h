/* http_client: requests to the project's own services and to llama-server, on libcurl, over UNIX sockets or
 * loopback TCP. No redirects, no proxies, no environment, no other protocols. Every call has a deadline. */
#pragma once

#include "base/buf.h"
#include "base/view.h"
#include "wire/json.h"

struct http_client; /* opaque: one target, keeps connections alive; thread-safe (a small pool of handles inside) */

/* `unix_path` or NULL with `port` for 127.0.0.1. `token` (bearer) may be VIEW_NULL; copied into locked memory. */
SAI_NODISCARD int http_client_new(const char *unix_path, uint16_t port, struct view token,
                                  struct http_client **ret);
struct http_client *http_client_free(struct http_client *c); /* NULL is fine; returns NULL */
static inline void http_client_freep(struct http_client **c) {
        *c = http_client_free(*c);
}

struct http_answer {
        unsigned status;
        struct buf body;
        char content_type[64];
};
void http_answer_done(struct http_answer *a);
static inline void http_answer_donep(struct http_answer *a) {
        http_answer_done(a);
}

/* One exchange. `path` is sent as is ("/v1/models"), `content_type` NULL with an empty body. Any HTTP status is
 * success (0) here. -ECONNREFUSED / -ENOENT (no such service), -ETIMEDOUT, -EFBIG (answer above `max`), -EPROTO. */
SAI_NODISCARD int http_call(struct http_client *c, const char *method, const char *path,
                            const char *content_type, struct view body, uint64_t timeout_usec, size_t max,
                            struct http_answer *ret);
/* JSON in (VIEW_NULL: none), strict JSON out. 0 for any status with a JSON body; *ret_status as received. */
SAI_NODISCARD int http_call_json(struct http_client *c, const char *method, const char *path,
                                 struct view body, uint64_t timeout_usec, unsigned *ret_status,
                                 struct json_document **ret);

/* An answer read piece by piece (SSE from llama-server, passed on to the browser). */
struct http_incoming; /* opaque */
/* Sends and waits for the status line and headers. */
SAI_NODISCARD int http_open(struct http_client *c, const char *method, const char *path,
                            const char *content_type, struct view body, uint64_t timeout_usec,
                            struct http_incoming **ret, unsigned *ret_status);
/* http_open in two steps, for callers that must not be stuck while a slow server thinks: sends (the body is copied) and
 * returns at once; then http_incoming_status, again and again: 0 and *ret_status when the headers are there, -ETIMEDOUT = not
 * yet, other negative = broken. Only then http_incoming_read. */
SAI_NODISCARD int http_begin(struct http_client *c, const char *method, const char *path,
                             const char *content_type, struct view body, struct http_incoming **ret);
SAI_NODISCARD int http_incoming_status(struct http_incoming *in, uint64_t timeout_usec, unsigned *ret_status);
/* Appends what has arrived; waits at most `timeout_usec` for the first byte. 1 = data appended, 0 = end of the
 * answer, -ETIMEDOUT = nothing yet (call again), other negative = broken. */
SAI_NODISCARD int http_incoming_read(struct http_incoming *in, uint64_t timeout_usec, struct buf *out);
/* Content-Type of the answer, "" when it has none; valid until the next read. */
const char *http_incoming_content_type(const struct http_incoming *in);
struct http_incoming *
http_incoming_free(struct http_incoming *in); /* cuts the transfer when it is not finished */
static inline void http_incoming_freep(struct http_incoming **i) {
        *i = http_incoming_free(*i);
}

/* Splits a byte stream into SSE events. */
struct sse_reader {
        struct buf pending; /* give it a maximum: BUF_INIT(1 << 20) */
};
/* Takes the next whole event out of `pending` (fill it with http_incoming_read): 1 and *ret_event / *ret_data
 * (cleared and filled), 0 when more bytes are needed, -EFBIG / -EBADMSG. */
SAI_NODISCARD int sse_next(struct sse_reader *s, struct buf *ret_event, struct buf *ret_data);
