/* routes: the service's HTTP interface (docs/interfaces.md, inference). */
#pragma once

#include "inference/answer.h"
#include "inference/worker.h"
#include "wire/http_server.h"

struct routes_context {
        struct worker *worker;
        struct http_client *registry; /* NULL: 503 registry_unavailable where it is needed */
        struct answer_deadlines deadlines;
        /* for http_server_config */
        int (*authorize)(struct http_request *q, const struct http_route *route, void *userdata);
        http_handler health;
        void *userdata;
};

/* The context must outlive the server. The descriptors become the server's. */
SAI_NODISCARD int routes_serve(struct routes_context *context, const int *listen_fds, size_t n_fds,
                               struct http_server **ret);
