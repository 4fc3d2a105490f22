/* Server and client together, over UNIX sockets and loopback TCP. */
#include <fcntl.h>
#include <pthread.h>
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

static unsigned status_of(const char *method, const char *path, struct view body) {
        _cleanup_(http_client_freep) struct http_client *c = client(true, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        return call(c, method, path, body, &a);
}

static void assert_has(const struct buf *b, const char *text) {
        if (!strstr(buf_str(b), text))
                fail_msg("expected \"%s\" in:\n%s", text, buf_str(b));
}

/* --- plain exchanges --- */

static void answers_over_unix_and_tcp(void **state) {
        for (int tcp = 0; tcp < 2; tcp++) {
                _cleanup_(http_client_freep) struct http_client *c = client(tcp, VIEW_NULL);
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(call(c, "GET", "/health", VIEW_NULL, &a), 200);
                assert_string_equal(buf_str(&a.body), "{\"status\":\"ok\"}");
                assert_string_equal(a.content_type, "application/json");
        }
}

static void takes_a_body_at_the_limit_and_refuses_one_byte_more(void **state) {
        static char body[(1 << 20) + 1];
        _cleanup_(http_client_freep) struct http_client *c = client(true, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer at = {0}, above = {0};

        memset(body, 'x', sizeof(body));
        assert_int_equal(call(c, "POST", "/echo", (struct view){body, sizeof(body) - 1}, &at), 200);
        assert_int_equal(at.body.n, sizeof(body) - 1);
        assert_int_equal(status_of("POST", "/small", VIEW("0123456789")), 200);
        assert_int_equal(call(c, "POST", "/small", VIEW("0123456789a"), &above), 413);
        assert_has(&above.body, "body_too_large");
}

static unsigned post_chunked(const char *target, size_t chunks) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1 << 20), answer = BUF_INIT(1 << 20);

        assert_int_equal(
                buf_printf(&text,
                           "POST %s HTTP/1.1\r\nHost: localhost:%u\r\nTransfer-Encoding: chunked\r\n\r\n",
                           target, rig.port),
                0);
        for (size_t i = 0; i < chunks; i++)
                assert_int_equal(buf_append_str(&text, "1\r\nx\r\n"), 0);
        assert_int_equal(buf_append_str(&text, "0\r\n\r\n"), 0);
        return rig_exchange(&rig, buf_view(&text), &answer);
}

static void counts_chunked_bodies_too(void **state) {
        assert_int_equal(post_chunked("/small", 10), 200);
        assert_int_equal(post_chunked("/small", 11), 413);
}

static unsigned get_with_header_bytes(size_t n) {
        _cleanup_(buf_donep) struct buf head = BUF_INIT(1 << 20), answer = BUF_INIT(1 << 20);
        size_t rest;

        assert_int_equal(buf_printf(&head, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX: ", rig.port), 0);
        rest = n - head.n - 4;
        for (size_t i = 0; i < rest; i++)
                assert_int_equal(buf_append_char(&head, 'a'), 0);
        assert_int_equal(buf_append_str(&head, "\r\n\r\n"), 0);
        assert_int_equal(head.n, n);
        return rig_exchange(&rig, buf_view(&head), &answer);
}

static void takes_headers_at_the_limit_and_refuses_one_byte_more(void **state) {
        assert_int_equal(get_with_header_bytes(16384), 200);
        assert_int_equal(get_with_header_bytes(16385), 431);
        assert_int_equal(get_with_header_bytes(500000), 431);
}

static void limits_the_number_of_headers(void **state) {
        for (unsigned n = 98; n <= 99; n++) { /* beside Host and Connection */
                _cleanup_(buf_donep) struct buf more = BUF_INIT(65536), answer = BUF_INIT(65536);

                for (unsigned i = 0; i < n; i++)
                        assert_int_equal(buf_printf(&more, "X-%u: 1\r\n", i), 0);
                assert_int_equal(rig_get(&rig, "/health", buf_str(&more), &answer), n == 98 ? 200 : 431);
        }
}

static void gives_handlers_the_decoded_target(void **state) {
        _cleanup_(buf_donep) struct buf a = BUF_INIT(65536), b = BUF_INIT(65536), c = BUF_INIT(65536);

        assert_int_equal(rig_get(&rig, "/show/a%20%C3%A9?q=x+y%26z&n", "Cookie: a=1; secai=tok; b=2\r\n", &a),
                         200);
        assert_has(&a, "\"path\":\"/show/a é\"");
        assert_has(&a, "\"part\":\"a é\"");
        assert_has(&a, "\"q\":\"x y&z\"");
        assert_has(&a, "\"cookie\":\"tok\"");
        assert_has(&a, "\"unix\":false");
        assert_int_equal(rig_get(&rig, "/show/one/with/two", "", &b), 200);
        assert_has(&b, "\"second\":\"two\"");
        assert_int_equal(rig_get(&rig, "/assets/js/app.js", "Cookie: secai=1; secai=2\r\n", &c), 200);
        assert_has(&c, "\"part\":\"js/app.js\"");
        assert_has(&c, "\"cookie\":\"\""); /* two of them: none */
}

static void answers_head_without_a_body(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1024), answer = BUF_INIT(65536);

        assert_int_equal(
                buf_printf(&text, "HEAD /health HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n",
                           rig.port),
                0);
        assert_int_equal(rig_exchange(&rig, buf_view(&text), &answer), 200);
        assert_has(&answer, "Content-Length: 15\r\n");
        assert_null(strstr(buf_str(&answer), "status"));
}

static void says_which_methods_a_path_takes(void **state) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(65536), text = BUF_INIT(1024);

        assert_int_equal(buf_printf(&text,
                                    "PATCH /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n",
                                    rig.port),
                         0);
        assert_int_equal(rig_exchange(&rig, buf_view(&text), &answer), 405);
        assert_has(&answer, "Allow: POST, PUT, DELETE\r\n");
        assert_has(&answer, "method_not_allowed");
        assert_int_equal(status_of("DELETE", "/health", VIEW_NULL), 405);
        assert_int_equal(status_of("GET", "/nowhere", VIEW_NULL), 404);
}

static void failing_handlers_answer_500_without_details(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer a = {0}, b = {0};

        assert_int_equal(call(c, "GET", "/fail", VIEW_NULL, &a), 500);
        assert_has(&a.body, "internal_error");
        assert_int_equal(call(c, "GET", "/nothing", VIEW_NULL, &b), 500);
}

static void routes_with_a_permission_ask_first(void **state) {
        _cleanup_(http_client_freep) struct http_client *right = client(false, VIEW("right")),
                                                        *wrong = client(false, VIEW("wrong"));
        _cleanup_(http_answer_donep) struct http_answer a = {0}, b = {0}, c = {0};

        assert_int_equal(call(right, "GET", "/private", VIEW_NULL, &a), 200);
        assert_has(&a.body, "\"caller\":\"tester\"");
        assert_has(&a.body, "\"unix\":true");
        assert_int_equal(call(wrong, "GET", "/private", VIEW_NULL, &b), 401);
        assert_int_equal(call(wrong, "POST", "/private", VIEW("{}"), &c), 401);
}

static void json_bodies_are_strict(void **state) {
        static const struct {
                const char *body;
                unsigned status;
        } cases[] = {{"{}", 200},        {"{\"a\":1}", 200},  {"{\"a\":1,\"a\":2}", 400}, {"{\"a\":1}x", 400},
                     {"[]", 400},        {"{\"a\":01}", 400}, {"{\"a\":\"\xff\"}", 400},  {"{'a':1}", 400},
                     {"{\"a\":1,}", 400}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(status_of("POST", "/json", view_of(cases[i].body)), cases[i].status);
        assert_int_equal(status_of("POST", "/json", VIEW_NULL), 415);
}

static void one_connection_serves_many_requests(void **state) {
        _cleanup_(closep) int fd = rig_connect_tcp(&rig);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1024);

        assert_int_equal(
                buf_printf(&text, "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 2\r\n\r\nhi",
                           rig.port),
                0);
        for (unsigned i = 0; i < 20; i++) {
                _cleanup_(buf_donep) struct buf answer = BUF_INIT(65536);

                assert_true(rig_send(fd, buf_view(&text)));
                assert_true(rig_read_until(fd, "\r\n\r\nhi", LONG_USEC, &answer));
        }
}

static void the_client_keeps_its_connection_and_survives_its_loss(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL);

        for (unsigned i = 0; i < 3; i++) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(call(c, "GET", "/health", VIEW_NULL, &a), 200);
        }
}

static void the_client_limits_answers_and_waiting(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL), *nobody = NULL;
        struct http_answer a = {0};

        assert_int_equal(http_call(c, "POST", "/echo", "text/plain", VIEW("12345"), LONG_USEC, 4, &a),
                         -EFBIG);
        assert_int_equal(http_call(c, "POST", "/echo", "text/plain", VIEW("12345"), LONG_USEC, 5, &a), 0);
        http_answer_done(&a);
        assert_int_equal(http_call(c, "GET", "/slow", NULL, VIEW_NULL, 50 * USEC_PER_MSEC, 100, &a),
                         -ETIMEDOUT);
        assert_int_equal(http_call(c, "GET", "/bad path", NULL, VIEW_NULL, LONG_USEC, 100, &a), -EINVAL);
        assert_int_equal(http_client_new("/tmp/secai-nobody-listens.sock", 0, VIEW_NULL, &nobody), 0);
        assert_int_equal(http_call(nobody, "GET", "/", NULL, VIEW_NULL, LONG_USEC, 100, &a), -ENOENT);
}

/* --- bodies that go elsewhere --- */

static void sinks_get_every_byte(void **state) {
        static char body[3000000];
        _cleanup_(http_client_freep) struct http_client *c = client(true, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        uint64_t before = rig.sunk;

        memset(body, 'y', sizeof(body));
        assert_int_equal(call(c, "PUT", "/sink", (struct view){body, sizeof(body)}, &a), 201);
        assert_int_equal(rig.sunk - before, sizeof(body));
}

static void a_failing_sink_is_answered_after_the_rest_was_dropped(void **state) {
        static char body[3000000];
        _cleanup_(http_client_freep) struct http_client *c = client(true, VIEW_NULL);
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        memset(body, 'y', sizeof(body));
        body[1000] = '!';
        assert_int_equal(call(c, "PUT", "/sink", (struct view){body, sizeof(body)}, &a), 507);
        assert_has(&a.body, "disk_full");
}

/* --- streams --- */

static unsigned count_events(struct http_client *c, const char *path) {
        _cleanup_(http_incoming_freep) struct http_incoming *in = NULL;
        struct sse_reader sse = {.pending = BUF_INIT(1 << 20)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(100), data = BUF_INIT(100);
        unsigned status, n = 0;
        int r;

        assert_int_equal(http_open(c, "GET", path, NULL, VIEW_NULL, LONG_USEC, &in, &status), 0);
        assert_int_equal(status, 200);
        while ((r = http_incoming_read(in, LONG_USEC, &sse.pending)) > 0)
                while (sse_next(&sse, &event, &data) > 0) {
                        assert_string_equal(buf_str(&event), "count");
                        n++;
                }
        assert_int_equal(r, 0);
        buf_done(&sse.pending);
        return n;
}

static void streams_arrive_whole(void **state) {
        for (int tcp = 0; tcp < 2; tcp++) {
                _cleanup_(http_client_freep) struct http_client *c = client(tcp, VIEW_NULL);

                assert_int_equal(count_events(c, "/stream"), 5);
        }
}

static bool wait_for_no_streams(uint64_t timeout_usec) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;

        while (__atomic_load_n(&rig.streams_open, __ATOMIC_SEQ_CST) > 0) {
                if (clock_monotonic_usec() > deadline)
                        return false;
                usleep(2000);
        }
        return true;
}

static void a_vanished_reader_ends_the_stream(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL);
        struct http_incoming *in = NULL;
        _cleanup_(buf_donep) struct buf some = BUF_INIT(1 << 20);
        unsigned status;

        assert_int_equal(http_open(c, "GET", "/endless", NULL, VIEW_NULL, LONG_USEC, &in, &status), 0);
        assert_int_equal(http_incoming_read(in, LONG_USEC, &some), 1);
        http_incoming_free(in);
        assert_true(wait_for_no_streams(LONG_USEC));
}

static void each_event_is_sent_at_once(void **state) {
        _cleanup_(closep) int fd = rig_connect_tcp(&rig);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1024), answer = BUF_INIT(1 << 20);

        assert_int_equal(buf_printf(&text, "GET /endless HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", rig.port),
                         0);
        assert_true(rig_send(fd, buf_view(&text)));
        /* The stream never ends, so whatever arrives was not held back for more. */
        assert_true(rig_read_until(fd, "data: 4294967293\n", LONG_USEC, &answer));
        fd = close_fd(fd);
        assert_true(wait_for_no_streams(LONG_USEC));
}

static void reading_times_out_and_may_go_on(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL);
        _cleanup_(http_incoming_freep) struct http_incoming *in = NULL;
        _cleanup_(buf_donep) struct buf some = BUF_INIT(1 << 20);
        unsigned status, timeouts = 0, reads = 0;

        assert_int_equal(http_open(c, "GET", "/endless", NULL, VIEW_NULL, LONG_USEC, &in, &status), 0);
        while (reads < 3) {
                int r = http_incoming_read(in, 1000, &some);

                assert_true(r == 1 || r == -ETIMEDOUT);
                if (r == 1)
                        reads++;
                else
                        timeouts++;
        }
        assert_true(timeouts > 0);
}

/* --- stop --- */

static void stop_ends_streams_and_waits_for_answers(void **state) {
        struct rig own;
        _cleanup_(closep) int slow = -EBADF, endless = -EBADF, idle = -EBADF;
        _cleanup_(buf_donep) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
        uint64_t before;

        rig_start(&own, NULL);
        slow = rig_connect_unix(&own);
        endless = rig_connect_unix(&own);
        idle = rig_connect_unix(&own);
        assert_true(rig_send(endless, VIEW("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")));
        assert_true(rig_read_until(endless, "data:", LONG_USEC, &a));
        assert_true(rig_send(slow, VIEW("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")));
        usleep(100000);
        before = clock_monotonic_usec();
        own.server = http_server_free(own.server);
        assert_true(clock_monotonic_usec() - before < 3 * USEC_PER_SEC);
        assert_true(rig_read_to_end(slow, LONG_USEC, &b));
        assert_has(&b, "{\"slow\":true}");
        assert_has(&b, "Connection: close");
        assert_true(rig_read_to_end(endless, LONG_USEC, &a));
        assert_has(&a, "0\r\n\r\n"); /* ended, not torn */
        assert_int_equal(own.streams_open, 0);
        rig_stop(&own);
}

/* --- deadlines: short here, absolute everywhere --- */

static struct rig hasty;
static const struct http_limits short_limits = {.header_timeout_usec = 300 * USEC_PER_MSEC,
                                                .body_timeout_usec = 400 * USEC_PER_MSEC,
                                                .grace_usec = 100 * USEC_PER_MSEC,
                                                .connections = 4};

static int start_hasty(void **state) {
        rig_start(&hasty, &short_limits);
        return 0;
}
static int stop_hasty(void **state) {
        rig_stop(&hasty);
        return 0;
}

/* Sends `first`, then a byte of filler every 20 ms until the peer closes: true when it did within `limit_usec`. */
static bool is_cut_while_dripping(struct view first, char filler, uint64_t limit_usec,
                                  struct buf *ret_answer) {
        _cleanup_(closep) int fd = rig_connect_tcp(&hasty);
        uint64_t until = clock_monotonic_usec() + limit_usec;

        (void)rig_send(fd, first);
        while (clock_monotonic_usec() < until) {
                if (rig_read_to_end(fd, 20000, ret_answer))
                        return true;
                (void)rig_send(fd, (struct view){&filler, 1});
        }
        return false;
}

static void dripping_headers_are_cut(void **state) {
        _cleanup_(buf_donep) struct buf a = BUF_INIT(65536), b = BUF_INIT(65536);

        assert_true(is_cut_while_dripping(VIEW("GET /health HTTP/1.1\r\nX: "), 'a', LONG_USEC, &a));
        assert_has(&a, "HTTP/1.1 408 ");
        assert_true(is_cut_while_dripping(VIEW("GET /"), 'a', LONG_USEC, &b));
}

static void dripping_bodies_are_cut(void **state) {
        _cleanup_(buf_donep) struct buf head = BUF_INIT(1024), a = BUF_INIT(65536);

        assert_int_equal(
                buf_printf(&head,
                           "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 100000\r\n\r\n",
                           hasty.port),
                0);
        assert_true(is_cut_while_dripping(buf_view(&head), 'b', LONG_USEC, &a));
        assert_has(&a, "request_timeout");
}

static void silent_connections_are_cut(void **state) {
        _cleanup_(closep) int fd = rig_connect_tcp(&hasty);
        _cleanup_(buf_donep) struct buf a = BUF_INIT(65536);

        assert_true(rig_read_to_end(fd, LONG_USEC, &a));
        assert_int_equal(a.n, 0);
}

static void handlers_may_take_longer_than_the_phases_before(void **state) {
        _cleanup_(buf_donep) struct buf a = BUF_INIT(65536);

        assert_int_equal(rig_get(&hasty, "/slow", "", &a), 200); /* 400 ms */
}

static void send_slow_request(int fd) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(256);

        assert_int_equal(buf_printf(&text, "GET /slow HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", hasty.port),
                         0);
        assert_true(rig_send(fd, buf_view(&text)));
}

/* Whoever can connect must not be able to shut out all others by saying nothing. */
static void silent_connections_give_way_to_new_ones(void **state) {
        int fds[4];

        for (unsigned round = 0; round < 5; round++) {
                _cleanup_(buf_donep) struct buf a = BUF_INIT(65536);

                for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                        fds[i] = rig_connect_tcp(&hasty);
                assert_int_equal(rig_get(&hasty, "/health", "", &a), 200);
                for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                        (void)close_fd(fds[i]);
        }
}

static void connections_above_the_limit_are_told(void **state) {
        int fds[4];
        _cleanup_(buf_donep) struct buf a = BUF_INIT(65536), later = BUF_INIT(65536);
        unsigned status = 0;

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = rig_connect_tcp(&hasty);
                send_slow_request(fds[i]); /* one that is being worked on gives way to nobody */
        }
        usleep(50000);
        for (unsigned i = 0; i < 50 && status != 503; i++) {
                buf_clear(&a);
                status = rig_get(&hasty, "/health", "", &a);
        }
        assert_int_equal(status, 503);
        assert_has(&a, "too_many_connections");
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                (void)close_fd(fds[i]);
        for (unsigned i = 0; i < 500 && status != 200; i++) {
                usleep(10000);
                buf_clear(&later);
                status = rig_get(&hasty, "/health", "", &later);
        }
        assert_int_equal(status, 200);
}

static void *hammer(void *userdata) {
        struct http_client *c = userdata;

        for (unsigned i = 0; i < 50; i++) {
                struct http_answer a = {0};

                if (http_call(c, "POST", "/echo", "text/plain", VIEW("payload"), LONG_USEC, 100, &a) < 0 ||
                    a.status != 200 || !view_eq_str(buf_view(&a.body), "payload"))
                        return userdata;
                http_answer_done(&a);
        }
        return NULL;
}

static void one_client_serves_many_threads(void **state) {
        _cleanup_(http_client_freep) struct http_client *c = client(false, VIEW_NULL);
        pthread_t threads[8];
        void *failed;

        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, hammer, c), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
                pthread_join(threads[i], &failed);
                assert_null(failed);
        }
}

int main(void) {
#define HASTY(f) cmocka_unit_test_setup_teardown(f, start_hasty, stop_hasty)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_over_unix_and_tcp),
                cmocka_unit_test(takes_a_body_at_the_limit_and_refuses_one_byte_more),
                cmocka_unit_test(counts_chunked_bodies_too),
                cmocka_unit_test(takes_headers_at_the_limit_and_refuses_one_byte_more),
                cmocka_unit_test(limits_the_number_of_headers),
                cmocka_unit_test(gives_handlers_the_decoded_target),
                cmocka_unit_test(answers_head_without_a_body),
                cmocka_unit_test(says_which_methods_a_path_takes),
                cmocka_unit_test(failing_handlers_answer_500_without_details),
                cmocka_unit_test(routes_with_a_permission_ask_first),
                cmocka_unit_test(json_bodies_are_strict),
                cmocka_unit_test(one_connection_serves_many_requests),
                cmocka_unit_test(the_client_keeps_its_connection_and_survives_its_loss),
                cmocka_unit_test(the_client_limits_answers_and_waiting),
                cmocka_unit_test(sinks_get_every_byte),
                cmocka_unit_test(a_failing_sink_is_answered_after_the_rest_was_dropped),
                cmocka_unit_test(streams_arrive_whole),
                cmocka_unit_test(a_vanished_reader_ends_the_stream),
                cmocka_unit_test(each_event_is_sent_at_once),
                cmocka_unit_test(reading_times_out_and_may_go_on),
                cmocka_unit_test(stop_ends_streams_and_waits_for_answers),
                HASTY(dripping_headers_are_cut),
                HASTY(dripping_bodies_are_cut),
                HASTY(silent_connections_are_cut),
                HASTY(handlers_may_take_longer_than_the_phases_before),
                HASTY(silent_connections_give_way_to_new_ones),
                HASTY(connections_above_the_limit_are_told),
                cmocka_unit_test(one_client_serves_many_threads),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
