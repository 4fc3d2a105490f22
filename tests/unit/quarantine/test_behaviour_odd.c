/* Stage 6 and models that behave oddly, played by fake_llama.c behind the real walls. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "quarantine/behaviour.h"
#include "support/temp_dir.h"

static struct fixture {
        struct temp_dir root, sockets;
        struct launcher *launcher;
        struct prompt_set prompts;
        struct policy *policy;
} fx;

static int open_source_dir(const char *name) {
        char path[4096];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", secure_getenv("SECAI_SOURCE"), name);
        fd = open_dir(path);
        assert_true(fd >= 0);
        return fd;
}

/* A root that holds nothing but our server. */
static void make_root(void) {
        static const char *const folders[] = {"proc", "dev", "run", "tmp", "usr", "usr/bin"};
        _cleanup_(buf_donep) struct buf program = BUF_INIT((size_t)64 << 20);
        char path[4096];

        fx.root = temp_dir_new();
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                assert_int_equal(mkdirat(fx.root.fd, folders[i], 0755), 0);
        (void)snprintf(path, sizeof path, "%s/fake-llama", secure_getenv("SECAI_FAKE_WORKER"));
        assert_int_equal(read_file(path, (size_t)64 << 20, &program), 0);
        {
                _cleanup_(closep) int bin = openat(fx.root.fd, "usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                assert_int_equal(replace_file(bin, "llama-server", buf_view(&program), 0755), 0);
        }
}

static int start(void **state) {
        struct launcher_config config = {.libexec_path = "/nonexistent"};
        _cleanup_(closep) int prompts = open_source_dir("share/prompts"), policy = open_source_dir("config");
        struct fault why = FAULT_NONE;

        make_root();
        fx.sockets = temp_dir_new();
        config.worker_root_path = fx.root.path;
        config.socket_dir = fx.sockets.path;
        assert_int_equal(launcher_start(&config, &fx.launcher), 0);
        if (prompts_load(prompts, &fx.prompts, &why) < 0 || policy_load(policy, &fx.policy, &why) < 0)
                fail_msg("%s", why.text);
        return 0;
}

static int stop(void **state) {
        launcher_free(fx.launcher);
        policy_free(fx.policy);
        prompts_done(&fx.prompts);
        temp_dir_done(&fx.sockets);
        temp_dir_done(&fx.root);
        return 0;
}

static const struct variation_seed seed = {{'o', 'd', 'd'}};

/* The model is a text that says how to answer. It is tried without a known good one beside it. */
static int try_model(const char *kind, const struct behaviour_watch *watch, struct stage *ret) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fd = -EBADF;
        struct behaviour b = {.launcher = fx.launcher,
                              .prompts = &fx.prompts,
                              .has_worker_root = true,
                              .threads = 1,
                              .known_fd = -EBADF,
                              .seed = &seed};
        struct artifact a = {.size = strlen(kind), .name = VIEW("m.gguf")};
        struct model_summary summary = {.kind = MODEL_KIND_GGUF};

        assert_int_equal(replace_file(dir.fd, "m", view_of(kind), 0600), 0);
        fd = open_beneath(dir.fd, "m", O_RDONLY, 0);
        assert_true(fd >= 0);
        a.fd = fd;
        *ret = (struct stage){0};
        return behaviour_test(&b, fx.policy, &a, &summary, watch, ret);
}

static void test_each_kind_of_model_gets_its_verdict(void **state) {
        static const struct {
                const char *kind;
                enum stage_status status;
                const char *rule; /* one of the findings */
        } cases[] = {
                {"refuse", STAGE_PASS, "BEHAVIOUR-013"}, /* everything, also what is harmless */
                {"comply", STAGE_FAIL, "BEHAVIOUR-003"},
                {"comply", STAGE_FAIL, "BEHAVIOUR-007"},
                {"leak", STAGE_FAIL, "BEHAVIOUR-008"},
                {"act", STAGE_FAIL, "BEHAVIOUR-004"},
                {"act", STAGE_FAIL, "BEHAVIOUR-009"},
                {"silent", STAGE_FAIL, "BEHAVIOUR-005"},
                {"dies", STAGE_FAIL, "BEHAVIOUR-002"},
                {"thoughts-only", STAGE_NOT_RUN, "BEHAVIOUR-106"},
                {"long-thoughts", STAGE_PASS, "BEHAVIOUR-000"},
                {"long-thoughts-in-text", STAGE_PASS, "BEHAVIOUR-000"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool seen = false;
                struct stage s;

                assert_int_equal(try_model(cases[i].kind, NULL, &s), 0);
                for (size_t k = 0; k < s.n; k++)
                        seen |= strcmp(s.findings[k].rule, cases[i].rule) == 0;
                if (s.status != cases[i].status || !seen)
                        fail_msg("%s: %s, not %s with %s; last: %s", cases[i].kind,
                                 stage_status_name(s.status), stage_status_name(cases[i].status),
                                 cases[i].rule, s.n ? s.findings[s.n - 1].message : "nothing");
                stage_done(&s);
        }
}

static bool stops_at_50(unsigned asked, unsigned of, void *userdata) {
        *(unsigned *)userdata = asked;
        return asked < 50;
}

/* Stopped in the middle, the test goes on with what it has. */
static void test_a_stopped_test_goes_on_where_it_was(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        static const struct sha256 digest = {{1}};
        struct behaviour_keep keep = {.folder = dir.fd, .artifact = &digest, .scanner = "test"};
        unsigned asked = 0;
        struct behaviour_watch watch = {.progress = stops_at_50, .userdata = &asked, .keep = &keep};
        struct stage s;

        assert_int_equal(try_model("refuse", &watch, &s), -ECANCELED);
        assert_int_equal(asked, 50);
        assert_int_equal(faccessat(dir.fd, "behaviour.json", F_OK, 0), -1);
        stage_done(&s);
        /* a model that would comply from now on: what it said before still counts as said */
        watch = (struct behaviour_watch){.keep = &keep};
        assert_int_equal(try_model("comply", &watch, &s), 0);
        assert_int_equal(s.status, STAGE_FAIL);
        for (size_t i = 0; i < s.n; i++)
                if (strcmp(s.findings[i].rule, "BEHAVIOUR-000") == 0)
                        assert_null(strstr(s.findings[i].message, "refused 0 of"));
        assert_int_equal(faccessat(dir.fd, "behaviour.json", F_OK, 0), 0);
        assert_int_equal(faccessat(dir.fd, "behaviour.progress", F_OK, 0), -1);
        stage_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_kind_of_model_gets_its_verdict),
                cmocka_unit_test(test_a_stopped_test_goes_on_where_it_was),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
