/* The supervisor: loading, switching, dying, leases, the audit log. */
#include "rig.h"

#include "base/clock.h"

static struct rig rig;

static int stop(void **state) {
        rig_stop(&rig);
        return 0;
}
static int start(void **state) {
        rig_start(&rig, NULL);
        return 0;
}

static struct worker_use use(const char *sha256) {
        struct refusal why;
        struct worker_use u = {0};

        assert_int_equal(worker_acquire(rig.worker, sha256, 10 * USEC_PER_SEC, &u, &why), 0);
        return u;
}

static void refuses(const char *sha256, uint64_t wait_usec, unsigned status, const char *code) {
        struct refusal why = {0};
        struct worker_use u;

        assert_true(worker_acquire(rig.worker, sha256, wait_usec, &u, &why) < 0);
        assert_string_equal(why.code, code);
        assert_int_equal(why.status, status);
        assert_true(strlen(why.text) > 10);
}

static void loads_on_the_first_use_and_keeps_it(void **state) {
        struct worker_use a = use(SHA_A), b;
        struct worker_status s;

        assert_string_equal(a.sha256, SHA_A);
        worker_release(&a);
        b = use("");
        assert_string_equal(b.sha256, SHA_A);
        worker_get_status(rig.worker, &s);
        assert_int_equal(s.busy, 1);
        assert_int_equal(s.threads, 3);
        assert_int_equal(s.context, 4096);
        worker_release(&b);
        assert_int_equal(rig.spawned, 1);
        assert_true(rig_logged(&rig, "model_loaded a;"));
}

static void without_a_model_there_is_nothing_to_use(void **state) {
        refuses("", USEC_PER_SEC, 404, "unknown_model");
        assert_int_equal(rig.spawned, 0);
}

static void a_model_that_the_registry_does_not_know_is_refused(void **state) {
        rig.open_error = -ENOENT;
        refuses(SHA_A, USEC_PER_SEC, 404, "unknown_model");
        rig_await(&rig, WORKER_FAILED);
        rig.open_error = 0; /* the next request tries again */
        struct worker_use u = use(SHA_A);
        worker_release(&u);
}

static void a_switch_unloads_the_old_model_first(void **state) {
        struct worker_use u = use(SHA_A);

        worker_release(&u);
        u = use(SHA_B);
        assert_string_equal(u.sha256, SHA_B);
        worker_release(&u);
        assert_string_equal(rig.events, "model_loaded a;model_unloaded a;model_loaded b;");
        assert_int_equal(rig.killed, 1);
}

static void a_switch_waits_for_answers_or_says_busy(void **state) {
        struct worker_use u = use(SHA_A);

        refuses(SHA_B, 50 * USEC_PER_MSEC, 409, "model_busy");
        assert_int_equal(rig.killed, 0);
        worker_release(&u);
        u = use(SHA_B);
        worker_release(&u);
}

static void *release_later(void *userdata) {
        usleep(100000);
        worker_release(userdata);
        return NULL;
}

static void a_switch_goes_on_when_the_answer_ends(void **state) {
        struct worker_use u = use(SHA_A), other;
        pthread_t t;

        assert_int_equal(pthread_create(&t, NULL, release_later, &u), 0);
        other = use(SHA_B);
        assert_string_equal(other.sha256, SHA_B);
        worker_release(&other);
        pthread_join(t, NULL);
}

static void unload_frees_the_worker_and_is_repeatable(void **state) {
        struct worker_use u = use(SHA_A);
        struct refusal why;

        assert_int_equal(worker_unload(rig.worker, 50 * USEC_PER_MSEC, &why), -EBUSY);
        assert_string_equal(why.code, "model_busy");
        worker_release(&u);
        assert_int_equal(worker_unload(rig.worker, USEC_PER_SEC, &why), 0);
        assert_int_equal(worker_unload(rig.worker, USEC_PER_SEC, &why), 0);
        rig_await(&rig, WORKER_IDLE);
        assert_true(rig_logged(&rig, "model_unloaded a;"));
        refuses("", USEC_PER_SEC, 404, "unknown_model");
}

static void a_killed_worker_is_started_again(void **state) {
        struct worker_use u = use(SHA_A);
        struct worker_status s;

        worker_release(&u);
        rig_kill_worker(&rig);
        u = use(""); /* without having waited for anything */
        assert_string_equal(u.sha256, SHA_A);
        worker_get_status(rig.worker, &s);
        assert_int_equal(s.restarts, 1);
        worker_release(&u);
        assert_string_equal(rig.events, "model_loaded a;worker_died a;model_loaded a;");
        assert_int_equal(rig.spawned, 2);
}

static void a_dead_worker_is_replaced_only_when_its_answers_have_ended(void **state) {
        struct worker_use u = use(SHA_A);

        rig_kill_worker(&rig);
        rig_await(&rig, WORKER_LOADING);
        usleep(50000);
        assert_int_equal(rig.spawned, 1); /* its client is still in use */
        worker_release(&u);
        rig_await(&rig, WORKER_READY);
        assert_int_equal(rig.spawned, 2);
}

static void await_restarts(uint64_t n) {
        struct worker_status s;

        for (int i = 0; i < 5000; i++) {
                worker_get_status(rig.worker, &s);
                if (s.restarts == n && s.state == WORKER_READY)
                        return;
                usleep(2000);
        }
        fail_msg("%llu restarts, expected %llu", (unsigned long long)s.restarts, (unsigned long long)n);
}

static void after_many_deaths_it_stays_down_until_asked(void **state) {
        struct worker_status s;
        struct worker_use u = use(SHA_A);

        worker_release(&u);
        for (unsigned i = 0; i < 5; i++) {
                rig_kill_worker(&rig);
                await_restarts(i + 1);
        }
        rig_kill_worker(&rig);
        rig_await(&rig, WORKER_FAILED);
        worker_get_status(rig.worker, &s);
        assert_non_null(strstr(s.reason, "died 6 times"));
        assert_string_equal(s.model, SHA_A);
        u = use(SHA_A);
        worker_release(&u);
}

static void a_worker_that_dies_while_loading_is_a_clear_failure(void **state) {
        struct worker_status s;

        rig.dies_loading = true;
        rig.healthy = false;
        refuses(SHA_A, 5 * USEC_PER_SEC, 503, "worker_failed");
        worker_get_status(rig.worker, &s);
        assert_int_equal(s.state, WORKER_FAILED);
        assert_non_null(strstr(s.reason, "exit status 1"));
        assert_int_equal(rig.killed, 1);
}

static int start_impatient(void **state) {
        rig_start(&rig, &(struct rig_options){.load_timeout_usec = 100 * USEC_PER_MSEC});
        return 0;
}

static void a_worker_that_is_never_ready_is_given_up(void **state) {
        struct worker_status s;

        rig.healthy = false;
        refuses(SHA_A, 5 * USEC_PER_SEC, 503, "worker_failed");
        worker_get_status(rig.worker, &s);
        assert_non_null(strstr(s.reason, "not ready within"));
        assert_int_equal(rig.killed, 1);
}

static void who_does_not_want_to_wait_hears_that_it_is_loading(void **state) {
        rig.healthy = false;
        refuses(SHA_A, 50 * USEC_PER_MSEC, 503, "model_loading");
        rig.healthy = true;
        rig_await(&rig, WORKER_READY); /* it went on all the same */
}

static void unload_stops_a_load_under_way(void **state) {
        struct refusal why;

        rig.healthy = false;
        refuses(SHA_A, 50 * USEC_PER_MSEC, 503, "model_loading");
        assert_int_equal(worker_unload(rig.worker, 5 * USEC_PER_SEC, &why), 0);
        rig_await(&rig, WORKER_IDLE);
        assert_int_equal(rig.killed, 1);
        assert_false(rig_logged(&rig, "model_loaded a;"));
}

static void a_load_that_the_log_can_not_record_does_not_happen(void **state) {
        rig.log_broken = true;
        refuses(SHA_A, 5 * USEC_PER_SEC, 503, "audit_unavailable");
        assert_int_equal(rig.killed, 1);
}

static void a_model_that_does_not_fit_is_refused_with_numbers(void **state) {
        struct refusal why = {0};
        struct worker_use u;

        rig.model_size = UINT64_C(40) << 30;
        assert_int_equal(worker_acquire(rig.worker, SHA_A, USEC_PER_SEC, &u, &why), -EFBIG);
        assert_int_equal(why.status, 507);
        assert_string_equal(why.code, "model_too_large");
        assert_non_null(strstr(why.text, "40960 MiB"));
        assert_non_null(strstr(why.detail, "\"model_bytes\":42949672960"));
        assert_int_equal(rig.spawned, 0);
}

static void a_lost_lease_is_taken_again(void **state) {
        struct worker_use u = use(SHA_A);
        int before = rig.lease_peer;

        worker_release(&u);
        rig.lease_peer = -EBADF;
        close_fd(before); /* the registry went away */
        for (int i = 0; i < 1000 && rig.lease_peer < 0; i++)
                usleep(2000);
        assert_true(rig.lease_peer >= 0);
        assert_int_equal(rig.spawned, 1);
}

static void a_model_that_was_deleted_meanwhile_is_unloaded(void **state) {
        struct worker_use u = use(SHA_A);
        int before = rig.lease_peer;

        worker_release(&u);
        rig.open_error = -ENOENT;
        rig.lease_peer = -EBADF;
        close_fd(before);
        rig_await(&rig, WORKER_IDLE);
        assert_true(rig_logged(&rig, "model_unloaded a;"));
}

static int start_short_idle(void **state) {
        rig_start(&rig, &(struct rig_options){.idle_unload_usec = 50 * USEC_PER_MSEC});
        return 0;
}

static void an_unused_model_is_unloaded_and_comes_back(void **state) {
        struct worker_use u = use(SHA_A);

        usleep(100000);
        assert_int_equal(rig.killed, 0); /* in use */
        worker_release(&u);
        rig_await(&rig, WORKER_IDLE);
        u = use("");
        assert_string_equal(u.sha256, SHA_A);
        worker_release(&u);
}

static void another_context_means_another_worker(void **state) {
        struct worker_status s;
        struct refusal why;

        assert_int_equal(worker_load(rig.worker, SHA_A, 0, 5 * USEC_PER_SEC, &why), 0);
        assert_int_equal(worker_load(rig.worker, SHA_A, 0, 5 * USEC_PER_SEC, &why), 0);
        assert_int_equal(rig.spawned, 1);
        assert_int_equal(worker_load(rig.worker, SHA_A, 1024, 5 * USEC_PER_SEC, &why), 0);
        assert_int_equal(rig.spawned, 2);
        worker_get_status(rig.worker, &s);
        assert_int_equal(s.context, 1024);
}

static void stopping_refuses_and_kills(void **state) {
        struct worker_use u = use(SHA_A);

        worker_release(&u);
        worker_stop(rig.worker);
        refuses(SHA_A, USEC_PER_SEC, 503, "stopping");
}

#define RUN(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void) {
        const struct CMUnitTest tests[] = {
                RUN(loads_on_the_first_use_and_keeps_it),
                RUN(without_a_model_there_is_nothing_to_use),
                RUN(a_model_that_the_registry_does_not_know_is_refused),
                RUN(a_switch_unloads_the_old_model_first),
                RUN(a_switch_waits_for_answers_or_says_busy),
                RUN(a_switch_goes_on_when_the_answer_ends),
                RUN(unload_frees_the_worker_and_is_repeatable),
                RUN(a_killed_worker_is_started_again),
                RUN(a_dead_worker_is_replaced_only_when_its_answers_have_ended),
                RUN(after_many_deaths_it_stays_down_until_asked),
                RUN(a_worker_that_dies_while_loading_is_a_clear_failure),
                cmocka_unit_test_setup_teardown(a_worker_that_is_never_ready_is_given_up, start_impatient,
                                                stop),
                RUN(who_does_not_want_to_wait_hears_that_it_is_loading),
                RUN(unload_stops_a_load_under_way),
                RUN(a_load_that_the_log_can_not_record_does_not_happen),
                RUN(a_model_that_does_not_fit_is_refused_with_numbers),
                RUN(a_lost_lease_is_taken_again),
                RUN(a_model_that_was_deleted_meanwhile_is_unloaded),
                cmocka_unit_test_setup_teardown(an_unused_model_is_unloaded_and_comes_back, start_short_idle,
                                                stop),
                RUN(another_context_means_another_worker),
                RUN(stopping_refuses_and_kills),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
