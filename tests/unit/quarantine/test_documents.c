/* Statement and bill of materials: the same bits each time, in the forms that other tools read. */
#include "support/cm.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"
#include "core/sig_intoto.h"
#include "quarantine/documents.h"
#include "support/temp_dir.h"

#define TEXT_MAX ((size_t)64 << 20)
#define VERIFIER "1111111111111111111111111111111111111111111111111111111111111111"

static void say(struct verdict *v, unsigned stage, enum finding_severity severity, const char *rule) {
        assert_int_equal(stage_say(&v->stages[stage], stage, severity, rule, "said of \"it\""), 0);
}

/* A model that passed; stage 7 does not apply. */
static struct verdict passing(void) {
        struct verdict v = {.is_known = true, .last_stage = STAGES};

        (void)snprintf(v.name, sizeof v.name, "%s", "a \"model\" \\u{202e}.gguf");
        (void)snprintf(v.policy_digest, sizeof v.policy_digest, "%064d", 7);
        (void)snprintf(v.scanner, sizeof v.scanner, "secai-scan/0.1.0 rules/abc prompts/def");
        for (size_t i = 0; i < sizeof v.sha256.b; i++)
                v.sha256.b[i] = (uint8_t)i;
        v.summary = (struct model_summary){
                .kind = MODEL_KIND_GGUF,
                .size = 123456,
                .tensors = 12,
                .parameters = 98765,
                .context_length = 4096,
                .format_version = 3,
                .has_chat_template = true,
                .architecture = "llama",
                .name = "Tiny",
                .license = "apache-2.0",
                .quantization = "Q4_K",
        };
        say(&v, 4, FINDING_INFO, "PROVENANCE-002");
        say(&v, 5, FINDING_WARNING, "TEMPLATE-007");
        say(&v, 5, FINDING_WARNING, "TEMPLATE-007");
        for (unsigned i = 1; i < STAGES; i++) {
                stage_settle(&v.stages[i]);
                v.stages[i].msec = 3 * i; /* how long it took is nobody's business in a document */
        }
        v.stages[STAGES].status = STAGE_NOT_APPLICABLE;
        return v;
}

static struct set_listing folder(void) {
        static const char *const paths[] = {"config.json", "model-00001-of-00002.safetensors",
                                            "model-00002-of-00002.safetensors", "tokenizer/merges.txt"};
        struct set_listing s = {0};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct sha256 digest;

                assert_int_equal(sha256_of(view_of(paths[i]), &digest), 0);
                assert_int_equal(set_listing_add(&s, view_of(paths[i]), 100 * i, &digest), 0);
        }
        assert_int_equal(set_listing_sort(&s), 0);
        return s;
}

static void write_both(const struct verdict *v, const struct set_listing *members, struct buf *out) {
        assert_int_equal(document_statement_text(v, members, VERIFIER, out), 0);
        assert_int_equal(buf_append_char(out, '\n'), 0);
        assert_int_equal(document_bom(v, members, out), 0);
        assert_int_equal(buf_append_char(out, '\n'), 0);
}

/* In a process of its own, a moment later. */
static void write_elsewhere(const struct verdict *v, const struct set_listing *members, struct buf *out) {
        int fd = memfd_create("elsewhere", MFD_CLOEXEC), status;
        pid_t child;

        assert_true(fd >= 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);

                (void)setenv("TZ", "Asia/Kathmandu", 1);
                usleep(1200000);
                write_both(v, members, &text);
                _exit(write_all(fd, text.p, text.n) < 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(buf_read_file(out, fd), 0);
        close_fd(fd);
}

static void expect_golden(const char *name, const struct buf *text) {
        _cleanup_(buf_donep) struct buf expected = BUF_INIT(TEXT_MAX);
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/tests/data/documents/%s", secure_getenv("SECAI_SOURCE"), name);
        if (secure_getenv("SECAI_WRITE_GOLDEN")) { /* after a change that is meant */
                FILE *f = fopen(path, "we");

                assert_non_null(f);
                assert_int_equal(fwrite(text->p, 1, text->n, f), text->n);
                assert_int_equal(fclose(f), 0);
        }
        assert_int_equal(read_file(path, TEXT_MAX, &expected), 0);
        if (!view_eq(buf_view(text), buf_view(&expected)))
                fail_msg("not what %s holds:\n%s", name, buf_str(text));
}

static void documents_are_the_same_bits_each_time(void **state) {
        _cleanup_(buf_donep) struct buf one = BUF_INIT(TEXT_MAX), two = BUF_INIT(TEXT_MAX);
        _cleanup_(set_listing_donep) struct set_listing members = folder();
        _cleanup_(verdict_donep) struct verdict v = passing();

        write_both(&v, NULL, &one);
        write_elsewhere(&v, NULL, &two);
        assert_true(view_eq(buf_view(&one), buf_view(&two)));
        expect_golden("file.jsonl", &one);
        buf_clear(&one);
        buf_clear(&two);
        v.summary.kind = MODEL_KIND_SAFETENSORS;
        write_both(&v, &members, &one);
        write_elsewhere(&v, &members, &two);
        assert_true(view_eq(buf_view(&one), buf_view(&two)));
        expect_golden("folder.jsonl", &one);
}

static struct json_document *parse(struct view text) {
        struct json_document *doc = NULL;
        struct fault why = FAULT_NONE;

        if (json_parse(text, NULL, &doc, &why) < 0)
                fail_msg("%s at %llu", why.text, (unsigned long long)why.at);
        return doc;
}

static bool says(const struct json *o, const char *key, const char *expected) {
        return view_eq_str(json_get_view(o, key, VIEW_NULL), expected);
}

static void a_statement_is_signed_and_names_every_file(void **state) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX),
                                        payload = BUF_INIT(TEXT_MAX), pae = BUF_INIT(TEXT_MAX),
                                        signature = BUF_INIT(128), pem = BUF_INIT(4096);
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(signing_key_freep) struct signing_key *key = NULL;
        _cleanup_(public_key_freep) struct public_key *public = NULL;
        _cleanup_(json_document_freep) struct json_document *doc = NULL, *inner = NULL;
        _cleanup_(set_listing_donep) struct set_listing members = folder();
        _cleanup_(verdict_donep) struct verdict v = passing();
        const struct json *one, *predicate, *subject;

        assert_int_equal(signing_key_load(dir.fd, "k", true, &key), 0);
        assert_int_equal(document_statement(&v, &members, key, &out), 0);
        assert_int_equal(document_statement(&v, &members, key, &again), 0);
        assert_true(view_eq(buf_view(&out), buf_view(&again)));
        doc = parse(buf_view(&out));
        assert_true(says(json_root(doc), "payloadType", "application/vnd.in-toto+json"));
        one = json_get_typed(json_root(doc), "signatures", JSON_ARRAY)->child;
        assert_int_equal(base64_decode(json_get_view(json_root(doc), "payload", VIEW_NULL), &payload), 0);
        assert_int_equal(base64_decode(json_get_view(one, "sig", VIEW_NULL), &signature), 0);
        assert_int_equal(sig_pae(buf_view(&payload), &pae), 0);
        assert_int_equal(signing_key_public_pem(key, &pem), 0);
        assert_int_equal(public_key_from_pem(buf_view(&pem), &public, NULL), 0);
        assert_int_equal(public_key_verify(public, buf_view(&pae), buf_view(&signature)), 1);

        inner = parse(buf_view(&payload));
        assert_true(says(json_root(inner), "_type", "https://in-toto.io/Statement/v1"));
        assert_true(says(json_root(inner), "predicateType", "https://slsa.dev/verification_summary/v1"));
        subject = json_get_typed(json_root(inner), "subject", JSON_ARRAY);
        assert_int_equal(subject->count, 1 + members.n);
        assert_true(says(subject->child->next, "name", "config.json"));
        predicate = json_get_typed(json_root(inner), "predicate", JSON_OBJECT);
        assert_true(says(predicate, "verificationResult", "PASSED"));
        assert_true(view_ends(json_get_view(json_get(predicate, "verifier"), "id", VIEW_NULL),
                              json_get_view(one, "keyid", VIEW_NULL)));
}

static void what_failed_is_never_stated_as_passed(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        _cleanup_(verdict_donep) struct verdict v = passing();

        v.stages[6].status = STAGE_NOT_RUN;
        assert_int_equal(document_statement_text(&v, NULL, VERIFIER, &text), 0);
        assert_int_equal(view_find(buf_view(&text), VIEW("PASSED")), SIZE_MAX);
        assert_int_not_equal(view_find(buf_view(&text), VIEW("\"FAILED\"")), SIZE_MAX);
        v.is_known = false;
        assert_int_equal(document_statement_text(&v, NULL, VERIFIER, &text), -EINVAL);
        assert_int_equal(document_bom(&v, NULL, &text), -EINVAL);
}

/* --- what an auditor does with a statement --- */

struct audit {
        struct signing_key *key;
        struct sig_key public;
        struct buf text;
};

static struct audit audit_of(int dir, const char *name, const struct verdict *v,
                             const struct set_listing *members) {
        struct audit a = {.text = BUF_INIT(TEXT_MAX)};
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);

        assert_int_equal(signing_key_load(dir, name, true, &a.key), 0);
        assert_int_equal(signing_key_public_pem(a.key, &pem), 0);
        assert_int_equal(sig_key_from_pem(buf_view(&pem), "evidence.pub", &a.public, NULL), 0);
        assert_int_equal(document_statement(v, members, a.key, &a.text), 0);
        return a;
}

static void audit_done(struct audit *a) {
        signing_key_free(a->key);
        sig_key_done(&a->public);
        buf_done(&a->text);
}

/* "" = believed, and the verdict was pass. */
static void expect_file(struct view text, const struct sig_key *key, const struct sha256 *file,
                        const char *rule) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        _cleanup_(sig_summary_donep) struct sig_summary s = {0};
        struct fault why = FAULT_NONE;
        int r = sig_envelope_read(text, &b, &why);

        if (r >= 0)
                r = sig_summary_read(b, key, &s, &why);
        if (r >= 0)
                r = sig_summary_check_file(&s, file, &why);
        if (strcmp(r < 0 ? (why.rule ? why.rule : "none") : "", rule) != 0)
                fail_msg("%s: %s; expected %s", why.rule, why.text, rule);
}

static void a_statement_verifies_for_its_file_and_key_only(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(verdict_donep) struct verdict v = passing();
        struct audit a = audit_of(dir.fd, "one", &v, NULL), b = audit_of(dir.fd, "two", &v, NULL), bad;
        struct sha256 other = v.sha256;

        other.b[0] ^= 1;
        expect_file(buf_view(&a.text), &a.public, &v.sha256, "");
        expect_file(buf_view(&a.text), &a.public, &other, "PROVENANCE-031");
        expect_file(buf_view(&a.text), &b.public, &v.sha256, "PROVENANCE-016");
        for (size_t i = 0; i < a.text.n; i += 61) { /* any other byte, anywhere */
                char was = a.text.p[i];

                a.text.p[i] = was == 'A' ? 'B' : 'A';
                if (view_find(buf_view(&a.text), VIEW("keyid")) != SIZE_MAX) {
                        _cleanup_(sig_bundle_freep) struct sig_bundle *bundle = NULL;
                        _cleanup_(sig_summary_donep) struct sig_summary s = {0};
                        struct fault why = FAULT_NONE;

                        if (sig_envelope_read(buf_view(&a.text), &bundle, &why) >= 0)
                                assert_true(sig_summary_read(bundle, &a.public, &s, &why) < 0);
                }
                a.text.p[i] = was;
        }
        say(&v, 5, FINDING_REJECT, "YARA-001");
        stage_settle(&v.stages[5]);
        bad = audit_of(dir.fd, "one", &v, NULL);
        expect_file(buf_view(&bad.text), &bad.public, &v.sha256, "PROVENANCE-028");
        audit_done(&a);
        audit_done(&b);
        audit_done(&bad);
}

static void expect_folder(const struct audit *a, int dir, const char *rule) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        _cleanup_(sig_summary_donep) struct sig_summary s = {0};
        struct fault why = FAULT_NONE;
        uint64_t files, bytes;
        int r;

        assert_int_equal(sig_envelope_read(buf_view(&a->text), &b, NULL), 0);
        assert_int_equal(sig_summary_read(b, &a->public, &s, NULL), 0);
        r = sig_summary_check_folder(&s, dir, &files, &bytes, &why);
        if (strcmp(r < 0 ? (why.rule ? why.rule : "none") : "", rule) != 0)
                fail_msg("%s: %s; expected %s", why.rule, why.text, rule);
}

static void a_statement_about_a_folder_names_all_of_it(void **state) {
        static const char *const paths[] = {"config.json", "model-00001-of-00002.safetensors",
                                            "model-00002-of-00002.safetensors", "tokenizer/merges.txt"};
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(set_listing_donep) struct set_listing members = folder();
        _cleanup_(verdict_donep) struct verdict v = passing();
        _cleanup_(closep) int sub = open_or_make_dir(dir.fd, "m", 0755),
                              deep = open_or_make_dir(sub, "tokenizer", 0755);
        struct audit a = audit_of(dir.fd, "one", &v, &members);

        for (size_t i = 0; i + 1 < ARRAY_SIZE(paths); i++) /* folder() takes the path as the content */
                assert_int_equal(replace_file(sub, paths[i], view_of(paths[i]), 0644), 0);
        expect_folder(&a, sub, "PROVENANCE-030");
        assert_int_equal(replace_file(deep, "merges.txt", view_of(paths[3]), 0644), 0);
        expect_folder(&a, sub, "");
        assert_int_equal(replace_file(deep, "extra", VIEW(""), 0644), 0);
        expect_folder(&a, sub, "PROVENANCE-032");
        assert_int_equal(unlinkat(deep, "extra", 0), 0);
        assert_int_equal(replace_file(sub, "config.json", VIEW("{}"), 0644), 0);
        expect_folder(&a, sub, "PROVENANCE-031");
        expect_file(buf_view(&a.text), &a.public, &v.sha256, "PROVENANCE-034");
        audit_done(&a);
}

/* --- what CycloneDX 1.6 wants of the parts that are used here --- */

static bool is_serial(struct view v) {
        static const char form[] = "urn:uuid:hhhhhhhh-hhhh-8hhh-vhhh-hhhhhhhhhhhh";

        if (v.n != sizeof form - 1)
                return false;
        for (size_t i = 9; i < v.n; i++) {
                const char *set = form[i] == 'h' ? "0123456789abcdef" : form[i] == 'v' ? "89ab" : NULL;

                if (set ? !strchr(set, v.p[i]) : v.p[i] != form[i])
                        return false;
        }
        return view_starts(v, VIEW("urn:uuid:"));
}

static void check_members(const struct json *o, const char *const *names) {
        const struct json *m = json_unknown_member(o, names);

        if (m)
                fail_msg("CycloneDX has no member %.*s here", VIEW_ARG(m->key));
}

static void check_pairs(const struct json *list, const char *a, const char *b) {
        const char *const names[] = {a, b, NULL};

        assert_non_null(list);
        for (const struct json *c = list->child; c; c = c->next) {
                check_members(c, names);
                assert_true(json_get_view(c, a, VIEW_NULL).n > 0);
                assert_true(json_get_view(c, b, VIEW_NULL).n > 0);
        }
}

static void check_component(const struct json *c, const char *type) {
        static const char *const names[] = {"type",     "bom-ref",   "name",       "hashes",     "licenses",
                                            "evidence", "modelCard", "properties", "components", NULL};
        const struct json *hash;
        struct sha256 digest;

        check_members(c, names);
        assert_true(says(c, "type", type));
        assert_true(json_get_view(c, "name", VIEW_NULL).n > 0);
        hash = json_get_typed(c, "hashes", JSON_ARRAY)->child;
        assert_true(says(hash, "alg", "SHA-256"));
        assert_int_equal(sha256_from_hex(json_get_view(hash, "content", VIEW_NULL), &digest), 0);
        check_pairs(json_get_typed(c, "properties", JSON_ARRAY), "name", "value");
}

static void check_bom(const struct json *root) {
        static const char *const names[] = {"bomFormat", "specVersion", "serialNumber",
                                            "version",   "metadata",    NULL};
        static const char *const card_names[] = {"modelParameters", NULL};
        static const char *const parameters[] = {"architectureFamily", "modelArchitecture", NULL};
        const struct json *model = json_get_typed(json_get(root, "metadata"), "component", JSON_OBJECT),
                          *card = json_get_typed(model, "modelCard", JSON_OBJECT);

        check_members(root, names);
        assert_true(says(root, "bomFormat", "CycloneDX"));
        assert_true(says(root, "specVersion", "1.6"));
        assert_true(is_serial(json_get_view(root, "serialNumber", VIEW_NULL)));
        check_component(model, "machine-learning-model");
        check_members(card, card_names);
        check_members(json_get_typed(card, "modelParameters", JSON_OBJECT), parameters);
        assert_true(says(json_get(card, "modelParameters"), "architectureFamily", "llama"));
        assert_true(says(json_get(json_get_typed(model, "licenses", JSON_ARRAY)->child, "license"), "name",
                         "apache-2.0"));
}

static void a_bill_of_materials_has_the_parts_that_cyclonedx_requires(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(set_listing_donep) struct set_listing members = folder();
        _cleanup_(verdict_donep) struct verdict v = passing();
        const struct json *files;

        assert_int_equal(document_bom(&v, &members, &text), 0);
        doc = parse(buf_view(&text));
        check_bom(json_root(doc));
        files = json_get_typed(json_get(json_get(json_root(doc), "metadata"), "component"), "components",
                               JSON_ARRAY);
        assert_int_equal(files->count, members.n);
        for (const struct json *c = files->child; c; c = c->next)
                check_component(c, "file");
}

static void another_file_has_another_serial_number(void **state) {
        _cleanup_(buf_donep) struct buf a = BUF_INIT(TEXT_MAX), b = BUF_INIT(TEXT_MAX);
        _cleanup_(json_document_freep) struct json_document *one = NULL, *two = NULL;
        _cleanup_(verdict_donep) struct verdict v = passing();

        assert_int_equal(document_bom(&v, NULL, &a), 0);
        v.sha256.b[31] ^= 1;
        assert_int_equal(document_bom(&v, NULL, &b), 0);
        one = parse(buf_view(&a));
        two = parse(buf_view(&b));
        assert_false(view_eq(json_get_view(json_root(one), "serialNumber", VIEW_NULL),
                             json_get_view(json_root(two), "serialNumber", VIEW_NULL)));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(documents_are_the_same_bits_each_time),
                cmocka_unit_test(a_statement_is_signed_and_names_every_file),
                cmocka_unit_test(what_failed_is_never_stated_as_passed),
                cmocka_unit_test(a_statement_verifies_for_its_file_and_key_only),
                cmocka_unit_test(a_statement_about_a_folder_names_all_of_it),
                cmocka_unit_test(a_bill_of_materials_has_the_parts_that_cyclonedx_requires),
                cmocka_unit_test(another_file_has_another_serial_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
