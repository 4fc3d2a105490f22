/* routes: the audit service's HTTP interface (docs/interfaces.md). */
#pragma once

#include "audit/writer.h"
#include "core/service.h"

struct routes_context {
        struct service *service;
        struct writer *writer;
        int log_dir;
};

/* Serves until http_server_free; takes over the listening sockets. `context` outlives the server. */
SAI_NODISCARD int routes_serve(struct routes_context *context, const int *listen_fds, size_t n,
                               struct http_server **ret);
