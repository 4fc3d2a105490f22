#include "registry_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "support/cm.h"

#include "base/clock.h"
#include "base/file.h"

#define KILLS 24

static struct registry_fixture f;

static int make(void **state) {
        registry_fixture_make(&f);
        return 0;
}

static int drop(void **state) {
        registry_fixture_done(&f);
        return 0;
}

static bool body_has(const struct buf *b, const char *text) {
        return view_find(buf_view(b), view_of(text)) != SIZE_MAX;
}

static int state_dir(void) {
        int fd = open_dir(harness_state_path(f.h, "registry"));

        assert_true(fd >= 0);
        return fd;
}

static struct buf get_file(const char *name) {
        _cleanup_(closep) int dir = state_dir();
        struct buf b = BUF_INIT((size_t)64 << 20);

        assert_int_equal(read_file_beneath(dir, name, (size_t)64 << 20, &b), 0);
        return b;
}

static void put_file(const char *name, const struct buf *b) {
        _cleanup_(closep) int dir = state_dir();

        assert_int_equal(replace_file(dir, name, buf_view(b), 0600), 0);
}

static void drop_file(const char *name) {
        _cleanup_(closep) int dir = state_dir();

        assert_int_equal(unlinkat(dir, name, 0), 0);
}

static struct channel_answer add_text(const char *name, const char *text) {
        struct channel_answer a = registry_fixture_add(&f, name, view_of(text));

        assert_true(a.ok);
        return a;
}

/* Calls a route of one model. */
static unsigned call_model(const char *caller, const char *method, const char *sha256, const char *suffix,
                           struct buf *ret_body) {
        char path[160];

        (void)snprintf(path, sizeof path, "/v1/models/%s%s", sha256, suffix);
        return registry_fixture_call(&f, caller, method, path, ret_body);
}

static void expect_call(const char *caller, const char *method, const char *sha256, const char *suffix,
                        unsigned status, const char *text) {
        struct buf b;

        assert_int_equal(call_model(caller, method, sha256, suffix, &b), status);
        if (text && !body_has(&b, text))
                fail_msg("expected %s in %s", text, buf_str(&b));
        buf_done(&b);
}

static void test_a_loaded_model_is_not_deleted(void **state) {
        struct channel_answer a = add_text("loaded.gguf", "loaded"), o;
        int sock = registry_fixture_channel(&f, "inference"),
            second = registry_fixture_channel(&f, "inference");
        char path[512];
        struct stat st;

        o = registry_fixture_open(sock, a.sha256);
        close_fd(o.fd);
        o = registry_fixture_open(second, a.sha256);
        close_fd(o.fd); /* the lease is the channel's, not the descriptor's */
        expect_call("ui", "GET", a.sha256, "", 200, "\"loaded\":true");
        expect_call("ui", "DELETE", a.sha256, "", 409, "model_loaded");
        close_fd(sock);
        expect_call("ui", "DELETE", a.sha256, "", 409, "model_loaded");
        close_fd(second);
        for (unsigned i = 0; i < 500 && call_model("ui", "DELETE", a.sha256, "", NULL) != 204; i++)
                (void)nanosleep(&(struct timespec){.tv_nsec = 10000000},
                                NULL); /* until the server sees the close */
        expect_call("ui", "GET", a.sha256, "", 404, "unknown_model");
        expect_call("ui", "DELETE", a.sha256, "", 404, "unknown_model");
        registry_fixture_object(&f, a.sha256, path);
        assert_int_equal(stat(path, &st), -1);
}

static void test_a_deleted_model_can_be_promoted_again_by_the_same_job(void **state) {
        struct evidence_spec s = evidence_spec_for("back.gguf", VIEW("back"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "back.gguf", VIEW("back"));
        struct channel_answer a = registry_fixture_promote(&f, &s, fd);

        assert_true(a.ok);
        expect_call("ui", "DELETE", a.sha256, "", 204, NULL);
        a = registry_fixture_promote(&f, &s, fd);
        assert_true(a.ok);
        assert_false(a.duplicate);
        expect_call("ui", "GET", a.sha256, "", 200, NULL);
}

static void test_routes_are_for_those_who_are_listed(void **state) {
        struct channel_answer a = add_text("listed.gguf", "listed");

        expect_call("inference", "DELETE", a.sha256, "", 403, "forbidden_route");
        expect_call("quarantine", "POST", a.sha256, "/verify", 403, "forbidden_route");
        expect_call("registry", "GET", a.sha256, "", 403, "forbidden_route");
        expect_call("ui", "POST", "00", "/verify", 404, "unknown_model");
}

static void wait_for_state(const char *sha256, const char *wanted) {
        for (unsigned i = 0; i < 1000; i++) {
                struct buf b;
                bool there;

                assert_int_equal(call_model("ui", "GET", sha256, "", &b), 200);
                there = body_has(&b, wanted);
                buf_done(&b);
                if (there)
                        return;
                (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        fail_msg("the model never got %s", wanted);
}

static void wait_for_audit(const char *wanted) {
        bool there = false;

        for (unsigned i = 0; i < 1000 && !there; i++) {
                struct http_client *c = harness_client(f.h, "ui", "audit");
                struct http_answer records;

                assert_int_equal(harness_call(c, "GET", "/v1/records?limit=1000", NULL, &records), 200);
                there = body_has(&records.body, wanted);
                http_answer_done(&records);
                http_client_free(c);
                if (!there)
                        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        assert_true(there);
}

static void damage(const char *sha256) {
        char path[512];
        int fd;

        registry_fixture_object(&f, sha256, path);
        assert_int_equal(chmod(path, 0600), 0);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "X", 1, 0), 1);
        close_fd(fd);
}

static void test_damage_is_found_recorded_and_kept_from_being_opened(void **state) {
        struct channel_answer good = add_text("good.gguf", "good"), bad = add_text("bad.gguf", "bad bytes"),
                              o;
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "inference");

        expect_call("ui", "POST", good.sha256, "/verify", 202, "{\"state\":\"pending\"}");
        wait_for_state(good.sha256, "\"verify_state\":\"ok\"");
        damage(bad.sha256);
        expect_call("ui", "POST", bad.sha256, "/verify", 202, NULL);
        wait_for_state(bad.sha256, "\"verify_state\":\"failed\"");
        o = registry_fixture_open(sock, bad.sha256);
        assert_false(o.ok);
        assert_string_equal(o.code, "model_damaged");
        wait_for_audit("\"event\":\"model_damaged\"");

        /* importing it again heals it */
        bad = registry_fixture_add(&f, "bad.gguf", VIEW("bad bytes"));
        assert_true(bad.ok);
        o = registry_fixture_open(sock, bad.sha256);
        assert_true(o.ok);
        close_fd(o.fd);
}

static void test_a_missing_file_and_an_orphan_are_put_in_order_at_start(void **state) {
        struct channel_answer a = add_text("lost.gguf", "lost");
        char path[512], orphan[512];
        struct stat st;
        int fd;

        (void)harness_stop(f.h, "registry");
        registry_fixture_object(&f, a.sha256, path);
        assert_int_equal(unlink(path), 0);
        registry_fixture_object(&f, "abababababababababababababababababababababababababababababababab",
                                orphan);
        (void)snprintf(path, sizeof path, "%s/objects/sha256/ab", harness_state_path(f.h, "registry"));
        (void)mkdir(path, 0700);
        fd = open(orphan, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
        assert_true(fd >= 0);
        close_fd(fd);
        harness_start(f.h, "registry", NULL);
        assert_int_equal(stat(orphan, &st), -1);
        expect_call("ui", "GET", a.sha256, "", 200, "\"verify_state\":\"failed\"");
        expect_call("ui", "DELETE", a.sha256, "", 204, NULL);
}

static void test_the_blocklist_refuses_and_is_read_again_when_it_changes(void **state) {
        struct channel_answer a = add_text("later blocked.gguf", "later blocked"), b;
        struct evidence_spec s = evidence_spec_for("blocked.gguf", VIEW("blocked"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "blocked.gguf", VIEW("blocked")),
                              sock = registry_fixture_channel(&f, "inference");
        char hex[SHA256_HEX_SIZE], text[1024];
        const char *config = harness_copy_config(f.h);
        _cleanup_(closep) int dir = open_dir(config);

        (void)harness_stop(f.h, "registry");
        harness_start(f.h, "registry", NULL); /* with the copied configuration */
        sock = close_fd(sock);
        sock = registry_fixture_channel(&f, "inference");
        sha256_hex(&s.sha256, hex);
        (void)snprintf(text, sizeof text,
                       "version: 1\npins: []\nblocklist:\n  - sha256: %s\n    reason: test\n  - sha256: %s\n "
                       "   reason: test\n",
                       hex, a.sha256);
        {
                _cleanup_(closep) int policy = open_beneath(dir, "policy", O_RDONLY | O_DIRECTORY, 0);

                assert_int_equal(replace_file(policy, "models.lock.yaml", view_of(text), 0644), 0);
                for (unsigned i = 0; i < 500 && !strstr(harness_stderr(f.h, "registry"), "blocklist_read");
                     i++)
                        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
                b = registry_fixture_promote(&f, &s, fd);
                assert_false(b.ok);
                assert_string_equal(b.code, "blocked");
                b = registry_fixture_open(sock, a.sha256);
                assert_string_equal(b.code, "blocked");

                /* a bad file keeps the old one in force … */
                assert_int_equal(
                        replace_file(policy, "models.lock.yaml", VIEW("version: 1\nblocklist: {}\n"), 0644),
                        0);
                for (unsigned i = 0; i < 500 && !strstr(harness_stderr(f.h, "registry"), "bad_configuration");
                     i++)
                        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
                b = registry_fixture_promote(&f, &s, fd);
                assert_string_equal(b.code, "blocked");
                /* … and a service that starts with it does not start */
                (void)harness_stop(f.h, "registry");
                assert_true(harness_try_start(f.h, "registry", NULL) != 0);
                assert_int_equal(replace_file(policy, "models.lock.yaml",
                                              VIEW("version: 1\npins: []\nblocklist: []\n"), 0644),
                                 0);
        }
        harness_start(f.h, "registry", NULL);
        assert_true(registry_fixture_promote(&f, &s, fd).ok);
}

struct promoter {
        struct evidence_spec spec;
        int fd, sock;
};

/* Sends the promotion and doesn't care whether an answer comes: the registry is killed meanwhile. */
static void *send_promotion(void *userdata) {
        struct promoter *p = userdata;
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);
        struct json_document *d = NULL;
        int fd = -EBADF;

        evidence_message(f.private_dir, &p->spec, &message);
        if (fd_channel_send(p->sock, buf_view(&message), p->fd, USEC_PER_SEC * 10) >= 0 &&
            fd_channel_receive(p->sock, USEC_PER_SEC * 10, &d, &fd) >= 0)
                json_document_free(d);
        close_fd(fd);
        return NULL;
}

static void check_consistent(const char *sha256) {
        char path[512];
        struct stat st;
        bool listed = call_model("ui", "GET", sha256, "", NULL) == 200;

        registry_fixture_object(&f, sha256, path);
        assert_int_equal(stat(path, &st) == 0, listed);
        if (listed)
                assert_int_equal(st.st_mode & 07777, 0400);
}

static void test_killed_at_any_point_it_has_the_model_wholly_or_not(void **state) {
        static char content[3 << 20];

        for (unsigned i = 0; i < KILLS; i++) {
                struct promoter p = {.sock = registry_fixture_channel(&f, "quarantine")};
                char hex[SHA256_HEX_SIZE], name[32];
                struct channel_answer a;
                pthread_t thread;

                memset(content, (int)i, sizeof content);
                (void)snprintf(name, sizeof name, "killed %u.gguf", i);
                p.spec = evidence_spec_for(name, view_make(content, sizeof content));
                p.fd = registry_fixture_file(&f, "killed", view_make(content, sizeof content));
                sha256_hex(&p.spec.sha256, hex);
                assert_int_equal(pthread_create(&thread, NULL, send_promotion, &p), 0);
                (void)nanosleep(&(struct timespec){.tv_nsec = (long)i * 1300000}, NULL);
                harness_kill(f.h, "registry");
                assert_int_equal(pthread_join(thread, NULL), 0);
                close_fd(p.sock);
                harness_start(f.h, "registry", NULL);
                check_consistent(hex);
                a = registry_fixture_promote(&f, &p.spec, p.fd); /* the source is as it was */
                if (!a.ok)
                        fail_msg("%s %s", a.code, a.message);
                assert_false(a.duplicate);
                check_consistent(hex);
                close_fd(p.fd);
        }
}

static void expect_refused_start(const char *reason) {
        assert_true(harness_try_start(f.h, "registry", NULL) != 0);
        if (!strstr(harness_stderr(f.h, "registry"), reason))
                fail_msg("expected %s; it said:\n%s", reason, harness_stderr(f.h, "registry"));
}

static void run_sql(const char *sql) {
        char path[512];
        sqlite3 *db;

        (void)snprintf(path, sizeof path, "%s/manifest.db", harness_state_path(f.h, "registry"));
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_an_older_manifest_or_head_is_noticed(void **state) {
        struct buf old_db, old_head, db, head;
        unsigned models;

        add_text("v1.gguf", "version one");
        (void)harness_stop(f.h, "registry");
        old_db = get_file("manifest.db");
        old_head = get_file("head.json");
        harness_start(f.h, "registry", NULL);
        add_text("v2.gguf", "version two");
        add_text("v3.gguf", "version three");
        models = registry_fixture_count(&f);
        (void)harness_stop(f.h, "registry");
        db = get_file("manifest.db");
        head = get_file("head.json");

        put_file("manifest.db", &old_db);
        expect_refused_start("manifest_rolled_back");
        put_file("manifest.db", &db);
        put_file("head.json", &old_head);
        expect_refused_start("head.json is older");
        put_file("manifest.db", &old_db); /* both: they fit together, but the audit log has seen more */
        expect_refused_start("but the audit log has seen version");
        drop_file("manifest.db");
        put_file("head.json", &head);
        expect_refused_start("manifest.db is new");
        put_file("manifest.db", &db);
        harness_start(f.h, "registry", NULL);
        assert_int_equal(registry_fixture_count(&f), models);
        buf_done(&old_db);
        buf_done(&old_head);
        buf_done(&db);
        buf_done(&head);
}

static void test_without_the_audit_log_what_is_there_is_still_served(void **state) {
        struct channel_answer a = add_text("served.gguf", "served");

        (void)harness_stop(f.h, "registry");
        (void)harness_stop(f.h, "audit");
        close_fd(harness_take_socket(f.h, "audit", "http-unix")); /* nobody listens any more */
        harness_start(f.h, "registry", NULL);
        assert_non_null(strstr(harness_stderr(f.h, "registry"), "manifest_unwitnessed"));
        expect_call("ui", "GET", a.sha256, "", 200, NULL);
        expect_call("ui", "DELETE", a.sha256, "", 503, "audit_unavailable");
}

static void test_a_changed_manifest_is_noticed(void **state) {
        static const struct {
                const char *name, *sql, *drop;
        } cases[] = {
                {"row changed", "UPDATE model SET source = 'url' WHERE name = 'v1.gguf'", NULL},
                {"row removed", "PRAGMA foreign_keys=ON; DELETE FROM model WHERE name = 'v1.gguf'", NULL},
                {"row renamed", "UPDATE model SET name = 'v9.gguf' WHERE name = 'v1.gguf'", NULL},
                {"head removed", "DELETE FROM head", NULL},
                {"head changed", "UPDATE head SET text = replace(text, '\"version\":', '\"version\":1')",
                 NULL},
                {"head.json removed", NULL, "head.json"},
                {"key removed", NULL, "registry.key"},
        };
        struct buf db, head, key;

        (void)harness_stop(f.h, "registry");
        db = get_file("manifest.db");
        head = get_file("head.json");
        key = get_file("registry.key");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                if (cases[i].sql)
                        run_sql(cases[i].sql);
                if (cases[i].drop)
                        drop_file(cases[i].drop);
                if (harness_try_start(f.h, "registry", NULL) == 0)
                        fail_msg("%s was not noticed", cases[i].name);
                put_file("manifest.db", &db);
                put_file("head.json", &head);
                put_file("registry.key", &key);
        }
        assert_non_null(strstr(harness_stderr(f.h, "registry"), "manifest_tampered"));
        harness_start(f.h, "registry", NULL);
        buf_done(&db);
        buf_done(&head);
        buf_done(&key);
}

static void test_an_owner_can_accept_what_is_there(void **state) {
        const char *const arguments[] = {"--accept-manifest", "--state", harness_state_path(f.h, "registry"),
                                         NULL};
        unsigned models = registry_fixture_count(&f);
        struct buf output = BUF_INIT((size_t)1 << 20);

        assert_int_not_equal(harness_run(f.h, "registry", arguments, NULL),
                             0); /* not beside a running service */
        (void)harness_stop(f.h, "registry");
        run_sql("PRAGMA foreign_keys=ON; DELETE FROM model WHERE name = 'v1.gguf'");
        expect_refused_start("manifest_tampered");
        assert_int_equal(harness_run(f.h, "registry", arguments, &output), 0);
        harness_start(f.h, "registry", NULL);
        assert_int_equal(registry_fixture_count(&f), models - 1);
        buf_done(&output);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_loaded_model_is_not_deleted),
                cmocka_unit_test(test_a_deleted_model_can_be_promoted_again_by_the_same_job),
                cmocka_unit_test(test_routes_are_for_those_who_are_listed),
                cmocka_unit_test(test_damage_is_found_recorded_and_kept_from_being_opened),
                cmocka_unit_test(test_a_missing_file_and_an_orphan_are_put_in_order_at_start),
                cmocka_unit_test(test_an_older_manifest_or_head_is_noticed),
                cmocka_unit_test(test_a_changed_manifest_is_noticed),
                cmocka_unit_test(test_an_owner_can_accept_what_is_there),
                cmocka_unit_test(test_killed_at_any_point_it_has_the_model_wholly_or_not),
                cmocka_unit_test(test_the_blocklist_refuses_and_is_read_again_when_it_changes),
                cmocka_unit_test(
                        test_without_the_audit_log_what_is_there_is_still_served), /* the last: no way back */
        };

        return cmocka_run_group_tests(tests, make, drop);
}
