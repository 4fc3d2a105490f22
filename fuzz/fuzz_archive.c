/* Any bytes as a file of a refused format, with what looks into archives: in pieces that depend on its length. What is found
 * may depend on them only where an archive is damaged: the verdict must be the same. */
#include "model_compare.h"
#include "quarantine/archive_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void put(void *userdata, const struct finding *f) {
        *(bool *)userdata |= f->severity == FINDING_REJECT;
}

static bool rejected(struct view file, uint32_t seed) {
        bool worst = false;
        struct finding_sink sink = {put, &worst};
        struct model_summary summary;
        struct model_scan *m;
        size_t at = 0;

        if (model_scan_new(file.n, VIEW("file.zip"), &sink, &m) < 0)
                abort();
        model_scan_set_unpacker(m, archive_walk_unpacker());
        while (at < file.n) {
                struct view piece = view_sub(file, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (model_scan_feed(m, piece) < 0)
                        abort();
                at += piece.n;
        }
        if (model_scan_finish(m, &summary) < 0)
                abort();
        model_scan_free(m);
        return worst;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static bool prepared;
        struct view file = view_make(data, n);

        if (!prepared && archive_walk_prepare() < 0)
                abort();
        prepared = true;
        if (rejected(file, 0) != rejected(file, (uint32_t)n + 1))
                abort();
        return 0;
}
