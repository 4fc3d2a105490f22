/* quarantine: watches the inbox, examines what lies there in seven stages and hands what passes to the registry.
 * `quarantine --scan FILE…` runs the same stages on files alone, `quarantine --make-keys --state DIR` makes the key that signs
 * its evidence. */
#include "base/file.h"
#include "base/log.h"
#include "quarantine/api.h"
#include "quarantine/evidence.h"
#include "quarantine/inbox.h"
#include "quarantine/intake.h"
#include "quarantine/runner.h"
#include "quarantine/sandbox.h"
#include "quarantine/scan_cli.h"

#include <signal.h>

#define WORKERS_DIR "workers" /* sockets of llama-server, beneath the state */

static bool asks_for(int argc, char *argv[], const char *option) {
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], option) == 0)
                        return true;
        return false;
}

/* The folders, too: the registry, which starts before, names the folder of claims in its sandbox, and can't link files from one
 * that was not there then. */
static int make_state(int dir) {
        _cleanup_(signing_key_freep) struct signing_key *key = NULL;
        struct claims claims;
        int r = claims_open(dir, &claims);

        if (r < 0)
                return r;
        claims_done(&claims);
        return evidence_key_load(dir, &key);
}

static int make_keys(int argc, char *argv[]) {
        _cleanup_(closep) int dir = -EBADF;
        const char *state = NULL;
        int r;

        for (int i = 1; i + 1 < argc; i++)
                if (strcmp(argv[i], "--state") == 0)
                        state = argv[i + 1];
        if (!state) {
                (void)fputs("usage: quarantine --make-keys --state DIR\n", stderr);
                return 2;
        }
        r = make_path(state, 0700);
        if (r >= 0)
                r = dir = open_dir(state);
        if (r >= 0)
                r = make_state(dir);
        if (r < 0)
                (void)fprintf(stderr, "quarantine: the evidence key in %s can't be made: %s\n", state,
                              strerror(-r));
        return r < 0 ? 2 : 0;
}

/* A path that lives as long as the program. */
static char *join(const char *dir, const char *name) {
        size_t n = strlen(dir) + strlen(name) + 2;
        char *path = malloc(n);

        if (path)
                (void)snprintf(path, n, "%s/%s", dir, name);
        return path;
}

static int prepare(struct quarantine *q, char **ret_workers, struct fault *reterr) {
        struct service *s = q->service;
        _cleanup_(freep) char *workers = join(service_state_path(s), WORKERS_DIR);
        int r;

        q->incoming_path = join(service_state_path(s), "incoming");
        q->registry_socket = join(service_run_path(s), "registry.fd.sock");
        if (!workers || !q->incoming_path || !q->registry_socket)
                return -ENOMEM;
        r = make_path(workers, 0700);
        if (r >= 0)
                r = setup_make(service_config_dir(s), service_share_dir(s), service_libexec_path(s),
                               service_worker_root_path(s), workers, &q->setup, reterr);
        if (r >= 0)
                r = evidence_key_load(service_state_dir(s), &q->key);
        if (r >= 0)
                r = claims_open(service_state_dir(s), &q->claims);
        if (r < 0)
                return r;
        *ret_workers = TAKE_PTR(workers);
        return 0;
}

static int enter_sandbox(const struct quarantine *q, const char *workers, struct fault *reterr) {
        struct quarantine_paths paths = {
                .state = service_state_path(q->service),
                .run = service_run_path(q->service),
                .workers = workers,
        };
        struct sandbox_report report;
        int r;

        r = quarantine_sandbox_enter(&paths, &report, reterr);
        if (r >= 0 && report.absent[0])
                log_warning("sandbox_incomplete", "this kernel does not give: %s", report.absent);
        return r;
}

static int open_state(struct quarantine *q, struct fault *reterr) {
        _cleanup_(freep) char *path = join(service_state_path(q->service), "jobs.db");
        int r;

        if (!path)
                return -ENOMEM;
        r = live_new(&q->live);
        if (r >= 0)
                r = jobs_open(path, &q->jobs);
        if (r < 0)
                return fault_set(reterr, r, NULL, 0, "the table of jobs can't be opened: %s", strerror(-r));
        r = runner_recover(q);
        return r < 0 ? fault_set(reterr, r, NULL, 0, "the state of the last run can't be put in order: %s",
                                 strerror(-r))
                     : 0;
}

struct servers {
        struct http_server *http;
        struct fd_channel_server *channel;
        struct inbox *inbox;
        struct runner *runner;
};

static int start_servers(struct quarantine *q, struct servers *v) {
        int http[2], channel, r;
        size_t n = 0;

        http[n] = service_take_fd(q->service, "http-unix");
        n += http[n] >= 0;
        http[n] = service_take_fd(q->service, "http-tcp");
        n += http[n] >= 0;
        channel = service_take_fd(q->service, "fd");
        r = runner_start(q, &v->runner);
        if (r >= 0)
                r = inbox_start(q, &v->inbox);
        if (r >= 0 && channel >= 0)
                r = intake_start(q, channel, &v->channel);
        if (r >= 0 && n > 0)
                r = api_start(q, http, n, &v->http);
        return r;
}

static void stop_servers(struct quarantine *q, struct servers *v) {
        if (q->live)
                live_stop(q->live);
        http_server_free(v->http);
        fd_channel_server_free(v->channel);
        inbox_free(v->inbox);
        runner_free(v->runner);
}

static void quarantine_done(struct quarantine *q) {
        jobs_free(q->jobs);
        live_free(q->live);
        claims_done(&q->claims);
        signing_key_free(q->key);
        setup_done(&q->setup);
        free(q->incoming_path);
        free(q->registry_socket);
}

/* Without its helper no file could be examined until somebody starts this service anew: so it ends, and is started anew. */
static void tick(void *userdata) {
        struct quarantine *q = userdata;

        if (launcher_is_there(q->setup.launcher))
                return;
        log_error("launcher_gone",
                  "the helper that starts workers has died; this service ends to get a new one");
        service_give_up(q->service);
}

static int serve(struct quarantine *q) {
        _cleanup_(freep) char *workers = NULL;
        struct servers servers = {0};
        struct fault why = FAULT_NONE;
        int r;

        r = prepare(q, &workers, &why);
        if (r >= 0)
                r = enter_sandbox(q, workers, &why);
        if (r >= 0)
                r = setup_keep_spare(&q->setup);
        if (r >= 0)
                r = setup_try(&q->setup, &why);
        if (r >= 0)
                r = open_state(q, &why);
        if (r >= 0)
                r = start_servers(q, &servers);
        if (r < 0)
                log_error("start_failed", "%s", why.text[0] ? why.text : strerror(-r));
        else
                r = service_run(q->service, tick, q);
        stop_servers(q, &servers);
        return r;
}

static void ignore_signal(int number) {
        struct sigaction action = {.sa_handler = SIG_IGN};

        (void)sigaction(number, &action, NULL);
}

int main(int argc, char *argv[]) {
        struct quarantine q = {
                .setup = {.rules_fd = -EBADF, .demo_fd = -EBADF},
                .claims = {.state_dir = -EBADF, .incoming = -EBADF, .claims = -EBADF, .rejected = -EBADF},
        };
        int r;

        ignore_signal(SIGPIPE);
        ignore_signal(SIGIO); /* the kernel's word that somebody wants to write to a file under our lease */
        if (asks_for(argc, argv, "--scan"))
                return scan_cli(argc, argv);
        if (asks_for(argc, argv, "--make-keys"))
                return make_keys(argc, argv);
        r = service_new("quarantine", argc, argv, &q.service);
        if (r == 0)
                r = serve(&q);
        quarantine_done(&q);
        service_free(q.service);
        return r < 0 ? 2 : 0;
}
