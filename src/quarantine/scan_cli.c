#include "quarantine/scan_cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "quarantine/report.h"
#include "quarantine/sandbox.h"
#include "quarantine/sarif.h"
#include "quarantine/setup.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILES_MAX     1024
#define DETAILS_MAX   ((size_t)16 << 20)
#define PROGRESS_USEC UINT64_C(200000)
#define OUTPUT_MAX    ((size_t)64 << 20) /* of one artifact; a folder's members are listed */

struct input {
        const char *path;
        char *name; /* without the folders above it */
        int fd;
        uint64_t size;
        struct buf signature;
        bool is_folder;
        struct set_walk set;
        struct fault refusal; /* the folder can't be an artifact: nothing in it is read */
};

struct cli {
        const char *config, *share, *libexec, *worker_root;
        unsigned last;
        const char *tensors; /* file for the document, or NULL */
        int tensors_fd;
        bool json, sarif;
        struct sarif log;
        struct buf out;
        struct buf details; /* of several artifacts: below the table */
        bool shows_progress;
        uint64_t shown_usec;
        struct input *inputs;
        size_t n;
        int *folders;
        size_t n_folders;
        char socket_dir[64];
        struct setup setup;
        bool rejected, broken;
};

static int usage(FILE *f, int code) {
        (void)fputs(
                "usage: quarantine --scan [--stages 1-N] [--json|--sarif] [--tensors OUT] [--config DIR] "
                "[--share DIR] "
                "[--libexec DIR]\n"
                "                         [--worker-root DIR] FILE|DIR…\n"
                "\n"
                "Runs the stages of the quarantine on files and folders, without importing them. A "
                "folder is one "
                "model.\n"
                "  --stages 1-5  only what needs no model to run (source, format, integrity, provenance, "
                "static scan)\n"
                "  --json        one secai.verdict/1 document a line\n"
                "  --sarif       one SARIF 2.1.0 log of all files\n"
                "  --tensors OUT secai.tensors/1 of the one file or folder: what was seen of each tensor\n"
                "Exit code: 0 all passed, 1 at least one was rejected, 2 usage, internal error or not "
                "finished.\n",
                f);
        return code;
}

/* "1-5", "1-7", "7"? Stages build on each other: a range starts at 1. */
static int read_stages(const char *text, unsigned *ret) {
        if (strlen(text) != 3 || text[0] != '1' || text[1] != '-' || text[2] < '1' || text[2] > '0' + STAGES)
                return -EINVAL;
        *ret = (unsigned)(text[2] - '0');
        return 0;
}

static int read_options(int argc, char *argv[], struct cli *c) {
        enum { SCAN = 256, STAGES_OPTION, JSON, SARIF, TENSORS, CONFIG, SHARE, LIBEXEC, WORKER_ROOT, HELP };
        static const struct option options[] = {
                {"scan", no_argument, NULL, SCAN},
                {"stages", required_argument, NULL, STAGES_OPTION},
                {"json", no_argument, NULL, JSON},
                {"sarif", no_argument, NULL, SARIF},
                {"tensors", required_argument, NULL, TENSORS},
                {"config", required_argument, NULL, CONFIG},
                {"share", required_argument, NULL, SHARE},
                {"libexec", required_argument, NULL, LIBEXEC},
                {"worker-root", required_argument, NULL, WORKER_ROOT},
                {"help", no_argument, NULL, HELP},
                {0},
        };
        int o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case SCAN:
                        break;
                case STAGES_OPTION:
                        if (read_stages(optarg, &c->last) < 0) {
                                (void)fprintf(stderr, "quarantine: --stages wants 1-N with N from 1 to %d\n",
                                              STAGES);
                                return 2;
                        }
                        break;
                case JSON:
                        c->json = true;
                        break;
                case SARIF:
                        c->sarif = true;
                        break;
                case TENSORS:
                        c->tensors = optarg;
                        break;
                case CONFIG:
                        c->config = optarg;
                        break;
                case SHARE:
                        c->share = optarg;
                        break;
                case LIBEXEC:
                        c->libexec = optarg;
                        break;
                case WORKER_ROOT:
                        c->worker_root = optarg;
                        break;
                case HELP:
                        return usage(stdout, 0);
                default:
                        return usage(stderr, 2);
                }
        if (optind >= argc || argc - optind > FILES_MAX || (c->json && c->sarif) ||
            (c->tensors && argc - optind != 1))
                return usage(stderr, 2);
        return -1;
}

static int complain(const char *what, int r, const struct fault *why) {
        (void)fprintf(stderr, "quarantine: %s: %s\n", what, why && why->text[0] ? why->text : strerror(-r));
        return 2;
}

/* "a/b///" is "a/b": a signature lies beside a folder, not in it. */
static size_t length_of(const char *path) {
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        return n;
}

static bool read_beside(const char *path, const char *ending, struct buf *out) {
        _cleanup_(buf_donep) struct buf name = BUF_INIT(8192);

        *out = BUF_INIT(BUNDLE_BYTES_MAX + 1);
        return buf_append(&name, path, length_of(path)) >= 0 && buf_append_str(&name, ending) >= 0 &&
               read_file(buf_str(&name), BUNDLE_BYTES_MAX + 1, out) >= 0;
}

static void read_signature(struct input *in) {
        if (read_beside(in->path, ".sig", &in->signature) ||
            read_beside(in->path, ".sigstore.json", &in->signature))
                return;
        in->signature = BUF_INIT(BUNDLE_BYTES_MAX + 1);
        if (!in->is_folder ||
            read_file_beneath(in->fd, "model.sig", BUNDLE_BYTES_MAX + 1, &in->signature) < 0)
                in->signature = BUF_INIT(0); /* there is none */
}

/* "." and ".." are no names: then the folder's own. */
static char *name_of(const char *path) {
        _cleanup_(freep) char *whole = NULL;
        struct view v = view_make(path, length_of(path)), head;

        while (view_split(&v, '/', &head))
                ;
        if (v.n > 0 && !view_eq_str(v, ".") && !view_eq_str(v, ".."))
                return view_dup(v);
        whole = realpath(path, NULL);
        return strdup(whole && strrchr(whole, '/')[1] ? strrchr(whole, '/') + 1 : "folder");
}

/* What can't be read is no verdict about the folder; what should not be in it is one. */
static int open_folder(struct input *in) {
        int r = set_walk(in->fd, &in->set, &in->refusal);

        in->size = in->set.size;
        if (r == -EACCES || r == -EPERM || r == -ENOMEM || r == -EIO)
                return complain(in->path, r, &in->refusal);
        in->refusal.code = MIN_OF(r, 0);
        return 0;
}

/* Everything is opened before the sandbox closes. O_NONBLOCK: a FIFO must not make us wait. */
static int open_input(const char *path, struct input *in) {
        struct stat st;
        int r = 0;

        in->path = path;
        in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (in->fd < 0 || fstat(in->fd, &st) < 0)
                return complain(path, negative_errno(), NULL);
        in->is_folder = S_ISDIR(st.st_mode);
        in->name = name_of(path);
        if (!in->name)
                return complain(path, -ENOMEM, NULL);
        if (!S_ISREG(st.st_mode) && !in->is_folder) {
                (void)fprintf(stderr, "quarantine: %s: neither a regular file nor a folder\n", path);
                return 2;
        }
        in->size = (uint64_t)st.st_size;
        if (in->is_folder)
                r = open_folder(in);
        read_signature(in);
        return r;
}

static int open_inputs(struct cli *c, char *argv[], int n) {
        c->inputs = calloc((size_t)n, sizeof *c->inputs);
        c->folders = calloc((size_t)n, sizeof *c->folders);
        if (!c->inputs || !c->folders)
                return complain("memory", -ENOMEM, NULL);
        for (int i = 0; i < n; i++) {
                int r = open_input(argv[i], &c->inputs[c->n]);

                c->n++;
                if (r != 0)
                        return r;
                if (c->inputs[i].is_folder)
                        c->folders[c->n_folders++] = c->inputs[i].fd;
        }
        return 0;
}

/* What was written so far goes out; the buffer is used again. */
static int flush(struct cli *c) {
        int r = write_all(STDOUT_FILENO, c->out.p, c->out.n);

        buf_clear(&c->out);
        return r;
}

static int print_json(struct cli *c, const struct verdict *v) {
        struct json_writer w = JSON_WRITER(&c->out);
        int r;

        verdict_write_with_members(&w, v);
        r = json_write_end(&w);
        return r < 0 ? r : buf_append_char(&c->out, '\n');
}

/* Of several artifacts one line each, as they are finished; what there is to say of each comes after the last. What does not fit into
 * memory any more is told at once. */
static int print_row(struct cli *c, const struct verdict *v) {
        int r = report_line(v, &c->out);

        if (r >= 0)
                r = buf_append_char(&c->details, '\n');
        if (r >= 0)
                r = report_write(v, &c->details);
        if (r != -EFBIG)
                return r;
        r = buf_append_char(&c->out, '\n');
        return r < 0 ? r : report_write(v, &c->out);
}

static int print(struct cli *c, const struct input *in, const struct verdict *v) {
        int r = c->sarif    ? sarif_put(&c->log, in->path, in->size, v)
                : c->json   ? print_json(c, v)
                : c->n == 1 ? report_write(v, &c->out)
                            : print_row(c, v);

        return r < 0 ? r : flush(c);
}

/* --- progress, on a terminal --- */

static void wipe_progress(struct cli *c) {
        if (c->shown_usec > 0)
                (void)!write(STDERR_FILENO, "\r\033[K", 4);
        c->shown_usec = 0;
}

struct progress {
        struct cli *cli;
        const struct input *input;
        size_t number;
};

static bool on_progress(unsigned stage, uint64_t bytes, void *userdata) {
        const struct progress *p = userdata;
        _cleanup_(buf_donep) struct buf line = BUF_INIT(4096);
        uint64_t now = clock_monotonic_usec(), size = p->input->size;

        if (now - p->cli->shown_usec < PROGRESS_USEC)
                return true;
        if (buf_printf(&line, "\r\033[K%zu/%zu  ", p->number, p->cli->n) < 0 ||
            buf_append_escaped(&line, view_of(p->input->name), 40) < 0 ||
            buf_printf(&line, "  stage %u  %u %%", stage,
                       size > 0 ? (unsigned)((double)MIN_OF(bytes, size) * 100.0 / (double)size) : 0) < 0)
                return true;
        p->cli->shown_usec = now;
        (void)!write(STDERR_FILENO, line.p, line.n);
        return true;
}

static int put_tensors(void *userdata, struct view text) {
        const struct cli *c = userdata;

        return write_all(c->tensors_fd, text.p, text.n);
}

static int begin_tensors(struct cli *c, const struct artifact *a, struct tensors_document **ret) {
        struct tensors_output out = {put_tensors, c};

        return c->tensors ? tensors_document_new(&out, a->set, ret) : 0;
}

static int scan_one(struct cli *c, struct input *in, size_t number) {
        struct progress progress = {c, in, number};
        _cleanup_(tensors_document_freep) struct tensors_document *tensors = NULL;
        struct pipeline_watch watch = {.progress = c->shows_progress ? on_progress : NULL,
                                       .userdata = &progress};
        _cleanup_(verdict_donep) struct verdict v = {0};
        struct artifact a = {
                .fd = in->fd, .size = in->size, .name = view_of(in->name), .source = SOURCE_LOCAL};
        enum worker_trouble trouble;
        int r;

        if (in->is_folder)
                a.set = &in->set;
        if (in->signature.n > 0)
                a.signature = buf_view(&in->signature);
        r = begin_tensors(c, &a, &tensors);
        watch.tensors = tensors;
        if (r >= 0 && in->refusal.code < 0)
                r = pipeline_refuse(&c->setup.pipeline, &a, c->last, &in->refusal, &v);
        else if (r >= 0)
                r = pipeline_run(&c->setup.pipeline, &a, c->last, &watch, &v, &trouble);
        wipe_progress(c);
        if (r >= 0)
                r = print(c, in, &v);
        if (r < 0)
                return r;
        if (verdict_is_reject(&v))
                c->rejected = true;
        else if (!verdict_is_pass(&v))
                c->broken = true;
        return 0;
}

static const char *libexec_of_self(void) {
        static char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

        if (n <= 0)
                return NULL;
        path[n] = '\0';
        *strrchr(path, '/') = '\0';
        return path;
}

static int prepare(struct cli *c, struct fault *reterr) {
        _cleanup_(closep) int config = -EBADF, share = -EBADF;

        config = open_dir(c->config);
        if (config < 0)
                return fault_set(reterr, config, NULL, 0, "%.100s: %s", c->config, strerror(-config));
        share = open_dir(c->share);
        if (share < 0)
                return fault_set(reterr, share, NULL, 0, "%.100s: %s", c->share, strerror(-share));
        return setup_make(config, share, c->libexec, c->worker_root, c->socket_dir, &c->setup, reterr);
}

static int enter_sandbox(const struct cli *c, struct fault *reterr) {
        struct quarantine_paths paths = {
                .workers = c->socket_dir, .folders = c->folders, .n_folders = c->n_folders};
        struct sandbox_report report;

        return quarantine_sandbox_enter(&paths, &report, reterr);
}

static int exit_code(const struct cli *c) {
        return c->broken ? 2 : c->rejected ? 1 : 0;
}

static int scan_inputs(struct cli *c) {
        bool has_table = !c->sarif && !c->json && c->n > 1;

        c->out = BUF_INIT(OUTPUT_MAX);
        c->details = BUF_INIT(DETAILS_MAX);
        c->shows_progress = isatty(STDERR_FILENO) == 1;
        if (c->sarif)
                sarif_begin(&c->log, &c->out);
        if (has_table && (report_head(&c->out) < 0 || flush(c) < 0))
                c->broken = true;
        for (size_t i = 0; i < c->n; i++) {
                int r = scan_one(c, &c->inputs[i], i + 1);

                if (r < 0)
                        c->broken = complain(c->inputs[i].path, r, NULL) != 0;
        }
        if (has_table && write_all(STDOUT_FILENO, c->details.p, c->details.n) < 0)
                c->broken = true;
        if (c->sarif) {
                int r = sarif_end(&c->log, exit_code(c));

                if (r >= 0)
                        r = buf_append_char(&c->out, '\n');
                if (r >= 0)
                        r = flush(c);
                if (r < 0)
                        c->broken = complain("SARIF", r, NULL) != 0;
        }
        return exit_code(c);
}

static int scan_all(struct cli *c) {
        struct fault why = FAULT_NONE;
        int r;

        r = prepare(c, &why);
        if (r >= 0)
                r = enter_sandbox(c, &why);
        if (r >= 0)
                r = setup_try(&c->setup, &why);
        return r < 0 ? complain("start", r, &why) : scan_inputs(c);
}

static void cli_done(struct cli *c) {
        for (size_t i = 0; i < c->n; i++) {
                close_fd(c->inputs[i].fd);
                buf_done(&c->inputs[i].signature);
                set_walk_done(&c->inputs[i].set);
                free(c->inputs[i].name);
        }
        close_fd(c->tensors_fd);
        free(c->inputs);
        free(c->folders);
        sarif_done(&c->log);
        buf_done(&c->out);
        buf_done(&c->details);
}

/* Scans in a child that locks itself in; what stays outside only removes the folder of the workers' sockets afterwards. */
static int scan_in_child(struct cli *c) {
        int status = 0;
        pid_t pid;

        (void)snprintf(c->socket_dir, sizeof c->socket_dir, "/tmp/secai-scan-XXXXXX");
        if (!mkdtemp(c->socket_dir))
                return complain("a folder in /tmp", negative_errno(), NULL);
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                status = scan_all(c);
                setup_done(&c->setup);
                _exit(status);
        }
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        (void)rmdir(c->socket_dir);
        if (pid < 0 || !WIFEXITED(status))
                return complain("scan", pid < 0 ? -EAGAIN : -EFAULT, NULL);
        return WEXITSTATUS(status);
}

static void ignore_signal(int number) {
        struct sigaction action = {.sa_handler = SIG_IGN};

        (void)sigaction(number, &action, NULL);
}

int scan_cli(int argc, char *argv[]) {
        struct cli c = {
                .config = "/etc/secure-ai",
                .share = "/usr/share/secure-ai",
                .libexec = libexec_of_self(),
                .last = STAGES,
                .tensors_fd = -EBADF,
                .setup = {.rules_fd = -EBADF, .demo_fd = -EBADF},
        };
        int r;

        ignore_signal(SIGPIPE);
        r = read_options(argc, argv, &c);
        if (r >= 0)
                return r;
        r = open_inputs(&c, argv + optind, argc - optind);
        if (r == 0 && c.tensors) {
                c.tensors_fd = open(c.tensors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
                if (c.tensors_fd < 0)
                        r = complain(c.tensors, negative_errno(), NULL);
        }
        if (r == 0)
                r = scan_in_child(&c);
        cli_done(&c);
        return r;
}
