/* Any bytes through one reader of a refused format: the first byte chooses which, the second the pieces. Whole and in pieces
 * must say the same. */
#include "model/refused.h"
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const enum model_kind kinds[] = {
        MODEL_KIND_SAVED_MODEL, MODEL_KIND_GRAPH_DEF, MODEL_KIND_TFLITE, MODEL_KIND_HDF5,   MODEL_KIND_ONNX,
        MODEL_KIND_NUMPY,       MODEL_KIND_ELF,       MODEL_KIND_ZIP,    MODEL_KIND_PICKLE,
};

static void put(void *userdata, const struct finding *f) {
        struct compare_result *r = userdata;

        if (r->n < FINDINGS_MAX)
                r->findings[r->n++] = *f;
}

static void read_all(enum model_kind kind, struct view file, uint32_t seed, uint64_t size,
                     struct compare_result *ret) {
        struct finding_sink sink = {put, ret};
        struct model_report report = {.sink = &sink};
        const struct refused_context c = {.report = &report};
        struct refused *f = NULL;
        size_t at = 0;

        memset(ret, 0, sizeof *ret);
        if (refused_new(&c, kind, size, &f) < 0)
                abort();
        while (at < file.n) {
                struct view piece = view_sub(file, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (refused_feed(f, piece) < 0)
                        abort();
                at += piece.n;
        }
        if (refused_finish(f) < 0)
                abort();
        refused_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;
        enum model_kind kind;
        struct view file;

        if (n < 2)
                return 0;
        kind = kinds[data[0] % ARRAY_SIZE(kinds)];
        file = view_make(data + 2, n - 2);
        read_all(kind, file, 0, file.n, &whole);
        read_all(kind, file, data[1] + 1u, file.n, &pieces);
        compare_check(&whole, &pieces);
        read_all(kind, file, data[1] + 1u, UNPACK_SIZE_UNKNOWN, &pieces);
        return 0;
}
