/* probe: the smallest program that is a service, as the subject of tests that are about what all services share. */
#include "base/log.h"
#include "core/service.h"

static int on_who(struct http_request *q, void *userdata) {
        return http_reply(q, 200, "text/plain", http_caller(q));
}

static int on_json(struct http_request *q, void *userdata) {
        const struct json *body;
        int r = http_body_json(q, &body);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        return http_reply_json(q, 200, VIEW("{\"ok\":true}"));
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = service_health},
        {.method = "GET", .path = "/v1/who", .handler = on_who, .permission = "audit.read"},
        {.method = "POST", .path = "/v1/open", .handler = on_json},
        {0},
};

int main(int argc, char *argv[]) {
        struct http_server_config config = {
                .name = "probe", .routes = routes, .authorize = service_authorize};
        struct http_server *server = NULL;
        struct service *service = NULL;
        int fds[2];
        int r = service_new("probe", argc, argv, &service);

        if (r != 0)
                return r < 0 ? 2 : 0;
        config.userdata = service;
        fds[0] = service_take_fd(service, "http-unix");
        fds[1] = service_take_fd(service, "http-tcp");
        r = http_server_new(&config, fds, fds[1] >= 0 ? 2 : 1, &server);
        if (r < 0)
                log_error("no_server", "can't serve: %s", strerror(-r));
        else
                r = service_run(service, NULL, NULL);
        http_server_free(server);
        service_free(service);
        return r < 0 ? 2 : 0;
}
