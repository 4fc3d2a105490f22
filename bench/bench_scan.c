/* bench_scan: stages 1 to 5 over one large file against `openssl dgst -sha256` and other programs on the same file, in turns.
 * usage: bench_scan RUNS FILE -- OPENSSL dgst -sha256 [-- OTHER…]… -- QUARANTINE…
 * (FILE is appended to the arguments of each; every ratio is to the first one's time) */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"

#define RUNS_MAX      50
#define PROCESSES_MAX 64
#define SAMPLE_USEC   10000
#define COMMANDS_MAX  8
#define ARGUMENTS_MAX 64

/* Highest resident set of each process that ran below ours, and what they read through descriptors. */
struct process {
        pid_t pid;
        char name[16];
        uint64_t peak_kib, read_bytes;
};
struct sample {
        struct process list[PROCESSES_MAX];
        size_t n;
        uint64_t peak_kib; /* of all at one moment */
        pid_t root;
};

static bool read_proc(pid_t pid, const char *file, struct buf *out) {
        char path[64];

        (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
        *out = BUF_INIT((size_t)64 << 10);
        return read_file(path, (size_t)64 << 10, out) == 0;
}

/* The number behind `key` in a text of "key: value" lines. */
static uint64_t number_after(const struct buf *text, const char *key) {
        const char *at = text->p ? strstr(text->p, key) : NULL;

        return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static pid_t parent_of(pid_t pid) {
        _cleanup_(buf_donep) struct buf status = BUF_INIT(0);

        return read_proc(pid, "status", &status) ? (pid_t)number_after(&status, "PPid:") : 0;
}

static bool is_below(pid_t pid, pid_t ancestor) {
        for (unsigned depth = 0; pid > 1 && depth < 16; depth++) {
                if (pid == ancestor)
                        return true;
                pid = parent_of(pid);
        }
        return false;
}

static void copy_name(const struct buf *status, char out[16]) {
        struct view v = buf_view(status);

        if (view_starts(v, VIEW("Name:\t")))
                (void)snprintf(out, 16, "%.*s",
                               (int)MIN_OF(view_find_char(view_sub(v, 6, SIZE_MAX), '\n'), (size_t)15),
                               v.p + 6);
}

/* Its resident set now. */
static uint64_t note(struct sample *s, pid_t pid) {
        _cleanup_(buf_donep) struct buf status = BUF_INIT(0), io = BUF_INIT(0);
        struct process *p = NULL;

        for (size_t i = 0; i < s->n; i++)
                if (s->list[i].pid == pid)
                        p = &s->list[i];
        if (!p && s->n < PROCESSES_MAX) {
                p = &s->list[s->n++];
                *p = (struct process){.pid = pid};
        }
        if (!p || !read_proc(pid, "status", &status))
                return 0;
        copy_name(&status, p->name);
        p->peak_kib = MAX_OF(p->peak_kib, number_after(&status, "VmHWM:"));
        if (read_proc(pid, "io", &io))
                p->read_bytes = MAX_OF(p->read_bytes, number_after(&io, "rchar:"));
        return number_after(&status, "VmRSS:");
}

static void take_sample(struct sample *s, pid_t root) {
        DIR *d = opendir("/proc");
        uint64_t together = 0;
        struct dirent *e;

        while (d && (e = readdir(d))) {
                uint64_t pid;

                if (u64_parse(view_of(e->d_name), INT32_MAX, &pid) == 0 && is_below((pid_t)pid, root))
                        together += note(s, (pid_t)pid);
        }
        s->peak_kib = MAX_OF(s->peak_kib, together);
        if (d)
                (void)closedir(d);
}

/* Runs it to its end; seconds, or negative when it failed. `s` NULL: not watched. */
static double run(char *const argv[], struct sample *s) {
        uint64_t start = clock_monotonic_usec();
        int status = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        pid_t pid = fork();

        if (pid == 0) {
                (void)dup2(null, STDOUT_FILENO);
                (void)execvp(argv[0], argv);
                _exit(127);
        }
        close_fd(null);
        if (s)
                s->root = pid;
        while (pid > 0 && s && waitpid(pid, &status, WNOHANG) == 0) {
                take_sample(s, pid);
                (void)usleep(SAMPLE_USEC);
        }
        if (pid > 0 && !s)
                (void)waitpid(pid, &status, 0);
        if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return -1;
        return (double)(clock_monotonic_usec() - start) / 1e6;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median(double *list, size_t n) {
        qsort(list, n, sizeof *list, compare);
        return list[n / 2];
}

/* One program that is measured. The first is what the others are held against, the last is ours. */
struct command {
        char *argv[ARGUMENTS_MAX + 2];
        const char *name;
        double seconds[RUNS_MAX];
        bool failed; /* of the others: not measured, and said */
};

static const char *name_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Cuts the arguments at "--"; their number, or 0 when they make no sense. */
static size_t read_commands(char *argv[], char *file, struct command *list) {
        size_t n = 0, k = 0;

        for (; *argv; argv++) {
                if (strcmp(*argv, "--") == 0) {
                        if (n == COMMANDS_MAX || (n > 0 && k == 0))
                                return 0;
                        list[n++] = (struct command){.name = NULL};
                        k = 0;
                        continue;
                }
                if (n == 0 || k == ARGUMENTS_MAX)
                        return 0;
                list[n - 1].argv[k++] = *argv;
        }
        for (size_t i = 0; i < n; i++) {
                list[i].name = list[i].argv[0] ? name_of(list[i].argv[0]) : "";
                for (k = 0; list[i].argv[k]; k++)
                        ;
                list[i].argv[k] = file;
        }
        return k == 0 ? 0 : n;
}

/* Each of them once. */
static bool round_of(struct command *list, size_t n, size_t turn) {
        for (size_t i = 0; i < n; i++) {
                struct command *c = &list[i];

                if (c->failed)
                        continue;
                c->seconds[turn] = run(c->argv, NULL);
                if (c->seconds[turn] >= 0)
                        continue;
                if (i == 0 || i == n - 1) {
                        (void)fprintf(stderr, "bench_scan: %s failed\n", c->name);
                        return false;
                }
                c->failed = true;
        }
        printf("  run %u: %s %.3f s, stages 1-5 %.3f s, ratio %.2f\n", (unsigned)turn + 1, list->name,
               list->seconds[turn], list[n - 1].seconds[turn],
               list[n - 1].seconds[turn] / list->seconds[turn]);
        return true;
}

static void report(struct command *list, size_t n, size_t runs) {
        double base = median(list->seconds, runs), ours = median(list[n - 1].seconds, runs);

        for (size_t i = 1; i + 1 < n; i++) {
                double s = list[i].failed ? 0 : median(list[i].seconds, runs);

                if (list[i].failed)
                        printf("NOT MEASURED: %s failed on this file\n", list[i].name);
                else
                        printf("%s against %s: ratio %.2f by medians (%.3f s); stages 1-5 take %.2f times as "
                               "long as "
                               "it does\n",
                               list[i].name, list->name, s / base, s, ours / s);
        }
        printf("stages 1-5 against openssl dgst -sha256: ratio %.2f by medians (%.3f s / %.3f s), %.2f by "
               "the best runs "
               "(target: at most 1.25)\n",
               ours / base, ours, base, list[n - 1].seconds[0] / list->seconds[0]);
}

static int measure(struct command *list, size_t n, size_t runs) {
        for (size_t i = 0; i < runs; i++)
                if (!round_of(list, n, i))
                        return 1;
        report(list, n, runs);
        return 0;
}

/* One more run, watched: sampling costs time, so it is not measured. */
static int watch(char *const ours[], uint64_t size) {
        static struct sample s;
        uint64_t most = 0;

        if (run(ours, &s) < 0)
                return 1;
        for (size_t i = 0; i < s.n; i++) {
                printf("  %-12s %6.1f MiB resident at its peak\n", s.list[i].name,
                       (double)s.list[i].peak_kib / 1024);
                if (s.list[i].pid !=
                    s.root) /* whose count takes in that of its children once they have ended */
                        most += s.list[i].read_bytes;
        }
        printf("resident sets of all processes together, at most: %.1f MiB (target: below 64; shared pages "
               "counted each time)\n",
               (double)s.peak_kib / 1024);
        if (most > 0)
                printf("bytes read by all processes: %.3f times the size of the file\n",
                       (double)most / (double)size);
        return 0;
}

int main(int argc, char *argv[]) {
        static struct command list[COMMANDS_MAX];
        uint64_t runs;
        struct stat st;
        size_t n;
        int r;

        if (argc < 5 || u64_parse(view_of(argv[1]), RUNS_MAX, &runs) < 0 || runs == 0 ||
            stat(argv[2], &st) < 0 || (n = read_commands(argv + 3, argv[2], list)) < 2) {
                (void)fputs(
                        "usage: bench_scan RUNS FILE -- OPENSSL dgst -sha256 [-- OTHER…]… -- QUARANTINE…\n",
                        stderr);
                return 2;
        }
        (void)run(list->argv, NULL); /* the page cache is warm for all */
        r = measure(list, n, (size_t)runs);
        return r == 0 ? watch(list[n - 1].argv, (uint64_t)st.st_size) : r;
}
