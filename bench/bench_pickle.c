/* bench_pickle: the pickle machine over one file in memory, against `sha256sum` on the same file, in turns.
 * usage: bench_pickle RUNS FOLDER   (a pickle of 256 MiB is written into FOLDER) */
#include <fcntl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "model/pickle_machine.h"

#define FILE_MAX  ((size_t)512 << 20)
#define GENERATED ((size_t)256 << 20)
#define PIECE     ((size_t)1 << 20) /* as the scan worker gets it */
#define RUNS_MAX  20

static void ignore(void *userdata, const struct finding *f) {
        (*(unsigned *)userdata) += f->severity == FINDING_REJECT;
}

/* As Python writes [{"layer.0.weight": (0, 1.0, "cpu", b"…")}, …] in protocol 4: short opcodes, as costly as it gets. */
static int generate(struct buf *b) {
        int r = buf_append(b, "\x80\4]\x94", 4);

        for (unsigned i = 0; r >= 0 && b->n < GENERATED; i++) {
                r = buf_append(b, "(}\x8c\x0elayer.0.weight", 18);
                if (r >= 0)
                        r = buf_append(b, "(K\1M\1\2J\1\2\3\4G\0\0\0\0\0\0\0\0\x8c\3cpuC\x20", 27);
                for (unsigned k = 0; r >= 0 && k < 32; k++)
                        r = buf_append_char(b, (char)(i >> k % 24));
                if (r >= 0)
                        r = buf_append(b,
                                       "t\x88NK\7\x87\x85"
                                       "0se",
                                       10);
        }
        return r < 0 ? r : buf_append_char(b, '.');
}

static int follow(struct view bytes, uint64_t *ret_usec) {
        unsigned rejects = 0;
        struct finding_sink sink = {ignore, &rejects};
        struct model_report report = {.sink = &sink};
        _cleanup_(pickle_machine_freep) struct pickle_machine *m = NULL;
        uint64_t start = clock_monotonic_usec();
        int r = pickle_machine_new(&report, 0, bytes.n, &m);

        for (size_t at = 0; r >= 0 && at < bytes.n; at += PIECE)
                r = pickle_machine_feed(m, view_sub(bytes, at, PIECE));
        if (r < 0)
                return r;
        pickle_machine_finish(m);
        *ret_usec = clock_monotonic_usec() - start;
        return (int)rejects;
}

/* `sha256sum` over the same file, in the page cache. */
static int hash(const char *path, uint64_t *ret_usec) {
        uint64_t start = clock_monotonic_usec();
        int status = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        pid_t pid = fork();

        if (pid == 0) {
                (void)dup2(null, STDOUT_FILENO);
                (void)execlp("sha256sum", "sha256sum", path, (char *)NULL);
                _exit(127);
        }
        close_fd(null);
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return -errno;
        *ret_usec = clock_monotonic_usec() - start;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int main(int argc, char *argv[]) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX), path = BUF_INIT(4096);
        uint64_t runs, ours = UINT64_MAX, theirs = UINT64_MAX, usec;
        int dir, r;

        if (argc != 3 || u64_parse(view_of(argv[1]), RUNS_MAX, &runs) < 0 || runs == 0) {
                fprintf(stderr, "usage: %s RUNS FOLDER\n", argv[0]);
                return 2;
        }
        dir = open_dir(argv[2]);
        r = dir < 0 ? dir : generate(&b);
        if (r >= 0)
                r = buf_printf(&path, "%s/list.pkl", argv[2]);
        if (r >= 0)
                r = replace_file(dir, "list.pkl", buf_view(&b), 0600);
        for (uint64_t i = 0; r >= 0 && i < runs; i++) {
                r = follow(buf_view(&b), &usec);
                if (r > 0)
                        fprintf(stderr, "the generated pickle is not understood\n");
                if (r != 0)
                        break;
                ours = MIN_OF(ours, usec);
                r = hash(buf_str(&path), &usec);
                theirs = MIN_OF(theirs, usec);
        }
        close_fd(dir);
        if (r != 0) {
                fprintf(stderr, "bench_pickle: %s\n", r < 0 ? strerror(-r) : "wrong findings");
                return 1;
        }
        printf("pickle machine %.0f MB/s, sha256sum %.0f MB/s, ratio %.2f (best of %u)\n",
               (double)b.n / (double)ours, (double)b.n / (double)theirs, (double)theirs / (double)ours,
               (unsigned)runs);
        return 0;
}
