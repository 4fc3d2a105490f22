/* audit: the one tamper-evident log. See README.md. */
#include "base/file.h"
#include "base/log.h"
#include "audit/limits.h"
#include "audit/routes.h"
#include "audit/sandbox.h"
#include "audit/setup.h"
#include "core/audit_verify.h"

struct program {
        struct service *service;
        char *writer_path, *log_path;
        int writer_dir, log_dir;
        struct writer *writer;
        struct http_server *server;
        struct routes_context context;
};

static void program_done(struct program *p) {
        p->server = p->server ? http_server_free(p->server) : NULL;
        p->writer = writer_free(p->writer);
        close_fd(p->writer_dir);
        close_fd(p->log_dir);
        free(p->writer_path);
        free(p->log_path);
        p->service = service_free(p->service);
}

/* `audit --make-keys --state DIR` and `audit --start-over --state DIR`: done before any service runs. */
static int run_setup(const char *act, const char *state_path) {
        _cleanup_(freep) char *log_path = setup_log_path(state_path);
        struct fault fault = FAULT_NONE;
        int r = -ENOMEM;

        log_set_program("audit");
        if (log_path)
                r = strcmp(act, "--make-keys") == 0 ? setup_make_keys(state_path, log_path, &fault)
                                                    : setup_start_over(state_path, log_path, &fault);
        if (r >= 0)
                return 0;
        log_error("setup_failed", "%s: %s (%s)", fault.rule ? fault.rule : "AUDIT-014", fault.text,
                  strerror(-r));
        return 1;
}

static bool is_setup(int argc, char *argv[]) {
        return argc == 4 && strcmp(argv[2], "--state") == 0 &&
               (strcmp(argv[1], "--make-keys") == 0 || strcmp(argv[1], "--start-over") == 0);
}

/* The first start makes what is missing; on the appliance root has done that before, so that verify.key is root's. */
static int make_missing(const char *state, const char *log) {
        struct fault fault = FAULT_NONE;
        int r = setup_make_keys(state, log, &fault);

        if (r < 0)
                log_error(r == -EUCLEAN ? "log_broken" : "not_set_up", "%s: %s (%s)", fault.rule, fault.text,
                          strerror(-r));
        return r;
}

static int open_folders(struct program *p) {
        const char *state = service_state_path(p->service);
        int r = -ENOMEM;

        p->log_path = setup_log_path(state);
        if (p->log_path && make_missing(state, p->log_path) < 0)
                return -EUCLEAN;
        if (p->log_path && asprintf(&p->writer_path, "%s/" AUDIT_WRITER_DIR_NAME, state) < 0)
                p->writer_path = NULL;
        if (p->log_path && p->writer_path) {
                r = p->writer_dir = open_dir(p->writer_path);
                if (r >= 0)
                        r = p->log_dir = open_dir(p->log_path);
        }
        if (r < 0)
                log_error("not_set_up", "%s or the folder of the log: %s", state, strerror(-r));
        return r;
}

static int open_log(struct program *p) {
        const struct log_store_config config = {.log_dir = p->log_dir,
                                                .writer_dir = p->writer_dir,
                                                .rotate_bytes = AUDIT_ROTATE_BYTES,
                                                .checkpoint_each = AUDIT_CHECKPOINT_EACH};
        struct fault fault = FAULT_NONE;
        struct log_store *store = NULL;
        int r = log_store_open(&config, &store, &fault);

        if (r < 0) {
                log_error(r == -EUCLEAN ? "log_broken" : "log_not_opened",
                          "%s: %s (%s); `securectl audit verify` names the place, docs/components/audit.md "
                          "says "
                          "what an "
                          "owner can do",
                          fault.rule, fault.text, strerror(-r));
                return r;
        }
        r = writer_new(store, &p->writer);
        if (r < 0)
                log_store_close(store);
        return r;
}

static int lock_in(struct program *p) {
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int r = audit_sandbox_enter(p->writer_path, p->log_path, &report, &fault);

        if (r < 0)
                log_error("sandbox_failed", "%s (%s)", fault.text, strerror(-r));
        else if (report.absent[0])
                log_warning("sandbox_incomplete", "this kernel does not give: %s", report.absent);
        return r;
}

static int serve(struct program *p) {
        int fds[2], r;
        size_t n = 0;

        fds[0] = service_take_fd(p->service, "http-unix");
        if (fds[0] < 0) {
                log_error("no_socket",
                          "no socket \"http-unix\" was passed in; start me through securectl or systemd");
                return fds[0];
        }
        n = 1;
        p->context = (struct routes_context){p->service, p->writer, p->log_dir};
        r = routes_serve(&p->context, fds, n, &p->server);
        if (r < 0)
                log_error("server_failed", "the HTTP server can't start: %s", strerror(-r));
        return r;
}

static int run(struct program *p) {
        int r = open_folders(p);

        if (r >= 0)
                r = lock_in(p);
        if (r >= 0)
                r = open_log(p);
        if (r >= 0)
                r = serve(p);
        return r < 0 ? r : service_run(p->service, NULL, NULL);
}

int main(int argc, char *argv[]) {
        _cleanup_(program_done) struct program p = {.writer_dir = -EBADF, .log_dir = -EBADF};
        int r;

        if (is_setup(argc, argv))
                return run_setup(argv[1], argv[3]);
        r = service_new("audit", argc, argv, &p.service);
        if (r != 0)
                return r > 0 ? 0 : 2;
        return run(&p) < 0 ? 1 : 0;
}
