/* Reads and verifies one bundle of each sort, whole and offline, and prints microseconds a bundle (best of rounds). */
#include "base/clock.h"
#include "core/sig_check.h"
#include "support/sig_world.h"

#define ROUNDS 20
#define TIMES  50

static uint64_t measure(struct view text, const struct sig_trust *trust, const struct sha256 *file) {
        uint64_t best = UINT64_MAX;

        for (int round = 0; round < ROUNDS; round++) {
                uint64_t start = clock_monotonic_usec();

                for (int i = 0; i < TIMES; i++) {
                        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
                        struct sig_result result;

                        if (sig_bundle_read(text, &b, NULL) < 0 ||
                            sig_check_file(b, trust, file, WORLD_TIME, &result, NULL) < 0)
                                abort();
                }
                best = MIN_OF(best, clock_monotonic_usec() - start);
        }
        return best / TIMES;
}

int main(void) {
        static const char *const names[] = {"cosign sign-blob, Rekor v1", "model signing, Rekor v1",
                                            "cosign sign-blob, Rekor v2 + RFC 3161"};
        struct world *w = world_new();
        struct sha256 file;

        if (sha256_of(VIEW(WORLD_FILE), &file) < 0)
                return 1;
        for (int flavour = MESSAGE_V1; flavour <= MESSAGE_V2; flavour++) {
                struct buf text = BUF_INIT(1 << 20);

                world_bundle(w, (enum flavour)flavour, SOUND, &text);
                (void)printf("%-40s %6llu us\n", names[flavour],
                             (unsigned long long)measure(buf_view(&text), world_trust(w), &file));
                buf_done(&text);
        }
        world_free(w);
        return 0;
}
