/* proxy: requests of the browser that other services answer. The browser's cookie and headers stay here; the service
 * sees this program's own token. A service that does not answer is 503 service_down with what to do. */
#pragma once

#include "ui/app.h"

/* Sends `method` `path` with the JSON body (VIEW_NULL: none) and answers with what comes back. */
SAI_NODISCARD int proxy_call(struct http_request *q, struct http_client *target, const char *name,
                             const char *method, const char *path, struct view body, uint64_t timeout_usec);
/* The same for an answer that may be a stream: SSE (or what `content_type` says) is passed on piece by piece, anything else as a whole.
 * `check` may be NULL; asked every few seconds with userdata, false ends the stream; userdata is freed by `destroy`
 * in every case. */
struct proxy_stream {
        struct http_client *target;
        const char *name, *method, *path;
        struct view body;
        uint64_t timeout_usec;    /* until the first byte of the answer */
        const char *content_type; /* of what is passed on in pieces; NULL: SSE */
        bool (*check)(void *userdata);
        void (*destroy)(void *userdata);
        void *userdata;
};
SAI_NODISCARD int proxy_stream(struct http_request *q, const struct proxy_stream *s);
/* Answers for a target that could not be reached (negative errno of http_call). */
SAI_NODISCARD int proxy_reply_failure(struct http_request *q, const char *name, int error);
/* 0 when the service answers /health now; else the request has been answered and -EACCES, or negative. */
SAI_NODISCARD int proxy_require(struct http_request *q, struct http_client *target, const char *name);
