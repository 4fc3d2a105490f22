/* http_internal: what the files of the HTTP server share (http_server.c: sockets and life of a connection,
 * http_request.c: reading and checking, http_reply.c: answering, http_watch.c: deadlines). Not for others. */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/http_server.h"

#define HTTP_LISTENERS_MAX 4
#define HTTP_HEADERS_MAX   100
#define HTTP_PARTS_MAX     8
#define HTTP_QUERY_MAX     16
#define HTTP_EXTRA_MAX     24
#define HTTP_CALLER_MAX    64
#define HTTP_STREAM_MAX    ((size_t)256 << 10)
/* A refused request's body is read and thrown away up to here, so that the client reads the answer instead of a
 * reset connection. */
#define HTTP_DRAIN_MAX ((uint64_t)256 << 10)

/* One socket with a deadline. */
struct http_watched {
        struct http_watched *previous, *next;
        int fd;            /* a duplicate: stays valid after the server library has closed its own */
        uint64_t deadline; /* monotonic; 0: none */
        bool answer;       /* a request has begun and nothing was sent: say 408 before cutting */
        bool expired;
        bool yields; /* nobody has shown yet that he may be here: cut first when there are too many */
};

struct http_watch; /* opaque: a thread that cuts sockets whose deadline has passed */
SAI_NODISCARD int http_watch_new(struct http_watch **ret);
struct http_watch *http_watch_free(struct http_watch *w);
void http_watch_add(struct http_watch *w, struct http_watched *e, uint64_t timeout_usec);
void http_watch_remove(struct http_watch *w, struct http_watched *e);
/* New phase: `timeout_usec` from now, 0 for none. False when the socket was cut already. */
bool http_watch_phase(struct http_watch *w, struct http_watched *e, uint64_t timeout_usec, bool answer);
/* Whether it gives way when there are too many connections. */
void http_watch_yields(struct http_watch *w, struct http_watched *e, bool yields);
/* Cuts the oldest that gives way, other than `e`. False when there is none. */
bool http_watch_cut_oldest(struct http_watch *w, const struct http_watched *e);
/* The first line of a request has arrived; the deadline stays. */
void http_watch_begun(struct http_watch *w, struct http_watched *e);

struct http_listener {
        struct http_server *server;
        struct MHD_Daemon *daemon;
        bool is_unix;
        uint16_t port;
};

struct http_server {
        struct http_server_config config;
        struct http_limits limits;
        struct http_listener listeners[HTTP_LISTENERS_MAX];
        size_t n_listeners;
        struct http_watch *watch;
        atomic_bool stopping;
        pthread_mutex_t mutex; /* guards the two counts */
        pthread_cond_t idle;
        unsigned connections;
        unsigned active; /* requests between their first line and the end of their answer */
};

struct http_connection {
        struct http_listener *listener;
        struct http_watched watched;
        struct http_peer peer;
        struct http_request *request; /* the one under way, or NULL */
        bool refused;                 /* above the limit of connections, and no other gave way */
};

struct http_pair {
        struct view name, value;
};

enum http_phase { HTTP_PHASE_HEADERS, HTTP_PHASE_BODY, HTTP_PHASE_ANSWERED };

struct http_request {
        struct http_server *server;
        struct http_connection *connection;
        struct MHD_Connection *mhd;
        enum http_phase phase;
        const char *method;
        struct view target; /* as sent; owned */
        struct view path;   /* decoded; owned */
        char *query_text;   /* decoded pairs point into it; owned */
        struct http_pair query[HTTP_QUERY_MAX];
        size_t n_query;
        struct view parts[HTTP_PARTS_MAX];
        size_t n_parts;
        struct http_pair headers[HTTP_HEADERS_MAX]; /* owned by the library, live as long as the request */
        size_t n_headers;
        const struct http_route *route;
        bool is_framed; /* what follows about the body is known */
        bool has_body, is_chunked;
        uint64_t body_announced, body_seen, body_limit, drain_limit;
        struct buf body;
        struct json_document *json;
        struct http_pair extra[HTTP_EXTRA_MAX]; /* headers of the answer; owned */
        size_t n_extra;
        struct MHD_Response *response; /* ready, not yet handed over */
        unsigned status;
        int error; /* that http_reply_errno answered */
        bool is_stream, close;
        char caller[HTTP_CALLER_MAX];
        size_t n_caller;
        void *context;
        void (*context_destroy)(void *);
};

struct http_request *http_request_free(struct http_request *q);
/* Everything that is decided from the request line and the headers. 0: go on with the body. Negative: an answer is
 * ready in q->response, or the connection must be cut. */
SAI_NODISCARD int http_request_check(struct http_request *q, const char *version);
/* Answer for a negative result of a handler or sink that has not answered. */
void http_reply_errno(struct http_request *q, int error);
