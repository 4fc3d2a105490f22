/* What the inference service may still do once it is locked in, and what not. Each case is a process of its own. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support/cm.h"
#include "support/temp_dir.h"
#include "core/sandbox_parts.h"
#include "inference/machine.h"
#include "inference/sandbox.h"

static struct temp_dir run_dir;

static int reads_passwd(void) {
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}
static int writes_into_the_run_folder(void) {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/x", run_dir.path);
        return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}
static int writes_to_tmp(void) {
        return open("/tmp/secai-inference-escape", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}
static int opens_an_internet_socket(void) {
        return socket(AF_INET, SOCK_STREAM, 0);
}
static int starts_a_process(void) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return pid;
}
static int runs_a_program(void) {
        char *arguments[] = {NULL, NULL}, *environment[] = {NULL};

        arguments[0] = run_dir.path;
        return execve("/bin/true", arguments, environment);
}
static int reads_another_process(void) {
        return open("/proc/1/cmdline", O_RDONLY | O_CLOEXEC);
}

static int reads_the_machine(void) {
        struct machine m;

        return machine_read("", &m);
}
static int connects_to_a_service(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/registry.sock", run_dir.path);
        return fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, sizeof(a));
}
static int knows_a_workers_process_id(void) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", run_dir.fd);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static const struct {
        const char *name;
        int (*act)(void);
        bool allowed;
        bool leak_checker_needs_it; /* builds with AddressSanitizer may do it as well */
} cases[] = {
        {"reads /etc/passwd", reads_passwd, false},
        {"writes into the run folder", writes_into_the_run_folder, false},
        {"writes to /tmp", writes_to_tmp, false},
        {"opens an internet socket", opens_an_internet_socket, false, true},
        {"starts a process", starts_a_process, false, true},
        {"runs a program", runs_a_program, false},
        {"reads another process", reads_another_process, false, true},
        {"reads the machine's memory and processors", reads_the_machine, true},
        {"connects to a service", connects_to_a_service, true},
        {"knows a worker's process id", knows_a_workers_process_id, true},
};

/* 0: it worked, 1: it was refused, 2: the sandbox could not be entered. */
static int try_locked_in(int (*act)(void)) {
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (inference_sandbox_enter(run_dir.path, &report, &fault) < 0) {
                        (void)fprintf(stderr, "%s\n", fault.text);
                        _exit(2);
                }
                _exit(act() >= 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void what_is_not_on_the_list_is_refused(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (SANDBOX_SANITIZER && cases[i].leak_checker_needs_it)
                        continue;
                if (!cases[i].allowed && try_locked_in(cases[i].act) != 1)
                        fail_msg("possible: %s", cases[i].name);
        }
}

static void what_it_needs_is_possible(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (cases[i].allowed && try_locked_in(cases[i].act) != 0)
                        fail_msg("impossible: %s", cases[i].name);
        }
}

static int start(void **state) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        run_dir = temp_dir_new();
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/registry.sock", run_dir.path);
        return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0 ? -1 : 0;
}

static int stop(void **state) {
        temp_dir_done(&run_dir);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_not_on_the_list_is_refused),
                cmocka_unit_test(what_it_needs_is_possible),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
