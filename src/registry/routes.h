/* routes: the registry's HTTP interface (docs/interfaces.md). */
#pragma once

#include "core/service.h"
#include "registry/catalog.h"
#include "registry/checker.h"

struct routes_context {
        struct service *service;
        struct catalog *catalog;
        struct manifest *manifest;
        struct checker *checker;
};

/* Serves until http_server_free; takes over the listening sockets. `context` outlives the server. */
SAI_NODISCARD int routes_serve(struct routes_context *context, const int *listen_fds, size_t n,
                               struct http_server **ret);
