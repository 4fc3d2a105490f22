/* worker_real: what the supervisor works with outside of tests: models from the registry's descriptor channel, workers from the
 * launcher, records in the audit log. */
#pragma once

#include "core/launcher.h"
#include "core/service.h"
#include "inference/worker.h"

struct worker_real {
        const char *registry_socket; /* <run>/registry.fd.sock */
        struct view token;           /* for the registry */
        struct launcher *launcher;
        struct audit_client *audit; /* NULL: nothing can be recorded, so nothing is loaded */
};

extern const struct worker_ops worker_real_ops; /* userdata: a struct worker_real */
