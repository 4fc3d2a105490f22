/* api: the HTTP routes of quarantine.sock. */
#pragma once

#include "quarantine/quarantine.h"

/* `listen_fds` are owned by the server from here on. */
SAI_NODISCARD int api_start(struct quarantine *q, const int *listen_fds, size_t n, struct http_server **ret);
