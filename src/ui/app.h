/* app: what the modules of the ui service share. Set up once by main, then constant but for the parts that guard
 * themselves. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/fault.h"
#include "core/db.h"
#include "core/service.h"

struct settings {
        uint64_t idle_usec, absolute_usec;
        uint64_t lockout_tries, lockout_usec;
        uint64_t passphrase_min;
};

/* appliance.yaml; missing lines take their defaults. */
SAI_NODISCARD int settings_load(int config_dir, struct settings *ret, struct fault *reterr);

struct machine_facts;
struct lockout;

struct app {
        struct service *service;
        struct settings settings;
        char boot_id[33]; /* read before the sandbox closes /proc */
        struct db *db;
        int state_dir, share_dir; /* borrowed from the service */
        struct http_client *registry, *quarantine, *inference, *audit;
        struct lockout *login_lock, *setup_lock;
        struct machine_facts *machine;
        pthread_mutex_t
                passphrase_mutex; /* guards the stored passphrase and first run, and lets one derivation run */
        atomic_uint uploads;
};

/* Records an act. When that is refused, answers the request (503 audit_unavailable, 507 disk_full) and returns
 * negative: the act must not happen. */
SAI_NODISCARD int app_audit(struct app *app, struct http_request *q, const char *event, const char *decision,
                            struct view subject, struct view detail);
