/* registry: the store of trusted models. See README.md. */
#include <signal.h>

#include "base/file.h"
#include "base/log.h"
#include "core/config.h"
#include "registry/anchor.h"
#include "registry/channel.h"
#include "registry/checker.h"
#include "registry/limits.h"
#include "registry/routes.h"
#include "registry/sandbox.h"

struct program {
        struct service *service;
        struct public_key *evidence_key;
        struct blocklist *blocklist;
        struct manifest *manifest;
        struct objects *objects;
        struct catalog *catalog;
        struct checker *checker;
        struct http_server *server;
        struct fd_channel_server *channel;
        int channel_fd;
        struct checker_config checks;
        struct routes_context routes;
        struct channel_context channels;
};

static void program_done(struct program *p) {
        p->server = p->server ? http_server_free(p->server) : NULL;
        p->channel = p->channel ? fd_channel_server_free(p->channel) : NULL;
        p->channel_fd = close_fd(p->channel_fd);
        p->checker = checker_stop(p->checker);
        p->catalog = catalog_free(p->catalog);
        p->manifest = manifest_free(p->manifest);
        p->objects = objects_free(p->objects);
        p->blocklist = blocklist_free(p->blocklist);
        p->evidence_key = public_key_free(p->evidence_key);
        p->service = service_free(p->service);
}

/* `registry --accept-manifest --state DIR`: the owner's answer to manifest_rolled_back and manifest_tampered. */
static int accept_manifest(const char *path) {
        _cleanup_(freep) char *absolute = realpath(path, NULL);
        _cleanup_(closep) int dir = absolute ? open_dir(absolute) : -ENOENT;
        struct fault fault = FAULT_NONE;
        int r = dir < 0 ? dir : manifest_accept(absolute, dir, &fault);

        log_set_program("registry");
        if (r < 0)
                log_error("manifest_not_accepted", "%s: %s (%s)", path, fault.text, strerror(-r));
        else
                log_info("manifest_accepted", "%s: the manifest as it stands is signed as a new version",
                         path);
        return r < 0 ? 1 : 0;
}

static int read_settings(struct program *p) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct fault fault = FAULT_NONE;
        const struct json *o;
        uint64_t hours;
        int r = config_load(service_config_dir(p->service), "config/appliance.yaml", "appliance", &d, &fault);

        if (r < 0) {
                log_error("bad_configuration", "%s", fault.text);
                return r;
        }
        o = json_get(json_root(d), "registry");
        if (json_get_u64(o, "verify_bytes_per_second", &p->checks.bytes_per_second) < 0)
                p->checks.bytes_per_second =
                        REGISTRY_VERIFY_SPEED; /* left out: the schema has checked the rest */
        if (json_get_u64(o, "verify_interval_hours", &hours) < 0)
                hours = REGISTRY_VERIFY_HOURS;
        p->checks.interval_usec = hours * 3600 * USEC_PER_SEC;
        return 0;
}

static int read_blocklist(struct program *p) {
        struct fault fault = FAULT_NONE;
        int r = blocklist_new(service_config_dir(p->service), &p->blocklist, &fault);

        if (r < 0)
                log_error("bad_configuration", "%s (without a blocklist the registry does not start)",
                          fault.text);
        return r;
}

static int read_evidence_key(struct program *p) {
        _cleanup_(closep) int dir = -EBADF;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        struct fault fault = FAULT_NONE;
        const char *path = service_credentials_path(p->service);
        int r = dir = path ? open_dir(path) : -ENOENT;

        if (r >= 0)
                r = read_file_beneath(dir, "evidence.pub", 4096, &pem);
        if (r >= 0)
                r = public_key_from_pem(buf_view(&pem), &p->evidence_key, &fault);
        if (r < 0)
                log_error("no_evidence_key",
                          "%s/evidence.pub: %s; expected quarantine's public key (`quarantine --make-keys` "
                          "makes the pair)",
                          path ? path : "(no credentials)", strerror(-r));
        return r;
}

static int say_refused(struct program *p, const struct fault *fault) {
        log_error(fault->rule,
                  "%s; nothing was changed. See docs/components/registry.md: restore the newest files, or "
                  "accept "
                  "what is there "
                  "with `registry --accept-manifest --state %s`",
                  fault->text, service_state_path(p->service));
        return fault->code;
}

static int open_manifest(struct program *p) {
        struct fault fault = FAULT_NONE;
        int r = manifest_open(service_state_path(p->service), service_state_dir(p->service), &p->manifest,
                              &fault);

        return r < 0 ? say_refused(p, &fault) : 0;
}

/* Asks the audit log whether it knows a newer manifest. A log that can't be asked stops promotions and deletions anyway;
 * what is there may still be used. */
static int check_anchor(struct program *p) {
        struct manifest_head head = manifest_head(p->manifest);
        _cleanup_(http_client_freep) struct http_client *audit = NULL;
        struct fault fault = FAULT_NONE;
        int r = service_client(p->service, "audit", &audit);

        if (r >= 0)
                r = anchor_check(audit, &head, &fault);
        if (r == -EUCLEAN)
                return say_refused(p, &fault);
        if (r >= 0)
                r = anchor_record(service_audit(p->service), &head);
        if (r < 0)
                log_warning("manifest_unwitnessed", "the audit log can't be asked about the manifest: %s",
                            strerror(-r));
        return 0;
}

static int lock_in(struct program *p) {
        _cleanup_(freep) char *claims = NULL;
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        struct registry_paths paths = {.state = service_state_path(p->service),
                                       .config = service_config_path(p->service)};
        int r = asprintf(&claims, "%s/../quarantine/claims", paths.state) < 0 ? -ENOMEM : 0;

        paths.claims = claims;
        if (r >= 0)
                r = registry_sandbox_enter(&paths, &report, &fault);
        if (r < 0)
                log_error("sandbox_failed", "%s (%s)", fault.text, strerror(-r));
        else if (report.absent[0])
                log_warning("sandbox_incomplete", "this kernel does not give: %s", report.absent);
        return r;
}

static int open_store(struct program *p) {
        struct catalog_parts parts = {.blocklist = p->blocklist,
                                      .evidence_key = p->evidence_key,
                                      .audit = service_audit(p->service)};
        int r = open_manifest(p);

        if (r < 0)
                return r;
        r = check_anchor(p);
        if (r < 0)
                return r;
        r = objects_open_store(service_state_dir(p->service), &p->objects);
        parts.manifest = p->manifest;
        parts.objects = p->objects;
        if (r >= 0)
                r = catalog_new(&parts, &p->catalog);
        if (r < 0)
                log_error("store_failed", "%s: the store can't be opened: %s", service_state_path(p->service),
                          strerror(-r));
        return r;
}

static int repair(struct program *p) {
        uint64_t orphans = 0, missing = 0;
        int r = catalog_repair(p->catalog, &orphans, &missing);

        if (r < 0)
                log_error("repair_failed", "the store can't be put in order: %s", strerror(-r));
        if (orphans || missing)
                log_warning("store_repaired",
                            "removed %llu files without a model, found %llu models without a file",
                            (unsigned long long)orphans, (unsigned long long)missing);
        return r;
}

static int serve_http(struct program *p) {
        static const char *const names[] = {"http-unix", "http-tcp"};
        int fds[ARRAY_SIZE(names)];
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                int fd = service_take_fd(p->service, names[i]);

                if (fd >= 0)
                        fds[n++] = fd;
        }
        if (n == 0) {
                log_error("no_socket", "no socket was passed in; start me through securectl or systemd");
                return -ENOENT;
        }
        p->routes = (struct routes_context){p->service, p->catalog, p->manifest, p->checker};
        return routes_serve(&p->routes, fds, n, &p->server);
}

static int serve_channel(struct program *p) {
        p->channel_fd = service_take_fd(p->service, "fd");
        if (p->channel_fd < 0) {
                log_error("no_socket",
                          "no socket \"fd\" was passed in; start me through securectl or systemd");
                return p->channel_fd;
        }
        p->channels = (struct channel_context){p->service, p->catalog};
        return channel_serve(&p->channels, p->channel_fd, &p->channel);
}

static int serve(struct program *p) {
        int r = checker_start(p->catalog, p->manifest, p->objects, &p->checks, &p->checker);

        if (r >= 0)
                r = serve_http(p);
        if (r >= 0)
                r = serve_channel(p);
        if (r < 0)
                log_error("server_failed", "the registry can't serve: %s", strerror(-r));
        return r;
}

static void tick(void *userdata) {
        struct program *p = userdata;
        struct fault fault = FAULT_NONE;
        int r = blocklist_refresh(p->blocklist, &fault);

        if (r < 0)
                log_error("bad_configuration", "%s (the blocklist from before stays in force)", fault.text);
        else if (r > 0)
                log_info("blocklist_read", "the new policy/models.lock.yaml is in force");
        manifest_publish_head(p->manifest);
}

static int run(struct program *p) {
        int r = read_settings(p);

        if (r >= 0)
                r = read_blocklist(p);
        if (r >= 0)
                r = read_evidence_key(p);
        if (r >= 0)
                r = lock_in(p);
        if (r >= 0)
                r = open_store(p);
        if (r >= 0)
                r = repair(p);
        if (r >= 0)
                r = serve(p);
        return r < 0 ? r : service_run(p->service, tick, p);
}

int main(int argc, char *argv[]) {
        _cleanup_(program_done) struct program p = {.channel_fd = -EBADF};
        int r;

        if (argc == 4 && strcmp(argv[1], "--accept-manifest") == 0 && strcmp(argv[2], "--state") == 0)
                return accept_manifest(argv[3]);
        (void)sigaction(SIGIO, &(struct sigaction){.sa_handler = SIG_IGN},
                        NULL); /* a broken lease is asked for */
        r = service_new("registry", argc, argv, &p.service);
        if (r != 0)
                return r > 0 ? 0 : 2;
        return run(&p) < 0 ? 1 : 0;
}
