/* securectl status: what runs, and how it is. */
#include "securectl/command.h"
#include "securectl/link.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "status [OPTION…]",
        .text = "Asks every service how it is.\n"
                "Exit status: 0 all is well, 1 something is down.",
        .least = 0,
        .most = 0,
};

static const char *const services[] = {"audit", "registry", "quarantine", "inference", "ui"};

/* /health is open: no token is needed, so this also works for other accounts that may reach the socket. */
static int ask(const struct layout *l, const char *service, struct json_document **ret) {
        struct http_client *client = NULL;
        char name[64], path[PLACE_MAX];
        unsigned status = 0;
        int r;

        (void)snprintf(name, sizeof name, "%s.sock", service);
        r = place_join(path, l->places.run, name);
        if (r >= 0)
                r = http_client_new(path, 0, VIEW_NULL, &client);
        if (r >= 0)
                r = http_call_json(client, "GET", "/health", VIEW_NULL, CALL_TIMEOUT_USEC, &status, ret);
        http_client_free(client);
        if (r < 0)
                return r;
        return status == 200 ? 0 : -EREMOTEIO;
}

static void print_service(const char *service, int r, const struct json *health) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);
        uint64_t uptime = 0;

        if (r < 0) {
                (void)printf("%-11s DOWN   %s\n", service,
                             r == -ECONNREFUSED || r == -ENOENT ? "nothing answers" : strerrordesc_np(-r));
                return;
        }
        (void)!json_get_u64(health, "uptime_s", &uptime);
        r = show_member(&text, health, "status", "?");
        while (r >= 0 && text.n < 7)
                r = buf_append_char(&text, ' ');
        if (r >= 0)
                r = buf_append_str(&text, "up ");
        if (r >= 0)
                r = show_duration(&text, uptime * 1000);
        if (r >= 0)
                r = buf_append_str(&text, ", version ");
        if (r >= 0)
                r = show_member(&text, health, "version", "?");
        (void)printf("%-11s %s\n", service, r < 0 ? "?" : buf_str(&text));
}

static bool is_ok(int r, const struct json *health) {
        return r >= 0 && view_eq(json_get_view(health, "status", VIEW_NULL), VIEW("ok"));
}

static void write_service(struct json_writer *w, const char *service, int r, const struct json *health) {
        json_object_begin(w);
        json_member_string(w, "name", service);
        json_member_string(w, "state", r < 0 ? "down" : is_ok(r, health) ? "ok" : "degraded");
        if (r < 0)
                json_member_string(w, "message", strerrordesc_np(-r));
        else {
                json_key(w, "health");
                json_put_value(w, health);
        }
        json_object_end(w);
}

/* Only the owner can read the tokens; for others the services' health is all there is. */
static struct json_document *get(const struct layout *l, const char *service, const char *path) {
        _cleanup_(link_freep) struct link *k = NULL;
        struct json_document *doc = NULL;
        char tokens[PLACE_MAX];

        if (place_join(tokens, l->places.run, "credentials/securectl/tokens.json") < 0 ||
            access(tokens, R_OK) != 0)
                return NULL;
        if (link_new(l, service, &k) < 0 || link_call(k, "GET", path, VIEW_NULL, &doc) < 0)
                return NULL;
        return doc;
}

struct facts {
        struct json_document *models, *jobs, *inference, *audit; /* NULL: not known */
        unsigned active, parked;
};

static void facts_done(struct facts *f) {
        json_document_free(f->models);
        json_document_free(f->jobs);
        json_document_free(f->inference);
        json_document_free(f->audit);
}

static void count_jobs(struct facts *f) {
        const struct json *jobs = json_get_typed(json_root(f->jobs), "jobs", JSON_ARRAY);

        for (const struct json *j = jobs ? jobs->child : NULL; j; j = j->next) {
                struct view state = json_get_view(j, "state", VIEW_NULL);

                if (view_eq(state, VIEW("parked")))
                        f->parked++;
                else if (!view_eq(state, VIEW("promoted")) && !view_eq(state, VIEW("rejected")))
                        f->active++;
        }
}

static void find_facts(const struct layout *l, struct facts *f) {
        f->models = get(l, "registry", "/v1/models");
        f->jobs = get(l, "quarantine", "/v1/jobs");
        f->inference = get(l, "inference", "/v1/status");
        f->audit = get(l, "audit", "/v1/head");
        count_jobs(f);
}

static unsigned count_models(const struct facts *f) {
        const struct json *models = json_get_typed(json_root(f->models), "models", JSON_ARRAY);

        return models ? models->count : 0;
}

static void print_facts(const struct facts *f) {
        _cleanup_(buf_donep) struct buf state = BUF_INIT(OUTPUT_LINE_MAX);
        uint64_t sequence = 0;

        if (f->models)
                (void)printf("\nmodels      %u\n", count_models(f));
        if (f->jobs)
                (void)printf("imports     %u under way, %u set aside\n", f->active, f->parked);
        if (f->inference && show_member(&state, json_root(f->inference), "state", "?") >= 0)
                (void)printf("chat        %s\n", buf_str(&state));
        if (f->audit && json_get_u64(json_root(f->audit), "sequence", &sequence) == 0)
                (void)printf("audit log   %llu records; `securectl audit verify` checks them\n",
                             (unsigned long long)sequence);
}

static void write_facts(struct json_writer *w, const struct facts *f) {
        uint64_t sequence;

        if (f->models)
                json_member_u64(w, "models", count_models(f));
        if (f->jobs) {
                json_member_u64(w, "jobs_active", f->active);
                json_member_u64(w, "jobs_parked", f->parked);
        }
        if (f->inference) {
                json_key(w, "inference");
                json_put_value(w, json_root(f->inference));
        }
        if (f->audit && json_get_u64(json_root(f->audit), "sequence", &sequence) == 0)
                json_member_u64(w, "audit_sequence", sequence);
}

static int print_json(struct json_writer *w, const struct layout *l, const struct facts *facts, bool all_ok) {
        json_array_end(w);
        write_facts(w, facts);
        json_member_bool(w, "ok", all_ok);
        json_member_string(w, "run", l->places.run);
        json_member_string(w, "version", SAI_VERSION);
        json_object_end(w);
        if (json_write_end(w) < 0)
                return complain("out of memory");
        terminal_print(w->out);
        (void)printf("\n");
        return all_ok ? EXIT_YES : EXIT_NO;
}

int command_status(int argc, char *argv[]) {
        struct common common = {0};
        const struct option_spec specs[] = {COMMON_OPTIONS(&common)};
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ANSWER_MAX);
        struct json_writer w = JSON_WRITER(&text);
        _cleanup_(facts_done) struct facts facts = {0};
        bool all_ok = true, none = true;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        json_object_begin(&w);
        json_key(&w, "services");
        json_array_begin(&w);
        for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
                _cleanup_(json_document_freep) struct json_document *doc = NULL;
                int r = ask(&common.layout, services[i], &doc);

                all_ok = all_ok && is_ok(r, json_root(doc));
                none = none && r < 0;
                if (common.json)
                        write_service(&w, services[i], r, json_root(doc));
                else
                        print_service(services[i], r, json_root(doc));
        }
        if (all_ok)
                find_facts(&common.layout, &facts);
        if (common.json)
                return print_json(&w, &common.layout, &facts, all_ok);
        if (none)
                (void)link_explain_down(&common.layout);
        print_facts(&facts);
        return all_ok ? EXIT_YES : EXIT_NO;
}
