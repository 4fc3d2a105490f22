/* Stage 4 beyond the bare signature: provenance by SLSA, and which signer a source needs. */
#include "support/cm.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/sig_sign.h"
#include "quarantine/checks.h"
#include "support/temp_dir.h"

#define MESSAGE "the bytes of a model"
#define BUILDER "https://builds.example.com/trusted/v1"
#define OTHER   "0000000000000000000000000000000000000000000000000000000000000000"
#define POLICY  "version: 1\nprovenance:\n  trusted_keys: [a.pub, b.pub]\n  builders: [\"" BUILDER "\"]\n"

struct fixture {
        struct temp_dir dir;
        struct sig_signer *a, *b;
        int file;
        struct sha256 digest;
        char hex[SHA256_HEX_SIZE];
};

static void put(int dir, const char *name, const char *text) {
        assert_int_equal(replace_file(dir, name, view_of(text), 0644), 0);
}

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof *f);
        _cleanup_(closep) int policy = -EBADF, keys = -EBADF;

        assert_non_null(f);
        f->dir = temp_dir_new();
        policy = open_or_make_dir(f->dir.fd, "policy", 0755);
        keys = open_or_make_dir(f->dir.fd, "keys", 0755);
        put(policy, "models.lock.yaml", "version: 1\npins: []\nblocklist: []\n");
        put(policy, "sources.allowlist.yaml", "version: 1\nlocal_import: true\nsources: []\n");
        assert_int_equal(sig_signer_make(keys, "a", true), 0);
        assert_int_equal(sig_signer_make(keys, "b", false), 0);
        assert_int_equal(sig_signer_load(keys, "a", &f->a), 0);
        assert_int_equal(sig_signer_load(keys, "b", &f->b), 0);
        f->file = memfd_create("model", MFD_CLOEXEC);
        assert_int_equal(write_all(f->file, MESSAGE, strlen(MESSAGE)), 0);
        assert_int_equal(sha256_of(VIEW(MESSAGE), &f->digest), 0);
        sha256_hex(&f->digest, f->hex);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        sig_signer_free(f->a);
        sig_signer_free(f->b);
        close_fd(f->file);
        temp_dir_done(&f->dir);
        free(f);
        return 0;
}

static int try_load(struct fixture *f, const char *text, struct policy **ret, struct fault *why) {
        _cleanup_(closep) int policy = open_or_make_dir(f->dir.fd, "policy", 0755);

        put(policy, "policy.yaml", text);
        return policy_load(f->dir.fd, ret, why);
}

static struct policy *load(struct fixture *f, const char *text) {
        struct fault why = FAULT_NONE;
        struct policy *p = NULL;

        if (try_load(f, text, &p, &why) < 0)
                fail_msg("%s", why.text);
        return p;
}

static struct artifact artifact_of(const struct fixture *f, struct view signature) {
        return (struct artifact){.fd = f->file,
                                 .size = strlen(MESSAGE),
                                 .name = VIEW("model.gguf"),
                                 .source = SOURCE_LOCAL,
                                 .signature = signature};
}

/* The last finding has the rule and, with `says`, these words. */
static void expect(const struct policy *p, const struct artifact *a, const struct fixture *f,
                   const char *rule, const char *says) {
        struct stage s = {0};
        const struct finding *last;

        assert_int_equal(check_provenance(p, a, &f->digest, NULL, &s), 0);
        assert_true(s.n > 0);
        last = &s.findings[s.n - 1];
        if (strcmp(last->rule, rule) != 0 || (says && !strstr(last->message, says)))
                fail_msg("%s: %s; expected %s: %s", last->rule, last->message, rule, says ? says : "");
        stage_done(&s);
}

/* --- SLSA --- */

#define RUN "\"runDetails\":{\"builder\":{\"id\":\"" BUILDER "\",\"more\":1},\"metadata\":{}}"
#define BUILD                                                                                                \
        "\"buildDefinition\":{\"buildType\":\"urn:t\",\"externalParameters\":{},\"resolvedDependencies\":[]" \
        "}"

static void sign_statement(const struct fixture *f, const char *statement, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(65536);
        struct view rest = view_of(statement), before;

        /* HEX stands for the digest of the file */
        for (size_t at; (at = view_find(rest, VIEW("HEX"))) != SIZE_MAX;) {
                before = view_sub(rest, 0, at);
                assert_int_equal(buf_append_view(&text, before), 0);
                assert_int_equal(buf_append_str(&text, f->hex), 0);
                rest = view_sub(rest, at + 3, SIZE_MAX);
        }
        assert_int_equal(buf_append_view(&text, rest), 0);
        assert_int_equal(sig_signer_bundle(f->a, buf_view(&text), out), 0);
}

#define STATEMENT(subjects, type, predicate)                                                                 \
        "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[" subjects                              \
        "],\"predicateType\":\"" type "\",\"predicate\":{" predicate "}}"
#define SUBJECT(hex) "{\"name\":\"model.gguf\",\"digest\":{\"sha256\":\"" hex "\"}}"
#define SLSA         "https://slsa.dev/provenance/v1"

static void provenance_counts_by_subject_and_builder(void **state) {
        static const struct {
                const char *statement, *rule;
        } cases[] = {
                {STATEMENT(SUBJECT("HEX"), SLSA, BUILD "," RUN), "PROVENANCE-001"},
                {STATEMENT(SUBJECT("HEX"), SLSA, BUILD "," RUN ",\"vendor_extra\":{}"), "PROVENANCE-001"},
                {STATEMENT("{\"name\":\"log\",\"digest\":{\"sha256\":\"" OTHER "\"}}," SUBJECT("HEX"), SLSA,
                           BUILD "," RUN),
                 "PROVENANCE-001"},
                {STATEMENT("{\"digest\":{\"sha512\":\"00\",\"sha256\":\"HEX\"}}", SLSA, BUILD "," RUN),
                 "PROVENANCE-001"},
                /* about another file */
                {STATEMENT(SUBJECT(OTHER), SLSA, BUILD "," RUN), "PROVENANCE-031"},
                /* by another builder, or one whose name only begins like it */
                {STATEMENT(SUBJECT("HEX"), SLSA, BUILD ",\"runDetails\":{\"builder\":{\"id\":\"urn:x\"}}"),
                 "PROVENANCE-026"},
                {STATEMENT(SUBJECT("HEX"), SLSA,
                           BUILD ",\"runDetails\":{\"builder\":{\"id\":\"" BUILDER "2\"}}"),
                 "PROVENANCE-026"},
                /* malformed */
                {STATEMENT(SUBJECT("HEX"), SLSA, RUN), "PROVENANCE-025"},
                {STATEMENT(SUBJECT("HEX"), SLSA, BUILD), "PROVENANCE-025"},
                {STATEMENT(SUBJECT("HEX"), SLSA, "\"buildDefinition\":{\"buildType\":\"urn:t\"}," RUN),
                 "PROVENANCE-025"},
                {STATEMENT(SUBJECT("HEX"), SLSA, BUILD ",\"runDetails\":{\"builder\":{\"id\":\"\"}}"),
                 "PROVENANCE-025"},
                {STATEMENT("", SLSA, BUILD "," RUN), "PROVENANCE-021"},
                {STATEMENT("{\"name\":\"m\",\"digest\":{\"sha1\":\"00\"}}", SLSA, BUILD "," RUN),
                 "PROVENANCE-021"},
                {STATEMENT("{\"nom\":\"m\",\"digest\":{\"sha256\":\"HEX\"}}", SLSA, BUILD "," RUN),
                 "PROVENANCE-021"},
                {STATEMENT(SUBJECT("HEX") "],\"subject\":[" SUBJECT("HEX"), SLSA, BUILD "," RUN),
                 "PROVENANCE-020"},
                {STATEMENT(SUBJECT("HEX"), SLSA "\",\"extra\":\"", BUILD "," RUN), "PROVENANCE-020"},
                /* other predicates, also a verdict of some quarantine, are no provenance */
                {STATEMENT(SUBJECT("HEX"), "https://slsa.dev/provenance/v0.2", BUILD "," RUN),
                 "PROVENANCE-020"},
                {STATEMENT(SUBJECT("HEX"), "https://slsa.dev/verification_summary/v1", BUILD "," RUN),
                 "PROVENANCE-020"},
        };
        struct fixture *f = *state;
        struct policy *p = load(f, POLICY);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buf_donep) struct buf bundle = BUF_INIT(65536);
                struct artifact a;

                sign_statement(f, cases[i].statement, &bundle);
                a = artifact_of(f, buf_view(&bundle));
                expect(p, &a, f, cases[i].rule, NULL);
        }
        policy_free(p);
}

static void without_a_named_builder_no_provenance_is_believed(void **state) {
        struct fixture *f = *state;
        struct policy *p = load(f, "version: 1\nprovenance:\n  trusted_keys: [a.pub]\n");
        _cleanup_(buf_donep) struct buf bundle = BUF_INIT(65536);
        struct artifact a;

        sign_statement(f, STATEMENT(SUBJECT("HEX"), SLSA, BUILD "," RUN), &bundle);
        a = artifact_of(f, buf_view(&bundle));
        expect(p, &a, f, "PROVENANCE-026", BUILDER);
        policy_free(p);
}

/* --- which signer a source needs --- */

static void sign_file(const struct fixture *f, const struct sig_signer *who, struct buf *out) {
        _cleanup_(buf_donep) struct buf statement = BUF_INIT(65536);
        char name[] = ".";
        struct sig_file file = {.path = name, .digest = f->digest};
        static const char *const none[] = {NULL};

        assert_int_equal(sig_statement_write("model.gguf", &file, 1, none, &statement), 0);
        assert_int_equal(sig_signer_bundle(who, buf_view(&statement), out), 0);
}

#define SOURCES                                                                                              \
        POLICY "  sources:\n"                                                                                \
               "    - match: https://example.org/models\n      require: [{key: a.pub}]\n"                    \
               "    - match: \"house-*.gguf\"\n      require: [{key: a.pub}, {key: b.pub, builder: "         \
               "\"" BUILDER "\"}]\n"                                                                         \
               "    - match: \"*-final.gguf\"\n      require: [{key: b.pub}]\n"

static void a_source_needs_its_own_signer(void **state) {
        static const struct {
                const char *name, *url; /* url NULL: local */
                char signer;
                const char *rule, *says;
        } cases[] = {
                {"model.gguf", NULL, 'a', "PROVENANCE-001", NULL},
                {"model.gguf", NULL, 'b', "PROVENANCE-001", NULL},
                {"model.gguf", NULL, 0, "PROVENANCE-002", NULL},
                {"model.gguf", "https://example.org/models/x", 'a', "PROVENANCE-001", NULL},
                {"model.gguf", "https://example.org/models/x", 'b', "PROVENANCE-008", "a.pub"},
                {"model.gguf", "HTTPS://EXAMPLE.org:443/models/./x", 'b', "PROVENANCE-008", "a.pub"},
                {"model.gguf", "https://example.org/models2/x", 'b', "PROVENANCE-001", NULL},
                {"house-1.gguf", NULL, 'a', "PROVENANCE-001", NULL},
                {"house-1.gguf", NULL, 'b', "PROVENANCE-008", "key a.pub or the key b.pub, built by"},
                {"house-1.gguf", NULL, 0, "PROVENANCE-003", "a.pub"},
                {"my-house-1.gguf", NULL, 'b', "PROVENANCE-001", NULL},
                {"x-final.gguf", NULL, 'a', "PROVENANCE-008", "b.pub"},
                /* each that matches must be met: nobody can be both */
                {"house-final.gguf", NULL, 'a', "PROVENANCE-008", "b.pub"},
                {"house-final.gguf", NULL, 'b', "PROVENANCE-008", "a.pub"},
        };
        struct fixture *f = *state;
        struct policy *p = load(f, SOURCES);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buf_donep) struct buf bundle = BUF_INIT(65536);
                struct artifact a;

                if (cases[i].signer)
                        sign_file(f, cases[i].signer == 'a' ? f->a : f->b, &bundle);
                a = artifact_of(f, cases[i].signer ? buf_view(&bundle) : VIEW_NULL);
                a.name = view_of(cases[i].name);
                if (cases[i].url) {
                        a.source = SOURCE_URL;
                        a.url = view_of(cases[i].url);
                }
                expect(p, &a, f, cases[i].rule, cases[i].says);
        }
        policy_free(p);
}

static void a_source_may_need_a_builder(void **state) {
        struct fixture *f = *state;
        struct policy *p = load(f, POLICY
                                "  sources:\n    - match: local\n      require: [{key: a.pub, builder: "
                                "\"" BUILDER "\"}]\n");
        _cleanup_(buf_donep) struct buf plain = BUF_INIT(65536), built = BUF_INIT(65536);
        struct artifact a;

        sign_file(f, f->a, &plain);
        a = artifact_of(f, buf_view(&plain));
        expect(p, &a, f, "PROVENANCE-008", BUILDER);
        sign_statement(f, STATEMENT(SUBJECT("HEX"), SLSA, BUILD "," RUN), &built);
        a = artifact_of(f, buf_view(&built));
        expect(p, &a, f, "PROVENANCE-001", NULL);
        policy_free(p);
}

/* Identities come with the Sigstore method: here by what its check gives out. */
static void an_identity_counts_with_its_issuer_only(void **state) {
        static const char text[] = "[{\"match\":\"local\",\"require\":[{\"identity\":\"team@example.com\","
                                   "\"issuer\":\"https://accounts.example.com\"}]}]";
        struct sig_trust trust = {.n_identities = 2,
                                  .identities = {{"team@example.com", "https://evil.example.com"},
                                                 {"team@example.com", "https://accounts.example.com"}}};
        struct sig_result signer = {.method = SIG_METHOD_SIGSTORE};
        struct artifact a = artifact_of(*state, VIEW_NULL);
        _cleanup_(buf_donep) struct buf why = BUF_INIT(DEMAND_TEXT_MAX);
        struct json_document *doc;
        struct demands *d;
        bool met = true;

        assert_int_equal(json_parse(view_of(text), NULL, &doc, NULL), 0);
        assert_int_equal(demands_read(json_root(doc), &trust, &d, NULL), 0);
        signer.identity = &trust.identities[0];
        assert_int_equal(demands_check(d, &a, &signer, &met, &why), 0);
        assert_false(met);
        assert_non_null(strstr(buf_str(&why), "team@example.com"));
        signer.identity = &trust.identities[1];
        assert_int_equal(demands_check(d, &a, &signer, &met, &why), 0);
        assert_true(met);
        demands_free(d);
        json_document_free(doc);
}

static void mistakes_in_the_map_stop_the_service_with_their_line(void **state) {
        static const char *const cases[] = {
                "    - match: local\n      require: [{key: c.pub}]\n",
                "    - match: local\n      require: [{builder: \"urn:other\"}]\n",
                "    - match: local\n      require: [{identity: \"x\", issuer: \"y\"}]\n",
                "    - match: local\n      require: [{identity: \"x\"}]\n",
                "    - match: local\n      require: [{}]\n",
                "    - match: local\n      require: []\n",
                "    - match: local\n",
                "    - match: \"\"\n      require: [{key: a.pub}]\n",
                "    - match: a/b\n      require: [{key: a.pub}]\n",
                "    - match: \"ftp://example.org\"\n      require: [{key: a.pub}]\n",
                "    - match: \"https://user@example.org\"\n      require: [{key: a.pub}]\n",
                "    - match: local\n      require: [{key: a.pub, identity: x, issuer: y}]\n",
                "    - match: local\n      require: [{key: a.pub}]\n      allow: all\n",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fault why = FAULT_NONE;
                struct policy *p = NULL;
                char text[2048];

                (void)snprintf(text, sizeof text, POLICY "  sources:\n%s", cases[i]);
                if (try_load(f, text, &p, &why) >= 0)
                        fail_msg("accepted: %s", cases[i]);
                if (!strstr(why.text, "policy.yaml:"))
                        fail_msg("no line in \"%s\"", why.text);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(provenance_counts_by_subject_and_builder),
                CASE(without_a_named_builder_no_provenance_is_believed),
                CASE(a_source_needs_its_own_signer),
                CASE(a_source_may_need_a_builder),
                CASE(an_identity_counts_with_its_issuer_only),
                CASE(mistakes_in_the_map_stop_the_service_with_their_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
