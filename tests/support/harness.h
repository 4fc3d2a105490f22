/* harness: starts the shipped programs as the supervisor would, for tests.
 *
 * One harness is a temporary root with
 *     state/<name>/         the service's state (kept over stop, kill and start)
 *     run/                  all sockets; state/../log/ for logs; credentials/<name>/tokens.json
 * Every pair (caller, target) has a token, so that a test can speak as anybody in service-acl.yaml. Listening sockets
 * (http-unix, http-tcp on an ephemeral loopback port, fd) are opened once per name and stay open in the harness, as in
 * the supervisor: a restarted service finds the connections that came while it was away.
 *
 * Programs come from $SECAI_STAGE/usr/libexec/secure-ai, data from $SECAI_STAGE/usr/share/secure-ai, configuration from
 * $SECAI_STAGE/etc/secure-ai (or harness_use_config). Functions assert (cmocka) unless they say otherwise; services
 * die with the test. $SECAI_KEEP=1 keeps the root and prints its place.
 *
 *     struct harness *h = harness_new();
 *     harness_start(h, "audit", NULL);
 *     struct http_client *c = harness_client(h, "ui", "audit");       // http_client_free when done
 *     assert_int_equal(harness_call(c, "GET", "/v1/head", NULL, &answer), 200);
 *     harness_kill(h, "audit"); harness_start(h, "audit", NULL);      // same state, same sockets
 *     harness_free(h);
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "wire/http_client.h"

struct harness;

struct harness *harness_new(void);
struct harness *harness_free(struct harness *h); /* stops what runs, removes the root; NULL is fine */

/* Configuration from another folder, for services started after this. harness_copy_config copies the shipped one to
 * <root>/config, makes it the one in use and returns its path, so that a test can change a file in it. */
void harness_use_config(struct harness *h, const char *dir);
const char *harness_copy_config(struct harness *h);

/* Another program than <libexec>/<name>, from now on. */
void harness_use_program(struct harness *h, const char *name, const char *path);
/* Starts the program and waits for READY=1 (at most 20 s). `more`: further arguments, NULL-terminated, may be NULL. */
void harness_start(struct harness *h, const char *name, const char *const *more);
/* The same for starts that may fail: 0 when ready, else the wait status (stderr: harness_stderr). */
int harness_try_start(struct harness *h, const char *name, const char *const *more);
int harness_stop(struct harness *h,
                 const char *name); /* SIGTERM, waits at most 15 s; returns the wait status */
void harness_kill(struct harness *h, const char *name); /* SIGKILL */
pid_t harness_pid(struct harness *h, const char *name); /* 0 when it doesn't run */
/* Everything the service has written to stderr since the harness was made; valid until the next call. */
const char *harness_stderr(struct harness *h, const char *name);
/* Runs a program of libexec to its end with these arguments (NULL-terminated); returns the wait status and, when
 * ret_output is not NULL, its stdout and stderr. */
int harness_run(struct harness *h, const char *name, const char *const *arguments, struct buf *ret_output);

const char *harness_root(const struct harness *h);
const char *harness_run_path(const struct harness *h);
const char *harness_share_path(const struct harness *h);
const char *harness_worker_root_path(const struct harness *h);       /* NULL when there is none */
const char *harness_state_path(struct harness *h, const char *name); /* made when missing */
const char *harness_credentials_path(struct harness *h,
                                     const char *name);     /* made when missing, with tokens.json */
uint16_t harness_port(struct harness *h, const char *name); /* of http-tcp */
const char *harness_token(struct harness *h, const char *caller,
                          const char *target); /* valid until the next call */
/* Takes a listening socket for a stand-in service inside the test: kind "http-unix", "http-tcp" or "fd". */
int harness_take_socket(struct harness *h, const char *name, const char *kind);

/* Client of `target` (UNIX socket) as `caller`; the test frees it. */
struct http_client *harness_client(struct harness *h, const char *caller, const char *target);
/* One call with a 30 s deadline; `json` NULL: no body. Returns the status; *ret is filled (http_answer_done). */
unsigned harness_call(struct http_client *c, const char *method, const char *path, const char *json,
                      struct http_answer *ret);
