/* sha256 and sha256_lanes against OpenSSL, with and without the processor's instructions. */
#include "base/sha256_lanes.h"
#include "support/cm.h"

#include <openssl/sha.h>

#define BYTES_N ((size_t)1 << 20)

static uint8_t bytes[BYTES_N];

static int make_bytes(void **state) {
        uint32_t x = 1;

        (void)state;
        for (size_t i = 0; i < BYTES_N; i++)
                bytes[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
        return 0;
}

static void expect(const uint8_t *got, const uint8_t *p, size_t n) {
        uint8_t want[32];

        SHA256(p, n, want);
        assert_memory_equal(got, want, sizeof want);
}

static void check(const uint8_t *p, size_t n) {
        uint8_t got[32];

        sha256_message(view_make(p, n), got);
        expect(got, p, n);
}

static void every_level(void (*test)(void)) {
        for (int level = 0; level <= SHA256_LEVEL_MAX; level++) {
                sha256_set_level(level);
                test();
        }
}

static void short_messages(void) {
        for (size_t n = 0; n <= 300; n++)
                check(bytes + n % 7, n);
}

static void agrees_with_openssl_for_every_short_length(void **state) {
        (void)state;
        every_level(short_messages);
}

static void long_messages(void) {
        check(bytes, BYTES_N);
        check(bytes + 1, BYTES_N - 1);
        check(bytes + 3, 65537);
}

static void agrees_with_openssl_for_long_messages(void **state) {
        (void)state;
        every_level(long_messages);
}

static void pieces(void) {
        static const size_t sizes[] = {1, 3, 55, 56, 63, 64, 65, 127, 4096};

        for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
                struct sha256_state h;
                uint8_t got[32];

                sha256_init(&h);
                for (size_t at = 0; at < 10000; at += sizes[s])
                        sha256_update(&h, view_make(bytes + at, MIN_OF(sizes[s], 10000 - at)));
                sha256_final(&h, got);
                expect(got, bytes, 10000);
        }
}

static void the_pieces_dont_matter(void **state) {
        (void)state;
        every_level(pieces);
}

/* `n` messages of lengths that `next` gives, each fed in two halves through the lanes. */
static void lanes_of(size_t n, size_t (*length)(size_t i)) {
        struct sha256_state states[17];
        struct sha256_job jobs[17];

        for (int half = 0; half < 2; half++) {
                for (size_t i = 0; i < n; i++) {
                        size_t all = length(i), cut = all / 3;

                        if (half == 0)
                                sha256_init(&states[i]);
                        jobs[i] = (struct sha256_job){&states[i],
                                                      half == 0 ? view_make(bytes + i, cut)
                                                                : view_make(bytes + i + cut, all - cut)};
                }
                sha256_lanes_run(jobs, n);
        }
        for (size_t i = 0; i < n; i++) {
                uint8_t got[32];

                sha256_final(&states[i], got);
                expect(got, bytes + i, length(i));
        }
}

static size_t equal_lengths(size_t i) {
        (void)i;
        return 4097;
}

static size_t growing_lengths(size_t i) {
        return i * i * 37;
}

static size_t empty_and_long(size_t i) {
        return i % 3 == 0 ? 0 : i % 3 == 1 ? 63 : 70000;
}

static void lanes(void) {
        for (size_t n = 0; n <= 17; n++) {
                lanes_of(n, equal_lengths);
                lanes_of(n, growing_lengths);
                lanes_of(n, empty_and_long);
        }
}

static void lanes_agree_with_openssl(void **state) {
        (void)state;
        every_level(lanes);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(agrees_with_openssl_for_every_short_length),
                cmocka_unit_test(agrees_with_openssl_for_long_messages),
                cmocka_unit_test(the_pieces_dont_matter),
                cmocka_unit_test(lanes_agree_with_openssl),
        };

        return cmocka_run_group_tests_name("sha256", tests, make_bytes, NULL);
}
