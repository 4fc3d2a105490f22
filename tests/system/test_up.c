/* The shipped programs under the shipped supervisor, with the shipped configuration. */
#include "support/cm.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "support/system.h"

static const char *const names[] = {"audit", "registry", "quarantine", "inference", "ui"};

static int set_up(void **state) {
        *state = system_new(NULL);
        return 0;
}

static int tear_down(void **state) {
        system_free(*state);
        return 0;
}

static void assert_healthy(struct http_client *c, const char *name) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;

        assert_int_equal(http_call(c, "GET", "/health", NULL, VIEW_NULL, 30 * USEC_PER_SEC, 65536, &a), 0);
        assert_int_equal(a.status, 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        assert_true(view_eq_str(json_get_view(json_root(d), "service", VIEW_NULL), name));
}

static struct http_client *plain_client(struct system *s, const char *name) {
        struct http_client *c = NULL;
        char path[512];

        (void)snprintf(path, sizeof path, "%s/run/%s.sock", system_root(s), name);
        assert_int_equal(http_client_new(path, 0, VIEW_NULL, &c), 0);
        return c;
}

static void every_service_is_healthy(struct system *s) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(http_client_freep) struct http_client *c = plain_client(s, names[i]);

                assert_healthy(c, names[i]);
        }
}

static void shipped_system_starts_and_stops_cleanly(void **state) {
        struct system *s = *state;

        system_start(s, NULL);
        every_service_is_healthy(s);
        assert_int_equal(system_stop(s), 0);
        assert_null(strstr(system_output(s), "service_killed"));
        assert_null(strstr(system_output(s), "service_crashed"));
}

static void ports_answer_on_loopback(void **state) {
        static const char *const with_port[] = {"registry", "inference", "ui"};
        struct system *s = *state;

        system_start(s, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(with_port); i++) {
                _cleanup_(http_client_freep) struct http_client *c = NULL;

                assert_int_equal(http_client_new(NULL, system_port(s, with_port[i]), VIEW_NULL, &c), 0);
                assert_healthy(c, with_port[i]);
        }
        assert_int_equal(system_stop(s), 0);
}

static void no_tcp_leaves_only_the_page(void **state) {
        static const char *const more[] = {"--no-tcp", NULL};
        struct system *s = *state;

        system_start(s, more);
        assert_true(system_port(s, "ui") > 0);
        assert_int_equal(system_port(s, "registry"), 0);
        assert_int_equal(system_port(s, "inference"), 0);
        every_service_is_healthy(s);
        assert_int_equal(system_stop(s), 0);
}

/* Counts records of this event about this service in the audit log. */
static unsigned count_records(struct system *s, const char *event, const char *subject) {
        _cleanup_(http_client_freep) struct http_client *c = system_client(s, "securectl", "audit");
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *records;
        unsigned n = 0;

        assert_int_equal(http_call(c, "GET", "/v1/records?after=0&limit=200", NULL, VIEW_NULL,
                                   30 * USEC_PER_SEC, (size_t)4 << 20, &a),
                         0);
        assert_int_equal(a.status, 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        records = json_get_typed(json_root(d), "records", JSON_ARRAY);
        assert_non_null(records);
        for (const struct json *r = records->child; r; r = r->next)
                n += view_eq_str(json_get_view(r, "event", VIEW_NULL), event) &&
                     view_eq_str(json_get_view(r, "subject", VIEW_NULL), subject);
        return n;
}

static void every_killed_service_comes_back_and_it_is_recorded(void **state) {
        struct system *s = *state;

        system_start(s, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                pid_t before = system_pid(s, names[i]);

                assert_int_equal(kill(before, SIGKILL), 0);
                assert_int_not_equal(system_await(s, "service_ready", names[i]), before);
        }
        every_service_is_healthy(s);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(count_records(s, "service_crashed", names[i]), 1);
                assert_int_equal(count_records(s, "service_restarted", names[i]), 1);
        }
        assert_int_equal(system_stop(s), 0);
}

static void second_start_finds_everything_as_it_was_left(void **state) {
        struct system *s = *state;
        _cleanup_(buf_donep) struct buf first = BUF_INIT(4096), second = BUF_INIT(4096);
        char path[512], code[128];

        system_start(s, NULL);
        (void)snprintf(code, sizeof code, "%s", system_code(s));
        assert_true(code[0] != '\0');
        (void)snprintf(path, sizeof path, "%s/quarantine/evidence.pub", system_root(s));
        assert_int_equal(read_file(path, first.max, &first), 0);
        assert_int_equal(system_stop(s), 0);
        system_start(s, NULL);
        assert_string_equal(system_code(s), code);
        assert_int_equal(read_file(path, second.max, &second), 0);
        assert_true(view_eq(buf_view(&first), buf_view(&second)));
        assert_int_equal(count_records(s, "system_started", "supervisor"), 2);
        assert_int_equal(count_records(s, "system_stopping", "supervisor"), 1);
        assert_int_equal(system_stop(s), 0);
}

/* Services, their launchers and workers: all have the state root in their command line, or are children of one. */
static unsigned count_processes(const char *state_root) {
        DIR *d = opendir("/proc");
        unsigned n = 0;

        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                char path[512], line[8192];
                _cleanup_(closep) int fd = -EBADF;
                ssize_t got;

                if (e->d_name[0] < '1' || e->d_name[0] > '9')
                        continue;
                (void)snprintf(path, sizeof path, "/proc/%.20s/cmdline", e->d_name);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                got = fd < 0 ? 0 : read(fd, line, sizeof line);
                n += got > 0 && view_find(view_make(line, (size_t)got), view_of(state_root)) != SIZE_MAX;
        }
        closedir(d);
        return n;
}

static void wait_for_processes(const char *what, unsigned n) {
        uint64_t deadline = clock_monotonic_usec() + 30 * USEC_PER_SEC;

        while (count_processes(what) != n) {
                assert_true(clock_monotonic_usec() < deadline);
                usleep(20000);
        }
}

static void killed_supervisor_leaves_no_process(void **state) {
        struct system *s = *state;
        system_start(s, NULL);
        assert_true(count_processes(system_root(s)) > ARRAY_SIZE(names)); /* the launchers are seen too */
        system_kill(s);
        wait_for_processes(system_root(s), 0);
        system_start(s, NULL);
        every_service_is_healthy(s);
        assert_int_equal(system_stop(s), 0);
}

static void sockets_are_the_owners_alone(void **state) {
        struct system *s = *state;
        char path[512];
        struct dirent *e;
        unsigned sockets = 0;
        DIR *d;

        system_start(s, NULL);
        (void)snprintf(path, sizeof path, "%s/run", system_root(s));
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d))) {
                struct stat st;

                assert_int_equal(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
                if (S_ISSOCK(st.st_mode)) {
                        assert_int_equal(st.st_mode & 07777, 0600);
                        sockets++;
                }
        }
        closedir(d);
        assert_int_equal(sockets, 8); /* five services, two descriptor channels, the notice socket */
        assert_int_equal(system_stop(s), 0);
}

/* The demo model by way of the inbox, as a user without a browser would do it. */
static void import_demo(struct system *s) {
        const char *stage = secure_getenv("SECAI_STAGE");
        _cleanup_(http_client_freep) struct http_client *c = system_client(s, "securectl", "registry");
        _cleanup_(buf_donep) struct buf model = BUF_INIT((size_t)16 << 20);
        uint64_t deadline = clock_monotonic_usec() + 120 * USEC_PER_SEC;
        _cleanup_(closep) int inbox = -EBADF;
        char path[512];

        (void)snprintf(path, sizeof path, "%s/usr/share/secure-ai/demo/pebble.gguf", stage);
        assert_int_equal(read_file(path, model.max, &model), 0);
        (void)snprintf(path, sizeof path, "%s/quarantine/incoming", system_root(s));
        inbox = open_dir(path);
        assert_int_equal(replace_file(inbox, "pebble.gguf", buf_view(&model), 0600), 0);
        while (clock_monotonic_usec() < deadline) {
                _cleanup_(http_answer_donep) struct http_answer a = {0};

                assert_int_equal(
                        http_call(c, "GET", "/v1/models", NULL, VIEW_NULL, 30 * USEC_PER_SEC, 65536, &a), 0);
                if (view_find(buf_view(&a.body), VIEW("pebble.gguf")) != SIZE_MAX)
                        return;
                usleep(50000);
        }
        fail_msg("the demo model was not promoted within two minutes");
}

static void chat(struct system *s) {
        static const char question[] =
                "{\"model\":\"pebble.gguf\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],"
                "\"max_tokens\":8}";
        _cleanup_(http_client_freep) struct http_client *c = system_client(s, "securectl", "inference");
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        assert_int_equal(http_call(c, "POST", "/v1/chat/completions", "application/json", view_of(question),
                                   120 * USEC_PER_SEC, 65536, &a),
                         0);
        assert_int_equal(a.status, 200);
        assert_true(view_find(buf_view(&a.body), VIEW("\"content\"")) != SIZE_MAX);
}

static void loaded_model_ends_with_its_service_and_with_the_supervisor(void **state) {
        struct system *s = *state;
        char worker[512];

        (void)snprintf(worker, sizeof worker, "%s/run/inference/llama-", system_root(s));
        system_start(s, NULL);
        import_demo(s);
        chat(s);
        assert_true(count_processes(worker) > 0);
        assert_int_equal(kill(system_pid(s, "inference"), SIGKILL), 0);
        system_await(s, "service_ready", "inference");
        wait_for_processes(worker, 0);
        chat(s); /* the same question works again */
        assert_true(count_processes(worker) > 0);
        system_kill(s);
        wait_for_processes(system_root(s), 0);
}

static bool has_worker_root(void) {
        const char *home = secure_getenv("HOME"), *given = secure_getenv("SECAI_WORKER_ROOT");
        char path[512];

        (void)snprintf(path, sizeof path, "%s%s/.complete",
                       given  ? given
                       : home ? home
                              : "/nonexistent",
                       given ? "" : "/.cache/secure-ai/worker-root");
        return access(path, R_OK) == 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(shipped_system_starts_and_stops_cleanly),
                CASE(ports_answer_on_loopback),
                CASE(no_tcp_leaves_only_the_page),
                CASE(every_killed_service_comes_back_and_it_is_recorded),
                CASE(second_start_finds_everything_as_it_was_left),
                CASE(killed_supervisor_leaves_no_process),
                CASE(sockets_are_the_owners_alone),
                /* last: left out where there is no worker root */
                CASE(loaded_model_ends_with_its_service_and_with_the_supervisor),
        };
        size_t n = ARRAY_SIZE(tests);

        if (!has_worker_root()) {
                printf("# no sealed worker root: no model is loaded\n");
                n--;
        }

        return _cmocka_run_group_tests("up", tests, n, NULL, NULL);
}
