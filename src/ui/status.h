/* status: GET /api/status, how all services are, what the machine is and lacks, how far the audit log is. */
#pragma once

#include "ui/app.h"

int status_on_get(struct http_request *q, void *app);
