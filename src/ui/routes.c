#include "ui/routes.h"

#include "base/log.h"
#include "ui/auth.h"
#include "ui/conversation_routes.h"
#include "ui/limits.h"
#include "ui/pages.h"
#include "ui/rules.h"
#include "ui/services.h"
#include "ui/status.h"
#include "ui/uploads.h"

#define SESSION "ui.session" /* any route with a permission: auth_guard asks for a session */

#define GET(p, h)                                                                                            \
        { .method = "GET", .path = p, .handler = h, .permission = SESSION }
#define POST(p, h)                                                                                           \
        { .method = "POST", .path = p, .handler = h, .permission = SESSION }
#define DELETE(p, h)                                                                                         \
        { .method = "DELETE", .path = p, .handler = h, .permission = SESSION }
#define OPEN(m, p, h)                                                                                        \
        { .method = m, .path = p, .handler = h, .body_bytes = UI_AUTH_BODY_MAX }

static const struct http_route routes[] = {
        OPEN("GET", "/", pages_on_index),
        OPEN("GET", "/assets/*", pages_on_asset),
        OPEN("GET", "/health", service_health),
        OPEN("GET", "/api/session", auth_on_session),
        OPEN("POST", "/api/setup", auth_on_setup),
        OPEN("POST", "/api/login", auth_on_login),
        POST("/api/logout", auth_on_logout),
        POST("/api/passphrase", auth_on_passphrase),

        GET("/api/models", services_on_models),
        GET("/api/models/{sha256}", services_on_model),
        GET("/api/models/{sha256}/documents/{name}", services_on_model_document),
        POST("/api/models/{sha256}/verify", services_on_model_verify),
        DELETE("/api/models/{sha256}", services_on_model_delete),
        GET("/api/jobs", services_on_jobs),
        GET("/api/jobs/events", services_on_job_events),
        POST("/api/jobs/demo", uploads_on_demo),
        GET("/api/jobs/{id}", services_on_job),
        GET("/api/jobs/{id}/documents/{name}", services_on_job_document),
        DELETE("/api/jobs/{id}", services_on_job_delete),
        POST("/api/jobs/{id}/retry", services_on_job_retry),
        {.method = "PUT",
         .path = "/api/uploads",
         .handler = uploads_on_done,
         .sink = uploads_sink,
         .body_bytes = UI_UPLOAD_BYTES_MAX,
         .body_timeout_usec = UI_UPLOAD_USEC,
         .permission = SESSION},
        {.method = "POST",
         .path = "/api/chat",
         .handler = services_on_chat,
         .body_bytes = UI_CHAT_BODY_MAX,
         .permission = SESSION},
        GET("/api/inference", services_on_inference),
        POST("/api/inference/load", services_on_load),
        POST("/api/inference/unload", services_on_unload),
        GET("/api/rules", rules_on_list),
        GET("/api/status", status_on_get),

        GET("/api/conversations", conversations_on_list),
        {.method = "POST",
         .path = "/api/conversations",
         .handler = conversations_on_create,
         .body_bytes = UI_CONVERSATION_BYTES,
         .permission = SESSION},
        GET("/api/conversations/{id}", conversations_on_read),
        {.method = "PUT",
         .path = "/api/conversations/{id}",
         .handler = conversations_on_replace,
         .body_bytes = UI_CONVERSATION_BYTES,
         .permission = SESSION},
        DELETE("/api/conversations/{id}", conversations_on_delete),
        {0},
};

static const char content_policy[] =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/* name, value, … */
static const char *const headers[] = {
        "Content-Security-Policy",
        content_policy,
        "X-Frame-Options",
        "DENY",
        "Referrer-Policy",
        "no-referrer",
        "Cross-Origin-Opener-Policy",
        "same-origin",
        "Cross-Origin-Resource-Policy",
        "same-origin",
        "Permissions-Policy",
        "camera=(), microphone=(), usb=()",
        NULL,
};

/* What the browser is not told. */
static void log_failure(struct http_request *q, int status, void *app) {
        if (http_failure(q) < 0)
                log_error("request_failed", "%.*s %.*s answered %d: %s", VIEW_ARG(http_method(q)),
                          VIEW_ARG(http_path(q)), status, strerror(-http_failure(q)));
}

int routes_serve(struct app *app, const int *fds, size_t n_fds, struct http_server **ret) {
        const struct http_server_config config = {
                .name = "ui",
                .routes = routes,
                .limits = {.connections = UI_CONNECTIONS},
                .authorize = auth_guard,
                .on_done = log_failure,
                .userdata = app,
                .headers = headers,
        };

        return http_server_new(&config, fds, n_fds, ret);
}
