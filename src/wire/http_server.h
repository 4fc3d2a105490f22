/* http_server: HTTP/1.1 service on libmicrohttpd over passed-in listening sockets (UNIX and loopback TCP).
 * One thread a connection with a cap; handlers run in that thread and may block within their deadline.
 * Enforced before a handler runs: header size and time limits, method and body size of the route, UTF-8 path
 * without encoded '/' or dot segments, on TCP the Host (421 misdirected_request; DNS rebinding) and, for anything
 * but GET/HEAD, the Origin (403 bad_origin). Errors are {"error":{"code","message","detail"}}. */
#pragma once

#include "base/buf.h"
#include "base/view.h"
#include "wire/json.h"

struct http_server;  /* opaque; http_server_free stops it: no new connections, those under way get `grace` */
struct http_request; /* one request, owned by the server, valid inside the handler */
struct http_stream_out;

struct http_limits {
        unsigned connections; /* default 64 */
        size_t header_bytes;  /* default 16 KiB */
        size_t body_bytes;    /* default 1 MiB; a route may say otherwise */
        uint64_t
                header_timeout_usec; /* from accept or end of the last answer to the end of the headers: 10 s */
        uint64_t body_timeout_usec; /* 60 s without a route's own */
        uint64_t idle_timeout_usec; /* no byte in either direction: 30 s */
        uint64_t grace_usec;        /* on stop: 3 s */
};

/* A caller's identity as the transport gives it; core/identity turns it into a name. */
struct http_peer {
        bool is_unix;
        uint32_t uid; /* SO_PEERCRED; only when is_unix */
        int32_t pid;
};

/* Returns 0 after it has answered (http_reply_…), or a negative errno, which is answered as 500 internal_error
 * (-ENOMEM: 503 out_of_memory, -ENOSPC: 507 disk_full) without details, unless the request has been answered already:
 * helpers that answer and return negative can be passed on as they are. */
typedef int (*http_handler)(struct http_request *q, void *userdata);

/* For bodies that are not kept in memory (uploads). Called in order with the pieces; a negative result ends the
 * request. At the end the handler runs as usual with an empty body. */
typedef int (*http_body_sink)(struct http_request *q, struct view piece, void *userdata);

struct http_route {
        const char *method; /* "GET" */
        const char *path; /* "/v1/models/{id}": {} matches one non-empty segment; "/assets/" + '*' at the end
                                 * ("/assets/" "*") matches the rest */
        http_handler handler;
        http_body_sink sink;        /* NULL: body is collected */
        size_t body_bytes;          /* 0: the server's limit */
        uint64_t body_timeout_usec; /* 0: the server's */
        const char *permission;     /* name in service-acl.yaml; NULL: route is open (/health) */
};

struct http_server_config {
        const char *name;                /* of the service, for errors */
        const struct http_route *routes; /* ends with method == NULL */
        struct http_limits limits;       /* zero fields take the default */
        const char *const *hosts;        /* allowed Host values on TCP without port ("127.0.0.1", "localhost",
                                                 * "[::1]"); NULL takes these three */
        /* Asked before each handler of a route with a permission: 0 = allowed; else it must have answered the
         * request (401/403) and returns -EACCES. NULL: everything is refused. */
        int (*authorize)(struct http_request *q, const struct http_route *route, void *userdata);
        void (*on_done)(struct http_request *q, int status,
                        void *userdata); /* may be NULL: access accounting */
        void *userdata;
        /* Name, value, name, value, …, NULL: put on every answer, errors included. NULL: none. */
        const char *const *headers;
};

/* `listen_fds`: bound and listening, owned by the server from here on. 0 and *ret, or negative errno. */
SAI_NODISCARD int http_server_new(const struct http_server_config *config, const int *listen_fds,
                                  size_t n_fds, struct http_server **ret);
struct http_server *http_server_free(struct http_server *s); /* graceful; NULL is fine */

/* The request. Views live until the handler returns. */
struct view http_method(const struct http_request *q);
struct view http_path(const struct http_request *q);                      /* decoded, without query */
struct view http_path_part(const struct http_request *q, unsigned index); /* text of the index-th {} or '*' */
struct view http_query(const struct http_request *q, const char *name);   /* decoded; VIEW_NULL when absent */
struct view http_header(const struct http_request *q, const char *name);  /* VIEW_NULL when absent */
struct view http_cookie(const struct http_request *q, const char *name);
struct view http_body(const struct http_request *q);
struct http_peer http_peer(const struct http_request *q);
/* A place for handlers and authorize to keep one pointer with its destructor. */
void http_set_context(struct http_request *q, void *p, void (*destroy)(void *));
void *http_context(const struct http_request *q);
/* Name of the caller as authorize found it ("ui"); static or owned by the request via http_set_caller's copy. */
int http_set_caller(struct http_request *q, struct view name);
struct view http_caller(const struct http_request *q);
/* Body as a strict JSON object: 0 and *ret (owned by the request), or the 400 has been answered and -EBADMSG. */
SAI_NODISCARD int http_body_json(struct http_request *q, const struct json **ret);

/* Answers: exactly one a request. Headers are added before. */
SAI_NODISCARD int http_add_header(struct http_request *q, const char *name, const char *value);
SAI_NODISCARD int http_reply(struct http_request *q, unsigned status, const char *content_type,
                             struct view body);
SAI_NODISCARD int http_reply_json(struct http_request *q, unsigned status, struct view json_text);
/* Static bytes that outlive the server (embedded files): not copied. */
SAI_NODISCARD int http_reply_static(struct http_request *q, unsigned status, const char *content_type,
                                    struct view body);
/* {"error":{…}}; `code` is stable snake_case. detail_json: an object's text or NULL for {}. */
SAI_NODISCARD int http_reply_error(struct http_request *q, unsigned status, const char *code,
                                   const char *detail_json, const char *format, ...) SAI_PRINTF(5, 6);

/* Streaming (SSE or any chunked body): `next` is called in the connection's thread whenever the peer can take more.
 * It may block up to its own deadlines (wait for upstream) and appends to `out` (cap 256 KiB); returns 1 more to
 * come, 0 finished, negative: connection is cut. When the peer has gone, `destroy` is called. Not more than a few
 * seconds of silence: send an SSE comment (": keep-alive\n\n") so that a vanished peer is noticed. From the call of
 * http_reply_stream on the userdata is the server's: when that fails, `destroy` has been called. */
struct http_stream {
        const char *content_type; /* "text/event-stream" */
        int (*next)(void *userdata, struct buf *out);
        void (*destroy)(void *userdata);
        void *userdata;
};
SAI_NODISCARD int http_reply_stream(struct http_request *q, unsigned status,
                                    const struct http_stream *stream);
/* True once the server is stopping: streams end soon. */
bool http_is_stopping(const struct http_request *q);
/* True when nobody waits for the answer any more (the peer has closed, or the server is stopping): for handlers that
 * wait for something long. */
bool http_is_abandoned(const struct http_request *q);
/* For on_done: the negative errno that was answered without details (500, 503, 507), 0 when there was none. */
int http_failure(const struct http_request *q);
/* What Content-Length announced; 0 when there is no body or it is chunked. For sinks. */
uint64_t http_body_announced(const struct http_request *q);
/* Appends one SSE event: "event: …\n" (NULL: none) and a "data: …" line per line of `data`, blank line. */
SAI_NODISCARD int sse_append(struct buf *out, const char *event, struct view data);
