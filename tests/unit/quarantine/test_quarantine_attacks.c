/* tests/attacks/quarantine/payloads.txt against the shipped program. */
#include "rig.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/num.h"
#include "support/temp_dir.h"

#define TENSOR_BYTES ((size_t)700000)
#define HEADER_BYTES ((size_t)120)
#define PIECE_BYTES  ((size_t)256 << 10)

static const char *digits = "0123456789abcdef";

static unsigned hex_digit(char c) {
        const char *at = strchr(digits, c);

        assert_true(c && at);
        return (unsigned)(at - digits);
}

/* Undoes the escapes of payloads.txt. */
static void read_payload(struct view v, struct buf *out) {
        while (v.n > 0) {
                char c = v.p[0];
                size_t used = 1, times = 1, end;

                if (c == '\\' && v.n >= 2) {
                        used = v.p[1] == 'x' ? 4 : 2;
                        assert_true(v.n >= used);
                        c = v.p[1] == 'x'   ? (char)(hex_digit(v.p[2]) << 4 | hex_digit(v.p[3]))
                            : v.p[1] == 'n' ? '\n'
                            : v.p[1] == 't' ? '\t'
                                            : '\\';
                }
                v = view_sub(v, used, SIZE_MAX);
                end = view_find_char(v, '>');
                if (v.n >= 3 && v.p[0] == '<' && end != SIZE_MAX && end <= 4) {
                        uint64_t n;

                        if (u64_parse(view_sub(v, 1, end - 1), 10000, &n) == 0) {
                                times = (size_t)n;
                                v = view_sub(v, end + 1, SIZE_MAX);
                        }
                }
                for (size_t i = 0; i < times; i++)
                        assert_int_equal(buf_append_char(out, c), 0);
        }
}

static void write_model(int dir, const char *name, struct view payload, size_t at) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT((size_t)2 << 20);
        char head[HEADER_BYTES + 1];
        uint64_t n = HEADER_BYTES;

        (void)snprintf(head, sizeof head, "%-120s",
                       "{\"w\":{\"dtype\":\"U8\",\"shape\":[700000],\"data_offsets\":[0,700000]}}");
        assert_int_equal(buf_append(&b, &n, sizeof n), 0);
        assert_int_equal(buf_append(&b, head, HEADER_BYTES), 0);
        for (size_t i = 0; i < TENSOR_BYTES; i++)
                assert_int_equal(buf_append_char(&b, (char)(i % 7)), 0);
        if (payload.n > 0)
                memcpy(b.p + at, payload.p, payload.n);
        assert_int_equal(replace_file(dir, name, buf_view(&b), 0644), 0);
}

/* Exit code, and the verdict's text. */
static int scan(struct harness *h, const char *path, struct buf *out) {
        char config[4096];
        int status;

        (void)snprintf(config, sizeof config, "%s/etc/secure-ai", secure_getenv("SECAI_STAGE"));
        {
                const char *arguments[] = {"--scan",   "--json", "--stages", "1-5",
                                           "--config", config,   "--share",  harness_share_path(h),
                                           path,       NULL};

                *out = BUF_INIT((size_t)1 << 20);
                status = harness_run(h, "quarantine", arguments, out);
        }
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void try_payload(struct harness *h, const struct temp_dir *t, struct view name, struct view rule,
                        struct view payload, size_t at) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), wanted = BUF_INIT(256), path = BUF_INIT(256);

        write_model(t->fd, "m.safetensors", payload, at);
        assert_int_equal(buf_printf(&path, "%s/m.safetensors", t->path), 0);
        assert_int_equal(buf_printf(&wanted, "\"rule\":\"%.*s\"", VIEW_ARG(rule)), 0);
        if (scan(h, buf_str(&path), &out) != 1 || view_find(buf_view(&out), buf_view(&wanted)) == SIZE_MAX)
                fail_msg("%.*s at %zu is not refused by %.*s: %s", VIEW_ARG(name), at, VIEW_ARG(rule),
                         buf_str(&out));
}

static void test_every_payload_is_refused_by_its_rule(void **state) {
        struct harness *h = *state;
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);
        struct view rest, line, name, rule;
        char path[4096];
        unsigned cases = 0;

        (void)snprintf(path, sizeof path, "%s/tests/attacks/quarantine/payloads.txt",
                       secure_getenv("SECAI_SOURCE"));
        assert_int_equal(read_file(path, (size_t)1 << 20, &text), 0);
        rest = buf_view(&text);
        while (view_split(&rest, '\n', &line)) {
                _cleanup_(buf_donep) struct buf payload = BUF_INIT(65536);

                assert_true(view_split(&line, '\t', &name) && view_split(&line, '\t', &rule));
                read_payload(line, &payload);
                assert_true(payload.n > 10);
                try_payload(h, &t, name, rule, buf_view(&payload), 100000);
                try_payload(h, &t, name, rule, buf_view(&payload), 2 * PIECE_BYTES - payload.n / 2);
                cases++;
        }
        assert_true(cases >= 25);
}

static void test_the_same_file_without_a_payload_passes(void **state) {
        struct harness *h = *state;
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(256);

        write_model(t.fd, "m.safetensors", VIEW_NULL, 0);
        assert_int_equal(buf_printf(&path, "%s/m.safetensors", t.path), 0);
        if (scan(h, buf_str(&path), &out) != 0)
                fail_msg("%s", buf_str(&out));
        assert_true(view_find(buf_view(&out), VIEW("\"verdict\":\"pass\"")) != SIZE_MAX);
        assert_true(view_find(buf_view(&out), VIEW("SCAN-001")) !=
                    SIZE_MAX); /* it says that it was limited */
}

static void test_exit_codes_keep_the_contract(void **state) {
        struct harness *h = *state;
        _cleanup_(freep) char *good = rig_model_path(GOOD), *bad = rig_model_path(BAD);
        char config[4096];
        const char *root = harness_worker_root_path(h), *share = harness_share_path(h);
        const char *const cases[][14] = {
                {"0", "--scan", "--config", config, "--share", share, "--worker-root", root, good, NULL},
                {"1", "--scan", "--config", config, "--share", share, "--worker-root", root, bad, NULL},
                {"1", "--scan", "--config", config, "--share", share, "--worker-root", root, good, bad, NULL},
                {"0", "--scan", "--config", config, "--share", share, "--stages", "1-5", bad, NULL},
                {"2", "--scan", "--config", config, "--share", share, good,
                 NULL}, /* stage 6 can't run: no pass, no verdict */
                {"2", "--scan", "--config", config, "--share", share, "--stages", "2-5", good, NULL},
                {"2", "--scan", "--config", config, "--share", share, "--stages", "1-8", good, NULL},
                {"0", "--scan", "--config", config, "--share", share, "--sarif", "--stages", "1-5", good,
                 NULL},
                {"1", "--scan", "--config", config, "--share", share, "--sarif", "--worker-root", root, bad,
                 NULL},
                {"2", "--scan", "--config", config, "--share", share, "--sarif", "--json", good, NULL},
                {"2", "--scan", "--config", config, "--share", share, "--sarif", NULL},
                {"2", "--scan", "--config", config, "--share", share, NULL},
                {"2", "--scan", "--config", config, "--share", share, "/no/such/file", NULL},
                {"2", "--scan", "--config", config, "--share", share, "/dev/null", NULL},
                {"2", "--scan", "--config", "/no/such/folder", "--share", share, good, NULL},
                {"2", "--scan", "--unknown", good, NULL},
        };

        (void)snprintf(config, sizeof config, "%s/etc/secure-ai", secure_getenv("SECAI_STAGE"));
        if (!root)
                fail_msg("the sealed worker root is missing");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT((size_t)1 << 20);
                int status = harness_run(h, "quarantine", cases[i] + 1, &out);

                if (!WIFEXITED(status) || WEXITSTATUS(status) != cases[i][0][0] - '0')
                        fail_msg("case %zu: wait status %d, expected exit %s: %s", i, status, cases[i][0],
                                 buf_str(&out));
        }
}

/* Occurrences of `needle`. */
static size_t count(struct view v, struct view needle) {
        size_t n = 0;

        for (size_t i = view_find(v, needle); i != SIZE_MAX; i = view_find(v, needle)) {
                v = view_sub(v, i + 1, SIZE_MAX);
                n++;
        }
        return n;
}

/* tests/attacks/formats: every file at once. The worker, which may not make a system call too many, reads them all. */
static void test_the_locked_worker_looks_into_every_refused_format(void **state) {
        enum { FILES_MAX = 256 };
        struct harness *h = *state;
        static char paths[FILES_MAX][512], config[4096];
        const char *arguments[FILES_MAX + 10] = {"--scan",   "--json", "--stages", "1-5",
                                                 "--config", config,   "--share",  harness_share_path(h)};
        _cleanup_(buf_donep) struct buf table = BUF_INIT(0), out = BUF_INIT((size_t)4 << 20);
        const char *source = secure_getenv("SECAI_SOURCE");
        struct view rest, line, name, rule;
        char path[4096];
        size_t n = 0;

        (void)snprintf(config, sizeof config, "%s/etc/secure-ai", secure_getenv("SECAI_STAGE"));
        (void)snprintf(path, sizeof path, "%s/tests/attacks/formats/expect.txt", source);
        assert_int_equal(read_file(path, (size_t)1 << 20, &table), 0);
        rest = buf_view(&table);
        while (view_split(&rest, '\n', &line)) {
                if (view_starts(line, VIEW("#")) || !view_split(&line, '\t', &name))
                        continue;
                assert_true(n < FILES_MAX);
                (void)snprintf(paths[n], sizeof paths[n], "%s/tests/attacks/formats/files/%.*s", source,
                               VIEW_ARG(name));
                if (n == 0 || strcmp(paths[n], paths[n - 1]) != 0) {
                        arguments[8 + n] = paths[n];
                        n++;
                }
        }
        assert_true(WEXITSTATUS(harness_run(h, "quarantine", arguments, &out)) == 1);
        assert_int_equal(count(buf_view(&out), VIEW("\"verdict\":\"reject\"")), n);
        assert_int_equal(count(buf_view(&out), VIEW("WORKER-")), 0);
        for (rest = buf_view(&table); view_split(&rest, '\n', &line);) {
                if (view_starts(line, VIEW("#")) || !view_split(&line, '\t', &name) ||
                    !view_split(&line, '\t', &rule))
                        continue;
                if (!view_eq_str(rule, "-") && count(buf_view(&out), rule) == 0)
                        fail_msg("%.*s is never stated", VIEW_ARG(rule));
        }
}

static int make_harness(void **state) {
        *state = harness_new();
        return 0;
}

static int drop_harness(void **state) {
        harness_free(*state);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_payload_is_refused_by_its_rule),
                cmocka_unit_test(test_the_same_file_without_a_payload_passes),
                cmocka_unit_test(test_the_locked_worker_looks_into_every_refused_format),
                cmocka_unit_test(test_exit_codes_keep_the_contract),
        };

        return cmocka_run_group_tests(tests, make_harness, drop_harness);
}
