/* The shipped ui program between a browser and the services behind it, which the test plays. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/cm.h"
#include "browser.h"
#include "base/clock.h"
#include "base/file.h"
#include "core/fd_channel.h"
#include "wire/http_server.h"

#define PASSPHRASE "correct horse battery staple"
#define LONG_USEC  (20 * USEC_PER_SEC)

static struct harness *h;

/* --- the services behind --- */

static struct http_server *registry, *quarantine, *inference;
static unsigned chats_open;

/* Whatever comes must come with ui's own token and without anything of the browser. */
static bool came_from_ui(struct http_request *q, const char *target) {
        char right[128];

        (void)snprintf(right, sizeof(right), "Bearer %s", harness_token(h, "ui", target));
        return view_eq_str(http_header(q, "Authorization"), right) && !http_header(q, "Cookie").p &&
               !http_header(q, "X-CSRF-Token").p;
}

static int on_health(struct http_request *q, void *userdata) {
        return http_reply_json(q, 200, VIEW("{\"status\":\"ok\"}"));
}

static int on_models(struct http_request *q, void *userdata) {
        if (!came_from_ui(q, "registry"))
                return http_reply_error(q, 400, "wrong_sender", NULL, "wrong");
        return http_reply_json(q, 200, VIEW("{\"models\":[],\"head\":{\"version\":1,\"sha256\":\"\"}}"));
}

static int on_model_delete(struct http_request *q, void *userdata) {
        if (view_eq_str(http_path_part(q, 0), "loaded"))
                return http_reply_error(q, 409, "model_loaded", NULL, "The model is loaded.");
        return http_reply(q, 204, NULL, VIEW_NULL);
}

static int on_refusing(struct http_request *q, void *userdata) {
        return http_reply_error(q, 403, "forbidden_route", NULL, "not you");
}

struct words {
        unsigned next, count, pause_usec;
};

static int next_word(void *userdata, struct buf *out) {
        struct words *w = userdata;
        char text[64];
        int n;

        if (w->next == w->count)
                return 0;
        usleep(w->pause_usec);
        n = snprintf(text, sizeof(text), "{\"word\":%u}", w->next++);
        return sse_append(out, NULL, (struct view){text, (size_t)n}) < 0 ? -ENOMEM : 1;
}

static void words_free(void *userdata) {
        __atomic_sub_fetch(&chats_open, 1, __ATOMIC_SEQ_CST);
        free(userdata);
}

static int start_words(struct http_request *q, unsigned count, unsigned pause_usec) {
        struct words *w = calloc(1, sizeof(*w));
        struct http_stream s = {"text/event-stream", next_word, words_free, w};

        *w = (struct words){0, count, pause_usec};
        __atomic_add_fetch(&chats_open, 1, __ATOMIC_SEQ_CST);
        return http_reply_stream(q, 200, &s);
}

static int on_chat(struct http_request *q, void *userdata) {
        const struct json *body;
        struct view model;
        int r = http_body_json(q, &body);

        if (r < 0)
                return r;
        model = json_get_view(body, "model", VIEW_NULL);
        if (!came_from_ui(q, "inference") || view_eq_str(model, "unknown"))
                return http_reply_error(q, 404, "unknown_model", NULL, "There is no such model.");
        return view_eq_str(model, "endless") ? start_words(q, UINT32_MAX, 20000) : start_words(q, 5, 0);
}

static int on_events(struct http_request *q, void *userdata) {
        return start_words(q, UINT32_MAX, 100000);
}

/* Longer than a piece, and not the name that it is asked for. */
static int next_part(void *userdata, struct buf *out) {
        struct words *w = userdata;
        int r = buf_append_str(out, w->next == 0 ? "[" : ",");

        for (unsigned i = 0; r >= 0 && i < 20000; i++)
                r = buf_append_str(out, i == 0 ? "1" : ",1");
        if (r >= 0 && ++w->next == w->count)
                r = buf_append_char(out, ']');
        return r < 0 ? r : w->next < w->count;
}

static int send_document(struct http_request *q, const char *service) {
        struct words *w = calloc(1, sizeof(*w));
        struct http_stream s = {"application/json", next_part, free, w};

        if (!view_eq_str(http_path_part(q, 0), "j-1") || !view_eq_str(http_path_part(q, 1), "tensors") ||
            !came_from_ui(q, service)) {
                free(w);
                return http_reply_error(q, 404, "unknown_document", NULL, "none");
        }
        w->count = 5;
        return http_reply_stream(q, 200, &s);
}

static int on_document(struct http_request *q, void *userdata) {
        return send_document(q, "quarantine");
}

static int on_model_document(struct http_request *q, void *userdata) {
        return send_document(q, "registry");
}

static int on_inference_status(struct http_request *q, void *userdata) {
        return http_reply_json(q, 200, VIEW("{\"state\":\"failed\",\"reason\":\"no room\"}"));
}

static const struct http_route registry_routes[] = {
        {.method = "GET", .path = "/health", .handler = on_health},
        {.method = "GET", .path = "/v1/models", .handler = on_models},
        {.method = "DELETE", .path = "/v1/models/{id}", .handler = on_model_delete},
        {.method = "POST", .path = "/v1/models/{id}/verify", .handler = on_refusing},
        {.method = "GET", .path = "/v1/models/{id}/documents/{name}", .handler = on_model_document},
        {0},
};
static const struct http_route quarantine_routes[] = {
        {.method = "GET", .path = "/health", .handler = on_health},
        {.method = "GET", .path = "/v1/events", .handler = on_events},
        {.method = "GET", .path = "/v1/jobs/{id}/documents/{name}", .handler = on_document},
        {0},
};
static const struct http_route inference_routes[] = {
        {.method = "GET", .path = "/health", .handler = on_health},
        {.method = "GET", .path = "/v1/status", .handler = on_inference_status},
        {.method = "POST", .path = "/v1/chat/completions", .handler = on_chat, .body_bytes = 1 << 22},
        {0},
};

static struct http_server *play(const char *name, const struct http_route *routes) {
        struct http_server_config config = {.name = name, .routes = routes};
        struct http_server *s = NULL;
        int fd = harness_take_socket(h, name, "http-unix");

        assert_int_equal(http_server_new(&config, &fd, 1, &s), 0);
        return s;
}

/* --- quarantine's descriptor channel --- */

static struct {
        pthread_t thread;
        int listen_fd;
        const char *give;   /* file that uploads are written to; NULL: an unnamed one */
        const char *refuse; /* answer to upload and import instead of ok */
        struct buf content; /* what had arrived when the channel ended */
        bool hello, upload, import, committed, ended;
        uint64_t size, files;
        struct buf pieces;       /* of a folder: "[path]content" one after the other */
        unsigned commit_seconds; /* how long commit takes there */
} channel;

static void answer(int sock, const char *text, int fd) {
        assert_int_equal(fd_channel_send(sock, view_of(text), fd, LONG_USEC), 0);
}

static void keep_content(int fd) {
        _cleanup_(buf_donep) struct buf all = BUF_INIT((size_t)64 << 20);

        if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || buf_read_file(&all, fd) < 0)
                return;
        channel.content = TAKE_BUF(all);
}

static void keep_piece(int fd) {
        _cleanup_(buf_donep) struct buf all = BUF_INIT((size_t)1 << 20);

        if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || buf_read_file(&all, fd) < 0)
                return;
        assert_int_equal(buf_append_view(&channel.pieces, buf_view(&all)), 0);
}

static void take_message(int sock, const struct json *m, int passed, int *file) {
        struct view op = json_get_view(m, "op", VIEW_NULL);

        if (view_eq_str(op, "hello")) {
                channel.hello = view_eq_str(json_get_view(m, "token", VIEW_NULL),
                                            harness_token(h, "ui", "quarantine"));
        } else if (channel.refuse) {
                answer(sock, channel.refuse, -EBADF);
        } else if (view_eq_str(op, "upload")) {
                channel.upload = json_get_u64(m, "size", &channel.size) == 0;
                *file = channel.give ? open(channel.give, O_WRONLY | O_CLOEXEC)
                                     : memfd_create("upload", MFD_CLOEXEC);
                answer(sock, "{\"ok\":true,\"job\":\"j-1\"}", *file);
        } else if (view_eq_str(op, "upload_set")) {
                channel.upload = json_get_u64(m, "size", &channel.size) == 0 &&
                                 json_get_u64(m, "files", &channel.files) == 0;
                answer(sock, "{\"ok\":true,\"job\":\"j-1\"}", -EBADF);
        } else if (view_eq_str(op, "file")) {
                struct view path = json_get_view(m, "path", VIEW_NULL);

                keep_piece(*file);
                assert_int_equal(buf_printf(&channel.pieces, "[%.*s]", VIEW_ARG(path)), 0);
                close_fd(*file);
                *file = memfd_create("member", MFD_CLOEXEC);
                answer(sock, "{\"ok\":true}", *file);
        } else if (view_eq_str(op, "import")) {
                channel.import = view_eq_str(json_get_view(m, "source", VIEW_NULL), "demo");
                *file = fcntl(passed, F_DUPFD_CLOEXEC, 0);
                answer(sock, "{\"ok\":true,\"job\":\"j-2\"}", -EBADF);
        } else if (view_eq_str(op, "commit")) {
                channel.committed = view_eq_str(json_get_view(m, "job", VIEW_NULL), "j-1");
                sleep(channel.commit_seconds);
                answer(sock, "{\"ok\":true}", -EBADF);
        }
}

static void *serve_channel(void *userdata) {
        _cleanup_(closep) int sock = accept4(channel.listen_fd, NULL, NULL, SOCK_CLOEXEC), file = -EBADF;

        for (;;) {
                _cleanup_(json_document_freep) struct json_document *d = NULL;
                _cleanup_(closep) int passed = -EBADF;

                if (fd_channel_receive(sock, LONG_USEC, &d, &passed) < 0)
                        break;
                take_message(sock, json_root(d), passed, &file);
        }
        keep_content(file);
        __atomic_store_n(&channel.ended, true, __ATOMIC_SEQ_CST);
        return NULL;
}

/* One client, then it is over. */
static void play_channel(const char *give, const char *refuse) {
        int fd = harness_take_socket(h, "quarantine", "fd");

        memset(&channel, 0, sizeof(channel));
        channel.give = give;
        channel.refuse = refuse;
        channel.listen_fd = fd;
        assert_int_equal(pthread_create(&channel.thread, NULL, serve_channel, NULL), 0);
}

static void join_channel(void) {
        pthread_join(channel.thread, NULL);
        (void)close_fd(channel.listen_fd);
}

/* --- set-up --- */

static int set_up(void **state) {
        h = harness_new();
        harness_start(h, "audit", NULL);
        registry = play("registry", registry_routes);
        quarantine = play("quarantine", quarantine_routes);
        inference = play("inference", inference_routes);
        harness_start(h, "ui", NULL);
        return 0;
}

static int tear_down(void **state) {
        /* Under a sanitizer this fails when anything leaked. */
        assert_int_equal(harness_stop(h, "ui"), 0);
        registry = http_server_free(registry);
        quarantine = http_server_free(quarantine);
        inference = http_server_free(inference);
        h = harness_free(h);
        return 0;
}

static struct browser owner(void) {
        struct browser b = {.port = harness_port(h, "ui")};

        browser_set_up(&b, h, PASSPHRASE);
        return b;
}

static void assert_code(struct browser *b, const char *method, const char *target, const char *body,
                        unsigned status, const char *code) {
        _cleanup_(page_done) struct page p;
        struct view got;

        browse(b, method, target, body, &p);
        got = p.json ? json_get_view(json_get(json_root(p.json), "error"), "code", VIEW("")) : VIEW("");
        if (p.status != status || !view_eq_str(got, code))
                fail_msg("%s %s: expected %u %s, got %u %s", method, target, status, code, p.status,
                         buf_str(&p.body));
}

static void send_all(int fd, const char *p, size_t n) {
        while (n > 0) {
                ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

                if (sent <= 0)
                        return;
                p += sent;
                n -= (size_t)sent;
        }
}

#define BIG ((size_t)5 << 20)
static char big[BIG];

static unsigned upload(struct browser *b, const char *target, size_t n) {
        _cleanup_(closep) int fd = browser_open(b, "PUT", target, n);
        char text[64] = {0};

        send_all(fd, big, n);
        return recv(fd, text, sizeof(text) - 1, 0) > 12 ? (unsigned)strtoul(text + 9, NULL, 10) : 0;
}

/* --- proxy --- */

static void requests_are_passed_on_with_our_own_token_only(void **state) {
        struct browser b = owner();

        assert_int_equal(browse_status(&b, "GET", "/api/models", NULL), 200);
        assert_int_equal(browse_status(&b, "DELETE", "/api/models/abc", NULL), 204);
        assert_code(&b, "DELETE", "/api/models/loaded", NULL, 409, "model_loaded");
}

static void ids_that_would_change_the_path_are_refused(void **state) {
        struct browser b = owner();

        assert_code(&b, "DELETE", "/api/models/a%3Fb", NULL, 404, "unknown_model");
        assert_code(&b, "DELETE", "/api/models/a%20b", NULL, 404, "unknown_model");
        assert_code(&b, "GET", "/api/jobs/%C3%A9", NULL, 404, "unknown_job");
}

static void a_document_is_passed_on_whole(void **state) {
        static const char *const paths[] = {"/api/jobs/j-1/documents/tensors",
                                            "/api/models/j-1/documents/tensors"};
        struct browser b = owner();

        for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
                _cleanup_(page_done) struct page p;
                size_t commas = 0;

                browse(&b, "GET", paths[k], NULL, &p);
                assert_int_equal(p.status, 200);
                assert_non_null(strstr(buf_str(&p.head), "application/json"));
                for (size_t i = 0; i < p.body.n; i++)
                        commas += p.body.p[i] == ',';
                assert_int_equal(commas, 5 * 20000 - 1);
        }
        assert_code(&b, "GET", "/api/models/j-1/documents/bom", NULL, 404, "unknown_document");
        assert_code(&b, "GET", "/api/models/j%3F/documents/tensors", NULL, 404, "unknown_model");
        assert_code(&b, "GET", "/api/jobs/j-1/documents/bom", NULL, 404, "unknown_document");
        assert_code(&b, "GET", "/api/jobs/j-1/documents/a%3Fb", NULL, 404, "unknown_document");
        assert_code(&b, "GET", "/api/jobs/j%3F/documents/tensors", NULL, 404, "unknown_job");
}

static void our_own_refused_credentials_are_no_login_matter(void **state) {
        struct browser b = owner();

        assert_code(&b, "POST", "/api/models/abc/verify", NULL, 502, "forbidden_route");
}

static void a_dead_service_is_named(void **state) {
        struct browser b = owner();

        registry = http_server_free(registry);
        assert_code(&b, "GET", "/api/models", NULL, 503, "service_down");
        inference = http_server_free(inference);
        assert_code(&b, "POST", "/api/chat", "{\"messages\":[]}", 503, "service_down");
        quarantine = http_server_free(quarantine);
        assert_code(&b, "POST", "/api/jobs/demo", NULL, 503, "service_down");
        assert_int_equal(upload(&b, "/api/uploads?name=a.gguf", 1000), 503);
}

static void status_tells_how_all_are(void **state) {
        struct browser b = owner();
        _cleanup_(page_done) struct page p;
        const struct json *services;
        uint64_t n = 0;

        registry = http_server_free(registry);
        browse(&b, "GET", "/api/status", NULL, &p);
        assert_int_equal(p.status, 200);
        services = json_get(json_root(p.json), "services");
        for (const struct json *s = services->child; s; s = s->next) {
                struct view name = json_get_view(s, "name", VIEW_NULL),
                            got = json_get_view(s, "state", VIEW_NULL);
                const char *expected = view_eq_str(name, "registry")    ? "down"
                                       : view_eq_str(name, "inference") ? "degraded"
                                                                        : "ok";

                if (!view_eq_str(got, expected))
                        fail_msg("%.*s: %.*s", VIEW_ARG(name), VIEW_ARG(got));
        }
        assert_int_equal(services->count, 5);
        assert_int_equal(json_get_u64(json_get(json_root(p.json), "audit"), "sequence", &n), 0);
        assert_true(n > 0);
        assert_int_equal(json_get_u64(json_get(json_root(p.json), "machine"), "memory_bytes", &n), 0);
        assert_true(n > 1 << 20);
        assert_non_null(json_get_typed(json_root(p.json), "absent", JSON_ARRAY));
}

/* --- chat and events --- */

static void chat_streams_to_its_end(void **state) {
        struct browser b = owner();
        _cleanup_(page_done) struct page p;

        browse(&b, "POST", "/api/chat", "{\"model\":\"m\",\"messages\":[],\"stream\":true}", &p);
        assert_int_equal(p.status, 200);
        assert_non_null(strstr(buf_str(&p.head), "text/event-stream"));
        for (unsigned i = 0; i < 5; i++) {
                char word[32];

                (void)snprintf(word, sizeof(word), "data: {\"word\":%u}\n\n", i);
                assert_non_null(strstr(buf_str(&p.body), word));
        }
        assert_code(&b, "POST", "/api/chat", "{\"model\":\"unknown\",\"messages\":[]}", 404, "unknown_model");
        assert_code(&b, "POST", "/api/chat", "{\"messages\":[],\"tools\":[]}", 400, "bad_request");
        assert_code(&b, "POST", "/api/chat", "{\"messages\":\"x\"}", 400, "bad_request");
}

static void wait_for_no_chat(void) {
        uint64_t deadline = clock_monotonic_usec() + LONG_USEC;

        while (__atomic_load_n(&chats_open, __ATOMIC_SEQ_CST) > 0) {
                assert_true(clock_monotonic_usec() < deadline);
                usleep(5000);
        }
}

static void read_until(int fd, const char *text) {
        _cleanup_(buf_donep) struct buf all = BUF_INIT(1 << 20);
        uint64_t deadline = clock_monotonic_usec() + LONG_USEC;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char piece[4096];

        while (!strstr(buf_str(&all), text)) {
                ssize_t n;

                assert_true(poll(&p, 1, clock_poll_timeout(deadline)) > 0);
                n = recv(fd, piece, sizeof(piece), 0);
                assert_true(n > 0);
                assert_int_equal(buf_append(&all, piece, (size_t)n), 0);
        }
}

static void stopping_a_chat_stops_the_work_behind_it(void **state) {
        static const char body[] = "{\"model\":\"endless\",\"messages\":[]}";
        struct browser b = owner();
        int fd = browser_open(&b, "POST", "/api/chat", sizeof(body) - 1);

        assert_int_equal(send(fd, body, sizeof(body) - 1, MSG_NOSIGNAL), sizeof(body) - 1);
        read_until(fd, "\"word\":3}");
        (void)close_fd(fd);
        wait_for_no_chat();
}

static void events_end_with_the_session(void **state) {
        struct browser b = owner();
        int fd = browser_open(&b, "GET", "/api/jobs/events", 0);

        read_until(fd, "\"word\":1}");
        assert_int_equal(browse_status(&b, "POST", "/api/logout", NULL), 204);
        read_until(fd, "\r\n0\r\n\r\n");
        (void)close_fd(fd);
        wait_for_no_chat();
}

/* --- uploads --- */

static void an_upload_arrives_byte_for_byte_and_is_committed(void **state) {
        struct browser b = owner();

        for (size_t i = 0; i < BIG; i++)
                big[i] = (char)(i * 31 + i / 7919);
        play_channel(NULL, NULL);
        assert_int_equal(upload(&b, "/api/uploads?name=model.gguf", BIG), 201);
        join_channel();
        assert_true(channel.hello && channel.upload && channel.committed);
        assert_int_equal(channel.size, BIG);
        assert_int_equal(channel.content.n, BIG);
        assert_memory_equal(channel.content.p, big, BIG);
        buf_done(&channel.content);
}

static unsigned upload_text(struct browser *b, const char *target, const char *text, size_t step) {
        _cleanup_(closep) int fd = browser_open(b, "PUT", target, strlen(text));
        char answer_text[64] = {0};

        for (size_t at = 0, n = strlen(text); at < n; at += step) {
                send_all(fd, text + at, MIN_OF(step, n - at));
                if (step < n)
                        usleep(2000); /* so that the pieces come apart */
        }
        if (recv(fd, answer_text, sizeof(answer_text) - 1, 0) < 12)
                return 0;
        return (unsigned)strtoul(answer_text + 9, NULL, 10);
}

#define FOLDER  "/api/uploads?name=sd&folder=1"
#define LISTING "secai.folder/1\n2 a.json\n0 empty.txt\n5 unet/b c.txt\n0 z\n\n"

static void assert_folder_arrives(size_t step) {
        struct browser b = owner();

        play_channel(NULL, NULL);
        channel.pieces = BUF_INIT(1 << 20);
        assert_int_equal(upload_text(&b, FOLDER, LISTING "{}hello", step), 201);
        join_channel();
        assert_true(channel.upload && channel.committed);
        assert_int_equal(channel.files, 4);
        assert_int_equal(channel.size, 7);
        assert_string_equal(buf_str(&channel.pieces), "[a.json]{}[empty.txt][unet/b c.txt]hello[z]");
        buf_done(&channel.pieces);
        buf_done(&channel.content);
}

static void a_folder_arrives_file_by_file(void **state) {
        assert_folder_arrives(1000);
}

static void a_folder_arrives_in_single_bytes(void **state) {
        assert_folder_arrives(1);
}

static void a_folder_whose_list_is_not_right_is_refused_before_quarantine_hears_of_it(void **state) {
        static const struct {
                const char *body;
                unsigned status;
        } cases[] = {
                {"secai.folder/2\n1 a\n\nx", 400},
                {"secai.folder/1\n\n", 400},
                {"secai.folder/1\n1 ../a\n\nx", 400},
                {"secai.folder/1\n1 /a\n\nx", 400},
                {"secai.folder/1\n1 a\n\nxx", 400},
                {"secai.folder/1\n3 a\n\nxx", 400},
                {"secai.folder/1\n-1 a\n\n", 400},
                {"secai.folder/1\na\n\n", 400},
                {"secai.folder/1\n1 a", 400},
                {"secai.folder/1\n9223372036854775807 a\n9223372036854775807 b\n\n", 413},
        };
        struct browser b = owner();

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(upload_text(&b, FOLDER, cases[i].body, 1000), cases[i].status);
}

/* Quarantine brings the last bytes to the disk, or copies them all, before it says yes. */
static void a_commit_that_takes_long_is_waited_for(void **state) {
        struct browser b = owner();

        play_channel(NULL, NULL);
        channel.commit_seconds = 11;
        assert_int_equal(upload(&b, "/api/uploads?name=model.gguf", 1000), 201);
        join_channel();
        channel.commit_seconds = 0;
        buf_done(&channel.content);
}

static void an_aborted_upload_is_not_committed(void **state) {
        struct browser b = owner();
        int fd;

        play_channel(NULL, NULL);
        fd = browser_open(&b, "PUT", "/api/uploads?name=model.gguf", BIG);
        send_all(fd, big, BIG / 2);
        (void)close_fd(fd);
        join_channel();
        assert_true(channel.upload && channel.ended);
        assert_false(channel.committed);
        buf_done(&channel.content);
}

static void a_full_disk_is_said_and_nothing_is_committed(void **state) {
        struct browser b = owner();

        play_channel("/dev/full", NULL);
        assert_int_equal(upload(&b, "/api/uploads?name=model.gguf", BIG), 507);
        join_channel();
        assert_false(channel.committed);
}

static void quarantines_refusal_is_passed_on(void **state) {
        struct browser b = owner();

        play_channel(NULL, "{\"ok\":false,\"code\":\"disk_full\",\"message\":\"No room for it.\"}");
        assert_int_equal(upload(&b, "/api/uploads?name=model.gguf", 1000), 507);
        join_channel();
}

static void uploads_need_a_name_and_a_length(void **state) {
        static const char *const bad[] = {
                "", "?name=", "?name=..", "?name=a%00b", "?name=.hidden", "?name=a%0Ab", "?other=a"};
        struct browser b = owner();
        char target[512], name[202];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                (void)snprintf(target, sizeof(target), "/api/uploads%s", bad[i]);
                assert_int_equal(upload(&b, target, 100), 400);
        }
        memset(name, 'n', sizeof(name) - 1);
        name[201] = '\0';
        (void)snprintf(target, sizeof(target), "/api/uploads?name=%s", name);
        assert_int_equal(upload(&b, target, 100), 400);
        assert_code(&b, "PUT", "/api/uploads?name=a.gguf", NULL, 411, "length_required");
}

/* Nobody answers on the channel, so that those that were let in wait. */
static void one_upload_more_than_may_run_is_told_to_wait(void **state) {
        struct browser b = owner();
        int listening = harness_take_socket(h, "quarantine", "fd"), fds[4], channels[4];

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = browser_open(&b, "PUT", "/api/uploads?name=a.gguf", 1000);
                send_all(fds[i], big, 1000);
        }
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) { /* all four are in */
                channels[i] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
                assert_true(channels[i] >= 0);
        }
        assert_int_equal(upload(&b, "/api/uploads?name=a.gguf", 1000), 429);
        for (size_t i = 0; i < ARRAY_SIZE(channels); i++)
                (void)close_fd(channels[i]);
        (void)close_fd(listening);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                char text[64] = {0};

                assert_true(recv(fds[i], text, sizeof(text) - 1, 0) > 12);
                assert_non_null(strstr(text, " 503 "));
                (void)close_fd(fds[i]);
        }
}

static void nothing_of_an_upload_is_taken_without_a_session(void **state) {
        struct browser b = owner(), other = {.port = b.port};

        assert_int_equal(upload(&other, "/api/uploads?name=a.gguf", 1000), 401);
        assert_int_equal(upload(&other, "/api/uploads?name=a.gguf", BIG), 401); /* read, dropped, answered */
        b.csrf[0] = '\0';
        assert_int_equal(upload(&b, "/api/uploads?name=a.gguf", 1000), 403);
}

static void the_demo_model_is_imported_by_descriptor(void **state) {
        _cleanup_(buf_donep) struct buf shipped = {0};
        struct browser b = owner();
        char path[600];

        (void)snprintf(path, sizeof(path), "%s/demo/pebble.gguf", harness_share_path(h));
        assert_int_equal(read_file(path, (size_t)64 << 20, &shipped), 0);
        play_channel(NULL, NULL);
        assert_int_equal(browse_status(&b, "POST", "/api/jobs/demo", NULL), 201);
        join_channel();
        assert_true(channel.hello && channel.import);
        assert_int_equal(channel.content.n, shipped.n);
        assert_memory_equal(channel.content.p, shipped.p, shipped.n);
        buf_done(&channel.content);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(requests_are_passed_on_with_our_own_token_only),
                TEST(ids_that_would_change_the_path_are_refused),
                TEST(a_document_is_passed_on_whole),
                TEST(our_own_refused_credentials_are_no_login_matter),
                TEST(a_dead_service_is_named),
                TEST(status_tells_how_all_are),
                TEST(chat_streams_to_its_end),
                TEST(stopping_a_chat_stops_the_work_behind_it),
                TEST(events_end_with_the_session),
                TEST(an_upload_arrives_byte_for_byte_and_is_committed),
                TEST(a_folder_arrives_file_by_file),
                TEST(a_folder_arrives_in_single_bytes),
                TEST(a_folder_whose_list_is_not_right_is_refused_before_quarantine_hears_of_it),
                TEST(a_commit_that_takes_long_is_waited_for),
                TEST(an_aborted_upload_is_not_committed),
                TEST(a_full_disk_is_said_and_nothing_is_committed),
                TEST(quarantines_refusal_is_passed_on),
                TEST(uploads_need_a_name_and_a_length),
                TEST(one_upload_more_than_may_run_is_told_to_wait),
                TEST(nothing_of_an_upload_is_taken_without_a_session),
                TEST(the_demo_model_is_imported_by_descriptor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
