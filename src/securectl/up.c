/* securectl up: everything on this machine, without root: folders, tokens, keys, sockets, services. */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/num.h"
#include "base/secret.h"
#include "base/text.h"
#include "securectl/command.h"
#include "securectl/lock.h"
#include "securectl/machine.h"
#include "securectl/supervisor.h"
#include "securectl/tokens.h"

#define PORT_UI        8480
#define PORT_REGISTRY  8470
#define PORT_INFERENCE 8465
#define CODE_MAX       ((size_t)128)
#define TEXT_MAX       ((size_t)16 << 10)

struct up_options {
        const char *state_root, *worker_root;
        uint16_t port;
        bool no_tcp, json;
};

static const struct option option_table[] = {
        {"state-root", required_argument, NULL, 's'},
        {"worker-root", required_argument, NULL, 'w'},
        {"port", required_argument, NULL, 'p'},
        {"no-tcp", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
};

static void usage(void) {
        printf("usage: securectl up [OPTION…]\n"
               "\n"
               "Starts all services of SecAI OS for this user, prints the address of the web page and the "
               "one-time\n"
               "code of the first run, and keeps them running until Ctrl-C or `securectl down`. Needs no "
               "root.\n"
               "\n"
               "  --state-root DIR   where everything is kept (default: $XDG_DATA_HOME/secure-ai or\n"
               "                     ~/.local/share/secure-ai); DIR/config replaces the shipped "
               "configuration\n"
               "  --port N           port of the web page on 127.0.0.1 (default: %d); 0 takes any free "
               "port,\n"
               "                     also for the other services\n"
               "  --no-tcp           no ports but that of the web page: registry (%d) and inference (%d) "
               "are\n"
               "                     then reached through their sockets only\n"
               "  --worker-root DIR  sealed root of the model workers (default: $SECAI_WORKER_ROOT or\n"
               "                     ~/.cache/secure-ai/worker-root)\n"
               "  --json             one JSON object a line for each event\n"
               "\n"
               "Exit status: 0 stopped as asked, 1 already running, 2 trouble.\n",
               PORT_UI, PORT_REGISTRY, PORT_INFERENCE);
}

/* 1: answered, 0: go on, negative: wrong usage (said). */
static int parse_options(int argc, char *argv[], struct up_options *o) {
        uint64_t port;
        int option;

        while ((option = getopt_long(argc, argv, "", option_table, NULL)) != -1)
                switch (option) {
                case 's':
                        o->state_root = optarg;
                        break;
                case 'w':
                        o->worker_root = optarg;
                        break;
                case 'p':
                        if (u64_parse(view_of(optarg), UINT16_MAX, &port) < 0)
                                return fprintf(stderr, "securectl: --port wants a number from 0 to 65535\n"),
                                       -EINVAL;
                        o->port = (uint16_t)port;
                        break;
                case 'n':
                        o->no_tcp = true;
                        break;
                case 'j':
                        o->json = true;
                        break;
                case 'h':
                        usage();
                        return 1;
                default:
                        return -EINVAL;
                }
        if (optind < argc)
                return fprintf(stderr, "securectl: up takes no \"%s\"; see securectl up --help\n",
                               argv[optind]),
                       -EINVAL;
        return 0;
}

static void choose_units(struct supervisor *s, const struct up_options *o) {
        const bool any = o->port == 0;
        const struct unit units[] = {
                {.name = "audit"},
                {.name = "registry",
                 .has_fd_socket = true,
                 .wants_tcp = !o->no_tcp,
                 .port = any ? 0 : PORT_REGISTRY},
                {.name = "quarantine", .has_fd_socket = true},
                {.name = "inference", .wants_tcp = !o->no_tcp, .port = any ? 0 : PORT_INFERENCE},
                {.name = "ui", .wants_tcp = true, .port = o->port},
        };

        memcpy(s->units, units, sizeof units);
        s->n_units = ARRAY_SIZE(units);
}

/* --- what must be there before the first service --- */

/* A folder that holds other things must not be taken over (and closed to others) because of a slip of the finger. */
static bool is_ours(const char *root) {
        DIR *d = opendir(root);
        bool known = false, strange = false;

        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
                known = known || strcmp(e->d_name, "supervisor.pid") == 0;
                strange = strange || (e->d_name[0] != '.' && strcmp(e->d_name, "config") != 0);
        }
        if (d)
                closedir(d);
        return known || !strange;
}

static int make_folder(const char *parent, const char *name) {
        char path[PLACE_MAX];
        int r = place_join(path, parent, name);

        if (r < 0)
                return r;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return negative_errno();
        /* one that a careless hand has opened is closed again */
        return chmod(path, 0700) < 0 ? negative_errno() : 0;
}

static int make_folders(const struct supervisor *s) {
        static const char *const names[] = {
                "run", "log", "log/services", "run/credentials", "quarantine", "quarantine/incoming"};
        const char *root = s->places.state_root;
        int r = make_path(root, 0700);

        if (r >= 0 && chmod(root, 0700) < 0)
                r = negative_errno();
        for (size_t i = 0; i < ARRAY_SIZE(names) && r >= 0; i++)
                r = make_folder(root, names[i]);
        for (size_t i = 0; i < s->n_units && r >= 0; i++)
                r = make_folder(root, s->units[i].name);
        return r;
}

static void trouble(const struct supervisor *s, const char *event, const char *text) {
        const struct report_event e = {LOG_LEVEL_ERROR, event, NULL, 0};

        report(&s->report, &e, "%s", text);
}

static int take_lock(const struct supervisor *s, int *ret_lock) {
        _cleanup_(closep) int root = open_dir(s->places.state_root);
        char text[PLACE_MAX + 160];
        pid_t holder = 0;
        int r = root < 0 ? root : lock_take(root, &holder);

        if (r >= 0) {
                *ret_lock = r;
                return 0;
        }
        if (r == -EBUSY)
                (void)snprintf(text, sizeof text,
                               "already running in %s (process %ld); `securectl down` stops it, --state-root "
                               "DIR starts another",
                               s->places.state_root, (long)holder);
        else
                (void)snprintf(text, sizeof text, "%s/supervisor.pid: %s", s->places.state_root,
                               strerrordesc_np(-r));
        trouble(s, r == -EBUSY ? "already_running" : "no_lock", text);
        return r;
}

static int open_report_log(struct supervisor *s) {
        char path[PLACE_MAX];
        int r = place_join(path, s->places.state_root, "log/services/supervisor.log");

        if (r < 0)
                return r;
        s->report.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        return s->report.log_fd < 0 ? negative_errno() : 0;
}

static int make_tokens(struct supervisor *s, struct fault *reterr) {
        _cleanup_(closep) int config = open_dir(s->places.config), run = open_dir(s->places.run),
                              credentials = -EBADF;
        char token[TOKEN_SIZE] = "", path[PLACE_MAX];
        int r;

        if (config < 0)
                return fault_set(reterr, config, "UP-007", 0, "configuration %.90s: %s", s->places.config,
                                 strerrordesc_np(-config));
        credentials = run < 0 ? run : open_or_make_dir(run, "credentials", 0700);
        if (credentials < 0)
                return fault_set(reterr, credentials, "UP-004", 0, "folder of the tokens: %s",
                                 strerrordesc_np(-credentials));
        r = tokens_write(config, credentials, token, reterr);
        if (r >= 0 && token[0] && place_join(path, s->places.run, "audit.sock") >= 0)
                r = audit_client_new(path, view_of(token), &s->recorder.client);
        wipe(token, sizeof token);
        return r;
}

/* quarantine signs what it has found out, and registry believes that signature alone: it gets the public half. */
static int make_keys(struct supervisor *s, struct fault *reterr) {
        _cleanup_(closep) int root = open_dir(s->places.state_root);
        _cleanup_(buf_donep) struct buf key = BUF_INIT(4096);
        _cleanup_(closep) int credentials = -EBADF;
        char state[PLACE_MAX];
        const char *arguments[] = {"--make-keys", "--state", state, NULL};
        int r = place_join(state, s->places.state_root, "quarantine");

        if (r >= 0)
                r = unit_run_once("quarantine", arguments, &s->places, UP_KEYS_USEC);
        if (r < 0)
                return fault_set(reterr, r, "UP-008", 0,
                                 "quarantine --make-keys failed (%s); see log/services/quarantine.log",
                                 strerrordesc_np(-r));
        r = root < 0 ? root : read_file_beneath(root, "quarantine/evidence.pub", key.max, &key);
        if (r >= 0) {
                credentials = open_beneath(root, "run/credentials/registry", O_RDONLY | O_DIRECTORY, 0);
                r = credentials < 0 ? credentials
                                    : replace_file(credentials, "evidence.pub", buf_view(&key), 0600);
        }
        return r < 0 ? fault_set(reterr, r, "UP-008", 0, "evidence.pub of quarantine: %s",
                                 strerrordesc_np(-r))
                     : 0;
}

static int open_sockets(struct supervisor *s, struct fault *reterr) {
        for (size_t i = 0; i < s->n_units; i++) {
                int r = unit_open_sockets(&s->units[i], s->places.run, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Addresses of UNIX sockets are short, and the kernel would only say "file name too long". */
static int check_lengths(const struct supervisor *s, struct fault *reterr) {
        size_t most = sizeof((struct sockaddr_un *)0)->sun_path - sizeof "/quarantine.fd.sock";

        if (strlen(s->places.run) <= most)
                return 0;
        return fault_set(reterr, -ENAMETOOLONG, "UP-005", 0,
                         "choose a shorter --state-root: sockets allow it %zu bytes, and it has %zu",
                         most - strlen("/run"), strlen(s->places.state_root));
}

static int prepare(struct supervisor *s, struct fault *reterr) {
        int r = check_lengths(s, reterr);

        if (r < 0)
                return r;
        r = supervisor_prepare(s);
        if (r < 0)
                return fault_set(reterr, r, "UP-009", 0, "socket or signals: %s", strerrordesc_np(-r));
        r = make_tokens(s, reterr);
        if (r >= 0)
                r = make_keys(s, reterr);
        return r < 0 ? r : open_sockets(s, reterr);
}

/* --- what people and programs are told --- */

static void tell_absences(const struct supervisor *s) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        _cleanup_(closep) int run = open_dir(s->places.run);
        const struct report_event e = {LOG_LEVEL_INFO, "absent", NULL, 0};
        struct absence a[ABSENCES_MAX];
        size_t n = machine_absences(&s->places, a);

        for (size_t i = 0; i < n; i++)
                report(&s->report, &e, "not on this machine: %s (%s). To do: %s", a[i].what, a[i].why,
                       a[i].what_to_do);
        if (run >= 0 && machine_write(a, n, &text) >= 0 &&
            replace_file(run, "absent.json", buf_view(&text), 0600) < 0)
                trouble(s, "absent_not_written", "run/absent.json can't be written");
}

/* "" when the passphrase has been chosen already. */
static void read_code(const struct supervisor *s, struct buf *out) {
        _cleanup_(closep) int root = open_dir(s->places.state_root);
        _cleanup_(buf_donep) struct buf file = BUF_INIT(CODE_MAX);
        struct view code;

        if (root < 0 || read_file_beneath(root, "ui/first-run-code", CODE_MAX, &file) < 0)
                return;
        code = buf_view(&file);
        while (code.n > 0 && (code.p[code.n - 1] == '\n' || code.p[code.n - 1] == ' '))
                code.n--;
        if (buf_append_escaped(out, code, CODE_MAX) < 0)
                buf_clear(out);
}

static void write_running(struct supervisor *s, const char *code, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char address[64];

        (void)snprintf(address, sizeof address, "http://127.0.0.1:%u", supervisor_unit(s, "ui")->port);
        json_object_begin(&w);
        json_member_string(&w, "event", "running");
        json_member_string(&w, "address", address);
        json_member_string(&w, "code", code[0] ? code : NULL);
        json_member_string(&w, "state_root", s->places.state_root);
        json_member_u64(&w, "pid", (uint64_t)getpid());
        json_key(&w, "ports");
        json_object_begin(&w);
        for (size_t i = 0; i < s->n_units; i++)
                if (s->units[i].wants_tcp)
                        json_member_u64(&w, s->units[i].name, s->units[i].port);
        json_object_end(&w);
        json_object_end(&w);
        if (json_write_end(&w) < 0)
                buf_clear(out);
}

static void print_running(struct supervisor *s, const char *code) {
        printf("\nSecAI OS is running.\n\n"
               "  Open           http://127.0.0.1:%u\n",
               supervisor_unit(s, "ui")->port);
        if (code[0])
                printf("  One-time code  %s   (asked for when you choose the passphrase)\n", code);
        printf("  State          %s\n"
               "  Inbox          %s/quarantine/incoming\n\n"
               "Ctrl-C stops it.\n",
               s->places.state_root, s->places.state_root);
        fflush(stdout);
}

/* The file tells other programs of this user where the ports are; the code is not in it. */
static void announce(struct supervisor *s) {
        _cleanup_(buf_donep) struct buf code = BUF_INIT(4 * CODE_MAX), line = BUF_INIT(TEXT_MAX),
                                        file = BUF_INIT(TEXT_MAX);
        _cleanup_(closep) int run = open_dir(s->places.run);

        read_code(s, &code);
        write_running(s, "", &file);
        if (run < 0 || replace_file(run, "running.json", buf_view(&file), 0600) < 0)
                trouble(s, "running_not_written", "run/running.json can't be written");
        if (!s->report.json) {
                print_running(s, buf_str(&code));
                return;
        }
        write_running(s, buf_str(&code), &line);
        printf("%s\n", buf_str(&line));
        fflush(stdout);
}

/* Services log JSON lines; people want what they say. Other lines (a sanitizer's, the loader's) come as they are. */
static void append_readable(struct view words, struct buf *out) {
        struct view line;

        while (words.n > 0) {
                _cleanup_(json_document_freep) struct json_document *d = NULL;
                struct view message;

                if (!view_split(&words, '\n', &line)) {
                        line = words;
                        words = VIEW("");
                }
                message = json_parse(line, NULL, &d, NULL) < 0 ? line
                                                               : json_get_view(json_root(d), "message", line);
                if (buf_append_str(out, "\n  ") < 0 || buf_append_escaped(out, message, 512) < 0)
                        return;
        }
}

static void tell_failure(struct supervisor *s, int error) {
        const struct unit *u = s->failed;
        _cleanup_(buf_donep) struct buf said = BUF_INIT(TEXT_MAX);
        char how[64] = "", words[2048] = "";
        const struct report_event e = {LOG_LEVEL_ERROR, "start_failed", u ? u->name : NULL, 0};

        if (u)
                unit_last_words(u->name, &s->places, words, sizeof words);
        if (error == -ECHILD && u)
                unit_describe_status(u->status, how);
        append_readable(view_of(words), &said);
        report(&s->report, &e, "did not start (%s). It said:%s", how[0] ? how : strerrordesc_np(-error),
               buf_str(&said));
}

static void clean_up(struct supervisor *s) {
        _cleanup_(closep) int run = open_dir(s->places.run), credentials = -EBADF;

        for (size_t i = 0; i < s->n_units; i++)
                unit_close_sockets(&s->units[i], s->places.run);
        credentials = run < 0 ? run : open_beneath(run, "credentials", O_RDONLY | O_DIRECTORY, 0);
        if (credentials >= 0)
                tokens_remove(credentials);
        if (run >= 0)
                (void)unlinkat(run, "running.json", 0);
        supervisor_done(s);
}

static int run_locked(struct supervisor *s) {
        struct fault fault = FAULT_NONE;
        int r = prepare(s, &fault);

        if (r < 0) {
                trouble(s, "not_prepared", fault.text);
                return EXIT_TROUBLE;
        }
        tell_absences(s);
        r = supervisor_start(s);
        if (r >= 0) {
                announce(s);
                supervisor_watch(s);
        } else if (r != -ECANCELED)
                tell_failure(s, r);
        supervisor_stop(s);
        return r >= 0 || r == -ECANCELED ? EXIT_YES : EXIT_TROUBLE;
}

static int run(struct supervisor *s) {
        _cleanup_(closep) int lock = -EBADF;
        char text[PLACE_MAX + 64];
        int r = make_path(s->places.state_root, 0700);

        if (r >= 0 && !is_ours(s->places.state_root)) {
                (void)snprintf(text, sizeof text, "%s holds other things; give a new or empty folder",
                               s->places.state_root);
                trouble(s, "foreign_folder", text);
                return EXIT_TROUBLE;
        }
        if (r >= 0) {
                r = take_lock(s, &lock);
                if (r < 0)
                        return r == -EBUSY ? EXIT_NO : EXIT_TROUBLE;
                r = make_folders(s);
        }
        if (r >= 0)
                r = open_report_log(s);
        if (r < 0) {
                (void)snprintf(text, sizeof text, "%s: %s", s->places.state_root, strerrordesc_np(-r));
                trouble(s, "no_state", text);
                return EXIT_TROUBLE;
        }
        r = run_locked(s);
        clean_up(s);
        s->report.log_fd = close_fd(s->report.log_fd);
        return r;
}

int command_up(int argc, char *argv[]) {
        static struct supervisor s = {.notify_fd = -EBADF, .signal_fd = -EBADF, .report.log_fd = -EBADF};
        struct up_options o = {.port = PORT_UI};
        struct fault fault = FAULT_NONE;
        int r = parse_options(argc, argv, &o);

        if (r != 0)
                return r > 0 ? EXIT_YES : EXIT_TROUBLE;
        if (places_find(o.state_root, o.worker_root, &s.places, &fault) < 0) {
                fprintf(stderr, "securectl: %s\n", fault.text);
                return EXIT_TROUBLE;
        }
        s.report.json = o.json;
        choose_units(&s, &o);
        return run(&s);
}
