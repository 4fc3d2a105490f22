#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "log_fixture.h"
#include "support/fault_inject.h"

struct walk {
        struct log_fixture f;
        struct log_store *store;
        uint64_t acknowledged; /* highest sequence that a commit gave */
};

static void assert_ok(const struct walk *w) {
        struct audit_report p = log_fixture_verify(&w->f);

        if (!p.ok)
                fail_msg("%s %s:%llu %s", p.code, p.file, (unsigned long long)p.line, p.text);
        assert_true(p.records >= w->acknowledged);
}

static int append_one(struct walk *w) {
        static const struct audit_entry e = {
                .caller = VIEW_INIT("tester"), .event = VIEW_INIT("act"), .decision = VIEW_INIT("allow")};
        struct log_item item = {.entry = &e};

        log_store_commit(w->store, &item, 1);
        if (item.result >= 0) {
                assert_true(item.sequence > w->acknowledged);
                w->acknowledged = item.sequence;
        }
        return item.result;
}

static int append_operation(void *userdata) {
        return append_one(userdata);
}

/* Whatever failed: the log is valid, nothing acknowledged is missing, and the next append goes through. */
static void append_check(int result, void *userdata) {
        struct walk *w = userdata;

        assert_ok(w);
        assert_int_equal(append_one(w), 0);
        assert_ok(w);
}

static void test_an_append_survives_every_failing_call(void **state) {
        struct walk w = {0};

        log_fixture_make(&w.f);
        w.f.checkpoint_each = 3; /* so that checkpoints and the head file are in it */
        w.store = log_fixture_open(&w.f);
        assert_true(fault_inject_walk(FAULT_ALL, append_operation, append_check, &w) > 5);
        log_store_close(w.store);
        assert_ok(&w);
        log_fixture_done(&w.f);
}

static void test_a_rotation_survives_every_failing_call(void **state) {
        struct walk w = {0};

        log_fixture_make(&w.f);
        w.f.rotate_bytes = 1; /* each append rotates first */
        w.store = log_fixture_open(&w.f);
        assert_true(fault_inject_walk(FAULT_ALL, append_operation, append_check, &w) > 8);
        log_store_close(w.store);
        assert_ok(&w);
        log_fixture_done(&w.f);
}

/* A crash's torn tail, then an opening that may fail at any call. */
static int open_operation(void *userdata) {
        struct walk *w = userdata;
        struct fault fault = FAULT_NONE;
        int r = log_fixture_try_open(&w->f, &w->store, &fault);

        return r;
}

static void open_check(int result, void *userdata) {
        struct walk *w = userdata;
        struct buf log;

        if (result < 0)
                w->store = log_fixture_open(&w->f);
        log_store_close(w->store);
        w->store = NULL;
        assert_ok(w);
        assert_true(log_fixture_verify(&w->f).recoveries >= 1);
        log = file_get(w->f.log_dir, "audit.log");
        assert_int_equal(buf_append_str(&log, "{\"sequence\":torn"), 0);
        file_put(w->f.log_dir, "audit.log", buf_view(&log));
        buf_done(&log);
}

static void test_recovery_survives_every_failing_call(void **state) {
        struct walk w = {0};
        struct buf log;

        log_fixture_make(&w.f);
        log_store_close(log_fixture_open(&w.f));
        log = file_get(w.f.log_dir, "audit.log");
        assert_int_equal(buf_append_str(&log, "{\"sequence\":torn"), 0);
        file_put(w.f.log_dir, "audit.log", buf_view(&log));
        buf_done(&log);
        assert_true(fault_inject_walk(FAULT_ALL, open_operation, open_check, &w) > 10);
        log_fixture_done(&w.f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_append_survives_every_failing_call),
                cmocka_unit_test(test_a_rotation_survives_every_failing_call),
                cmocka_unit_test(test_recovery_survives_every_failing_call),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
