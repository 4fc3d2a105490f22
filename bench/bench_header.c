/* bench_header: what the reader of GGUF takes for one element of a list in the header, and for the whole header, against
 * SHA-256 of the same bytes, in turns, in one process. All in memory, in pieces as the scan worker gets them. */
#include "base/clock.h"
#include "base/num.h"
#include "base/sha256.h"
#include "model/gguf_metadata.h"
#include "model/scan.h"
#include "support/modelgen.h"

#define HEADER_MAX ((size_t)256 << 20)
#define PIECE      ((size_t)256 << 10)
#define NUMBERS    (UINT64_C(4) << 20)
#define TEXTS      UINT64_C(2000000)
#define RUNS_MAX   50
#define ELEMENT_NS 5.0 /* targets */
#define TEXTS_S    0.2

struct list_case {
        const char *what, *key;
        uint32_t type;
        uint64_t count;
        const char *text; /* of every element; NULL: a number, or a token with its number in it */
};

static const struct list_case cases[] = {
        {"u32", "general.numbers", GGUF_U32, NUMBERS, NULL},
        {"f32, scores", "tokenizer.ggml.scores", GGUF_F32, NUMBERS, NULL},
        {"i32, token types", "tokenizer.ggml.token_type", GGUF_I32, NUMBERS, NULL},
        {"u64", "general.numbers", GGUF_U64, NUMBERS, NULL},
        {"bool", "general.truths", GGUF_BOOL, NUMBERS, NULL},
        {"text, tokens", "tokenizer.ggml.tokens", GGUF_STRING, TEXTS, NULL},
        {"text, merges", "tokenizer.ggml.merges", GGUF_STRING, TEXTS, "ab cd"},
        {"text, any other", "general.tags", GGUF_STRING, TEXTS, "h\xc3\xa9llo"},
        {"text, empty tokens", "tokenizer.ggml.tokens", GGUF_STRING, TEXTS, ""},
        {"text, empty", "general.tags", GGUF_STRING, TEXTS, ""},
};

static void count_rejects(void *userdata, const struct finding *f) {
        *(unsigned *)userdata += f->severity == FINDING_REJECT;
}

static int put_element(struct buf *out, const struct list_case *c, uint64_t i) {
        char token[16];
        int n;

        if (c->type != GGUF_STRING)
                return modelgen_put(out, c->type == GGUF_F32 ? 0xbf800000 : i & 1, gguf_type_size(c->type));
        if (c->text)
                return modelgen_put_text(out, view_of(c->text));
        n = snprintf(token, sizeof token, "\xe2\x96\x81%x", (unsigned)i);
        return modelgen_put_text(out, view_make(token, (size_t)n));
}

/* A file with this list and nothing else. */
static int generate(const struct list_case *c, struct buf *out) {
        int r = buf_append(out, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);

        if (r >= 0)
                r = modelgen_put_text(out, view_of(c->key));
        if (r >= 0)
                r = modelgen_put(out, GGUF_ARRAY, 4);
        if (r >= 0)
                r = modelgen_put(out, c->type, 4);
        if (r >= 0)
                r = modelgen_put(out, c->count, 8);
        for (uint64_t i = 0; r >= 0 && i < c->count; i++)
                r = put_element(out, c, i);
        while (r >= 0 && out->n % 32 != 0)
                r = buf_append_char(out, '\0');
        return r;
}

static int scan(struct view bytes, struct model_summary *ret, unsigned *rejects) {
        struct finding_sink sink = {count_rejects, rejects};
        _cleanup_(model_scan_freep) struct model_scan *m = NULL;
        int r = model_scan_new(bytes.n, VIEW("list.gguf"), &sink, &m);

        for (size_t at = 0; r >= 0 && at < bytes.n; at += PIECE)
                r = model_scan_feed(m, view_sub(bytes, at, PIECE));
        return r < 0 ? r : model_scan_finish(m, ret);
}

static int measure(const struct list_case *c, uint64_t runs) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(HEADER_MAX);
        uint64_t ours = UINT64_MAX, theirs = UINT64_MAX;
        struct model_summary summary;
        unsigned rejects = 0;
        uint8_t digest[SHA256_BYTES];
        double each;
        int r = generate(c, &b);

        for (uint64_t i = 0; r >= 0 && i < runs; i++) {
                uint64_t start = clock_monotonic_usec(), middle;

                r = scan(buf_view(&b), &summary, &rejects);
                middle = clock_monotonic_usec();
                sha256_message(buf_view(&b), digest);
                ours = MIN_OF(ours, middle - start);
                theirs = MIN_OF(theirs, clock_monotonic_usec() - middle);
        }
        if (r < 0 || summary.kind != MODEL_KIND_GGUF)
                return r < 0 ? r : -EBADMSG;
        each = (double)ours * 1000 / (double)c->count;
        printf("  %-18s %u elements: %.1f ms, %.2f ns an element; SHA-256 of the same %.1f MiB %.1f ms: "
               "ratio %.2f "
               "(target: under ",
               c->what, (unsigned)c->count, (double)ours / 1e3, each, (double)b.n / (1 << 20),
               (double)theirs / 1e3, (double)ours / (double)MAX_OF(theirs, UINT64_C(1)));
        if (c->type == GGUF_STRING)
                printf("%.1f s%s)\n", TEXTS_S, (double)ours < TEXTS_S * 1e6 ? "" : "; MISSED");
        else
                printf("%.0f ns%s)\n", ELEMENT_NS, each < ELEMENT_NS ? "" : "; MISSED");
        return 0;
}

int main(int argc, char *argv[]) {
        uint64_t runs;

        if (argc != 2 || u64_parse(view_of(argv[1]), RUNS_MAX, &runs) < 0 || runs == 0) {
                (void)fprintf(stderr, "usage: %s RUNS\n", argv[0]);
                return 2;
        }
        printf("lists in the header of a GGUF, best of %u:\n", (unsigned)runs);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int r = measure(&cases[i], runs);

                if (r < 0) {
                        (void)fprintf(stderr, "bench_header: %s: %s\n", cases[i].what, strerror(-r));
                        return 1;
                }
        }
        return 0;
}
