/* worker: the supervisor of the one llama-server. A thread of its own loads, watches, restarts and stops it; requests
 * only say what they want and wait, with a deadline. Thread-safe.
 *
 * States: idle (nothing loaded), loading (also: waiting to start a dead worker again), ready, failed (with a reason; the
 * next request tries again). While an answer is under way the worker stays: a switch waits for it. */
#pragma once

#include "core/launcher.h"
#include "inference/machine.h"
#include "inference/plan.h"
#include "inference/refusal.h"
#include "wire/http_client.h"

/* A verified model: one file, or the parts of a split one in order. All read-only. */
struct worker_model {
        int fds[LAUNCHER_FDS_MAX];
        unsigned n;
        uint64_t first_size, size; /* of the first file, of all */
};
void worker_model_done(struct worker_model *m); /* closes them; safe on a zeroed one */

/* What the supervisor needs from outside; tests bring their own. All are called from its thread. */
struct worker_ops {
        /* The verified model: *ret_model (worker_model_done) and *ret_lease, a descriptor that keeps the model from being
         * deleted as long as it is open and becomes readable when the lease is lost. Negative errno and *ret_why;
         * -ENOENT: there is no such model. */
        int (*open_model)(void *userdata, const char *sha256, struct worker_model *ret_model, int *ret_lease,
                          struct refusal *ret_why);
        int (*read_machine)(void *userdata, struct machine *ret);
        /* Starts a worker on the model (borrowed). *ret_pid_fd: becomes readable when it ends; ours. */
        int (*spawn)(void *userdata, const struct worker_model *model, const struct plan *plan,
                     uint32_t *ret_id, int *ret_pid_fd, char ret_socket[108]);
        void (*kill)(void *userdata, uint32_t id, int *ret_status); /* and reap */
        /* One record in the audit log, on disk when it returns 0. `detail`: a JSON object's text. */
        int (*record)(void *userdata, const char *event, const char *decision, const char *sha256,
                      const char *detail);
        /* For the operator's log; may be NULL. */
        void (*note)(void *userdata, bool bad, const char *event, const char *text);
};

struct worker_config {
        struct plan_settings settings;
        uint64_t load_timeout_usec;
        uint64_t idle_unload_usec;   /* 0: never */
        uint64_t restart_first_usec; /* 0: the default of limits.h */
        const struct worker_ops *ops;
        void *userdata;
};

struct worker; /* opaque */
SAI_NODISCARD int worker_new(const struct worker_config *config, struct worker **ret);
/* From here on every request is refused and answers under way end soon; the worker is killed. */
void worker_stop(struct worker *w);
bool worker_is_stopping(struct worker *w);
struct worker *worker_free(struct worker *w); /* after all uses were released; stops if that was not done */

/* Right to use the loaded model; ends with worker_release. */
struct worker_use {
        struct worker *worker;
        struct http_client *client; /* borrowed until worker_release */
        char sha256[65];
        uint32_t context;
};
/* `sha256`: 64 digits, or "" for the loaded (or last wanted) model. Loads, switches, waits at most `wait_usec`. 0, or negative errno and *ret_why
 * (404 unknown_model, 409 model_busy, 503 model_loading, worker_failed, stopping, 507 model_too_large, …). */
SAI_NODISCARD int worker_acquire(struct worker *w, const char *sha256, uint64_t wait_usec,
                                 struct worker_use *ret, struct refusal *ret_why);
void worker_release(struct worker_use *u); /* safe on a zeroed one */
/* For who has found it dead before the supervisor did: returns when its end has been seen, or after `wait_usec`. */
void worker_await_end(struct worker *w, uint64_t wait_usec);

/* Loads without using it; `context` 0: as configured. */
SAI_NODISCARD int worker_load(struct worker *w, const char *sha256, uint32_t context, uint64_t wait_usec,
                              struct refusal *ret_why);
/* 0 when nothing is loaded any more; 409 model_busy. */
SAI_NODISCARD int worker_unload(struct worker *w, uint64_t wait_usec, struct refusal *ret_why);

enum worker_state { WORKER_IDLE, WORKER_LOADING, WORKER_READY, WORKER_FAILED, WORKER_STATE_MAX };
const char *worker_state_name(enum worker_state s);
struct worker_status {
        enum worker_state state;
        char model[65]; /* wanted or loaded; "" none */
        int pid;        /* 0: none */
        uint64_t restarts;
        unsigned threads;
        uint32_t context;
        uint64_t memory_limit;
        unsigned busy;    /* answers under way */
        char reason[320]; /* why it is failed, or being restarted; "" */
};
void worker_get_status(struct worker *w, struct worker_status *ret);
