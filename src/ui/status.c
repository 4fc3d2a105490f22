#include "ui/status.h"

#include "ui/limits.h"
#include "ui/machine.h"

static void put_service(struct json_writer *w, const char *name, const char *state, struct view message) {
        json_object_begin(w);
        json_member_string(w, "name", name);
        json_member_string(w, "state", state);
        json_member_view(w, "message", message.p ? message : VIEW(""));
        json_object_end(w);
}

/* 0 and *ret when the service answered 200 with JSON in time. */
static int ask(struct http_client *c, const char *path, struct json_document **ret) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        unsigned status;
        int r = http_call_json(c, "GET", path, VIEW_NULL, UI_PROBE_USEC, &status, &d);

        if (r < 0)
                return r;
        if (status != 200)
                return -EPROTO;
        *ret = TAKE_PTR(d);
        return 0;
}

static void put_health(struct json_writer *w, struct http_client *c, const char *name) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        bool ok = ask(c, "/health", &d) == 0, healthy;
        const struct json *root = ok ? json_root(d) : NULL;

        healthy = ok && view_eq_str(json_get_view(root, "status", VIEW_NULL), "ok");
        if (!ok)
                put_service(
                        w, name, "down",
                        VIEW("It does not answer. It is restarted by itself; `securectl status` says more."));
        else
                put_service(w, name, healthy ? "ok" : "degraded", json_get_view(root, "message", VIEW("")));
}

/* Alive is not enough: a model that can't be loaded is worth knowing. */
static void put_inference(struct json_writer *w, struct http_client *c) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *root;

        if (ask(c, "/v1/status", &d) < 0) {
                put_health(w, c, "inference");
                return;
        }
        root = json_root(d);
        if (view_eq_str(json_get_view(root, "state", VIEW_NULL), "failed"))
                put_service(w, "inference", "degraded",
                            json_get_view(root, "reason", VIEW("The model could not be loaded.")));
        else
                put_service(w, "inference", "ok", VIEW(""));
}

static void put_audit(struct json_writer *w, struct app *app) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        uint64_t sequence = 0;
        bool ok = ask(app->audit, "/v1/head", &d) == 0 &&
                  json_get_u64(json_root(d), "sequence", &sequence) == 0;

        json_key(w, "audit");
        json_object_begin(w);
        json_member_u64(w, "sequence", sequence);
        json_member_string(w, "state", ok ? "ok" : "down");
        json_object_end(w);
}

int status_on_get(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(UI_ANSWER_MAX);
        struct json_writer w = JSON_WRITER(&body);
        struct app *app = userdata;
        int r;

        json_object_begin(&w);
        json_member_string(&w, "version", SAI_VERSION);
        json_key(&w, "services");
        json_array_begin(&w);
        put_service(&w, "ui", "ok", VIEW(""));
        put_health(&w, app->audit, "audit");
        put_health(&w, app->registry, "registry");
        put_health(&w, app->quarantine, "quarantine");
        put_inference(&w, app->inference);
        json_array_end(&w);
        machine_write(app->machine, &w);
        put_audit(&w, app);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}
