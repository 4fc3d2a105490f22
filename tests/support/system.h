/* system: the whole of it, started by the shipped `securectl up` on a state root of its own, as a user would.
 *
 *     struct system *s = system_new(NULL);                  // NULL: the installation in $SECAI_STAGE
 *     system_start(s, NULL);                                // waits for "running"
 *     struct http_client *c = system_client(s, "securectl", "registry");
 *     kill(system_pid(s, "registry"), SIGKILL);
 *     system_await(s, "service_ready", "registry");         // the next such event
 *     assert_int_equal(system_stop(s), 0);                  // SIGTERM; wait status
 *     system_free(s);                                       // kills what is left, removes the root
 *
 * All ports are ephemeral. Functions assert (cmocka) unless they say otherwise. $SECAI_KEEP=1 keeps the root. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "wire/http_client.h"

struct system;

/* `prefix`: folder with usr/bin/securectl, or NULL. */
struct system *system_new(const char *prefix);
struct system *system_free(struct system *s);

/* `more`: further arguments of up, NULL-terminated, may be NULL. */
void system_start(struct system *s, const char *const *more);
/* For starts that may fail: 0 when it runs, else the wait status. */
int system_try_start(struct system *s, const char *const *more);
int system_stop(struct system *s);
void system_kill(struct system *s); /* SIGKILL to the supervisor alone */
/* Waits for the end of the supervisor; the wait status. */
int system_wait(struct system *s);
/* Runs securectl with these arguments (NULL-terminated) and --state-root behind them; returns the wait status and what
 * it printed (stdout and stderr; may be NULL). */
int system_securectl(struct system *s, const char *const *arguments, struct buf *ret_output);

/* Waits (60 s) for the next event of this name and service (NULL: any) and returns its pid, 0 without one. */
pid_t system_await(struct system *s, const char *event, const char *service);
pid_t system_supervisor(const struct system *s);
pid_t system_pid(const struct system *s, const char *service); /* of the last service_ready */
uint16_t system_port(const struct system *s, const char *service);
const char *system_code(const struct system *s); /* one-time code, "" when there is none */
const char *system_root(const struct system *s); /* the state root */
/* Everything that `up` has printed so far, as it came. */
const char *system_output(const struct system *s);
/* Client of `target` on its UNIX socket with the token that was minted for `caller`. */
struct http_client *system_client(struct system *s, const char *caller, const char *target);
