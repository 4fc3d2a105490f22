#include "support/cm.h"

#include <pthread.h>

#include "audit/writer.h"
#include "log_fixture.h"

#define THREADS 12
#define EACH    40

struct appender {
        pthread_t thread;
        struct writer *writer;
        uint64_t sequences[EACH];
        int failures;
};

static void *append_all(void *userdata) {
        static const struct audit_entry e = {
                .caller = VIEW_INIT("tester"), .event = VIEW_INIT("act"), .decision = VIEW_INIT("allow")};
        struct appender *a = userdata;

        for (unsigned i = 0; i < EACH; i++)
                if (writer_append(a->writer, &e, &a->sequences[i]) < 0)
                        a->failures++;
        return NULL;
}

static void test_concurrent_appenders_get_distinct_sequences(void **state) {
        static struct appender appenders[THREADS];
        static bool seen[THREADS * EACH + 64];
        struct log_fixture f;
        struct writer *w = NULL;
        struct audit_report p;

        log_fixture_make(&f);
        f.rotate_bytes = 32768;
        f.checkpoint_each = 1000000;
        assert_int_equal(writer_new(log_fixture_open(&f), &w), 0);
        for (unsigned i = 0; i < THREADS; i++) {
                appenders[i].writer = w;
                assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_all, &appenders[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(appenders[i].failures, 0);
                for (unsigned k = 0; k < EACH; k++) {
                        uint64_t n = appenders[i].sequences[k];

                        assert_in_range(n, 2, ARRAY_SIZE(seen) - 1);
                        assert_false(seen[n]);
                        assert_true(k == 0 || n > appenders[i].sequences[k - 1]);
                        seen[n] = true;
                }
        }
        assert_true(writer_end(w).sequence >= 1 + THREADS * EACH);
        writer_free(w);
        p = log_fixture_verify(&f);
        assert_true(p.ok);
        assert_true(p.files > 1);
        log_fixture_done(&f);
}

/* Verification beside a running writer must never cry wolf. */
static void test_verifying_beside_a_running_writer_is_ok(void **state) {
        static struct appender appenders[2];
        struct log_fixture f;
        struct writer *w = NULL;

        log_fixture_make(&f);
        f.rotate_bytes = 4096;
        f.checkpoint_each = 5;
        assert_int_equal(writer_new(log_fixture_open(&f), &w), 0);
        for (unsigned i = 0; i < 2; i++) {
                appenders[i].writer = w;
                assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_all, &appenders[i]), 0);
        }
        for (unsigned i = 0; i < 20; i++) {
                struct audit_report p = log_fixture_verify(&f);

                if (!p.ok)
                        fail_msg("%s %s:%llu %s", p.code, p.file, (unsigned long long)p.line, p.text);
        }
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
        writer_free(w);
        assert_true(log_fixture_verify(&f).ok);
        log_fixture_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_concurrent_appenders_get_distinct_sequences),
                cmocka_unit_test(test_verifying_beside_a_running_writer_is_ok),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
