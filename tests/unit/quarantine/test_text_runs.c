/* text_runs against its definition. */
#include "quarantine/text_runs.h"
#include "support/cm.h"

static bool slow_next(struct view v, size_t from, size_t *start, size_t *end) {
        for (size_t i = from; i < v.n; i++) {
                size_t e = i;

                while (e < v.n && text_run_byte((uint8_t)v.p[e]))
                        e++;
                if (e - i >= TEXT_RUN_LEAST) {
                        *start = i;
                        *end = e;
                        return true;
                }
                i = e;
        }
        return false;
}

static void runs_are_found_wherever_they_lie(void **state) {
        static char bytes[1000];
        uint32_t x = 7;

        (void)state;
        for (unsigned round = 0; round < 3000; round++) {
                size_t n = round % sizeof bytes, at = 0, a = 0, b = 0, c = 0, d = 0;
                unsigned density = round % 7 + 1;
                bool more = true;

                for (size_t i = 0; i < n; i++) {
                        x = x * 1664525u + 1013904223u;
                        bytes[i] = (char)((x >> 16) % 8 < density ? " ~a\t\r\n\v\f"[(x >> 24) % 8]
                                                                  : (char)(0x7f + (x >> 24) % 100));
                        if ((x >> 8) % 50 == 0)
                                bytes[i] = '\0';
                }
                while (more) {
                        more = slow_next(view_make(bytes, n), at, &a, &b);
                        assert_int_equal(text_run_next(view_make(bytes, n), at, &c, &d), more);
                        if (more) {
                                assert_int_equal(a, c);
                                assert_int_equal(b, d);
                                at = b;
                        }
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(runs_are_found_wherever_they_lie)};

        return cmocka_run_group_tests_name("text_runs", tests, NULL, NULL);
}
