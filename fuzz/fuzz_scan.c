/* Any bytes through the whole scan: the first byte chooses the pieces, the rest is the file. */
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void scan(struct view file, uint32_t seed, struct compare_result *ret) {
        struct finding_sink sink = {compare_put, ret};
        struct model_scan *m;
        size_t at = 0;

        memset(ret, 0, sizeof *ret);
        if (model_scan_new(file.n, VIEW("file.gguf"), &sink, &m) < 0)
                abort();
        while (at < file.n) {
                struct view piece = view_sub(file, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (model_scan_feed(m, piece) < 0)
                        abort();
                at += piece.n;
        }
        if (model_scan_finish(m, &ret->summary) < 0)
                abort();
        model_scan_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;
        enum model_kind kind;

        if (n == 0)
                return 0;
        scan(view_make(data + 1, n - 1), 0, &whole);
        scan(view_make(data + 1, n - 1), data[0] + 1u, &pieces);
        compare_check(&whole, &pieces);
        (void)model_embedded_plausible(view_make(data + 1, n - 1), &kind);
        return 0;
}
