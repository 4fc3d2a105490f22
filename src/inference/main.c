/* inference: supervises the sealed llama-server and answers chats. See README.md. */
#include "base/file.h"
#include "base/log.h"
#include "core/config.h"
#include "core/service.h"
#include "inference/catalog.h"
#include "inference/limits.h"
#include "inference/routes.h"
#include "inference/sandbox.h"
#include "inference/worker_real.h"

struct program {
        struct service *service;
        struct worker_config config;
        struct worker_real real;
        char *registry_socket, *worker_dir;
        struct routes_context context;
        struct http_server *server;
};

/* Answers end first, then the connections that carry them, then the worker. */
static void program_done(struct program *p) {
        if (p->context.worker)
                worker_stop(p->context.worker);
        p->server = p->server ? http_server_free(p->server) : NULL;
        p->context.worker = worker_free(p->context.worker);
        p->real.launcher = p->real.launcher ? launcher_free(p->real.launcher) : NULL;
        p->context.registry = http_client_free(p->context.registry);
        free(p->registry_socket);
        free(p->worker_dir);
        p->service = service_free(p->service);
}

/* The schema fills in what the file leaves out and checks every range. */
static uint64_t setting(const struct json *section, const char *name, uint64_t otherwise) {
        uint64_t n;

        return json_get_u64(section, name, &n) < 0 ? otherwise : n;
}

static int read_settings(struct program *p) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *section;
        struct fault fault;

        if (config_load(service_config_dir(p->service), "config/appliance.yaml", "appliance", &d, &fault) <
            0) {
                log_error("bad_configuration", "%s", fault.text);
                return -EBADMSG;
        }
        section = json_get(json_root(d), "inference");
        p->config.settings.context = (uint32_t)MIN_OF(setting(section, "context", 4096),
                                                      (uint64_t)CONTEXT_MOST);
        p->config.settings.threads = (unsigned)MIN_OF(setting(section, "threads", 0),
                                                      (uint64_t)WORKER_THREADS_MAX);
        p->config.settings.memory_percent = (unsigned)MIN_OF(setting(section, "memory_percent", 60),
                                                             UINT64_C(90));
        p->config.load_timeout_usec = setting(section, "load_timeout_seconds", 300) * USEC_PER_SEC;
        p->config.idle_unload_usec = setting(section, "idle_unload_minutes", 0) * 60 * USEC_PER_SEC;
        return 0;
}

static int start_launcher(struct program *p) {
        const char *run = service_run_path(p->service);
        struct launcher_config config = {.libexec_path = service_libexec_path(p->service),
                                         .worker_root_path = service_worker_root_path(p->service)};
        int r = -ENOMEM;

        if (asprintf(&p->registry_socket, "%s/registry.fd.sock", run) < 0)
                p->registry_socket = NULL;
        if (asprintf(&p->worker_dir, "%s/inference", run) < 0)
                p->worker_dir = NULL;
        if (p->registry_socket && p->worker_dir)
                r = make_path(p->worker_dir, 0700);
        config.socket_dir = p->worker_dir;
        if (r >= 0)
                r = launcher_start(&config, &p->real.launcher);
        if (r < 0)
                log_error("no_launcher", "workers can't be started: %s", strerror(-r));
        if (r >= 0 && !config.worker_root_path)
                log_warning("no_worker_root", "no sealed worker root was given: chats are refused; "
                                              "tools/worker-root.sh makes one");
        return r;
}

static int connect_others(struct program *p) {
        int r = service_client(p->service, "registry", &p->context.registry);

        if (r < 0)
                log_warning("no_registry", "no token for the registry: no model can be loaded (%s)",
                            strerror(-r));
        p->real.registry_socket = p->registry_socket;
        p->real.token = service_token(p->service, "registry");
        p->real.audit = service_audit(p->service);
        return r == -ENOENT ? 0 : r;
}

static int lock_in(const struct program *p) {
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int r = inference_sandbox_enter(service_run_path(p->service), &report, &fault);

        if (r < 0)
                log_error("sandbox_failed", "%s (%s)", fault.text, strerror(-r));
        else if (report.absent[0])
                log_warning("sandbox_incomplete", "this kernel does not give: %s", report.absent);
        return r;
}

static int serve(struct program *p) {
        int fds[2], r;
        size_t n = 0;

        for (size_t i = 0; i < 2; i++) {
                r = service_take_fd(p->service, i == 0 ? "http-unix" : "http-tcp");
                if (r >= 0)
                        fds[n++] = r;
        }
        if (n == 0) {
                log_error("no_socket",
                          "no socket \"http-unix\" or \"http-tcp\" was passed in; start me through "
                          "securectl or systemd");
                return -ENOENT;
        }
        p->config.ops = &worker_real_ops;
        p->config.userdata = &p->real;
        p->context.deadlines = answer_default_deadlines;
        p->context.authorize = service_authorize;
        p->context.health = service_health;
        p->context.userdata = p->service;
        r = worker_new(&p->config, &p->context.worker);
        if (r >= 0)
                r = routes_serve(&p->context, fds, n, &p->server);
        if (r < 0)
                log_error("server_failed", "the service can't start: %s", strerror(-r));
        return r;
}

/* Without its helper no model could be loaded until somebody starts this service anew: so it ends, and is started anew. */
static void tick(void *userdata) {
        struct program *p = userdata;

        if (launcher_is_there(p->real.launcher))
                return;
        log_error("launcher_gone",
                  "the helper that starts workers has died; this service ends to get a new one");
        service_give_up(p->service);
}

static int run(struct program *p) {
        int r = read_settings(p);

        if (r >= 0)
                r = start_launcher(p);
        if (r >= 0)
                r = connect_others(p);
        if (r >= 0)
                r = lock_in(p);
        if (r >= 0)
                r = serve(p);
        return r < 0 ? r : service_run(p->service, tick, p);
}

int main(int argc, char *argv[]) {
        _cleanup_(program_done) struct program p = {0};
        int r = service_new("inference", argc, argv, &p.service);

        if (r != 0)
                return r > 0 ? 0 : 2;
        return run(&p) < 0 ? 1 : 0;
}
