/* rig: the inference service without llama-server, launcher and registry: its supervisor and its HTTP interface on a
 * UNIX socket, and in place of the worker a server that says what a test tells it to, byte by byte. */
#pragma once

#include <pthread.h>

#include "inference/routes.h"
#include "support/cm.h"
#include "support/temp_dir.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct rig;
/* Plays the worker for one chat request on an accepted connection, which is closed after it. */
typedef void (*rig_script)(struct rig *r, int connection);

struct rig {
        struct temp_dir dir;
        struct worker *worker;
        struct routes_context routes;
        struct http_server *server;
        struct http_client *client;
        char socket[96];

        /* the model */
        int open_error; /* of open_model; 0: it works */
        uint64_t model_size;
        int lease_peer; /* closing it ends the lease */
        struct machine machine;

        /* the worker */
        pthread_mutex_t mutex;
        rig_script script;
        int listener, pid_fd;
        pthread_t thread;
        bool running, dies_loading, healthy;
        unsigned spawned, killed, chats;
        int end_status;
        unsigned serial;
        char last_body[8192]; /* of the last chat request that the worker got */

        /* the log */
        bool log_broken;
        char events[4096]; /* "model_loaded a…;worker_died a…;" */
};

struct rig_options {
        uint64_t load_timeout_usec, restart_first_usec, idle_unload_usec;
        struct answer_deadlines deadlines;
};
/* Zero members of `o` (or NULL) take harmless defaults. */
void rig_start(struct rig *r, const struct rig_options *o);
void rig_stop(struct rig *r);
/* The worker's process "ends" now, as if killed by signal 9. */
void rig_kill_worker(struct rig *r);
/* Events that the log has, each "name first-letter-of-model;". */
bool rig_logged(struct rig *r, const char *event);
void rig_send(int connection, const char *text);
/* A well-behaved answer: "Hel", "lo", stop, usage, timings, [DONE]. */
void rig_good_answer(struct rig *r, int connection);
/* Status, body in *a (http_answer_done). */
unsigned rig_call(struct rig *r, const char *method, const char *path, const char *body,
                  struct http_answer *a);
/* Waits until the supervisor is in the state; fails the test after 10 s. */
void rig_await(struct rig *r, enum worker_state state);

#define RIG_HEADERS "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define RIG_CHUNK(text)                                                                                      \
        "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"    \
        "\n\n"
#define RIG_STOP "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}]}\n\n"
#define RIG_DONE "data: [DONE]\n\n"
