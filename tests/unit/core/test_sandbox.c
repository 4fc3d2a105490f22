/* Each forbidden act is tried in a child of its own that has entered the sandbox, and each is a case of its own. */
#include "support/cm.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"
#include "core/sandbox.h"
#include "core/sandbox_parts.h"
#include "support/temp_dir.h"

#define MEMORY_LIMIT ((uint64_t)256 << 20)
#define FILES_LIMIT  64

/* What a child says by its exit status when it could not even enter. */
#define CHILD_CANNOT_ENTER 99

static struct temp_dir dir; /* own/ (read, write), shown/ (read), outside/ (nothing) */
static char own[100], shown[100], outside[100], unix_path[100], abstract_name[100], outside_socket[100];
static int listen_fd = -EBADF, abstract_fd = -EBADF, tcp_fd = -EBADF, outside_fd = -EBADF;
static uint16_t tcp_port;
static struct sandbox_path paths[] = {
        {own, SANDBOX_READ | SANDBOX_WRITE, false},
        {shown, SANDBOX_READ, false},
        {"/nonexistent/optional", SANDBOX_READ, true},
        {0},
};
static const struct sandbox_profile service_profile = {
        .program = "test",
        .namespaces = SANDBOX_NS_USER | SANDBOX_NS_NET | SANDBOX_NS_IPC | SANDBOX_NS_UTS,
        .calls = SANDBOX_CALLS_BASE | SANDBOX_CALLS_FILES | SANDBOX_CALLS_THREADS | SANDBOX_CALLS_SERVER |
                 SANDBOX_CALLS_CONNECT | SANDBOX_CALLS_INOTIFY,
        .paths = paths,
        .memory_bytes = MEMORY_LIMIT,
        .files = FILES_LIMIT,
        .no_memory_execute = true,
};
/* Landlock and the namespace alone must stop the network when the filter lets a socket through. */
static const char *const any_socket[] = {"socket", "bind", "listen", "kill", NULL};

static const char *in(const char *folder, const char *name) {
        static char path[4][256];
        static unsigned next;
        char *p = path[next++ % 4];

        (void)snprintf(p, sizeof path[0], "%s/%s", folder, name);
        return p;
}

static int done(long result) {
        return result < 0 ? negative_errno() : 0;
}

static int try_open(const char *path, int flags) {
        return done(open(path, flags | O_CLOEXEC, 0600));
}

static int open_outside(void) {
        return try_open(in(outside, "secret"), O_RDONLY);
}
static int open_through_symlink(void) {
        return try_open(in(own, "link"), O_RDONLY);
}
static int open_through_parent(void) {
        return try_open(in(own, "../outside/secret"), O_RDONLY);
}
static int open_environment_of_init(void) {
        return try_open("/proc/1/environ", O_RDONLY);
}
static int write_to_read_only(void) {
        return try_open(in(shown, "file"), O_WRONLY);
}
static int truncate_read_only(void) {
        return done(truncate(in(shown, "file"), 0));
}
static int create_in_read_only(void) {
        return try_open(in(shown, "new"), O_WRONLY | O_CREAT);
}
static int unlink_in_read_only(void) {
        return done(unlink(in(shown, "file")));
}
static int create_outside(void) {
        return try_open(in(outside, "new"), O_WRONLY | O_CREAT);
}
static int list_outside(void) {
        return try_open(outside, O_RDONLY | O_DIRECTORY);
}
static int rename_to_outside(void) {
        return done(rename(in(own, "file"), in(outside, "file")));
}
static int link_from_outside(void) {
        return done(link(in(outside, "secret"), in(own, "hard")));
}
static int make_symlink(void) {
        return done(symlink("/etc/passwd", in(own, "new-link")));
}
static int make_device(void) {
        return done(mknod(in(own, "null"), S_IFCHR | 0600, 0x103));
}
static int run_a_program(void) {
        char *arguments[] = {(char[]){"true"}, NULL};

        return done(execve("/bin/true", arguments, NULL));
}
static int fork_a_process(void) {
        return done(syscall(SYS_fork));
}
static int vfork_by_clone(void) {
        long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

        if (pid == 0)
                _exit(0);
        return done(pid);
}
static int clone_with_clone3(void) {
        return done(syscall(SYS_clone3, NULL, 0));
}
static int leave_by_unshare(void) {
        return done(unshare(CLONE_NEWUSER));
}
static int enter_a_namespace(void) {
        return done(setns(listen_fd, 0));
}
static int trace_the_parent(void) {
        return done(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int read_memory_of_the_parent(void) {
        return done(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int kill_the_parent(void) {
        return done(kill(getppid(), SIGCONT));
}
static int signal_a_thread_of_the_parent(void) {
        return done(syscall(SYS_tgkill, getppid(), getppid(), SIGCONT));
}
static int mount_something(void) {
        return done(mount("none", own, "tmpfs", 0, NULL));
}
static int change_root(void) {
        return done(chroot(own));
}
static int open_inet_socket(void) {
        return done(socket(AF_INET, SOCK_STREAM, 0));
}
static int open_inet6_socket(void) {
        return done(socket(AF_INET6, SOCK_DGRAM, 0));
}
static int open_netlink_socket(void) {
        return done(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int open_packet_socket(void) {
        return done(socket(AF_PACKET, SOCK_RAW, 0));
}
static int make_memory_executable(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -ENOTRECOVERABLE : done(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int map_executable_memory(void) {
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                       ? negative_errno()
                       : 0;
}
static int raise_own_limits(void) {
        struct rlimit l = {1024, 1024};

        return done(setrlimit(RLIMIT_NOFILE, &l));
}
static int use_io_uring(void) {
        return done(syscall(SYS_io_uring_setup, 1, NULL));
}
static int load_bpf(void) {
        return done(syscall(SYS_bpf, 0, NULL, 0));
}
static int open_by_handle(void) {
        return done(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY));
}
static int use_the_keyring(void) {
        return done(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}
static int count_performance(void) {
        return done(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}
static int handle_page_faults(void) {
        return done(syscall(SYS_userfaultfd, 0));
}
static int change_personality(void) {
        return done(syscall(SYS_personality, 0x0400000));
}
static int type_into_the_terminal(void) {
        return done(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}
static int become_dumpable(void) {
        return done(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int gain_a_user(void) {
        return done(syscall(SYS_setresuid, 0, 0, 0));
}
static int use_much_memory(void) {
        return mmap(NULL, MEMORY_LIMIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                               MAP_FAILED
                       ? negative_errno()
                       : 0;
}
static int open_many_files(void) {
        for (unsigned i = 0; i < FILES_LIMIT; i++)
                if (open(in(shown, "file"), O_RDONLY | O_CLOEXEC) < 0)
                        return negative_errno();
        return 0;
}

static int connect_to(int family, const void *address, size_t n) {
        _cleanup_(closep) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? negative_errno() : done(connect(fd, address, (socklen_t)n));
}
static int connect_abstract(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        memcpy(a.sun_path + 1, abstract_name, strlen(abstract_name));
        return connect_to(AF_UNIX, &a, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name));
}
static struct sockaddr_in loopback(uint16_t port) {
        return (struct sockaddr_in){
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}
static int connect_tcp(void) {
        struct sockaddr_in a = loopback(tcp_port);

        return connect_to(AF_INET, &a, sizeof a);
}
static int bind_tcp(void) {
        struct sockaddr_in a = loopback(0);
        _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? -ENOTRECOVERABLE : done(bind(fd, (struct sockaddr *)&a, sizeof a));
}

static int connect_outside(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        memcpy(a.sun_path, outside_socket, strlen(outside_socket));
        return connect_to(AF_UNIX, &a, sizeof a);
}
static int look_outside(void) {
        struct stat s;

        return done(stat(in(outside, "secret"), &s));
}
static int look_at_etc(void) {
        struct stat s;

        return done(stat("/etc/passwd", &s));
}
static int create_in_root(void) {
        return done(mkdir("/new", 0700));
}

enum profile_kind { SERVICE, ANY_SOCKET, OWN_ROOT };

struct attempt {
        const char *name;
        int (*act)(void);
        int expected[2]; /* errno, either */
        enum profile_kind profile;
        int least_abi;      /* of Landlock, for what older kernels can't refuse */
        bool asan_needs_it; /* allowed in builds with AddressSanitizer only */
};

static const struct attempt attempts[] = {
        {"open_outside", open_outside, {EACCES}},
        {"open_through_symlink", open_through_symlink, {EACCES}},
        {"open_through_parent", open_through_parent, {EACCES}},
        {"open_environment_of_init", open_environment_of_init, {EACCES}},
        {"write_to_read_only", write_to_read_only, {EACCES}},
        {"truncate_read_only", truncate_read_only, {EACCES}, .least_abi = 3},
        {"create_in_read_only", create_in_read_only, {EACCES}},
        {"unlink_in_read_only", unlink_in_read_only, {EACCES}},
        {"create_outside", create_outside, {EACCES}},
        {"list_outside", list_outside, {EACCES}},
        {"rename_to_outside", rename_to_outside, {EACCES, EXDEV}},
        {"link_from_outside", link_from_outside, {EACCES, EXDEV}},
        {"make_symlink", make_symlink, {EPERM}},
        {"make_device", make_device, {EPERM}},
        {"run_a_program", run_a_program, {EPERM}},
        {"fork_a_process", fork_a_process, {EPERM}},
        {"vfork_by_clone", vfork_by_clone, {EPERM}, .asan_needs_it = true},
        {"clone_with_clone3", clone_with_clone3, {ENOSYS}},
        {"leave_by_unshare", leave_by_unshare, {EPERM}},
        {"enter_a_namespace", enter_a_namespace, {EPERM}},
        {"trace_the_parent", trace_the_parent, {EPERM}},
        {"read_memory_of_the_parent", read_memory_of_the_parent, {EPERM}, .asan_needs_it = true},
        {"kill_the_parent", kill_the_parent, {EPERM}},
        {"signal_a_thread_of_the_parent", signal_a_thread_of_the_parent, {EPERM}},
        {"mount_something", mount_something, {EPERM}},
        {"change_root", change_root, {EPERM}},
        {"open_inet_socket", open_inet_socket, {EPERM}, .asan_needs_it = true},
        {"open_inet6_socket", open_inet6_socket, {EPERM}, .asan_needs_it = true},
        {"open_netlink_socket", open_netlink_socket, {EPERM}, .asan_needs_it = true},
        {"open_packet_socket", open_packet_socket, {EPERM}, .asan_needs_it = true},
        {"make_memory_executable", make_memory_executable, {EPERM}, .asan_needs_it = true},
        {"map_executable_memory", map_executable_memory, {EPERM}, .asan_needs_it = true},
        {"raise_own_limits", raise_own_limits, {EPERM}},
        {"use_io_uring", use_io_uring, {EPERM}},
        {"load_bpf", load_bpf, {EPERM}},
        {"open_by_handle", open_by_handle, {EPERM}},
        {"use_the_keyring", use_the_keyring, {EPERM}},
        {"count_performance", count_performance, {EPERM}},
        {"handle_page_faults", handle_page_faults, {EPERM}},
        {"change_personality", change_personality, {EPERM}},
        {"type_into_the_terminal", type_into_the_terminal, {EPERM}, .asan_needs_it = true},
        {"become_dumpable", become_dumpable, {EPERM}, .asan_needs_it = true},
        {"gain_a_user", gain_a_user, {EPERM}},
        {"use_much_memory", use_much_memory, {ENOMEM}, .asan_needs_it = true},
        {"open_many_files", open_many_files, {EMFILE}},
        {"connect_abstract", connect_abstract, {EPERM, ECONNREFUSED}, .least_abi = 6},
        {"connect_tcp_with_sockets_allowed", connect_tcp, {EACCES}, ANY_SOCKET, .least_abi = 4},
        {"bind_tcp_with_sockets_allowed", bind_tcp, {EACCES}, ANY_SOCKET, .least_abi = 4},
        {"connect_abstract_with_sockets_allowed", connect_abstract, {EPERM}, ANY_SOCKET, .least_abi = 6},
        {"kill_the_parent_with_kill_allowed", kill_the_parent, {EPERM}, ANY_SOCKET, .least_abi = 6},
        {"connect_outside_of_own_root", connect_outside, {ENOENT}, OWN_ROOT},
        {"look_outside_of_own_root", look_outside, {ENOENT}, OWN_ROOT},
        {"look_at_etc_from_own_root", look_at_etc, {ENOENT}, OWN_ROOT},
        {"create_in_own_root", create_in_root, {EACCES, EROFS}, OWN_ROOT},
        {"open_outside_of_own_root", open_outside, {ENOENT}, OWN_ROOT},
        {"write_to_read_only_in_own_root", write_to_read_only, {EACCES}, OWN_ROOT},
};

static struct sandbox_profile profile_of(enum profile_kind kind) {
        struct sandbox_profile p = service_profile;

        if (kind == ANY_SOCKET) { /* no namespaces either: Landlock stands alone */
                p.more_calls = any_socket;
                p.namespaces = 0;
        }
        if (kind == OWN_ROOT)
                p.namespaces |= SANDBOX_NS_MOUNT;
        return p;
}

/* Enters the profile and runs `act` in a child; its result is the exit status. */
static int in_sandbox(const struct sandbox_profile *p, int (*act)(void)) {
        pid_t pid = fork();
        int status = 0;

        assert_true(pid >= 0);
        if (pid == 0) {
                struct sandbox_report report;
                struct fault f = FAULT_NONE;

                if (sandbox_enter(p, &report, &f) < 0) {
                        (void)dprintf(STDERR_FILENO, "# %s: %s\n", f.rule, f.text);
                        _exit(CHILD_CANNOT_ENTER);
                }
                _exit(-act());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static int landlock_abi(void) {
        return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
}

/* Plays a kernel that refuses this call: 0 when the profile is entered all the same and the report says what is absent. */
static int enter_where_refused(const char *call, unsigned expected_namespaces) {
        const struct sandbox_profile p = profile_of(OWN_ROOT);
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        struct sandbox_report report = {0};
        struct fault f = FAULT_NONE;

        if (call &&
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(call), 0) < 0)
                return 1;
        if (seccomp_load(filter) < 0)
                return 2;
        seccomp_release(filter);
        if (sandbox_enter(&p, &report, &f) < 0)
                return 3;
        if (report.landlock_abi < 1 || report.namespaces_entered != expected_namespaces)
                return 4;
        if ((report.absent[0] != '\0') != (call != NULL))
                return 5;
        return open_outside() == -EACCES || !call ? 0 : 6; /* the other walls stand */
}

/* Some kernels refuse namespaces to ordinary users; what needs them is then left out. */
static bool has_namespaces(void) {
        const struct sandbox_profile p = {.program = "probe",
                                          .namespaces = service_profile.namespaces | SANDBOX_NS_MOUNT,
                                          .calls = SANDBOX_CALLS_BASE};
        static int known = -1;
        struct sandbox_report report = {0};
        pid_t pid = known < 0 ? fork() : -1;
        int status = 1;

        if (pid == 0)
                _exit(sandbox_enter(&p, &report, NULL) < 0 || report.absent[0]);
        if (pid > 0)
                known = waitpid(pid, &status, 0) == pid && status == 0;
        return known > 0;
}

/* cmocka 1.1 reports a skipped case as failed, so what can't be shown here is left out. */
static bool is_possible(const struct attempt *a) {
        bool possible = !(SANDBOX_SANITIZER && a->asan_needs_it) && landlock_abi() >= a->least_abi &&
                        (a->profile != OWN_ROOT || has_namespaces());

        if (!possible)
                printf("# left out in this build or on this kernel: %s\n", a->name);
        return possible;
}

static void attempt_is_refused(void **state) {
        const struct attempt *a = *state;
        struct sandbox_profile p = profile_of(a->profile);
        int status, code;

        status = in_sandbox(&p, a->act);
        assert_true(WIFEXITED(status));
        code = WEXITSTATUS(status);
        if (code != a->expected[0] && (a->expected[1] == 0 || code != a->expected[1]))
                fail_msg("%s: ended with %d (%s)", a->name, code, strerrordesc_np(code));
}

/* The reverse: what is refused inside works outside, so that the refusals above mean something. */
static void files_and_sockets_are_there_without_the_sandbox(void **state) {
        assert_int_equal(open_outside(), 0);
        assert_int_equal(open_through_symlink(), 0);
        assert_int_equal(list_outside(), 0);
        assert_int_equal(connect_abstract(), 0);
        assert_int_equal(connect_outside(), 0);
        assert_int_equal(connect_tcp(), 0);
        assert_int_equal(bind_tcp(), 0);
        assert_int_equal(kill_the_parent(), 0);
        assert_int_equal(make_memory_executable(), 0);
}

static void *add_one(void *n) {
        ++*(int *)n;
        return NULL;
}

static int threads_work(void) {
        pthread_t thread;
        int n = 0;

        if (pthread_create(&thread, NULL, add_one, &n) != 0 || pthread_join(thread, NULL) != 0)
                return -EIO;
        return n == 1 ? 0 : -EIO;
}
static int own_files_work(void) {
        _cleanup_(closep) int folder = open_dir(own);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(64);
        int r;

        if (folder < 0)
                return folder;
        r = replace_file(folder, "made", VIEW("content"), 0600);
        if (r >= 0)
                r = read_file_beneath(folder, "made", 64, &text);
        if (r >= 0)
                r = done(linkat(folder, "made", folder, "linked", 0));
        if (r >= 0)
                r = done(unlinkat(folder, "linked", 0));
        if (r >= 0)
                r = done(mkdirat(folder, "folder", 0700));
        if (r >= 0)
                r = done(renameat(folder, "made", folder, "folder/moved"));
        if (r >= 0)
                r = done(unlinkat(folder, "folder/moved", 0));
        if (r >= 0)
                r = done(unlinkat(folder, "folder", AT_REMOVEDIR));
        return r;
}
static int shown_files_can_be_read_and_listed(void) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(64);
        int r = read_file(in(shown, "file"), 64, &text);
        DIR *d = opendir(shown);

        if (!d || r < 0 || !readdir(d))
                return -EIO;
        closedir(d);
        return 0;
}
static int passed_sockets_answer(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        _cleanup_(closep) int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), server = -EBADF;
        char c = 'x';

        memcpy(a.sun_path, unix_path, strlen(unix_path));
        if (client < 0 || connect(client, (struct sockaddr *)&a, sizeof a) < 0)
                return negative_errno();
        server = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (server < 0 || send(server, &c, 1, MSG_NOSIGNAL) != 1 || recv(client, &c, 1, 0) != 1)
                return negative_errno();
        return 0;
}
static int inotify_works(void) {
        _cleanup_(closep) int fd = inotify_init1(IN_CLOEXEC);

        return fd < 0 ? negative_errno() : done(inotify_add_watch(fd, own, IN_CREATE));
}
static int standard_output_and_memory_work(void) {
        void *p = malloc((size_t)1 << 20);

        if (!p)
                return -ENOMEM;
        memset(p, 1, (size_t)1 << 20);
        free(p);
        (void)isatty(STDOUT_FILENO);
        return getrandom((char[8]){0}, 8, 0) == 8 ? 0 : -EIO;
}

static int (*const allowed_acts[])(void) = {
        threads_work,          own_files_work, shown_files_can_be_read_and_listed,
        passed_sockets_answer, inotify_works,  standard_output_and_memory_work,
};

static int all_allowed_acts(void) {
        for (size_t i = 0; i < ARRAY_SIZE(allowed_acts); i++) {
                int r = allowed_acts[i]();

                if (r < 0) {
                        (void)dprintf(STDERR_FILENO, "# allowed act %zu failed: %d\n", i, r);
                        return r;
                }
        }
        return 0;
}

static void what_a_service_needs_still_works(void **state) {
        assert_int_equal(in_sandbox(&service_profile, all_allowed_acts), 0);
}

static void what_a_service_needs_works_in_its_own_root_too(void **state) {
        struct sandbox_profile p = profile_of(OWN_ROOT);

        assert_int_equal(in_sandbox(&p, all_allowed_acts), 0);
}

static int abort_now(void) {
        abort();
}

static void abort_still_ends_the_process(void **state) {
        int status = in_sandbox(&service_profile, abort_now);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void strict_profile_kills_at_the_first_forbidden_call(void **state) {
        struct sandbox_profile p = {.program = "worker", .calls = SANDBOX_CALLS_BASE, .kill_process = true};
        int status = in_sandbox(&p, mount_something);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
        assert_int_equal(in_sandbox(&p, standard_output_and_memory_work), 0);
}

static int work_as_nobody(void) {
        int r = own_files_work();

        if (r >= 0 && geteuid() != 65534)
                r = -EINVAL;
        return r;
}

static void ordinary_user_can_enter(void **state) {
        const struct sandbox_profile p = profile_of(OWN_ROOT);
        pid_t pid;
        int status = 0;

        if (geteuid() != 0)
                return; /* then every other case proves it */
        assert_int_equal(chmod(dir.path, 0755), 0);
        assert_int_equal(chown(own, 65534, 65534), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
                    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) <
                            0) /* as a program that was started by that user is */
                        _exit(98);
                status = in_sandbox(&p, work_as_nobody);
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(chown(own, 0, 0), 0);
        assert_int_equal(status, 0);
}

/* In a child: a failed entry leaves the process half locked. */
static void refused(const struct sandbox_profile *p, int expected, const char *rule, const char *part) {
        pid_t pid = fork();
        int status = 0;

        assert_true(pid >= 0);
        if (pid == 0) {
                struct sandbox_report report;
                struct fault f = FAULT_NONE;
                int r = sandbox_enter(p, &report, &f);

                if (r != expected || !f.rule || strcmp(f.rule, rule) != 0 || !strstr(f.text, part)) {
                        (void)dprintf(STDERR_FILENO, "# %d %s %s\n", r, f.rule ? f.rule : "-", f.text);
                        _exit(1);
                }
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void profile_that_cannot_be_kept_is_a_start_failure(void **state) {
        static const char *const unknown[] = {"read", "opne", NULL};
        static const struct sandbox_path missing[] = {{"/nonexistent/needed", SANDBOX_READ, false}, {0}};
        static const struct sandbox_path relative[] = {{"tmp", SANDBOX_READ, true}, {0}};
        static const struct sandbox_path no_access[] = {{"/tmp", 0, true}, {0}};
        struct sandbox_profile p = service_profile;

        p.more_calls = unknown;
        refused(&p, -EINVAL, "SANDBOX-008", "\"opne\" is not a system call");
        p = service_profile;
        p.paths = missing;
        refused(&p, -ENOENT, "SANDBOX-005", "/nonexistent/needed");
        p.paths = relative;
        refused(&p, -EINVAL, "SANDBOX-001", "absolute");
        p.paths = no_access;
        refused(&p, -EINVAL, "SANDBOX-001", "known access");
        p = service_profile;
        p.calls |= 1u << 30;
        refused(&p, -EINVAL, "SANDBOX-001", "do not exist");
        p = service_profile;
        p.namespaces |= 1u << 30;
        refused(&p, -EINVAL, "SANDBOX-001", "do not exist");
}

/* Loads an exported filter as bwrap does, then acts. */
static int with_exported(const char *const *calls, int (*act)(void)) {
        struct fault f = FAULT_NONE;
        _cleanup_(closep) int fd = -EBADF;
        static struct sock_filter program[4096];
        struct sock_fprog header = {.filter = program};
        struct stat s;
        pid_t pid;
        int status = 0;

        assert_int_equal(sandbox_export_filter(calls, &fd, &f), 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
        assert_int_equal(fstat(fd, &s), 0);
        assert_true(s.st_size > 0 && (size_t)s.st_size <= sizeof program);
        assert_int_equal(pread_all(fd, program, (size_t)s.st_size, 0), 0);
        header.len = (unsigned short)((size_t)s.st_size / sizeof program[0]);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &header) < 0)
                        _exit(CHILD_CANNOT_ENTER);
                syscall(SYS_exit_group, act() == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static int open_unix_socket(void) {
        return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0 ? negative_errno() : 0;
}
static int open_for_reading(void) {
        return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY) < 0 ? negative_errno() : 0;
}
static int open_for_writing(void) {
        return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY) < 0 ? negative_errno() : 0;
}
static int open_for_both(void) {
        return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) < 0 ? negative_errno() : 0;
}
static int open_and_truncate(void) {
        return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_TRUNC) < 0 ? negative_errno() : 0;
}
static int do_nothing(void) {
        return 0;
}

static void exported_filter_kills_what_is_not_listed(void **state) {
        static const char *const calls[] = {"exit_group", "socket", "clone", "clone3", "openat", NULL};
        static int (*const deadly[])(void) = {open_inet_socket, vfork_by_clone,   mount_something,
                                              fork_a_process,   open_for_writing, open_for_both,
                                              open_and_truncate};
        static const char *const unknown[] = {"nonsense", NULL};
        struct fault f = FAULT_NONE;
        int fd = -EBADF;

        assert_int_equal(with_exported(calls, do_nothing), 0);
        assert_int_equal(with_exported(calls, open_unix_socket), 0);
        assert_int_equal(with_exported(calls, open_for_reading), 0);
        for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
                int status = with_exported(calls, deadly[i]);

                assert_true(WIFSIGNALED(status));
                assert_int_equal(WTERMSIG(status), SIGSYS);
        }
        assert_int_equal(with_exported(calls, clone_with_clone3), 1 << 8); /* ENOSYS, not death */
        assert_int_equal(sandbox_export_filter(unknown, &fd, &f), -EINVAL);
        assert_int_equal(fd, -EBADF);
}

static void what_the_kernel_refuses_is_reported_and_the_rest_stands(void **state) {
        const unsigned all = profile_of(OWN_ROOT).namespaces;
        const struct {
                const char *call;
                unsigned namespaces;
        } cases[] = {{"unshare", 0}, {"mount", all}, {"pivot_root", all}};

        for (size_t i = 0; i < (has_namespaces() ? ARRAY_SIZE(cases) : 1); i++) {
                pid_t pid = fork();
                int status = 0;

                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(enter_where_refused(cases[i].call, cases[i].namespaces));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                /* halfway into a new root there is no way on and no way back: that one is a start failure */
                assert_int_equal(status, strcmp(cases[i].call, "pivot_root") == 0 ? 3 << 8 : 0);
        }
}

static int make_file(const char *folder, const char *name, const char *text) {
        _cleanup_(closep) int fd = open_dir(folder);

        return fd < 0 ? fd : replace_file(fd, name, view_of(text), 0644);
}

static int listen_on(int family, const void *address, size_t n) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, address, (socklen_t)n) < 0 || listen(fd, 8) < 0)
                return negative_errno();
        return fd;
}

static int make_sockets(void) {
        struct sockaddr_un named = {.sun_family = AF_UNIX}, abstract = {.sun_family = AF_UNIX};
        struct sockaddr_un other = {.sun_family = AF_UNIX};
        struct sockaddr_in tcp = loopback(0);
        socklen_t n = sizeof tcp;

        (void)snprintf(unix_path, sizeof unix_path, "%s/own/s.sock", dir.path);
        (void)snprintf(abstract_name, sizeof abstract_name, "secai-test-%s", dir.path + 5);
        memcpy(named.sun_path, unix_path, strlen(unix_path));
        memcpy(abstract.sun_path + 1, abstract_name, strlen(abstract_name));
        (void)snprintf(outside_socket, sizeof outside_socket, "%s/outside/s.sock", dir.path);
        memcpy(other.sun_path, outside_socket, strlen(outside_socket));
        outside_fd = listen_on(AF_UNIX, &other, sizeof other);
        listen_fd = listen_on(AF_UNIX, &named, sizeof named);
        abstract_fd = listen_on(AF_UNIX, &abstract,
                                offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name));
        tcp_fd = listen_on(AF_INET, &tcp, sizeof tcp);
        if (listen_fd < 0 || outside_fd < 0 || abstract_fd < 0 || tcp_fd < 0 ||
            getsockname(tcp_fd, (struct sockaddr *)&tcp, &n) < 0)
                return -1;
        tcp_port = ntohs(tcp.sin_port);
        return 0;
}

static int set_up(void **state) {
        static char *const folders[] = {own, shown, outside};
        static const char *const names[] = {"own", "shown", "outside"};

        dir = temp_dir_new();
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                (void)snprintf(folders[i], sizeof own, "%s/%s", dir.path, names[i]);
                if (mkdir(folders[i], 0755) < 0)
                        return -1;
        }
        if (make_file(own, "file", "x") < 0 || make_file(shown, "file", "x") < 0 ||
            make_file(outside, "secret", "x") < 0 || symlink("../outside/secret", in(own, "link")) < 0)
                return -1;
        return make_sockets();
}

static int tear_down(void **state) {
        close(listen_fd);
        close(abstract_fd);
        close(outside_fd);
        close(tcp_fd);
        temp_dir_done(&dir);
        return 0;
}

int main(void) {
        static const struct CMUnitTest others[] = {
                cmocka_unit_test(files_and_sockets_are_there_without_the_sandbox),
                cmocka_unit_test(what_a_service_needs_still_works),
                cmocka_unit_test(what_a_service_needs_works_in_its_own_root_too),
                cmocka_unit_test(abort_still_ends_the_process),
                cmocka_unit_test(strict_profile_kills_at_the_first_forbidden_call),
                cmocka_unit_test(ordinary_user_can_enter),
                cmocka_unit_test(profile_that_cannot_be_kept_is_a_start_failure),
                cmocka_unit_test(exported_filter_kills_what_is_not_listed),
                cmocka_unit_test(what_the_kernel_refuses_is_reported_and_the_rest_stands),
        };
        static struct CMUnitTest tests[ARRAY_SIZE(attempts) + ARRAY_SIZE(others)];
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
                if (is_possible(&attempts[i]))
                        tests[n++] = (struct CMUnitTest){.name = attempts[i].name,
                                                         .test_func = attempt_is_refused,
                                                         .initial_state = (void *)(uintptr_t)&attempts[i]};
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                tests[n++] = others[i];
        /* the macro counts the array; cases that this build leaves out are empty places at its end */
        return _cmocka_run_group_tests("sandbox", tests, n, set_up, tear_down);
}
