/* What quarantine believes of a worker, and that the digest is its own whatever the worker does. */
#include "support/cm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "quarantine/scan_pass.h"

/* Several times the ring: quarantine can not send all slots before it has heard the worker. */
#define ARTIFACT ((size_t)3 * RING_SLOTS * RING_SLOT_BYTES + 12345)

static struct launcher *launcher;
static int artifact = -EBADF, rules = -EBADF;
static struct sha256 expected;

static int make_all(void **state) {
        struct launcher_config config = {.libexec_path = secure_getenv("SECAI_FAKE_WORKER"),
                                         .socket_dir = "/tmp"};
        char *bytes = malloc(ARTIFACT);

        assert_non_null(bytes);
        for (size_t i = 0; i < ARTIFACT; i++)
                bytes[i] = (char)(i * 31 + (i >> 9));
        artifact = memfd_create("artifact", MFD_CLOEXEC);
        rules = memfd_create("rules", MFD_CLOEXEC);
        assert_true(artifact >= 0 && rules >= 0);
        assert_int_equal(write_all(artifact, bytes, ARTIFACT), 0);
        assert_int_equal(sha256_of(view_make(bytes, ARTIFACT), &expected), 0);
        free(bytes);
        assert_non_null(config.libexec_path);
        return launcher_start(&config, &launcher);
}

static int drop_all(void **state) {
        launcher_free(launcher);
        close_fd(artifact);
        close_fd(rules);
        return 0;
}

static struct scan_result *scan(const char *name, uint64_t patience_usec) {
        struct scan_engine e = {.launcher = launcher,
                                .rules_fd = rules,
                                .start_usec = patience_usec,
                                .stall_usec = patience_usec};
        struct scan_result *result = calloc(1, sizeof *result);

        assert_non_null(result);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT, view_of(name), NULL, result), 0);
        return result;
}

static const struct {
        const char *name;
        enum worker_trouble trouble;
} cases[] = {
        {"crash-at-start", WORKER_CRASHED},
        {"abort-at-start", WORKER_CRASHED},
        {"crash-while-reading", WORKER_CRASHED},
        {"no-summary", WORKER_CRASHED},
        {"hang-at-start", WORKER_STUCK},
        {"hang-while-reading", WORKER_STUCK},
        {"fork-and-leave", WORKER_STUCK},
        {"failed", WORKER_NOT_READY},
        {"failed-with-escape", WORKER_LIED},
        {"failed-after-ready", WORKER_LIED},
        {"ready-twice", WORKER_LIED},
        {"prepared-twice", WORKER_LIED},
        {"short-packet", WORKER_LIED},
        {"long-packet", WORKER_LIED},
        {"unknown-type", WORKER_LIED},
        {"finding-too-early", WORKER_LIED},
        {"summary-too-early", WORKER_LIED},
        {"taken-too-far", WORKER_LIED},
        {"taken-backwards", WORKER_LIED},
        {"bad-rule", WORKER_LIED},
        {"early-only", WORKER_LIED},
        {"early-of-another", WORKER_LIED},
        {"early-twice", WORKER_LIED},
        {"early-warning", WORKER_LIED},
        {"early-bad-rule", WORKER_LIED},
        {"early-and-in-the-end", WORKER_FINE},
        {"borrowed-rule", WORKER_LIED},
        {"unterminated-rule", WORKER_LIED},
        {"bad-utf8", WORKER_LIED},
        {"control-characters", WORKER_LIED},
        {"direction-marks", WORKER_LIED},
        {"unterminated-message", WORKER_LIED},
        {"empty-message", WORKER_LIED},
        {"stage-of-others", WORKER_LIED},
        {"severity-out-of-range", WORKER_LIED},
        {"place-beyond-the-file", WORKER_LIED},
        {"size-of-another", WORKER_LIED},
        {"kind-out-of-range", WORKER_LIED},
        {"bool-out-of-range", WORKER_LIED},
        {"name-with-escape", WORKER_LIED},
        {"tensor-with-escape", WORKER_LIED},
        {"tensor-unterminated", WORKER_LIED},
        {"tensor-without-a-type", WORKER_LIED},
        {"tensor-rank-out-of-range", WORKER_LIED},
        {"tensor-beyond-the-file", WORKER_LIED},
        {"tensor-larger-than-the-file", WORKER_LIED},
        {"tensor-flags-out-of-range", WORKER_LIED},
        {"tensor-mean-is-no-number", WORKER_LIED},
        {"tensor-entropy-out-of-range", WORKER_LIED},
        {"tensor-moments-out-of-range", WORKER_LIED},
        {"tensor-windows-out-of-range", WORKER_LIED},
        {"tensor-of-a-member", WORKER_LIED},
        {"tensor-too-large", WORKER_LIED},
        {"tensors", WORKER_FINE},
        {"one-too-many", WORKER_FLOODED},
        {"flood", WORKER_FLOODED},
        {"as-many-as-allowed", WORKER_FINE},
        {"write-to-the-ring", WORKER_FINE},
        {"honest", WORKER_FINE},
};

static void test_a_worker_in_trouble_is_a_rejection_and_the_digest_is_right(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool hangs = cases[i].trouble == WORKER_STUCK;
                struct scan_result *r = scan(cases[i].name, hangs ? USEC_PER_SEC / 2 : 20 * USEC_PER_SEC);

                if (r->trouble != cases[i].trouble)
                        fail_msg("%s: trouble %d, expected %d", cases[i].name, (int)r->trouble,
                                 (int)cases[i].trouble);
                assert_memory_equal(&r->sha256, &expected, sizeof expected);
                assert_int_equal(r->bytes, ARTIFACT);
                if (cases[i].trouble != WORKER_FINE) {
                        assert_int_equal(r->findings.n, 1);
                        assert_string_equal(r->findings.list[0].rule, worker_trouble_rule(cases[i].trouble));
                        assert_int_equal(r->findings.list[0].severity, FINDING_REJECT);
                        assert_int_equal(r->summary.kind, MODEL_KIND_UNKNOWN);
                }
                free(r);
        }
}

/* Bytes that this process has read through descriptors so far. */
static uint64_t bytes_read(void) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);
        char *at;

        assert_int_equal(read_file("/proc/self/io", 4096, &text), 0);
        at = strstr(text.p, "rchar: ");
        assert_non_null(at);
        return strtoull(at + strlen("rchar: "), NULL, 10);
}

static void test_each_byte_is_read_once(void **state) {
        uint64_t before = bytes_read(), read;
        struct scan_result *r = scan("honest", 20 * USEC_PER_SEC);

        read = bytes_read() - before;
        assert_true(read >= ARTIFACT &&
                    read < ARTIFACT + ARTIFACT / 20); /* messages and eventfds count as well */
        free(r);
}

static void count_tensor(uint32_t member, const struct tensor_record *r, void *userdata) {
        assert_int_equal(member, 0);
        assert_string_equal(r->name, "t");
        ++*(unsigned *)userdata;
}

static void test_what_is_told_of_tensors_reaches_who_asked(void **state) {
        struct scan_engine e = {.launcher = launcher, .rules_fd = rules};
        unsigned n = 0;
        struct tensor_hearer hearer = {count_tensor, &n};
        struct scan_watch watch = {.tensors = &hearer};
        struct scan_result *r = calloc(1, sizeof *r);

        assert_non_null(r);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT, VIEW("tensors"), &watch, r), 0);
        assert_int_equal(r->trouble, WORKER_FINE);
        assert_int_equal(n, 10);
        free(r);
}

static void hear_early(void *userdata, const struct finding *f) {
        assert_string_equal(f->rule, "TEST-001");
        ++*(unsigned *)userdata;
}

static void test_a_finding_that_rejects_is_told_before_the_end_and_must_be_there_in_the_end(void **state) {
        static const struct {
                const char *name;
                enum worker_trouble trouble;
        } early[] = {{"early-and-in-the-end", WORKER_FINE}, {"early-only", WORKER_LIED}};

        for (size_t i = 0; i < ARRAY_SIZE(early); i++) {
                _cleanup_(freep) struct scan_result *r = calloc(1, sizeof *r);
                struct scan_engine e = {.launcher = launcher, .rules_fd = rules};
                unsigned n = 0;
                struct finding_sink sink = {hear_early, &n};
                struct scan_watch watch = {.early = &sink};

                assert_non_null(r);
                assert_int_equal(scan_pass(&e, artifact, ARTIFACT, view_of(early[i].name), &watch, r), 0);
                assert_int_equal(n, 1);
                assert_int_equal(r->trouble, early[i].trouble);
                assert_string_equal(r->findings.list[0].rule, i == 0 ? "TEST-001" : "WORKER-003");
        }
}

/* --- the worker that is kept ready --- */

static enum worker_trouble scan_with(const struct scan_engine *e, const char *name) {
        _cleanup_(freep) struct scan_result *r = calloc(1, sizeof *r);

        assert_non_null(r);
        assert_int_equal(scan_pass(e, artifact, ARTIFACT, view_of(name), NULL, r), 0);
        assert_memory_equal(&r->sha256, &expected, sizeof expected);
        return r->trouble;
}

static void test_a_spare_worker_reads_the_next_file(void **state) {
        struct scan_engine e = {.launcher = launcher, .rules_fd = rules};

        assert_int_equal(scan_spare_new(&e.spare), 0);
        assert_int_equal(scan_with(&e, "honest"), WORKER_FINE); /* there was none yet */
        assert_int_equal(e.spare->used, 0);
        assert_true(e.spare->is_there);
        assert_int_equal(scan_with(&e, "honest"), WORKER_FINE);
        assert_int_equal(scan_with(&e, "bad-rule"), WORKER_LIED);
        assert_int_equal(scan_with(&e, "honest"), WORKER_FINE);
        assert_int_equal(e.spare->used, 3);
        scan_spare_free(e.spare);
}

static void test_a_spare_that_died_is_replaced_and_not_held_against_the_file(void **state) {
        struct scan_engine e = {.launcher = launcher, .rules_fd = rules};

        assert_int_equal(scan_spare_new(&e.spare), 0);
        for (unsigned i = 0; i < 3; i++) {
                scan_engine_make_spare(&e);
                assert_true(e.spare->is_there);
                assert_int_equal(launcher_kill(launcher, e.spare->link.worker.id, NULL), 0);
                assert_int_equal(scan_with(&e, "honest"), WORKER_FINE);
                assert_int_equal(e.spare->used, 0);
        }
        assert_int_equal(scan_with(&e, "honest"), WORKER_FINE);
        assert_int_equal(e.spare->used, 1);
        scan_spare_free(e.spare);
}

static bool stop_at_once(uint64_t bytes, void *userdata) {
        return false;
}

static void test_a_pass_can_be_stopped(void **state) {
        struct scan_engine e = {.launcher = launcher, .rules_fd = rules};
        struct scan_watch watch = {.progress = stop_at_once};
        struct scan_result *r = calloc(1, sizeof *r);

        assert_non_null(r);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT, VIEW("honest"), &watch, r), -ECANCELED);
        free(r);
}

static void test_a_file_that_is_not_as_long_as_claimed_is_an_error(void **state) {
        struct scan_engine e = {.launcher = launcher, .rules_fd = rules};
        struct scan_result *r = calloc(1, sizeof *r);

        assert_non_null(r);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT + 1, VIEW("honest"), NULL, r), -ESTALE);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT - 1, VIEW("honest"), NULL, r), -ESTALE);
        assert_int_equal(scan_pass(&e, artifact, ARTIFACT_BYTES_MAX + 1, VIEW("honest"), NULL, r), -EFBIG);
        free(r);
}

static void test_findings_past_the_most_push_out_lesser_ones_only(void **state) {
        static struct collector c;
        struct finding f = {.stage = 5, .severity = FINDING_INFO, .message = "x"};

        memset(&c, 0, sizeof c);
        for (unsigned i = 0; i < FINDINGS_MAX + 10; i++) {
                f.severity = i < FINDINGS_MAX ? (i % 2 ? FINDING_REJECT : FINDING_INFO) : FINDING_REJECT;
                f.at = i;
                collector_put(&c, &f);
        }
        assert_int_equal(c.n, FINDINGS_MAX);
        assert_int_equal(c.dropped, 10);
        {
                unsigned rejects = 0;

                for (size_t i = 0; i < c.n; i++)
                        rejects += c.list[i].severity == FINDING_REJECT;
                assert_int_equal(rejects, FINDINGS_MAX / 2 + 10);
        }
        f.severity = FINDING_INFO;
        f.at = 9999;
        collector_put(&c, &f);
        for (size_t i = 0; i < c.n; i++)
                assert_true(c.list[i].at != 9999);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_worker_in_trouble_is_a_rejection_and_the_digest_is_right),
                cmocka_unit_test(test_each_byte_is_read_once),
                cmocka_unit_test(test_what_is_told_of_tensors_reaches_who_asked),
                cmocka_unit_test(
                        test_a_finding_that_rejects_is_told_before_the_end_and_must_be_there_in_the_end),
                cmocka_unit_test(test_a_spare_worker_reads_the_next_file),
                cmocka_unit_test(test_a_spare_that_died_is_replaced_and_not_held_against_the_file),
                cmocka_unit_test(test_a_pass_can_be_stopped),
                cmocka_unit_test(test_a_file_that_is_not_as_long_as_claimed_is_an_error),
                cmocka_unit_test(test_findings_past_the_most_push_out_lesser_ones_only),
        };

        return cmocka_run_group_tests(tests, make_all, drop_all);
}
