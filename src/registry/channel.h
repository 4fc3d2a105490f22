/* channel: the registry's descriptor channel: what is handed in (files of sets, documents), promote, open, open_member
 * (docs/interfaces.md). */
#pragma once

#include "core/fd_channel.h"
#include "core/service.h"
#include "registry/catalog.h"

struct channel_context {
        struct service *service;
        struct catalog *catalog;
};

/* Serves on `listen_fd` (stays the caller's) until fd_channel_server_free; `context` outlives it. */
SAI_NODISCARD int channel_serve(struct channel_context *context, int listen_fd,
                                struct fd_channel_server **ret);
