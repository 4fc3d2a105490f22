/* launcher: a small helper process, forked before its parent locks itself in, that starts the sealed workers.
 * The parent (sandboxed, no fork, no exec) asks over a socket pair; the launcher knows a fixed list of programs,
 * set at start, and nothing that a request says can change what is executed, only a few numbers and which
 * descriptors the worker gets. When the parent dies, the launcher kills its workers and ends. */
#pragma once

#include "base/fault.h"
#include "base/macros.h"

enum launcher_kind {
        LAUNCHER_SCAN_WORKER, /* exec <libexec>/scan-worker with descriptors 3 (control) and 4 (ring, read-only) */
        LAUNCHER_LLAMA_SERVER, /* bwrap + sealed root + llama-server on inherited descriptors, socket in a private folder */
};

#define LAUNCHER_FDS_MAX 64u /* files of a split model */

struct launcher_config {
        const char *libexec_path;     /* our programs */
        const char *worker_root_path; /* sealed root, NULL: kind LLAMA_SERVER answers -ENOENT */
        const char *socket_dir;       /* 0700 folder below which each llama-server gets a folder of its own */
};

struct launcher;

/* Forks the helper. Call before threads and before sandbox_enter. */
SAI_NODISCARD int launcher_start(const struct launcher_config *config, struct launcher **ret);
struct launcher *launcher_free(struct launcher *l); /* stops all workers */

/* False once the helper has died or an answer of it was missed: no worker can be started any more, and only a new process of the
 * service can have a new helper. Thread-safe, does not wait. */
bool launcher_is_there(struct launcher *l);

struct launcher_request {
        enum launcher_kind kind;
        /* scan worker: control socket, ring. llama: the model's file, or all files of a split GGUF in the order of their
         * numbers (each read-only): inside they are called model-00001-of-0000N.gguf, as llama.cpp wants them. */
        int fds[LAUNCHER_FDS_MAX];
        unsigned n_fds;
        unsigned threads;      /* llama: -t, 1..256 */
        uint32_t context;      /* llama: -c, 128..1048576 */
        unsigned slots;        /* llama: --parallel 1..16 */
        uint64_t memory_bytes; /* RLIMIT_AS/DATA of the worker; 0 = none */
        uint64_t cpu_seconds;  /* RLIMIT_CPU; 0 = none */
};
struct launcher_worker {
        uint32_t id;
        int pid_fd;            /* becomes readable when the worker has ended; owned by the caller */
        char socket_path[108]; /* llama: where it will listen */
};
/* Thread-safe. 0 and *ret, or negative errno. */
SAI_NODISCARD int launcher_spawn(struct launcher *l, const struct launcher_request *q,
                                 struct launcher_worker *ret);
/* SIGKILL, reap, remove the socket folder. *ret_status (may be NULL): wait status. */
int launcher_kill(struct launcher *l, uint32_t id, int *ret_status);
/* Non-blocking: 1 and *ret_status when it has ended by itself (reaped), 0 when it runs. */
int launcher_poll(struct launcher *l, uint32_t id, int *ret_status);
