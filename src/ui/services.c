#include "ui/services.h"

#include "base/clock.h"
#include "ui/auth.h"
#include "ui/limits.h"
#include "ui/proxy.h"
#include "ui/sessions.h"

#define PATH_SIZE     256
#define ID_MAX        ((size_t)128)
#define CHECK_EACH_US (2 * USEC_PER_SEC)

/* Identifiers go into another service's path: only what needs no encoding there. */
static bool is_plain_id(struct view id) {
        for (size_t i = 0; i < id.n; i++) {
                char c = id.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_'))
                        return false;
        }
        return id.n > 0 && id.n <= ID_MAX;
}

/* "<before><id of the request's path><after>"; answered with 404 and -EBADMSG when the id is none. */
static int path_with_id(struct http_request *q, const char *before, const char *after, const char *code,
                        char out[PATH_SIZE]) {
        struct view id = http_path_part(q, 0);
        int r;

        if (is_plain_id(id)) {
                (void)snprintf(out, PATH_SIZE, "%s%.*s%s", before, VIEW_ARG(id), after);
                return 0;
        }
        r = http_reply_error(q, 404, code, NULL, "There is nothing of that name.");
        return r < 0 ? r : -EBADMSG;
}

struct act {
        const char *method, *before, *after, *unknown, *event; /* event NULL: a read */
};

static int run_act(struct app *app, struct http_request *q, struct http_client *target, const char *name,
                   const struct act *a) {
        char path[PATH_SIZE];
        int r = path_with_id(q, a->before, a->after, a->unknown, path);

        if (r == 0 && a->event)
                r = app_audit(app, q, a->event, "allow", http_path_part(q, 0), VIEW_NULL);
        if (r < 0)
                return r;
        return proxy_call(q, target, name, a->method, path, VIEW_NULL, UI_QUICK_USEC);
}

/* A document is passed on as it comes: it may be larger than an answer that is held in memory. */
static int pass_document(struct http_request *q, struct http_client *target, const char *name,
                         const char *before, const char *unknown) {
        struct view document = http_path_part(q, 1);
        char path[PATH_SIZE + ID_MAX], start[PATH_SIZE];
        struct proxy_stream s = {.target = target,
                                 .name = name,
                                 .method = "GET",
                                 .path = path,
                                 .timeout_usec = UI_QUICK_USEC,
                                 .content_type = "application/json"};
        int r = path_with_id(q, before, "/documents/", unknown, start);

        if (r < 0)
                return r;
        if (!is_plain_id(document))
                return http_reply_error(q, 404, "unknown_document", NULL, "There is no such document.");
        (void)snprintf(path, sizeof path, "%s%.*s", start, VIEW_ARG(document));
        return proxy_stream(q, &s);
}

/* --- registry --- */

int services_on_models(struct http_request *q, void *userdata) {
        struct app *app = userdata;

        return proxy_call(q, app->registry, "registry", "GET", "/v1/models", VIEW_NULL, UI_QUICK_USEC);
}

int services_on_model(struct http_request *q, void *userdata) {
        static const struct act act = {"GET", "/v1/models/", "", "unknown_model", NULL};
        struct app *app = userdata;

        return run_act(app, q, app->registry, "registry", &act);
}

int services_on_model_document(struct http_request *q, void *userdata) {
        struct app *app = userdata;

        return pass_document(q, app->registry, "registry", "/v1/models/", "unknown_model");
}

int services_on_model_verify(struct http_request *q, void *userdata) {
        static const struct act act = {"POST", "/v1/models/", "/verify", "unknown_model",
                                       "model_verify_asked"};
        struct app *app = userdata;

        return run_act(app, q, app->registry, "registry", &act);
}

int services_on_model_delete(struct http_request *q, void *userdata) {
        static const struct act act = {"DELETE", "/v1/models/", "", "unknown_model", "model_delete_asked"};
        struct app *app = userdata;

        return run_act(app, q, app->registry, "registry", &act);
}

/* --- quarantine --- */

int services_on_jobs(struct http_request *q, void *userdata) {
        struct app *app = userdata;

        return proxy_call(q, app->quarantine, "quarantine", "GET", "/v1/jobs", VIEW_NULL, UI_QUICK_USEC);
}

int services_on_job(struct http_request *q, void *userdata) {
        static const struct act act = {"GET", "/v1/jobs/", "", "unknown_job", NULL};
        struct app *app = userdata;

        return run_act(app, q, app->quarantine, "quarantine", &act);
}

int services_on_job_document(struct http_request *q, void *userdata) {
        struct app *app = userdata;

        return pass_document(q, app->quarantine, "quarantine", "/v1/jobs/", "unknown_job");
}

int services_on_job_delete(struct http_request *q, void *userdata) {
        static const struct act act = {"DELETE", "/v1/jobs/", "", "unknown_job", "job_delete_asked"};
        struct app *app = userdata;

        return run_act(app, q, app->quarantine, "quarantine", &act);
}

int services_on_job_retry(struct http_request *q, void *userdata) {
        static const struct act act = {"POST", "/v1/jobs/", "/retry", "unknown_job", "job_retry_asked"};
        struct app *app = userdata;

        return run_act(app, q, app->quarantine, "quarantine", &act);
}

/* A stream outlives the request's check; it ends with the session. */
struct watcher {
        struct app *app;
        uint64_t next_usec;
        char token[SESSION_TOKEN_CHARS];
};

static bool watcher_check(void *userdata) {
        struct watcher *w = userdata;
        uint64_t now = clock_monotonic_usec();

        if (now < w->next_usec)
                return true;
        w->next_usec = now + CHECK_EACH_US;
        return auth_still_open(w->app, (struct view){w->token, sizeof(w->token)});
}

int services_on_job_events(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        struct watcher *w = calloc(1, sizeof(*w));
        struct proxy_stream s = {.target = app->quarantine,
                                 .name = "quarantine",
                                 .method = "GET",
                                 .path = "/v1/events",
                                 .timeout_usec = UI_QUICK_USEC,
                                 .check = watcher_check,
                                 .destroy = free,
                                 .userdata = w};

        if (!w)
                return -ENOMEM;
        w->app = app;
        w->next_usec = clock_monotonic_usec() + CHECK_EACH_US;
        memcpy(w->token, auth_token(q).p, sizeof(w->token)); /* the guard has checked its length */
        return proxy_stream(q, &s);
}

/* --- inference --- */

/* What the page may set; the inference service checks the values. */
static int check_chat_body(struct http_request *q, const struct json **ret) {
        static const char *const known[] = {"model",      "messages", "temperature", "top_p",
                                            "max_tokens", "seed",     "stream",      NULL};
        const struct json *unknown;
        int r = http_body_json(q, ret);

        if (r < 0)
                return r;
        unknown = json_unknown_member(*ret, known);
        if (!unknown && json_get_typed(*ret, "messages", JSON_ARRAY))
                return 0;
        r = http_reply_error(q, 400, "bad_request", NULL,
                             "Expected messages (a list) and nothing but model, temperature, "
                             "top_p, max_tokens, seed, stream beside them.");
        return r < 0 ? r : -EBADMSG;
}

int services_on_chat(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        const struct json *body;
        struct proxy_stream s = {.target = app->inference,
                                 .name = "inference",
                                 .method = "POST",
                                 .path = "/v1/chat/completions",
                                 .body = http_body(q),
                                 .timeout_usec = UI_LOAD_USEC};
        int r = check_chat_body(q, &body);

        if (r == 0)
                r = proxy_require(q, app->inference, "inference");
        return r < 0 ? r : proxy_stream(q, &s);
}

int services_on_inference(struct http_request *q, void *userdata) {
        struct app *app = userdata;

        return proxy_call(q, app->inference, "inference", "GET", "/v1/status", VIEW_NULL, UI_QUICK_USEC);
}

/* Loading may take minutes: it is watched like a stream, so that it ends when nobody waits. */
static int control(struct app *app, struct http_request *q, const char *path, const char *event) {
        struct proxy_stream s = {.target = app->inference,
                                 .name = "inference",
                                 .method = "POST",
                                 .path = path,
                                 .body = http_body(q),
                                 .timeout_usec = UI_LOAD_USEC};
        const struct json *body;
        int r = s.body.n > 0 ? http_body_json(q, &body) : 0;

        if (r == 0)
                r = app_audit(app, q, event, "allow", VIEW_NULL, VIEW_NULL);
        if (r == 0)
                r = proxy_require(q, app->inference, "inference");
        return r < 0 ? r : proxy_stream(q, &s);
}

int services_on_load(struct http_request *q, void *userdata) {
        return control(userdata, q, "/v1/load", "model_load_asked");
}

int services_on_unload(struct http_request *q, void *userdata) {
        return control(userdata, q, "/v1/unload", "model_unload_asked");
}
