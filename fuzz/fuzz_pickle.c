/* The pickle machine over any bytes: the first byte chooses the pieces, the rest is the pickle. Whole and in pieces must
 * say the same, and something must be said unless the bytes end at a STOP. */
#include "model/pickle_machine.h"
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void follow(struct view file, uint32_t seed, uint64_t size, struct compare_result *ret) {
        struct finding_sink sink = {compare_put, ret};
        struct model_report report = {.sink = &sink};
        struct pickle_machine *m;
        size_t at = 0;

        memset(ret, 0, sizeof *ret);
        if (pickle_machine_new(&report, 0, size, &m) < 0)
                abort();
        while (at < file.n) {
                struct view piece = view_sub(file, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (pickle_machine_feed(m, piece) < 0)
                        abort();
                at += piece.n;
        }
        pickle_machine_finish(m);
        pickle_machine_free(m);
}

/* Or it ends in the numbers of PyTorch's old form, which is said. */
static bool rejected(const struct compare_result *r) {
        for (size_t i = 0; i < r->n; i++)
                if (r->findings[i].severity == FINDING_REJECT ||
                    strcmp(r->findings[i].rule, "PICKLE-010") == 0)
                        return true;
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;
        struct view file;

        if (n == 0)
                return 0;
        file = view_make(data + 1, n - 1);
        follow(file, 0, file.n, &whole);
        follow(file, data[0] + 1u, file.n, &pieces);
        compare_check(&whole, &pieces);
        if (!rejected(&whole) && !view_ends(file, VIEW(".")))
                abort();
        follow(file, data[0] + 1u, PICKLE_SIZE_UNKNOWN, &pieces);
        return 0;
}
