/* launcher_parts: what the two halves of the launcher share. For core/launcher*.c only. */
#pragma once

#include "core/launcher.h"

#define LAUNCHER_WORKERS_MAX 64u
#define LAUNCHER_CALL_USEC   (30 * USEC_PER_SEC)
#define LAUNCHER_KILL_USEC   (10 * USEC_PER_SEC)

enum launcher_verb { LAUNCHER_SPAWN = 1, LAUNCHER_KILL, LAUNCHER_POLL };

/* One datagram each way. No pointers, no text from the caller. */
struct launcher_question {
        uint32_t verb, id; /* id: of LAUNCHER_KILL and LAUNCHER_POLL */
        uint32_t kind, n_fds, threads, context, slots;
        uint64_t memory_bytes, cpu_seconds;
};
struct launcher_answer {
        int32_t result;
        uint32_t id;
        int32_t status;
        char socket_path[108];
};

/* Sends `n` bytes and descriptors as one datagram; receives one of exactly `n` bytes. *ret_fds gets at most `max`,
 * surplus ones are closed and make it -EPROTO. -EPIPE: the other half is gone. */
SAI_NODISCARD int launcher_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds);
SAI_NODISCARD int launcher_receive(int sock, void *p, size_t n, int *ret_fds, size_t max, size_t *ret_n_fds);

/* The helper process: serves until the socket closes, then ends what it started. Never returns. */
SAI_NORETURN void launcher_helper(int sock, const struct launcher_config *config);

/* In the helper: starts one worker. `folder` is its private socket folder (llama) or NULL. */
struct launcher_start {
        const struct launcher_config *config;
        const struct launcher_question *question;
        const int *fds;
        const char *folder;
};
SAI_NODISCARD int launcher_execute(const struct launcher_start *s, pid_t *ret_pid);
