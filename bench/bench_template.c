/* bench_template: the verdict on a chat template of 64 KiB, against SHA-256 of the same bytes, in turns, in one process.
 * usage: bench_template RUNS FOLDER   (FOLDER: templates that are accepted; they are repeated up to the size) */
#include <dirent.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "base/sha256.h"
#include "model/scan.h"

#define SIZE       ((size_t)64 << 10)
#define RUNS_MAX   10000
#define PATH_BYTES 4096

static void count_rejects(void *userdata, const struct finding *f) {
        *(unsigned *)userdata += f->severity == FINDING_REJECT;
}

/* Whole copies of `part` up to the size, then text, so that it is 64 KiB exactly. */
static int repeat(struct view part, struct buf *out) {
        int r = 0;

        buf_clear(out);
        while (r >= 0 && part.n > 0 && out->n + part.n <= SIZE)
                r = buf_append_view(out, part);
        while (r >= 0 && out->n < SIZE)
                r = buf_append_char(out, 'x');
        return r;
}

struct result {
        uint64_t ours, theirs; /* microseconds, best */
        unsigned rejects;      /* of one verdict */
};

static struct result measure(struct view text, uint64_t runs) {
        struct result t = {UINT64_MAX, UINT64_MAX, 0};
        uint8_t digest[SHA256_BYTES];

        for (uint64_t i = 0; i < runs; i++) {
                struct finding_sink sink = {count_rejects, &t.rejects};
                uint64_t start = clock_monotonic_usec(), middle;

                t.rejects = 0;
                model_template_check(text, "tokenizer.chat_template", 0, &sink);
                middle = clock_monotonic_usec();
                sha256_message(text, digest);
                t.ours = MIN_OF(t.ours, middle - start);
                t.theirs = MIN_OF(t.theirs, clock_monotonic_usec() - middle);
        }
        return t;
}

static int one(const char *name, struct view part, uint64_t runs, struct result *worst) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SIZE);
        struct result t;
        int r = repeat(part, &text);

        if (r < 0)
                return r;
        t = measure(buf_view(&text), runs);
        printf("  %-28s %4u us, SHA-256 of the same bytes %u us, %s\n", name, (unsigned)t.ours,
               (unsigned)t.theirs, t.rejects ? "refused" : "accepted");
        if (t.ours >= worst->ours)
                *worst = t;
        return 0;
}

static int folder(const char *path, uint64_t runs, struct result *worst) {
        DIR *d = opendir(path);
        struct dirent *e;
        int r = d ? 0 : -errno;

        while (r >= 0 && (e = readdir(d))) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(SIZE);
                char file[PATH_BYTES];

                if (!view_ends(view_of(e->d_name), VIEW(".jinja")))
                        continue;
                (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
                r = read_file(file, SIZE, &text);
                if (r >= 0)
                        r = one(e->d_name, buf_view(&text), runs, worst);
        }
        if (d)
                (void)closedir(d);
        return r;
}

/* As many tokens as go into so many bytes. */
static const struct {
        const char *name, *part;
} dense[] = {
        {"dense: expressions", "{{a+b*c-d}}"},
        {"dense: blocks", "{%if a%}{%endif%}"},
        {"dense: subscripts", "{{m[0][1].id|trim~''}}"},
        {"text without end", "x"},
};

/* Expressions of a thousand different names in turn. */
static int many_names(struct buf *out) {
        int r = 0;

        for (unsigned i = 0; r >= 0 && out->n < SIZE / 2; i++)
                r = buf_printf(out, "{{a%x+b%x}}", i % 500, i % 500);
        return r;
}

int main(int argc, char *argv[]) {
        _cleanup_(buf_donep) struct buf names = BUF_INIT(SIZE);
        struct result worst = {0};
        uint64_t runs;
        int r;

        if (argc != 3 || u64_parse(view_of(argv[1]), RUNS_MAX, &runs) < 0 || runs == 0) {
                (void)fprintf(stderr, "usage: %s RUNS FOLDER\n", argv[0]);
                return 2;
        }
        r = many_names(&names);
        if (r >= 0)
                r = one("dense: a thousand names", buf_view(&names), runs, &worst);
        if (r >= 0)
                r = folder(argv[2], runs, &worst);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(dense); i++)
                r = one(dense[i].name, view_of(dense[i].part), runs, &worst);
        if (r < 0) {
                (void)fprintf(stderr, "bench_template: %s\n", strerror(-r));
                return 1;
        }
        printf("verdict on a chat template of 64 KiB: %u us for the slowest (best of %u), %.2f times SHA-256 "
               "of it (target: "
               "under 1000 us%s)\n",
               (unsigned)worst.ours, (unsigned)runs,
               (double)worst.ours / (double)MAX_OF(worst.theirs, UINT64_C(1)),
               worst.ours < 1000 ? "" : "; MISSED");
        return 0;
}
