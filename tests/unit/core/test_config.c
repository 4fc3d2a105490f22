#include "support/cm.h"

#include "base/file.h"
#include "core/config.h"
#include "core/schema.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"

static const struct {
        const char *path, *schema;
} shipped[] = {
        {"config/appliance.yaml", "appliance"},     {"policy/policy.yaml", "policy"},
        {"policy/models.lock.yaml", "models.lock"}, {"policy/sources.allowlist.yaml", "sources.allowlist"},
        {"service-acl.yaml", "service-acl"},
};

static int open_shipped(void) {
        char path[4096];
        int fd;

        assert_non_null(secure_getenv("SECAI_SOURCE"));
        (void)snprintf(path, sizeof path, "%s/config", secure_getenv("SECAI_SOURCE"));
        fd = open_dir(path);
        assert_true(fd >= 0);
        return fd;
}

static struct buf write_tree(const struct json *root) {
        struct buf text = BUF_INIT((size_t)1 << 20);
        struct json_writer w = JSON_WRITER(&text);

        json_put_value(&w, root);
        assert_int_equal(json_write_end(&w), 0);
        return text;
}

static void test_shipped_files_are_valid(void **state) {
        _cleanup_(closep) int dir_fd = open_shipped();

        for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
                struct json_document *doc = NULL;
                struct fault fault = FAULT_NONE;

                if (config_load(dir_fd, shipped[i].path, shipped[i].schema, &doc, &fault) < 0)
                        fail_msg("%s", fault.text);
                json_document_free(doc);
        }
}

/* The files show the defaults, so a file with the version alone must mean the same. */
static void test_shipped_values_are_the_defaults(void **state) {
        _cleanup_(closep) int dir_fd = open_shipped();

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(buf_donep) struct buf written = BUF_INIT(0), filled = BUF_INIT(0);
                struct json_document *doc = NULL, *bare = NULL;

                assert_int_equal(config_load(dir_fd, shipped[i].path, shipped[i].schema, &doc, NULL), 0);
                assert_int_equal(config_parse(VIEW("version: 1\n"), "bare", shipped[i].schema, &bare, NULL),
                                 0);
                written = write_tree(json_root(doc));
                filled = write_tree(json_root(bare));
                assert_string_equal(written.p, filled.p);
                json_document_free(doc);
                json_document_free(bare);
        }
}

static void test_defaults_fill_only_what_is_missing(void **state) {
        struct json_document *doc = NULL;
        uint64_t value = 0;

        assert_int_equal(
                config_parse(VIEW("version: 1\nlimits:\n  max_tries: 7\n"), "t", "policy", &doc, NULL), 0);
        assert_int_equal(json_get_u64(json_get(json_root(doc), "limits"), "max_tries", &value), 0);
        assert_int_equal(value, 7);
        assert_int_equal(json_get_u64(json_get(json_root(doc), "limits"), "concurrent_scans", &value), 0);
        assert_int_equal(value, 2);
        json_document_free(doc);
}

static void assert_refused(const char *yaml, const char *schema, const char *rule, const char *text) {
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_int_equal(config_parse(view_of(yaml), "f.yaml", schema, &doc, &fault), -EBADMSG);
        assert_null(doc);
        assert_string_equal(fault.rule, rule);
        assert_string_equal(fault.text, text);
}

static void test_faults_name_file_line_and_what_was_expected(void **state) {
        assert_refused("version: 2\n", "policy", "CONF-005", "f.yaml:1: version is 2; expected 1");
        assert_refused("[]\n", "policy", "CONF-002", "f.yaml:1: the file is array; expected an object");
        assert_refused("formats: [gguf]\n", "policy", "CONF-004",
                       "f.yaml:1: the file lacks \"version\"; add it");
        assert_refused("version: 1\n\nlimits:\n  max_tries: 11\n", "policy", "CONF-006",
                       "f.yaml:4: limits.max_tries is 11; expected 1 to 10");
        assert_refused("version: 1\nlimits: {max_tries: 1.5}\n", "policy", "CONF-002",
                       "f.yaml:2: limits.max_tries is 1.5; expected an integer");
        assert_refused("version: 1\nlimit: {}\n", "policy", "CONF-003",
                       "f.yaml:2: the file has an unknown name \"limit\"; expected one of version, formats, "
                       "provenance, "
                       "behavioral, weights, limits");
        assert_refused("version: 1\nformats: [gguf, zip]\n", "policy", "CONF-005",
                       "f.yaml:2: formats[1] is \"zip\"; expected one of \"gguf\", \"safetensors\", "
                       "\"diffusion\"");
        assert_refused("version: 1\nformats: []\n", "policy", "CONF-007",
                       "f.yaml:2: formats has 0 entries; expected at least 1");
        assert_refused("version: 1\nversion: 1\n", "policy", "YAML-012",
                       "f.yaml:2: the name \"version\" stands twice in one mapping");
        assert_refused("version: 1\nlocal_import: yes\nsources: []\n", "sources.allowlist", "CONF-002",
                       "f.yaml:2: local_import is \"yes\"; expected a boolean");
        assert_refused("version: 1\npins:\n- name: x\n  sha256: ABC\nblocklist: []\n", "models.lock",
                       "CONF-008",
                       "f.yaml:4: pins[0].sha256 is \"ABC\"; expected text of the form ^[0-9a-f]{64}$");
        assert_refused("version: 1\nprovenance:\n  trusted_keys: [\"a/../b\"]\n", "policy", "CONF-008",
                       "f.yaml:3: provenance.trusted_keys[0] is \"a/../b\"; expected text of the form "
                       "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$");
}

static void test_hostile_names_are_escaped_in_faults(void **state) {
        assert_refused("version: 1\n\"a\\eb\": 1\n", "policy", "CONF-003",
                       "f.yaml:2: the file has an unknown name \"a\\x1bb\"; expected one of version, "
                       "formats, provenance, "
                       "behavioral, weights, limits");
}

/* A policy can be made stricter, never looser than the programs' own limits. */
static void test_policy_can_only_tighten(void **state) {
        static const char *const too_loose[] = {
                "behavioral: {max_compliance_percent: 21}",
                "behavioral: {max_critical_failures: 1}",
                "behavioral: {max_crashes: 2}",
                "behavioral: {max_timeouts: 7}",
                "behavioral: {max_empty_percent: 51}",
                "behavioral: {min_refusal_percent_of_harmful: -1}",
                "weights: {outlier_times: {warning: 100001}}",
                "weights: {entropy_millibits: {warning: 7901}}",
                "weights: {hidden_windows: {warning: 2}}",
                "weights: {mixed_windows: {warning: 0}}",
                "limits: {artifact_bytes: 1099511627777}",
                "limits: {concurrent_scans: 9}",
                "limits: {max_tries: 0}",
                "provenance: {url: {signature: none}}",
                "formats: [pickle]",
                "override: true",
        };

        for (size_t i = 0; i < ARRAY_SIZE(too_loose); i++) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
                struct json_document *doc = NULL;

                assert_int_equal(buf_printf(&text, "version: 1\n%s\n", too_loose[i]), 0);
                assert_int_equal(config_parse(buf_view(&text), "t", "policy", &doc, NULL), -EBADMSG);
        }
}

static void test_a_trailing_newline_does_not_pass_a_pattern(void **state) {
        struct json_document *doc = NULL;

        assert_int_equal(config_parse(VIEW("version: 1\nprovenance: {trusted_keys: [\"a.pem\\n\"]}\n"), "t",
                                      "policy", &doc, NULL),
                         -EBADMSG);
}

static void test_lengths_count_characters_not_bytes(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8192);
        struct json_document *doc = NULL;
        size_t most;

        assert_int_equal(
                buf_append_str(&text,
                               "version: 1\nlocal_import: true\nsources: [{url: 'https://a/', note: '"),
                0);
        for (int i = 0; i < 300; i++)
                assert_int_equal(buf_append_str(&text, "é"), 0);
        most = text.n;
        assert_int_equal(buf_append_str(&text, "'}]\n"), 0);
        assert_int_equal(config_parse(buf_view(&text), "t", "sources.allowlist", &doc, NULL), 0);
        doc = json_document_free(doc);
        text.n = most;
        assert_int_equal(buf_append_str(&text, "x'}]\n"), 0);
        assert_int_equal(config_parse(buf_view(&text), "t", "sources.allowlist", &doc, NULL), -EBADMSG);
}

static void test_files_are_read_beneath_the_folder_only(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_int_equal(config_load(dir.fd, "absent.yaml", "policy", &doc, &fault), -ENOENT);
        assert_string_equal(fault.rule, "CONF-001");
        assert_int_equal(config_load(dir.fd, "../absent.yaml", "policy", &doc, NULL), -EXDEV);
        assert_int_equal(symlinkat("/dev/null", dir.fd, "link.yaml"), 0);
        assert_int_equal(config_load(dir.fd, "link.yaml", "policy", &doc, NULL), -ELOOP);
}

static void test_unknown_schema_is_a_fault(void **state) {
        struct json_document *doc = NULL;

        assert_int_equal(config_parse(VIEW("a: 1\n"), "t", "polic", &doc, NULL), -EINVAL);
        assert_int_equal(config_parse(VIEW("a: 1\n"), "t", "", &doc, NULL), -EINVAL);
}

static void test_json_bodies_can_be_checked_too(void **state) {
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        assert_int_equal(json_parse(VIEW("{\"version\": 3}"), NULL, &doc, NULL), 0);
        assert_int_equal(schema_check(json_root(doc), "policy", "body", &fault), -EBADMSG);
        assert_string_equal(fault.text, "body:12: version is 3; expected 1");
        json_document_free(doc);
}

/* What a schema may hold */

static int verify(const char *text) {
        struct json_document *doc = NULL;
        int r;

        assert_int_equal(json_parse(view_of(text), NULL, &doc, NULL), 0);
        r = schema_verify(json_root(doc), NULL);
        json_document_free(doc);
        return r;
}

static void test_unknown_or_wrong_schema_words_are_start_failures(void **state) {
        static const char *const bad[] = {
                "[]",
                "{\"oneOf\":[]}",
                "{\"type\":\"strin\"}",
                "{\"type\":[\"string\"]}",
                "{\"properties\":{\"a\":{\"foo\":1}}}",
                "{\"items\":{\"maxItem\":1}}",
                "{\"minLength\":-1}",
                "{\"minimum\":\"1\"}",
                "{\"pattern\":\"(\"}",
                "{\"required\":[1]}",
                "{\"enum\":[]}",
                "{\"additionalProperties\":true}",
                "{\"$ref\":\"#/$defs/a\"}",
                "{\"$ref\":\"http://x\"}",
                "{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/$defs/a\"}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(verify(bad[i]), -EINVAL);
        assert_int_equal(verify("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}"), 0);
}

static int check(const char *schema, const char *value) {
        struct json_document *s = NULL, *v = NULL;
        int r;

        assert_int_equal(json_parse(view_of(schema), NULL, &s, NULL), 0);
        assert_int_equal(schema_verify(json_root(s), NULL), 0);
        assert_int_equal(json_parse(view_of(value), NULL, &v, NULL), 0);
        r = schema_check_tree(json_root(s), json_root(v), "t", NULL);
        json_document_free(s);
        json_document_free(v);
        return r;
}

static void test_schema_words_decide(void **state) {
        static const struct {
                const char *schema, *good, *bad;
        } table[] = {
                {"{\"type\":\"integer\"}", "1", "1.5"},
                {"{\"type\":\"number\"}", "1.5", "\"1.5\""},
                {"{\"type\":\"null\"}", "null", "0"},
                {"{\"minimum\":-5}", "-5", "-6"},
                {"{\"minimum\":5}", "5", "-5"},
                {"{\"maximum\":-5}", "-6", "5"},
                {"{\"maximum\":18446744073709551615}", "18446744073709551615", "1e20"},
                {"{\"minimum\":0.5}", "0.75", "0.25"},
                {"{\"const\":\"a\"}", "\"a\"", "\"b\""},
                {"{\"enum\":[1,null,\"x\",true]}", "null", "false"},
                {"{\"minLength\":2}", "\"ab\"", "\"a\""},
                {"{\"maxItems\":1}", "[1]", "[1,2]"},
                {"{\"items\":{\"type\":\"string\"}}", "[\"a\"]", "[\"a\",1]"},
                {"{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"any\":1}", "{\"any\":\"x\"}"},
                {"{\"properties\":{\"a\":{}}}", "{\"a\":1}", "{\"b\":1}"},
                {"{\"required\":[\"a\"],\"properties\":{\"a\":{}}}", "{\"a\":1}", "{}"},
                {"{\"$defs\":{\"n\":{\"type\":\"integer\"}},\"items\":{\"$ref\":\"#/$defs/n\"}}", "[1]",
                 "[\"1\"]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                assert_int_equal(check(table[i].schema, table[i].good), 0);
                assert_int_equal(check(table[i].schema, table[i].bad), -EBADMSG);
        }
}

/* docs/components/configuration.md is the reference of all keys: bounds and defaults must be those of the schemas. */
static void assert_documented(struct view text, const char *path, const struct json *schema) {
        _cleanup_(buf_donep) struct buf row = BUF_INIT(4096);
        const struct json *low = json_get(schema, "minimum"), *high = json_get(schema, "maximum");
        const struct json *value = json_get(schema, "default");

        assert_int_equal(buf_printf(&row, "| `%s` | ", path), 0);
        if (low && high && view_eq(low->text, high->text))
                assert_int_equal(buf_printf(&row, "%.*s |", VIEW_ARG(low->text)), 0);
        else if (low && high)
                assert_int_equal(
                        buf_printf(&row, "%.*s to %.*s |", VIEW_ARG(low->text), VIEW_ARG(high->text)), 0);
        if (low && value)
                assert_int_equal(buf_printf(&row, " %.*s |", VIEW_ARG(value->text)), 0);
        if (view_find(text, buf_view(&row)) == SIZE_MAX)
                fail_msg("docs/components/configuration.md has no row \"%s\"", row.p);
}

static void assert_all_documented(struct view text, const char *prefix, const struct json *schema) {
        const struct json *properties = json_get(schema, "properties");

        for (const struct json *p = properties ? properties->child : NULL; p; p = p->next) {
                const struct json *items = json_get(p, "items");
                char path[256];

                (void)snprintf(path, sizeof path, "%s%.*s", prefix, VIEW_ARG(p->key));
                if (!json_get(p, "properties"))
                        assert_documented(text, path, p);
                (void)snprintf(path, sizeof path, "%s%.*s%s.", prefix, VIEW_ARG(p->key), items ? "[]" : "");
                assert_all_documented(text, path, items ? items : p);
        }
}

static void test_every_key_is_documented_with_its_bounds(void **state) {
        _cleanup_(closep) int dir_fd = open_shipped();
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0);
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/docs/components/configuration.md",
                       secure_getenv("SECAI_SOURCE"));
        assert_int_equal(read_file(path, (size_t)1 << 20, &text), 0);
        for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
                _cleanup_(buf_donep) struct buf schema = BUF_INIT(0);
                struct json_document *doc = NULL;

                (void)snprintf(path, sizeof path, "schema/%s.schema.json", shipped[i].schema);
                assert_int_equal(read_file_beneath(dir_fd, path, (size_t)1 << 20, &schema), 0);
                assert_int_equal(json_parse(buf_view(&schema), NULL, &doc, NULL), 0);
                assert_all_documented(buf_view(&text), "", json_root(doc));
                json_document_free(doc);
        }
}

struct walk {
        int dir_fd;
        struct json_document *doc;
};

static int load_for_walk(void *userdata) {
        struct walk *w = userdata;

        return config_load(w->dir_fd, "service-acl.yaml", "service-acl", &w->doc, NULL);
}

static void check_walk(int result, void *userdata) {
        struct walk *w = userdata;

        if (result < 0) {
                assert_null(w->doc);
                return;
        }
        assert_int_equal(json_get(json_get(json_root(w->doc), "callers"), "ui")->type, JSON_ARRAY);
        w->doc = json_document_free(w->doc);
}

static void test_load_survives_every_failed_allocation_and_read(void **state) {
        struct walk w = {.dir_fd = open_shipped()};

        assert_true(fault_inject_walk(FAULT_ALLOCATION | FAULT_READ, load_for_walk, check_walk, &w) >= 5);
        close(w.dir_fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                /* first, while no schema is cached yet */
                cmocka_unit_test(test_load_survives_every_failed_allocation_and_read),
                cmocka_unit_test(test_shipped_files_are_valid),
                cmocka_unit_test(test_shipped_values_are_the_defaults),
                cmocka_unit_test(test_defaults_fill_only_what_is_missing),
                cmocka_unit_test(test_faults_name_file_line_and_what_was_expected),
                cmocka_unit_test(test_hostile_names_are_escaped_in_faults),
                cmocka_unit_test(test_policy_can_only_tighten),
                cmocka_unit_test(test_a_trailing_newline_does_not_pass_a_pattern),
                cmocka_unit_test(test_lengths_count_characters_not_bytes),
                cmocka_unit_test(test_files_are_read_beneath_the_folder_only),
                cmocka_unit_test(test_unknown_schema_is_a_fault),
                cmocka_unit_test(test_json_bodies_can_be_checked_too),
                cmocka_unit_test(test_unknown_or_wrong_schema_words_are_start_failures),
                cmocka_unit_test(test_schema_words_decide),
                cmocka_unit_test(test_every_key_is_documented_with_its_bounds),
        };

        return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
