/* What the ui service may still do once it is locked in, and what not. Each case is a process of its own. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support/cm.h"
#include "support/temp_dir.h"
#include "core/sandbox_parts.h"
#include "ui/passphrase.h"
#include "ui/sandbox.h"

static struct temp_dir root;
static char state[128], share[128], run[128];

static int opens(const char *folder, const char *name, int flags) {
        char path[256];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        return open(path, flags | O_CLOEXEC, 0600);
}

static struct sockaddr_un service_address(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.64s/run/registry.sock", root.path);
        return a;
}

static int reads_passwd(void) {
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}
static int reads_beside_its_state(void) {
        return opens(root.path, "secret", O_RDONLY);
}
static int writes_data_files(void) {
        return opens(share, "new", O_WRONLY | O_CREAT);
}
static int writes_into_the_run_folder(void) {
        return opens(run, "new", O_WRONLY | O_CREAT);
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
        char *arguments[] = {state, NULL}, *environment[] = {NULL};

        return execve("/bin/true", arguments, environment);
}
static int reads_another_process(void) {
        return open("/proc/1/cmdline", O_RDONLY | O_CLOEXEC);
}
static int makes_memory_executable(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int writes_its_state(void) {
        return opens(state, "new", O_WRONLY | O_CREAT);
}
static int reads_data_files(void) {
        return opens(share, "data", O_RDONLY);
}
static int connects_to_a_service(void) {
        struct sockaddr_un a = service_address();
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, sizeof(a));
}
static int derives_a_passphrase(void) {
        int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? fd : passphrase_set(fd, VIEW("correct horse"));
}

static const struct {
        const char *name;
        int (*act)(void);
        bool allowed;
        bool leak_checker_needs_it; /* builds with AddressSanitizer may do it as well */
} cases[] = {
        {"reads /etc/passwd", reads_passwd, false, false},
        {"reads a file beside its state", reads_beside_its_state, false, false},
        {"writes into the data files", writes_data_files, false, false},
        {"writes into the run folder", writes_into_the_run_folder, false, false},
        {"opens an internet socket", opens_an_internet_socket, false, true},
        {"starts a process", starts_a_process, false, true},
        {"runs a program", runs_a_program, false, false},
        {"reads another process", reads_another_process, false, true},
        {"makes memory executable", makes_memory_executable, false, true},
        {"writes its state", writes_its_state, true, false},
        {"reads the data files", reads_data_files, true, false},
        {"connects to a service", connects_to_a_service, true, false},
        {"derives a passphrase", derives_a_passphrase, true, false},
};

/* 0: it worked, 1: it was refused, 2: the sandbox could not be entered. */
static int try_locked_in(int (*act)(void)) {
        struct sandbox_report report;
        struct fault fault = FAULT_NONE;
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (ui_sandbox_enter(state, share, run, &report, &fault) < 0) {
                        (void)fprintf(stderr, "%s\n", fault.text);
                        _exit(2);
                }
                _exit(act() >= 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void what_is_not_on_the_list_is_refused(void **unused) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (SANDBOX_SANITIZER && cases[i].leak_checker_needs_it)
                        continue;
                if (!cases[i].allowed && try_locked_in(cases[i].act) != 1)
                        fail_msg("possible: %s", cases[i].name);
        }
}

static void what_it_needs_is_possible(void **unused) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (cases[i].allowed && try_locked_in(cases[i].act) != 0)
                        fail_msg("impossible: %s", cases[i].name);
}

static void make_folder(const char *name, char out[128]) {
        (void)snprintf(out, 128, "%s/%s", root.path, name);
        assert_int_equal(mkdir(out, 0700), 0);
}

static int start(void **unused) {
        struct sockaddr_un a;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        root = temp_dir_new();
        make_folder("state", state);
        make_folder("share", share);
        make_folder("run", run);
        assert_true(opens(root.path, "secret", O_WRONLY | O_CREAT) >= 0);
        assert_true(opens(share, "data", O_WRONLY | O_CREAT) >= 0);
        a = service_address();
        return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0 ? -1 : 0;
}

static int stop(void **unused) {
        temp_dir_done(&root);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_not_on_the_list_is_refused),
                cmocka_unit_test(what_it_needs_is_possible),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
