/* bench_worker: processor time of the two sides of a scan, a byte, in one process: SHA-256 of the whole file (OpenSSL; what
 * the trusted side does) and what the worker does with the same bytes, taken apart. Processor time hardly depends on what else
 * the machine does. usage: bench_worker FILE FOLDER_OF_RULES */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/file.h"
#include "core/digest.h"
#include "model/merkle.h"
#include "model/scan.h"
#include "quarantine/collector.h"
#include "quarantine/limits.h"
#include "quarantine/rules.h"
#include "quarantine/scan_pass.h"
#include "quarantine/signature_scan.h"

#define RUNS 5

struct bench {
        struct view file;
        struct view rules;
        double best[3];
};

static double seconds(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int hash(struct bench *b) {
        struct sha256 d;

        return sha256_of(b->file, &d);
}

static int merkle(struct bench *b) {
        static struct merkle_stream m;
        uint8_t root[SHA256_BYTES];

        merkle_stream_init(&m);
        for (size_t at = 0; at < b->file.n; at += RING_SLOT_BYTES)
                merkle_stream_feed(&m, view_sub(b->file, at, RING_SLOT_BYTES));
        merkle_stream_root(&m, root);
        return 0;
}

static int readers(struct bench *b) {
        static struct collector c;
        _cleanup_(model_scan_freep) struct model_scan *m = NULL;
        struct finding_sink sink = collector_sink(&c);
        struct model_summary s;
        int r = model_scan_new(b->file.n, VIEW_NULL, &sink, &m);

        for (size_t at = 0; r >= 0 && at < b->file.n; at += RING_SLOT_BYTES)
                r = model_scan_feed(m, view_sub(b->file, at, RING_SLOT_BYTES));
        return r < 0 ? r : model_scan_finish(m, &s);
}

static int signatures(struct bench *b) {
        static struct collector c;
        struct finding_sink sink = collector_sink(&c);
        struct rules *rules = NULL;
        struct signature_scan *s = NULL;
        struct fault why = FAULT_NONE;
        int r = rules_load(b->rules, &rules, &why);
        double start;

        if (r >= 0)
                r = signature_scan_new(rules, &sink, &s);
        start = seconds(); /* compiling the rules is not counted */
        for (size_t at = 0; r >= 0 && at < b->file.n; at += RING_SLOT_BYTES)
                r = signature_scan_feed(s, view_sub(b->file, at, RING_SLOT_BYTES), at ? RING_SLOT_BYTES : 0,
                                        at, at + RING_SLOT_BYTES >= b->file.n);
        b->best[2] = seconds() - start;
        return r;
}

static int measure(struct bench *b, const char *name, int (*what)(struct bench *), double *ret) {
        double best = 1e9;

        for (unsigned i = 0; i < RUNS; i++) {
                double start = seconds(), took;
                int r;

                b->best[2] = 0;
                r = what(b);
                took = b->best[2] > 0 ? b->best[2] : seconds() - start;
                if (r < 0)
                        return r;
                best = took < best ? took : best;
        }
        printf("  %-40s %6.3f ns a byte, %5.2f GB/s\n", name, best * 1e9 / (double)b->file.n,
               (double)b->file.n / best / 1e9);
        *ret = best;
        return 0;
}

static int map_fd(int fd, struct view *ret) {
        struct stat st;
        void *p;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
                return negative_errno();
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (p == MAP_FAILED)
                return negative_errno();
        *ret = view_make(p, (size_t)st.st_size);
        return 0;
}

static int map(const char *path, struct view *ret) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

        return map_fd(fd, ret);
}

static int collect_rules(const char *folder, struct view *ret) {
        _cleanup_(closep) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
        struct sha256 digest;
        struct fault why = FAULT_NONE;
        int r = dir < 0 ? negative_errno() : scan_rules_collect(dir, &fd, &digest, &why);

        return r < 0 ? r : map_fd(fd, ret);
}

int main(int argc, char *argv[]) {
        struct bench b = {.file = VIEW_NULL};
        double h = 0, m = 0, r = 0, s = 0;

        if (argc < 3 || map(argv[1], &b.file) < 0) {
                (void)fputs("usage: bench_worker FILE FOLDER_OF_RULES\n", stderr);
                return 2;
        }
        if (collect_rules(argv[2], &b.rules) < 0 ||
            measure(&b, "SHA-256 of the file (hash side)", hash, &h) < 0 ||
            measure(&b, "Merkle leaves alone", merkle, &m) < 0 ||
            measure(&b, "readers, with everything about weights", readers, &r) < 0 ||
            measure(&b, "signature rules", signatures, &s) < 0) {
                (void)fputs("bench_worker: failed\n", stderr);
                return 1;
        }
        printf("worker against hash side: ratio %.2f (budget: 0.90)\n", (r + s) / h);
        return 0;
}
