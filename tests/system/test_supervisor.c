/* `securectl up` and `down` over stand-ins for the services, so that these can be made to misbehave. */
#include "support/cm.h"

#include <ctype.h>
#include <poll.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "support/system.h"
#include "support/temp_dir.h"

static const char *const names[] = {"audit", "registry", "quarantine", "inference", "ui"};

struct fixture {
        struct temp_dir installation;
        struct system *system;
};

static void copy_program(const char *from, int dir, const char *name) {
        _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)64 << 20);

        assert_int_equal(read_file(from, content.max, &content), 0);
        assert_int_equal(replace_file(dir, name, buf_view(&content), 0755), 0);
}

/* securectl finds the others beside itself, so a folder with its copy is an installation. */
static void install(int root) {
        static const char *const folders[] = {
                "usr", "usr/bin", "usr/libexec", "usr/libexec/secure-ai", "usr/share", "usr/share/secure-ai",
                "etc"};
        const char *stage = secure_getenv("SECAI_STAGE"), *source = secure_getenv("SECAI_SOURCE");
        const char *stand_in = secure_getenv("SECAI_STAND_IN");
        char path[512];
        int bin, libexec;

        assert_true(stage && source && stand_in);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                assert_int_equal(mkdirat(root, folders[i], 0755), 0);
        bin = open_beneath(root, "usr/bin", O_RDONLY | O_DIRECTORY, 0);
        libexec = open_beneath(root, "usr/libexec/secure-ai", O_RDONLY | O_DIRECTORY, 0);
        (void)snprintf(path, sizeof path, "%s/usr/bin/securectl", stage);
        copy_program(path, bin, "securectl");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(symlinkat(stand_in, libexec, names[i]), 0);
        (void)snprintf(path, sizeof path, "%s/config", source);
        assert_int_equal(symlinkat(path, root, "etc/secure-ai"), 0);
        close(bin);
        close(libexec);
}

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof *f);

        f->installation = temp_dir_new();
        install(f->installation.fd);
        f->system = system_new(f->installation.path);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        system_free(f->system);
        temp_dir_done(&f->installation);
        free(f);
        return 0;
}

static void path_in(const struct fixture *f, const char *name, char out[512]) {
        (void)snprintf(out, 512, "%s/%s", system_root(f->system), name);
}

static mode_t mode_of(const struct fixture *f, const char *name) {
        char path[512];
        struct stat s;

        path_in(f, name, path);
        assert_int_equal(lstat(path, &s), 0);
        return s.st_mode & 07777;
}

static unsigned health(struct fixture *f, const char *name) {
        _cleanup_(http_client_freep) struct http_client *c = NULL;
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        char path[512], socket_name[64];

        (void)snprintf(socket_name, sizeof socket_name, "run/%s.sock", name);
        path_in(f, socket_name, path);
        assert_int_equal(http_client_new(path, 0, VIEW_NULL, &c), 0);
        assert_int_equal(http_call(c, "GET", "/health", NULL, VIEW_NULL, 20 * USEC_PER_SEC, 65536, &a), 0);
        return a.status;
}

static bool is_alive(pid_t pid) {
        char path[64], text[256] = "";
        _cleanup_(closep) int fd = -EBADF;

        (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
                return false;
        return !strstr(text, ") Z "); /* whoever inherited it may not have reaped it yet */
}

static void wait_until_dead(pid_t pid) {
        uint64_t deadline = clock_monotonic_usec() + 20 * USEC_PER_SEC;

        while (is_alive(pid)) {
                assert_true(clock_monotonic_usec() < deadline);
                usleep(5000);
        }
}

static void all_services_are_healthy_and_private(void **state) {
        struct fixture *f = *state;
        char name[64];

        system_start(f->system, NULL);
        assert_int_equal(mode_of(f, ""), 0700);
        assert_int_equal(mode_of(f, "run"), 0700);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(health(f, names[i]), 200);
                assert_int_equal(mode_of(f, names[i]), 0700);
                (void)snprintf(name, sizeof name, "run/%s.sock", names[i]);
                assert_int_equal(mode_of(f, name), 0600);
                (void)snprintf(name, sizeof name, "run/credentials/%s", names[i]);
                assert_int_equal(mode_of(f, name), 0700);
                (void)snprintf(name, sizeof name, "run/credentials/%s/tokens.json", names[i]);
                assert_int_equal(mode_of(f, name), 0600);
        }
        assert_int_equal(mode_of(f, "run/registry.fd.sock"), 0600);
        assert_int_equal(mode_of(f, "run/quarantine.fd.sock"), 0600);
        assert_int_equal(mode_of(f, "run/credentials/registry/evidence.pub"), 0600);
        assert_true(system_port(f->system, "ui") > 0);
        assert_int_equal(system_stop(f->system), 0);
}

static void folders_that_were_opened_are_closed_again(void **state) {
        struct fixture *f = *state;
        char path[512];

        system_start(f->system, NULL);
        assert_int_equal(system_stop(f->system), 0);
        path_in(f, "registry", path);
        assert_int_equal(chmod(path, 0777), 0);
        assert_int_equal(chmod(system_root(f->system), 0755), 0);
        system_start(f->system, NULL);
        assert_int_equal(mode_of(f, "registry"), 0700);
        assert_int_equal(mode_of(f, ""), 0700);
        assert_int_equal(system_stop(f->system), 0);
}

/* Counts "caller":"NAME" in the inbound list: who may call this service. */
static void tokens_follow_the_list_of_callers(void **state) {
        static const struct {
                const char *name, *callers, *targets;
        } expected[] = {
                {"audit", "ui quarantine registry inference securectl supervisor ", ""},
                {"registry", "ui quarantine inference securectl ", "audit "},
                {"quarantine", "ui securectl ", "audit registry "},
                {"inference", "ui securectl ", "audit registry "},
                {"ui", "", "audit quarantine registry inference "},
        };
        struct fixture *f = *state;

        system_start(f->system, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                _cleanup_(json_document_freep) struct json_document *d = NULL;
                _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
                char path[512], name[96], callers[256] = "", targets[256] = "";

                (void)snprintf(name, sizeof name, "run/credentials/%s/tokens.json", expected[i].name);
                path_in(f, name, path);
                assert_int_equal(read_file(path, text.max, &text), 0);
                assert_int_equal(json_parse(buf_view(&text), NULL, &d, NULL), 0);
                for (const struct json *o = json_get(json_root(d), "inbound")->child; o; o = o->next) {
                        struct view v = json_get_view(o, "caller", VIEW_NULL);
                        size_t used = strlen(callers);

                        assert_null(json_get(o, "token"));
                        (void)snprintf(callers + used, sizeof callers - used, "%.*s ", VIEW_ARG(v));
                }
                for (const struct json *o = json_get(json_root(d), "outbound")->child; o; o = o->next) {
                        struct view v = json_get_view(o, "target", VIEW_NULL);
                        size_t used = strlen(targets);

                        assert_int_equal(json_get_view(o, "token", VIEW_NULL).n, 64);
                        (void)snprintf(targets + used, sizeof targets - used, "%.*s ", VIEW_ARG(v));
                }
                assert_int_equal(strlen(callers), strlen(expected[i].callers));
                assert_int_equal(strlen(targets), strlen(expected[i].targets));
        }
        assert_int_equal(system_stop(f->system), 0);
}

/* True when the thread's third field in /proc/PID/task/TID/stat, behind the name in brackets, is T. */
static bool thread_is_stopped(int tasks, const char *id) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(64);
        char text[512] = "";
        const char *name_end;
        _cleanup_(closep) int fd = -EBADF;

        assert_int_equal(buf_printf(&path, "%s/stat", id), 0);
        fd = openat(tasks, path.p, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
                return true; /* it has ended */
        name_end = strrchr(text, ')');
        return name_end && name_end[1] == ' ' && name_end[2] == 'T';
}

/* kill() returns before the threads have stopped; one of them could still accept a connection. */
static void stop_process(pid_t pid) {
        char path[64];
        bool stopped = false;

        assert_int_equal(kill(pid, SIGSTOP), 0);
        (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
        while (!stopped) {
                DIR *dir = opendir(path);
                struct dirent *entry;

                assert_non_null(dir);
                stopped = true;
                while ((entry = readdir(dir)))
                        stopped = (entry->d_name[0] == '.' || thread_is_stopped(dirfd(dir), entry->d_name)) &&
                                  stopped;
                closedir(dir);
                usleep(1000);
        }
}

static void killed_service_comes_back_and_drops_no_connection(void **state) {
        struct fixture *f = *state;
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        char path[512], text[512] = "";
        int waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        pid_t before, after;

        system_start(f->system, NULL);
        before = system_pid(f->system, "registry");
        stop_process(before); /* so that the connection surely waits in the queue */
        path_in(f, "run/registry.sock", path);
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%.107s", path);
        assert_int_equal(connect(waiting, (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(send(waiting, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
        assert_int_equal(kill(before, SIGKILL), 0);
        after = system_await(f->system, "service_ready", "registry");
        assert_true(after > 0 && after != before);
        assert_true(recv(waiting, text, sizeof text - 1, 0) > 0);
        assert_non_null(strstr(text, " 200 "));
        close(waiting);
        assert_int_equal(health(f, "registry"), 200);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_true(is_alive(system_pid(f->system, names[i])));
        assert_int_equal(system_stop(f->system), 0);
}

static void second_start_on_the_same_root_is_refused(void **state) {
        static const char *const up[] = {"up", "--json", "--port", "0", NULL};
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf said = BUF_INIT(0);
        char holder[64];
        int status;

        system_start(f->system, NULL);
        status = system_securectl(f->system, up, &said);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        (void)snprintf(holder, sizeof holder, "(process %ld)", (long)system_supervisor(f->system));
        assert_non_null(strstr(buf_str(&said), "already running"));
        assert_non_null(strstr(buf_str(&said), holder));
        assert_int_equal(health(f, "ui"), 200);
        assert_int_equal(system_stop(f->system), 0);
}

static void down_stops_all_and_is_told_when_nothing_runs(void **state) {
        static const char *const down[] = {"down", NULL};
        struct fixture *f = *state;
        char path[512];
        int status;

        system_start(f->system, NULL);
        assert_int_equal(system_securectl(f->system, down, NULL), 0);
        assert_int_equal(system_wait(f->system), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_false(is_alive(system_pid(f->system, names[i])));
        path_in(f, "run/ui.sock", path);
        assert_int_equal(access(path, F_OK), -1);
        path_in(f, "run/credentials/ui/tokens.json", path);
        assert_int_equal(access(path, F_OK), -1);
        status = system_securectl(f->system, down, NULL);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
}

static void services_stop_in_reverse_order(void **state) {
        struct fixture *f = *state;
        const char *at = NULL;

        system_start(f->system, NULL);
        assert_int_equal(system_stop(f->system), 0);
        for (size_t i = ARRAY_SIZE(names); i-- > 0;) {
                char line[96];
                const char *found;

                (void)snprintf(line, sizeof line, "\"event\":\"service_stopped\",\"service\":\"%s\"",
                               names[i]);
                found = strstr(system_output(f->system), line);
                assert_non_null(found);
                assert_true(found > at);
                at = found;
        }
}

static void killed_supervisor_leaves_no_process_and_no_lock(void **state) {
        struct fixture *f = *state;
        pid_t pids[ARRAY_SIZE(names)];

        system_start(f->system, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                pids[i] = system_pid(f->system, names[i]);
        system_kill(f->system);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                wait_until_dead(pids[i]);
        system_start(f->system, NULL);
        assert_int_equal(health(f, "ui"), 200);
        assert_int_equal(system_stop(f->system), 0);
}

static void misbehave(struct fixture *f, const char *service, const char *how) {
        char path[512];
        _cleanup_(closep) int dir = -EBADF;

        path_in(f, service, path);
        assert_int_equal(make_path(path, 0700), 0);
        dir = open_dir(path);
        assert_int_equal(replace_file(dir, "behave", view_of(how), 0600), 0);
}

static void service_that_fails_at_start_stops_all_with_its_reason(void **state) {
        struct fixture *f = *state;
        int status;

        system_start(f->system, NULL);
        assert_int_equal(system_stop(f->system), 0);
        misbehave(f, "inference", "fail");
        status = system_try_start(f->system, NULL);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        assert_non_null(strstr(system_output(f->system), "\"service\":\"inference\""));
        assert_non_null(strstr(system_output(f->system), "exit status 3"));
        assert_non_null(strstr(system_output(f->system), "told to fail"));
        for (size_t i = 0; i < 3; i++)
                assert_false(is_alive(system_pid(f->system, names[i])));
        assert_null(strstr(system_output(f->system), "\"service\":\"ui\""));
}

static void pauses_between_restarts_grow(void **state) {
        struct fixture *f = *state;
        static const char *const expected[] = {"again in 200 ms", "again in 400 ms", "again in 800 ms"};

        system_start(f->system, NULL);
        misbehave(f, "inference", "fail");
        assert_int_equal(kill(system_pid(f->system, "inference"), SIGKILL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                system_await(f->system, "service_crashed", "inference");
                assert_non_null(strstr(system_output(f->system), expected[i]));
        }
        misbehave(f, "inference", "well");
        system_await(f->system, "service_ready", "inference");
        assert_int_equal(health(f, "inference"), 200);
        assert_int_equal(system_stop(f->system), 0);
}

static void second_signal_does_not_wait_for_the_deaf(void **state) {
        struct fixture *f = *state;

        system_start(f->system, NULL);
        misbehave(f, "ui", "deaf");
        assert_int_equal(kill(system_supervisor(f->system), SIGINT), 0);
        usleep(200000); /* either order is right: two signals are two requests */
        assert_int_equal(kill(system_supervisor(f->system), SIGINT), 0);
        assert_int_equal(system_wait(f->system), 0);
        assert_non_null(strstr(system_output(f->system), "\"event\":\"service_killed\",\"service\":\"ui\""));
}

/* Whoever may write to the socket for READY=1 may do so without end. */
static pid_t start_flood(const struct fixture *f) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%.90s/run/notify", system_root(f->system));
        for (int fd = socket(AF_UNIX, SOCK_DGRAM, 0);;)
                if (sendto(fd, "WATCHDOG=1", 10, MSG_NOSIGNAL, (const struct sockaddr *)&a, sizeof a) < 0 &&
                    errno != EINTR)
                        _exit(0);
}

static void flood_of_notices_keeps_nobody_from_restarts_and_the_end(void **state) {
        struct fixture *f = *state;
        pid_t floods[4];

        system_start(f->system, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++)
                floods[i] = start_flood(f);
        assert_int_equal(kill(system_pid(f->system, "inference"), SIGKILL), 0);
        system_await(f->system, "service_ready", "inference");
        assert_int_equal(health(f, "inference"), 200);
        assert_int_equal(system_stop(f->system), 0);
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
                (void)kill(floods[i], SIGKILL);
                (void)waitpid(floods[i], NULL, 0);
        }
}

static void port_that_is_taken_is_told(void **state) {
        struct fixture *f = *state;
        static char port[16];
        const char *more[] = {"--port", port, "--no-tcp", NULL};
        struct system *other = system_new(f->installation.path);
        int status;

        system_start(f->system, NULL);
        (void)snprintf(port, sizeof port, "%u", system_port(f->system, "ui"));
        status = system_try_start(other, more);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        assert_non_null(strstr(system_output(other), "in use"));
        assert_non_null(strstr(system_output(other), "--port N"));
        system_free(other);
        assert_int_equal(system_stop(f->system), 0);
}

static void wrong_usage_is_told(void **state) {
        static const char *const cases[][4] = {
                {"up", "--port", "65536", NULL}, {"up", "--port", "08", NULL}, {"up", "--bogus", NULL},
                {"up", "surplus", NULL},         {"down", "surplus", NULL},    {"nonsense", NULL},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int status = system_securectl(f->system, cases[i], NULL);

                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), 2);
        }
}

static void too_long_a_state_root_is_told(void **state) {
        struct fixture *f = *state;
        char deep[200];
        const char *more[] = {"--state-root", deep, NULL};
        int status;

        (void)snprintf(deep, sizeof deep, "%s/%0100d", f->installation.path, 1);
        status = system_try_start(f->system, more);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        assert_non_null(strstr(system_output(f->system), "--state-root"));
}

static void folder_with_other_things_is_left_alone(void **state) {
        struct fixture *f = *state;
        const char *more[] = {"--state-root", f->installation.path, NULL};
        struct stat before, after;
        int status;

        assert_int_equal(chmod(f->installation.path, 0755), 0);
        assert_int_equal(stat(f->installation.path, &before), 0);
        status = system_try_start(f->system, more);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        assert_non_null(strstr(system_output(f->system), "holds other things"));
        assert_int_equal(stat(f->installation.path, &after), 0);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(faccessat(f->installation.fd, "supervisor.pid", F_OK, 0), -1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(all_services_are_healthy_and_private),
                CASE(folders_that_were_opened_are_closed_again),
                CASE(tokens_follow_the_list_of_callers),
                CASE(killed_service_comes_back_and_drops_no_connection),
                CASE(second_start_on_the_same_root_is_refused),
                CASE(down_stops_all_and_is_told_when_nothing_runs),
                CASE(services_stop_in_reverse_order),
                CASE(killed_supervisor_leaves_no_process_and_no_lock),
                CASE(service_that_fails_at_start_stops_all_with_its_reason),
                CASE(pauses_between_restarts_grow),
                CASE(second_signal_does_not_wait_for_the_deaf),
                CASE(flood_of_notices_keeps_nobody_from_restarts_and_the_end),
                CASE(port_that_is_taken_is_told),
                CASE(wrong_usage_is_told),
                CASE(too_long_a_state_root_is_told),
                CASE(folder_with_other_things_is_left_alone),
        };

        return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
