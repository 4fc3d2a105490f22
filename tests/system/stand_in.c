/* stand_in: plays any service for tests of the supervisor: named by its file, it locks itself in as the real ones do and
 * answers /health. <state>/behave says how it should misbehave: "fail" at its start, "deaf" to SIGTERM. */
#include <signal.h>

#include "base/file.h"
#include "base/log.h"
#include "core/sandbox.h"
#include "core/service.h"

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = service_health},
        {0},
};

static bool behaves(struct service *s, const char *how) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(64);

        return read_file_beneath(service_state_dir(s), "behave", 64, &text) >= 0 &&
               view_eq_str(buf_view(&text), how);
}

static int lock_in(const char *name, struct service *s) {
        const struct sandbox_path paths[] = {{service_state_path(s), SANDBOX_READ | SANDBOX_WRITE, false},
                                             {0}};
        const struct sandbox_profile profile = {
                .program = name,
                .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC,
                .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS |
                         SANDBOX_CALLS_SERVER,
                .paths = paths,
        };
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int r = sandbox_enter(&profile, &report, &fault);

        if (r < 0)
                log_error("sandbox_failed", "%s", fault.text);
        return r;
}

static int make_keys(const char *state) {
        _cleanup_(closep) int dir = open_dir(state);

        return dir < 0 || replace_file(dir, "evidence.pub", VIEW("public"), 0644) < 0;
}

static int serve(struct service *s, const char *name) {
        struct http_server_config config = {
                .name = name, .routes = routes, .authorize = service_authorize, .userdata = s};
        struct http_server *server = NULL;
        int fds[] = {service_take_fd(s, "http-unix"), service_take_fd(s, "http-tcp")};
        int r = http_server_new(&config, fds, fds[1] >= 0 ? 2 : 1, &server);

        if (r >= 0)
                r = service_run(s, NULL, NULL);
        while (behaves(s, "deaf"))
                pause();
        http_server_free(server);
        return r;
}

int main(int argc, char *argv[]) {
        const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
        struct service *s = NULL;
        int r;

        if (argc == 4 && strcmp(argv[1], "--make-keys") == 0)
                return make_keys(argv[3]);
        if (!secure_getenv("WATCHDOG_USEC")) {
                log_error("no_watchdog", "the supervisor wants no keep-alives, but kills who sends none");
                return 3;
        }
        r = service_new(name, argc, argv, &s);
        if (r != 0)
                return r < 0 ? 2 : 0;
        if (behaves(s, "fail")) {
                log_error("no_luck", "told to fail");
                service_free(s);
                return 3;
        }
        r = lock_in(name, s);
        if (r >= 0)
                r = serve(s, name);
        service_free(s);
        return r < 0 ? 2 : 0;
}
