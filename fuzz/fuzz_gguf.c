/* The GGUF reader alone: the first byte chooses the pieces, the rest is the file. */
#include "model/gguf.h"
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_file(struct view file, uint32_t seed, struct compare_result *ret) {
        struct finding_sink sink = {compare_put, ret};
        struct model_report report = {.sink = &sink};
        struct gguf *reader;
        size_t at = 0;

        memset(ret, 0, sizeof *ret);
        if (gguf_new(file.n, &report, &ret->summary, &reader) < 0)
                abort();
        while (at < file.n) {
                struct view piece = view_sub(file, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (gguf_feed(reader, piece) < 0)
                        abort();
                at += piece.n;
        }
        gguf_finish(reader);
        gguf_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;

        if (n == 0)
                return 0;
        read_file(view_make(data + 1, n - 1), 0, &whole);
        read_file(view_make(data + 1, n - 1), data[0] + 1u, &pieces);
        compare_check(&whole, &pieces);
        return 0;
}
