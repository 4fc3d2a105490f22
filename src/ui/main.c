/* ui: the browser's API and the embedded web UI. See README.md. */
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/digest.h"
#include "ui/app.h"
#include "ui/conversations.h"
#include "ui/first_run.h"
#include "ui/lockout.h"
#include "ui/machine.h"
#include "ui/passphrase.h"
#include "ui/routes.h"
#include "ui/sandbox.h"
#include "ui/sessions.h"

#define DATABASE "ui.sqlite"

struct program {
        struct app app;
        struct http_server *server;
        bool is_first_run;
};

static void program_done(struct program *p) {
        struct app *app = &p->app;

        http_server_free(p->server);
        http_client_free(app->registry);
        http_client_free(app->quarantine);
        http_client_free(app->inference);
        http_client_free(app->audit);
        lockout_free(app->login_lock);
        lockout_free(app->setup_lock);
        machine_free(app->machine);
        db_free(app->db);
        service_free(app->service);
        pthread_mutex_destroy(&app->passphrase_mutex);
}

/* Without an id of this boot nothing can be carried over from an earlier start. */
static int read_boot_id(char out[33]) {
        uint8_t random[16];
        int r;

        clock_boot_id(out);
        if (strspn(out, "0") != 32)
                return 0;
        r = random_bytes(random, sizeof(random));
        if (r < 0)
                return r;
        hex_encode(random, sizeof(random), out);
        return 0;
}

static int log_fault(const char *event, int r, const struct fault *f) {
        if (r < 0)
                log_error(event, "%s%s%s", f->rule ? f->rule : "", f->rule ? ": " : "",
                          f->text[0] ? f->text : strerror(-r));
        return r;
}

static int open_lockouts(struct app *app) {
        const struct settings *s = &app->settings;
        struct fault fault = FAULT_NONE;
        int r = lockout_new(app->state_dir, "login-lockout.json", app->boot_id, s->lockout_tries,
                            s->lockout_usec, &app->login_lock, &fault);

        if (r == 0)
                r = lockout_new(app->state_dir, "setup-lockout.json", app->boot_id, s->lockout_tries,
                                s->lockout_usec, &app->setup_lock, &fault);
        return log_fault("lockout_unreadable", r, &fault);
}

static int open_first_run(struct program *p) {
        struct fault fault = FAULT_NONE;
        int r = passphrase_exists(p->app.state_dir, &fault);

        p->is_first_run = r == 0;
        if (r == 0)
                r = first_run_begin(p->app.state_dir);
        else if (r > 0)
                r = first_run_end(p->app.state_dir); /* a crash may have left the code behind */
        return log_fault("passphrase_unreadable", r, &fault);
}

static int open_clients(struct app *app) {
        const struct {
                const char *name;
                struct http_client **client;
        } targets[] = {{"registry", &app->registry},
                       {"quarantine", &app->quarantine},
                       {"inference", &app->inference},
                       {"audit", &app->audit}};

        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
                int r = service_client(app->service, targets[i].name, targets[i].client);

                if (r < 0) {
                        log_error("no_credentials", "tokens.json has no token for %s (%s)", targets[i].name,
                                  strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int read_everything(struct app *app) {
        struct fault fault = FAULT_NONE;
        struct sha256 digest;
        int r = settings_load(service_config_dir(app->service), &app->settings, &fault);

        if (r < 0)
                return log_fault("bad_configuration", r, &fault);
        app->state_dir = service_state_dir(app->service);
        app->share_dir = service_share_dir(app->service);
        r = read_boot_id(app->boot_id);
        if (r == 0)
                r = machine_look(app->service, &app->machine);
        if (r == 0)
                r = sha256_of(VIEW(""), &digest); /* the library reads its configuration once, while it may */
        return r < 0 ? r : open_clients(app);
}

static int lock_in(struct app *app) {
        const struct service *s = app->service;
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int r = ui_sandbox_enter(service_state_path(s), service_share_path(s), service_run_path(s), &report,
                                 &fault);

        if (r < 0)
                return log_fault("sandbox_failed", r, &fault);
        if (report.absent[0])
                log_warning("sandbox_incomplete", "this kernel does not give: %s", report.absent);
        machine_note_sandbox(app->machine, &report);
        return 0;
}

static int open_database(struct app *app) {
        const char *const migrations[] = {SESSIONS_SQL, conversations_sql};
        char path[4096];
        int n = snprintf(path, sizeof(path), "%s/" DATABASE, service_state_path(app->service));
        int r = n < 0 || (size_t)n >= sizeof(path)
                        ? -ENAMETOOLONG
                        : db_open(path, migrations, ARRAY_SIZE(migrations), &app->db);

        if (r < 0)
                log_error("database",
                          "%s: %s; restore it from a backup, or move it away to begin with an empty one",
                          path, strerror(-r));
        return r;
}

static int serve(struct program *p) {
        struct service *s = p->app.service;
        int fds[2] = {service_take_fd(s, "http-tcp"), service_take_fd(s, "http-unix")};
        const int *first = fds[0] >= 0 ? fds : fds + 1;
        size_t n = (fds[0] >= 0) + (size_t)(fds[1] >= 0);
        int r;

        if (n == 0) {
                log_error("no_socket", "neither http-tcp nor http-unix was passed in; start me through "
                                       "securectl or systemd");
                return -ENOENT;
        }
        r = routes_serve(&p->app, first, n, &p->server);
        if (r < 0)
                log_error("server_failed", "the HTTP server can't start: %s", strerror(-r));
        return r;
}

static int run(struct program *p) {
        int r = read_everything(&p->app);

        if (r == 0)
                r = lock_in(&p->app);
        if (r == 0)
                r = open_lockouts(&p->app);
        if (r == 0)
                r = open_first_run(p);
        if (r == 0)
                r = open_database(&p->app);
        if (r == 0)
                r = serve(p);
        if (r < 0)
                return r;
        if (p->is_first_run)
                log_info("first_run", "no passphrase yet: the one-time code is in %s/first-run-code",
                         service_state_path(p->app.service));
        return service_run(p->app.service, NULL, NULL);
}

int main(int argc, char *argv[]) {
        _cleanup_(program_done) struct program p = {.app = {.passphrase_mutex = PTHREAD_MUTEX_INITIALIZER}};
        int r = service_new("ui", argc, argv, &p.app.service);

        if (r != 0)
                return r > 0 ? 0 : 2;
        return run(&p) < 0 ? 1 : 0;
}
