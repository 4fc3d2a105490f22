/* Policy, the stages that look at circumstances, and the verdict over all. */
#include "support/cm.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "core/sig_sign.h"
#include "quarantine/checks.h"
#include "quarantine/report.h"
#include "quarantine/verdict.h"
#include "support/temp_dir.h"

#define MESSAGE "the bytes of a model"

struct fixture {
        struct temp_dir dir;
        int file;
        struct sha256 digest;
};

static void put(int dir, const char *name, const char *text) {
        assert_int_equal(replace_file(dir, name, view_of(text), 0644), 0);
}

static void write_config(int dir, const char *policy, const char *lock, const char *sources) {
        (void)mkdirat(dir, "policy", 0755);
        (void)mkdirat(dir, "keys", 0755);
        {
                _cleanup_(closep) int sub = openat(dir, "policy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                put(sub, "policy.yaml", policy);
                put(sub, "models.lock.yaml", lock);
                put(sub, "sources.allowlist.yaml", sources);
        }
}

#define POLICY  "version: 1\n"
#define LOCK    "version: 1\npins: []\nblocklist: []\n"
#define SOURCES "version: 1\nlocal_import: true\nsources: []\n"

static int make_fixture(void **state) {
        struct fixture *f = calloc(1, sizeof *f);

        assert_non_null(f);
        f->dir = temp_dir_new();
        f->file = memfd_create("model", MFD_CLOEXEC);
        assert_int_equal(write_all(f->file, MESSAGE, strlen(MESSAGE)), 0);
        assert_int_equal(sha256_of(VIEW(MESSAGE), &f->digest), 0);
        *state = f;
        return 0;
}

static int drop_fixture(void **state) {
        struct fixture *f = *state;

        close_fd(f->file);
        temp_dir_done(&f->dir);
        free(f);
        return 0;
}

static struct policy *load(struct fixture *f) {
        struct policy *p = NULL;
        struct fault why = FAULT_NONE;

        if (policy_load(f->dir.fd, &p, &why) < 0)
                fail_msg("%s", why.text);
        return p;
}

static struct artifact artifact_of(const struct fixture *f) {
        return (struct artifact){
                .fd = f->file, .size = strlen(MESSAGE), .name = VIEW("model.gguf"), .source = SOURCE_LOCAL};
}

static void expect(struct stage *s, enum stage_status status, const char *rule) {
        stage_settle(s);
        if (s->status != status)
                fail_msg("%s, not %s (%s)", stage_status_name(s->status), stage_status_name(status),
                         s->n ? s->findings[0].message : "");
        if (rule && (s->n == 0 || strcmp(s->findings[s->n - 1].rule, rule) != 0))
                fail_msg("rule %s, not %s", s->n ? s->findings[s->n - 1].rule : "none", rule);
        stage_done(s);
}

static void test_sources_are_compared_in_one_form(void **state) {
        static const struct {
                const char *url;
                enum stage_status status;
                const char *rule;
        } cases[] = {
                {"https://example.org/models/a.gguf", STAGE_PASS, "SOURCE-004"},
                {"HTTPS://EXAMPLE.ORG:443/models/./a.gguf", STAGE_PASS, "SOURCE-004"},
                {"https://example.org/models/%61.gguf", STAGE_PASS, "SOURCE-004"},
                {"https://example.org/models2/a.gguf", STAGE_FAIL, "SOURCE-003"},
                {"https://example.org/models/../a.gguf", STAGE_FAIL, "SOURCE-003"},
                {"http://example.org/models/a.gguf", STAGE_FAIL, "SOURCE-003"},
                {"https://example.org:444/models/a.gguf", STAGE_FAIL, "SOURCE-003"},
                {"https://example.org.evil.net/models/a.gguf", STAGE_FAIL, "SOURCE-003"},
                {"https://user@example.org/models/a.gguf", STAGE_FAIL, "SOURCE-002"},
                {"https://example.org/models\\a.gguf", STAGE_FAIL, "SOURCE-002"},
                {"file:///etc/passwd", STAGE_FAIL, "SOURCE-002"},
                {"", STAGE_FAIL, "SOURCE-002"},
        };
        struct fixture *f = *state;
        struct artifact a = artifact_of(f);
        struct policy *p;

        write_config(f->dir.fd, POLICY, LOCK,
                     "version: 1\nlocal_import: false\nsources:\n  - url: https://example.org/models\n");
        p = load(f);
        a.source = SOURCE_URL;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct stage s = {0};

                a.url = view_of(cases[i].url);
                assert_int_equal(check_source(p, &a, &s), 0);
                expect(&s, cases[i].status, cases[i].rule);
        }
        for (int k = SOURCE_LOCAL; k <= SOURCE_DEMO; k++) {
                struct stage s = {0};

                a.source = (enum source_kind)k;
                assert_int_equal(check_source(p, &a, &s), 0);
                expect(&s, STAGE_FAIL, "SOURCE-001");
        }
        policy_free(p);
}

static void test_size_and_format_follow_the_policy(void **state) {
        struct fixture *f = *state;
        struct artifact a = artifact_of(f);
        struct model_summary summary = {.kind = MODEL_KIND_SAFETENSORS};
        struct stage s = {0};
        struct policy *p;

        write_config(f->dir.fd, "version: 1\nformats: [gguf]\nlimits:\n  artifact_bytes: 1048576\n", LOCK,
                     SOURCES);
        p = load(f);
        a.size = 1048576;
        assert_int_equal(check_source(p, &a, &s), 0);
        expect(&s, STAGE_PASS, NULL);
        a.size++;
        assert_int_equal(check_source(p, &a, &s), 0);
        expect(&s, STAGE_FAIL, "SOURCE-005");
        assert_int_equal(check_format(p, &summary, &s), 0);
        expect(&s, STAGE_FAIL, "FORMAT-002");
        summary.kind = MODEL_KIND_PICKLE;
        assert_int_equal(check_format(p, &summary, &s), 0);
        expect(&s, STAGE_FAIL, "FORMAT-001");
        summary.kind = MODEL_KIND_GGUF;
        assert_int_equal(check_format(p, &summary, &s), 0);
        expect(&s, STAGE_PASS, NULL);
        policy_free(p);
}

static const struct model_summary no_summary;

static void test_a_pinned_chat_template_must_be_there(void **state) {
        struct fixture *f = *state;
        struct artifact a = artifact_of(f);
        struct model_summary summary = {.has_chat_template = true, .template_sha256 = {0xab}};
        struct stage s = {0};
        struct fault why = FAULT_NONE;
        struct policy *p;

        write_config(f->dir.fd, POLICY,
                     "version: 1\npins:\n  - name: model.gguf\n    chat_template_sha256: "
                     "ab00000000000000000000000000000000000000000000000000000000000000\nblocklist: []\n",
                     SOURCES);
        p = load(f);
        assert_int_equal(check_integrity(p, &a, &f->digest, &summary, NULL, &s), 0);
        expect(&s, STAGE_PASS, "INTEGRITY-005");
        summary.template_sha256[31] = 1;
        assert_int_equal(check_integrity(p, &a, &f->digest, &summary, NULL, &s), 0);
        expect(&s, STAGE_FAIL, "INTEGRITY-004");
        assert_int_equal(check_integrity(p, &a, &f->digest, &no_summary, NULL, &s), 0);
        expect(&s, STAGE_FAIL, "INTEGRITY-004");
        a.name = VIEW("another.gguf");
        assert_int_equal(check_integrity(p, &a, &f->digest, &summary, NULL, &s), 0);
        expect(&s, STAGE_PASS, NULL);
        policy_free(p);
        write_config(f->dir.fd, POLICY, "version: 1\npins:\n  - name: model.gguf\nblocklist: []\n", SOURCES);
        assert_true(policy_load(f->dir.fd, &p, &why) < 0);
        assert_non_null(strstr(why.text, "a pin needs"));
}

static void test_pins_and_blocklist_go_by_digest(void **state) {
        struct fixture *f = *state;
        struct artifact a = artifact_of(f);
        char hex[SHA256_HEX_SIZE], *lock;
        struct stage s = {0};
        struct policy *p;

        sha256_hex(&f->digest, hex);
        assert_true(asprintf(&lock,
                             "version: 1\npins:\n  - name: model.gguf\n    sha256: %s\nblocklist: []\n",
                             hex) > 0);
        write_config(f->dir.fd, POLICY, lock, SOURCES);
        free(lock);
        p = load(f);
        assert_int_equal(check_integrity(p, &a, &f->digest, &no_summary, NULL, &s), 0);
        expect(&s, STAGE_PASS, "INTEGRITY-003");
        {
                struct sha256 other = f->digest;

                other.b[31] ^= 1;
                assert_int_equal(check_integrity(p, &a, &other, &no_summary, NULL, &s), 0);
                expect(&s, STAGE_FAIL, "INTEGRITY-001");
                a.name = VIEW("another.gguf");
                assert_int_equal(check_integrity(p, &a, &other, &no_summary, NULL, &s), 0);
                expect(&s, STAGE_PASS, NULL);
        }
        policy_free(p);
        assert_true(asprintf(&lock,
                             "version: 1\npins: []\nblocklist:\n  - sha256: %s\n    reason: known bad\n",
                             hex) > 0);
        write_config(f->dir.fd, POLICY, lock, SOURCES);
        free(lock);
        p = load(f);
        assert_int_equal(check_integrity(p, &a, &f->digest, &no_summary, NULL, &s), 0);
        expect(&s, STAGE_FAIL, "INTEGRITY-002");
        policy_free(p);
}

static void test_policy_sets_the_limits_for_weights(void **state) {
        struct fixture *f = *state;
        struct policy *p;

        write_config(f->dir.fd,
                     "version: 1\nweights: {outlier_times: {warning: 500, reject: 1000}, repeated_percent: "
                     "{reject: 7}}\n",
                     LOCK, SOURCES);
        p = load(f);
        assert_int_equal(p->weights.outlier_times.warning, 500);
        assert_int_equal(p->weights.outlier_times.reject, 1000);
        assert_int_equal(p->weights.repeated_percent.warning,
                         weights_limits_default.repeated_percent.warning);
        assert_int_equal(p->weights.repeated_percent.reject, 7);
        assert_int_equal(p->weights.hidden_windows.reject, WEIGHTS_NEVER);
        policy_free(p);
}

static void test_a_damaged_file_is_never_an_empty_one(void **state) {
        static const char *const bad[] = {
                "", "version: 2\npins: []\nblocklist: []\n", "version: 1\npins: []\nblocklist: []\nmore: 1\n",
                "version: 1\npins: []\nblocklist:\n  - sha256: short\n    reason: x\n",
                "version: 1\npins: {"};
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct policy *p = NULL;
                struct fault why = FAULT_NONE;

                write_config(f->dir.fd, POLICY, bad[i], SOURCES);
                assert_true(policy_load(f->dir.fd, &p, &why) < 0);
                assert_non_null(strstr(why.text, "models.lock.yaml"));
        }
        write_config(f->dir.fd, POLICY, LOCK, SOURCES);
        assert_int_equal(unlinkat(f->dir.fd, "policy/models.lock.yaml", 0), 0);
        {
                struct policy *p = NULL;
                struct fault why = FAULT_NONE;

                assert_int_equal(policy_load(f->dir.fd, &p, &why), -ENOENT);
        }
}

static void test_the_digest_of_the_policy_follows_every_file(void **state) {
        struct fixture *f = *state;
        struct policy *p;
        char first[SHA256_HEX_SIZE];

        write_config(f->dir.fd, POLICY, LOCK, SOURCES);
        p = load(f);
        memcpy(first, p->digest_hex, sizeof first);
        policy_free(p);
        write_config(f->dir.fd, POLICY "# a remark\n", LOCK, SOURCES);
        p = load(f);
        assert_string_not_equal(first, p->digest_hex);
        policy_free(p);
        write_config(f->dir.fd, POLICY, LOCK, SOURCES "# a remark\n");
        p = load(f);
        assert_string_not_equal(first, p->digest_hex);
        policy_free(p);
}

/* --- signatures --- */

static EVP_PKEY *make_key(bool ed25519) {
        EVP_PKEY *k = ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");

        assert_non_null(k);
        return k;
}

static void put_public(int config_dir, const char *name, EVP_PKEY *k) {
        BIO *b = BIO_new(BIO_s_mem());
        char *text;
        long n;
        _cleanup_(closep) int keys = openat(config_dir, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(PEM_write_bio_PUBKEY(b, k), 1);
        n = BIO_get_mem_data(b, &text);
        assert_int_equal(replace_file(keys, name, view_make(text, (size_t)n), 0644), 0);
        BIO_free(b);
}

static void sign(EVP_PKEY *k, bool ed25519, struct buf *out) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        size_t n = 256;

        *out = BUF_INIT(1024);
        assert_int_equal(buf_reserve(out, n), 0);
        assert_int_equal(EVP_DigestSignInit(c, NULL, ed25519 ? NULL : EVP_sha256(), NULL, k), 1);
        assert_int_equal(EVP_DigestSign(c, (unsigned char *)out->p, &n, (const unsigned char *)MESSAGE,
                                        strlen(MESSAGE)),
                         1);
        out->n = n;
        EVP_MD_CTX_free(c);
}

#define TRUSTING "version: 1\nprovenance:\n  local:\n    signature: %s\n  trusted_keys: [one.pem, two.pem]\n"

static struct policy *load_trusting(struct fixture *f, const char *word, EVP_PKEY *one, EVP_PKEY *two) {
        char *policy;

        assert_true(asprintf(&policy, TRUSTING, word) > 0);
        write_config(f->dir.fd, policy, LOCK, SOURCES);
        free(policy);
        put_public(f->dir.fd, "one.pem", one);
        put_public(f->dir.fd, "two.pem", two);
        return load(f);
}

static void check_signature(struct fixture *f, const struct policy *p, struct view signature,
                            enum stage_status status, const char *rule) {
        struct artifact a = artifact_of(f);
        struct stage s = {0};

        a.signature = signature;
        assert_int_equal(check_provenance(p, &a, &f->digest, NULL, &s), 0);
        expect(&s, status, rule);
}

static void test_signatures_of_trusted_keys_pass_and_all_others_fail(void **state) {
        struct fixture *f = *state;
        EVP_PKEY *ec = make_key(false), *ed = make_key(true), *stranger = make_key(false);
        struct policy *p = load_trusting(f, "optional", ec, ed);

        for (int i = 0; i < 2; i++) {
                struct buf raw, text = BUF_INIT(2048);

                sign(i ? ed : ec, i != 0, &raw);
                assert_int_equal(base64_encode(buf_view(&raw), &text), 0);
                check_signature(f, p, buf_view(&raw), STAGE_PASS, "PROVENANCE-001");
                check_signature(f, p, buf_view(&text), STAGE_PASS, "PROVENANCE-001");
                assert_int_equal(buf_append_char(&text, '\n'), 0);
                check_signature(f, p, buf_view(&text), STAGE_PASS, "PROVENANCE-001");
                raw.p[raw.n / 2] ^= 1;
                check_signature(f, p, buf_view(&raw), STAGE_FAIL, "PROVENANCE-004");
                buf_done(&raw);
                buf_done(&text);
        }
        {
                struct buf raw;

                sign(stranger, false, &raw);
                check_signature(f, p, buf_view(&raw), STAGE_FAIL, "PROVENANCE-004");
                buf_done(&raw);
        }
        check_signature(f, p, VIEW(""), STAGE_FAIL, "PROVENANCE-005");
        check_signature(f, p, VIEW("\n\n"), STAGE_FAIL, "PROVENANCE-005");
        check_signature(f, p, VIEW("not a signature"), STAGE_FAIL, "PROVENANCE-004");
        check_signature(f, p, VIEW_NULL, STAGE_PASS, "PROVENANCE-002");
        policy_free(p);
        p = load_trusting(f, "required", ec, ed);
        check_signature(f, p, VIEW_NULL, STAGE_FAIL, "PROVENANCE-003");
        policy_free(p);
        EVP_PKEY_free(ec);
        EVP_PKEY_free(ed);
        EVP_PKEY_free(stranger);
}

static struct buf bundle_over(const struct sig_signer *signer, struct view message) {
        static const char *const none[] = {NULL};
        struct sig_file file = {.path = (char *)(uintptr_t) "."};
        struct buf payload = BUF_INIT(4096), text = BUF_INIT(16384);

        assert_int_equal(sha256_of(message, &file.digest), 0);
        assert_int_equal(sig_statement_write("m", &file, 1, none, &payload), 0);
        assert_int_equal(sig_signer_bundle(signer, buf_view(&payload), &text), 0);
        buf_done(&payload);
        return text;
}

static void test_a_bundle_counts_like_a_detached_signature(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int keys = open_or_make_dir(f->dir.fd, "keys", 0755);
        _cleanup_(sig_signer_freep) struct sig_signer *signer = NULL;
        struct buf good, wrong, pem = BUF_INIT(4096);
        EVP_PKEY *stranger = make_key(false), *ed = make_key(true);
        struct policy *p;

        assert_int_equal(sig_signer_make(keys, "bundle", true), 0);
        assert_int_equal(sig_signer_load(keys, "bundle", &signer), 0);
        good = bundle_over(signer, VIEW(MESSAGE));
        wrong = bundle_over(signer, VIEW("something else"));
        p = load_trusting(f, "required", stranger, ed);
        check_signature(f, p, buf_view(&good), STAGE_FAIL, "PROVENANCE-016");
        policy_free(p);
        assert_int_equal(sig_signer_public_pem(signer, &pem), 0);
        assert_int_equal(replace_file(keys, "one.pem", buf_view(&pem), 0644), 0);
        p = load(f);
        check_signature(f, p, buf_view(&good), STAGE_PASS, "PROVENANCE-001");
        check_signature(f, p, buf_view(&wrong), STAGE_FAIL, "PROVENANCE-031");
        check_signature(f, p, VIEW("{\"mediaType\":1}"), STAGE_FAIL, "PROVENANCE-011");
        policy_free(p);
        buf_done(&good);
        buf_done(&wrong);
        buf_done(&pem);
        EVP_PKEY_free(stranger);
        EVP_PKEY_free(ed);
}

static void test_a_signature_without_any_trusted_key_counts_as_none(void **state) {
        struct fixture *f = *state;
        struct policy *p;

        write_config(f->dir.fd, POLICY, LOCK, SOURCES);
        p = load(f);
        check_signature(f, p, VIEW("MAYCAQECAQE="), STAGE_PASS, "PROVENANCE-007");
        policy_free(p);
        write_config(f->dir.fd, "version: 1\nprovenance:\n  local:\n    signature: required\n", LOCK,
                     SOURCES);
        p = load(f);
        check_signature(f, p, VIEW("MAYCAQECAQE="), STAGE_FAIL, "PROVENANCE-007");
        policy_free(p);
}

/* --- verdict --- */

static struct verdict passing(void) {
        struct verdict v = {.name = "m.gguf", .is_known = true, .last_stage = STAGES};

        v.summary = (struct model_summary){
                .kind = MODEL_KIND_GGUF, .size = 100, .tensors = 3, .parameters = 7, .architecture = "llama"};
        for (unsigned i = 1; i <= STAGES; i++)
                v.stages[i].status = STAGE_PASS;
        return v;
}

static void test_only_a_complete_verdict_passes(void **state) {
        for (unsigned i = 1; i <= STAGES; i++) {
                struct verdict v = passing();

                assert_true(verdict_is_pass(&v));
                v.stages[i].status = STAGE_NOT_APPLICABLE;
                assert_true(verdict_is_pass(&v));
                v.stages[i].status = STAGE_NOT_RUN;
                assert_false(verdict_is_pass(&v));
                assert_false(verdict_is_reject(&v));
                v.stages[i].status = STAGE_FAIL;
                assert_false(verdict_is_pass(&v));
                assert_true(verdict_is_reject(&v));
        }
        {
                struct verdict v = passing();

                v.is_known = false;
                assert_false(verdict_is_pass(&v));
        }
}

static void test_a_stored_verdict_comes_back_the_same(void **state) {
        _cleanup_(buf_donep) struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20),
                                        table = BUF_INIT(1 << 20);
        struct json_writer w = JSON_WRITER(&first);
        struct verdict v = passing(), back;

        assert_int_equal(stage_say(&v.stages[5], 5, FINDING_REJECT, "TEST-001", "a \"quoted\" \xc3\xa9 text"),
                         0);
        v.stages[5].findings[0].at = 77;
        stage_settle(&v.stages[5]);
        verdict_store(&w, &v);
        assert_int_equal(json_write_end(&w), 0);
        assert_int_equal(verdict_restore(buf_view(&first), &back), 0);
        w = JSON_WRITER(&second);
        verdict_store(&w, &back);
        assert_int_equal(json_write_end(&w), 0);
        assert_string_equal(buf_str(&first), buf_str(&second));
        assert_int_equal(report_write(&back, &table), 0);
        assert_non_null(strstr(buf_str(&table), "REJECTED"));
        for (size_t n = 0; n < first.n; n += 7) { /* no cut text is taken for a verdict */
                struct verdict none;

                assert_true(verdict_restore(view_make(first.p, n), &none) < 0);
        }
        verdict_done(&v);
        verdict_done(&back);
}

static void test_a_message_that_is_cut_stays_text(void **state) {
        struct stage s = {0};
        char longer[400];

        for (size_t i = 0; i + 2 < sizeof longer; i += 2)
                memcpy(longer + i, "\xc3\xa9", 2);
        longer[sizeof longer - 2] = '\0';
        assert_int_equal(stage_say(&s, 2, FINDING_INFO, "TEST-001", "%s", longer), 0);
        assert_int_equal(stage_say(&s, 2, FINDING_INFO, "TEST-001", "x%s", longer), 0);
        for (size_t i = 0; i < s.n; i++)
                assert_int_equal(utf8_first_fault(view_of(s.findings[i].message)), SIZE_MAX);
        stage_done(&s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_fixture, drop_fixture)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_sources_are_compared_in_one_form),
                CASE(test_size_and_format_follow_the_policy),
                CASE(test_pins_and_blocklist_go_by_digest),
                CASE(test_a_pinned_chat_template_must_be_there),
                CASE(test_policy_sets_the_limits_for_weights),
                CASE(test_a_damaged_file_is_never_an_empty_one),
                CASE(test_the_digest_of_the_policy_follows_every_file),
                CASE(test_signatures_of_trusted_keys_pass_and_all_others_fail),
                CASE(test_a_bundle_counts_like_a_detached_signature),
                CASE(test_a_signature_without_any_trusted_key_counts_as_none),
                cmocka_unit_test(test_only_a_complete_verdict_passes),
                cmocka_unit_test(test_a_stored_verdict_comes_back_the_same),
                cmocka_unit_test(test_a_message_that_is_cut_stays_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
