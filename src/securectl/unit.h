/* unit: one service under supervision: its listening sockets, which outlive its processes, and the process itself. */
#pragma once

#include <sys/types.h>

#include "base/fault.h"
#include "securectl/places.h"

#define UNIT_SOCKETS_MAX 3

enum unit_state {
        UNIT_DOWN,
        UNIT_STARTING, /* until READY=1 */
        UNIT_READY,
        UNIT_WAITING, /* it crashed: the next start comes after a pause */
        UNIT_STOPPING,
};

struct unit {
        const char *name;
        bool has_fd_socket;
        uint16_t port; /* wanted, then the real one; 0 with wants_tcp: any */
        bool wants_tcp;
        enum unit_state state;
        pid_t pid;              /* 0 when no process is there */
        int status;             /* wait status of the last process */
        unsigned crashes;       /* in a row */
        uint64_t since_usec;    /* start of the process */
        uint64_t alive_usec;    /* last sign of life */
        uint64_t deadline_usec; /* of the state: ready by, start again at, killed at */
        int sockets[UNIT_SOCKETS_MAX];
        const char *socket_names[UNIT_SOCKETS_MAX];
        size_t n_sockets;
};

/* Opens the listening sockets: UNIX ones with mode 0600 in <run>, TCP on 127.0.0.1. A stale file is replaced (the
 * caller holds the lock of the state root, so nobody listens there). */
SAI_NODISCARD int unit_open_sockets(struct unit *u, const char *run, struct fault *reterr);
/* Closes them and removes their files. */
void unit_close_sockets(struct unit *u, const char *run);

/* Starts the process: it dies with this one, has its own session, an empty environment but for LISTEN_*, NOTIFY_SOCKET
 * and sanitizer options, and its standard error goes to <state_root>/log/services/<name>.log. */
SAI_NODISCARD int unit_start(struct unit *u, const struct places *places, const char *notify_path);
/* Starts a program of libexec with these arguments (NULL-terminated) and waits for its end; its output goes to the
 * same log. 0 when it exited with 0. */
SAI_NODISCARD int unit_run_once(const char *name, const char *const *arguments, const struct places *places,
                                uint64_t timeout_usec);
/* The end of the log of a service, for people: what it said last. "" when it said nothing. */
void unit_last_words(const char *name, const struct places *places, char *out, size_t n);
/* "exit status 1", "killed by signal 9 (Killed)" */
void unit_describe_status(int status, char out[64]);
