#include "ui/status.h"

#include "base/clock.h"
#include "ui/limits.h"
#include "ui/machine.h"

#define PROBE_BYTES_MAX ((size_t)64 << 10)

static void put_service(struct json_writer *w, const char *name, const char *state, struct view message) {
        json_object_begin(w);
        json_member_string(w, "name", name);
        json_member_string(w, "state", state);
        json_member_view(w, "message", message.p ? message : VIEW(""));
        json_object_end(w);
}

/* One question to a service. All are asked at once, so that those that are away cost the time of one. */
struct probe {
        struct http_incoming *in;
        struct json_document *answer; /* NULL: it did not answer 200 with JSON in time */
};

static void probe_done(struct probe *p) {
        http_incoming_free(p->in);
        json_document_free(p->answer);
}

static void probe_begin(struct probe *p, struct http_client *c, const char *path) {
        if (http_begin(c, "GET", path, NULL, VIEW_NULL, &p->in) < 0)
                p->in = NULL;
}

static uint64_t rest_of(uint64_t deadline) {
        uint64_t now = clock_monotonic_usec();

        return now < deadline ? deadline - now : 0;
}

static void probe_end(struct probe *p, uint64_t deadline) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(PROBE_BYTES_MAX);
        unsigned status = 0;
        int r = p->in ? http_incoming_status(p->in, rest_of(deadline), &status) : -ECONNREFUSED;

        if (r < 0 || status != 200)
                return;
        do
                r = http_incoming_read(p->in, rest_of(deadline), &body);
        while (r == 1);
        if (r == 0 && json_parse(buf_view(&body), NULL, &p->answer, NULL) < 0)
                p->answer = NULL;
}

static void put_health(struct json_writer *w, const struct probe *p, const char *name) {
        const struct json *root = p->answer ? json_root(p->answer) : NULL;

        if (!root)
                put_service(
                        w, name, "down",
                        VIEW("It does not answer. It is restarted by itself; `securectl status` says more."));
        else if (view_eq_str(json_get_view(root, "status", VIEW_NULL), "ok"))
                put_service(w, name, "ok", VIEW(""));
        else
                put_service(w, name, "degraded", json_get_view(root, "message", VIEW("")));
}

/* Alive is not enough: a model that can't be loaded is worth knowing. */
static void put_inference(struct json_writer *w, const struct probe *health, const struct probe *state) {
        const struct json *root = state->answer ? json_root(state->answer) : NULL;

        if (health->answer && view_eq_str(json_get_view(root, "state", VIEW_NULL), "failed"))
                put_service(w, "inference", "degraded",
                            json_get_view(root, "reason", VIEW("The model could not be loaded.")));
        else
                put_health(w, health, "inference");
}

static void put_audit(struct json_writer *w, const struct probe *head) {
        uint64_t sequence = 0;
        bool ok = head->answer && json_get_u64(json_root(head->answer), "sequence", &sequence) == 0;

        json_key(w, "audit");
        json_object_begin(w);
        json_member_u64(w, "sequence", sequence);
        json_member_string(w, "state", ok ? "ok" : "down");
        json_object_end(w);
}

enum { AUDIT, REGISTRY, QUARANTINE, INFERENCE, INFERENCE_STATE, AUDIT_HEAD, PROBES };

static void ask_all(struct app *app, struct probe probes[PROBES]) {
        uint64_t deadline = clock_monotonic_usec() + UI_PROBE_USEC;

        probe_begin(&probes[AUDIT], app->audit, "/health");
        probe_begin(&probes[REGISTRY], app->registry, "/health");
        probe_begin(&probes[QUARANTINE], app->quarantine, "/health");
        probe_begin(&probes[INFERENCE], app->inference, "/health");
        probe_begin(&probes[INFERENCE_STATE], app->inference, "/v1/status");
        probe_begin(&probes[AUDIT_HEAD], app->audit, "/v1/head");
        for (size_t i = 0; i < PROBES; i++)
                probe_end(&probes[i], deadline);
}

int status_on_get(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(UI_ANSWER_MAX);
        struct json_writer w = JSON_WRITER(&body);
        struct probe probes[PROBES] = {{0}};
        struct app *app = userdata;
        int r;

        ask_all(app, probes);
        json_object_begin(&w);
        json_member_string(&w, "version", SAI_VERSION);
        json_key(&w, "services");
        json_array_begin(&w);
        put_service(&w, "ui", "ok", VIEW(""));
        put_health(&w, &probes[AUDIT], "audit");
        put_health(&w, &probes[REGISTRY], "registry");
        put_health(&w, &probes[QUARANTINE], "quarantine");
        put_inference(&w, &probes[INFERENCE], &probes[INFERENCE_STATE]);
        json_array_end(&w);
        machine_write(app->machine, &w);
        put_audit(&w, &probes[AUDIT_HEAD]);
        json_object_end(&w);
        for (size_t i = 0; i < PROBES; i++)
                probe_done(&probes[i]);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}
