/* Server and client together, over UNIX sockets and loopback TCP. */
#include <sys/socket.h>

#include "support/cm.h"
#include "base/clock.h"
#include "rig.h"
#include "wire/http_client.h"

#define LONG_USEC (10 * USEC_PER_SEC)

static struct rig rig;

static int start(void **state) {
        rig_start(&rig, NULL);
        return 0;
}
static int stop(void **state) {
        rig_stop(&rig);
        return 0;
}

static struct http_client *client(bool tcp, struct view token) {
        struct http_client *c = NULL;

        assert_int_equal(http_client_new(tcp ? NULL : rig.unix_path, rig.port, token, &c), 0);
        return c;
}

static unsigned call(struct http_client *c, const char *method, const char *path, struct view body,
                     struct http_answer *a) {
        *a = (struct http_answer){0};
        assert_int_equal(
                http_call(c, method, path, body.n ? "application/json" : NULL, body, LONG_USEC, 1 << 20, a),
                0);
        return a->status;
}

static void answers_over_unix_and_tcp(void **state) {
        for (int tcp = 0; tcp < 2; tcp++) {
                _cleanup_(http_client_freep) struct http_client *c = client(tcp, VIEW_NULL);
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(call(c, "GET", "/health", VIEW_NULL, &a), 200);
                assert_string_equal(buf_str(&a.body), "{\"status\":\"ok\"}");
                assert_string_equal(a.content_type, "application/json");
        }
}

static void echoes_a_body_up_to_the_limit(void **state) {
        static char body[1 << 20];
        _cleanup_(http_client_freep) struct http_client *c = client(true, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        memset(body, 'x', sizeof(body));
        assert_int_equal(call(c, "POST", "/echo", (struct view){body, sizeof(body)}, &a), 200);
        assert_int_equal(a.body.n, sizeof(body));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_over_unix_and_tcp),
                cmocka_unit_test(echoes_a_body_up_to_the_limit),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
