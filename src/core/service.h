/* service: what the main() of each program shares: arguments, passed-in sockets, credentials, identity of callers.
 *
 * Every service is started as
 *     /usr/libexec/secure-ai/<name> --config DIR --state DIR --run DIR --share DIR [--credentials DIR]
 *         [--worker-root DIR] [--libexec DIR]
 * with listening sockets passed in as systemd does (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; names "http-unix",
 * "http-tcp", "fd"). DIR meanings:
 *   config       /etc/secure-ai (config/appliance.yaml, policy/…, service-acl.yaml)
 *   state        the service's own writable folder (/var/lib/secure-ai/<name>)
 *   run          /run/secure-ai: <name>.sock (HTTP) and <name>.fd.sock (descriptor passing) of all services
 *   share        /usr/share/secure-ai: data files (prompts, YARA rules, demo model, worker root's place)
 *   worker-root  the sealed root with llama-server (absent: what needs it answers 503 no_worker_root)
 *   libexec      where the other programs are; default: the folder of this program
 *   credentials  tokens.json of this service (mode 0600):
 *                {"inbound":[{"caller":"ui","sha256":"…"}…],"outbound":[{"target":"registry","token":"…"}…]}
 */
#pragma once

#include "core/audit_client.h"
#include "wire/http_client.h"
#include "wire/http_server.h"

struct service; /* opaque */

/* Reads arguments, sockets and credentials, loads service-acl.yaml, sets up logging and the stop signals (SIGTERM,
 * SIGINT: blocked in all threads). 0 and *ret; 1 when --help or --version was answered; negative after it has
 * logged what is wrong. Call this first, before any thread. */
SAI_NODISCARD int service_new(const char *name, int argc, char *argv[], struct service **ret);
struct service *service_free(struct service *s);

int service_config_dir(const struct service *s); /* borrowed descriptors */
int service_state_dir(const struct service *s);
int service_share_dir(const struct service *s);
const char *service_config_path(const struct service *s); /* the paths behind them, for sandbox tables */
const char *service_state_path(const struct service *s);
const char *service_run_path(const struct service *s);
const char *service_share_path(const struct service *s);
const char *service_libexec_path(const struct service *s);
const char *service_credentials_path(const struct service *s); /* NULL when there is none */
const char *service_worker_root_path(const struct service *s); /* NULL when there is none */
/* The passed-in socket of that name, ownership moves to the caller; -ENOENT. */
SAI_NODISCARD int service_take_fd(struct service *s, const char *name);

/* Client of another service with this one's token. -ENOENT when no token was minted: the call is not foreseen. */
SAI_NODISCARD int service_client(const struct service *s, const char *target, struct http_client **ret);
/* Audit client of this service. */
struct audit_client *service_audit(const struct service *s);

/* For http_server_config.authorize, with userdata = the service: names the caller (UNIX peer by token or uid; TCP by
 * bearer token, compared in constant time) and looks up route->permission in service-acl.yaml. Unlisted: 403
 * forbidden_route; nobody: 401 unknown_caller. */
int service_authorize(struct http_request *q, const struct http_route *route, void *service);
/* The same decision for descriptor channels: who is it, by token; NULL view when unknown. */
struct view service_caller_of_token(const struct service *s, struct view token);
bool service_may(const struct service *s, struct view caller, const char *permission);
/* The outbound token for `target`, for descriptor channels; VIEW_NULL when none. */
struct view service_token(const struct service *s, const char *target);

/* Tells the supervisor (READY=1 to $NOTIFY_SOCKET) and waits for a stop signal; returns 0 then. Sends watchdog
 * keep-alives. `tick` (may be NULL) is called about once a second in this thread. */
SAI_NODISCARD int service_run(struct service *s, void (*tick)(void *), void *userdata);
/* From within `tick`: this process is of no use any more (its launcher is gone). service_run returns -ECONNABORTED, and the
 * supervisor starts a new one. */
void service_give_up(struct service *s);
/* Route table entry for /health: {"status":"ok","service":…,"version":…,"uptime_s":…}. */
int service_health(struct http_request *q, void *userdata);
