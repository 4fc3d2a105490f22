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

static int print_json(struct json_writer *w, const struct layout *l, bool all_ok) {
        json_array_end(w);
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
        if (common.json)
                return print_json(&w, &common.layout, all_ok);
        if (none)
                (void)link_explain_down(&common.layout);
        return all_ok ? EXIT_YES : EXIT_NO;
}
