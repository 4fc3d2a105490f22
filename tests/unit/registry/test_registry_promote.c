#include "registry_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "support/cm.h"

#include "base/file.h"

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

static void test_a_passed_model_is_promoted_listed_and_opened(void **state) {
        struct channel_answer a = registry_fixture_add(&f, "first.gguf", VIEW("first model")), o;
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "inference");
        char path[512], bytes[64] = "";
        struct buf b;
        struct stat st;

        assert_true(a.ok);
        assert_false(a.duplicate);
        registry_fixture_object(&f, a.sha256, path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0400);

        assert_int_equal(registry_fixture_call(&f, "ui", "GET", "/v1/models", &b), 200);
        assert_true(body_has(&b, a.sha256));
        assert_true(body_has(
                &b, "\"name\":\"first.gguf\",\"kind\":\"gguf\",\"size\":11,\"architecture\":\"llama\","
                    "\"parameters\":912384,\"context_length\":512,\"quantization\":\"Q4_0\""));
        assert_true(body_has(&b, "\"signature\":{\"status\":\"unsigned\",\"key\":null}"));
        assert_true(body_has(&b, "\"verify_state\":\"ok\",\"verify_bytes\":0,\"loaded\":false"));
        buf_done(&b);

        o = registry_fixture_open(sock, a.sha256);
        assert_true(o.ok);
        assert_int_equal(o.size, 11);
        assert_string_equal(o.name, "first.gguf");
        assert_int_equal(fcntl(o.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(pread(o.fd, bytes, sizeof bytes, 0), 11);
        assert_string_equal(bytes, "first model");
        close_fd(o.fd);
}

static void test_a_model_s_page_has_its_verdict(void **state) {
        struct evidence_spec s = evidence_spec_for("signed.gguf", VIEW("signed model"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "signed.gguf", VIEW("signed model"));
        struct channel_answer a;
        char path[128];
        struct buf b;

        s.is_signed = true;
        a = registry_fixture_promote(&f, &s, fd);
        assert_true(a.ok);
        (void)snprintf(path, sizeof path, "/v1/models/%s", a.sha256);
        assert_int_equal(registry_fixture_call(&f, "ui", "GET", path, &b), 200);
        assert_true(body_has(&b, "\"verdict\":{\"schema\":\"secai.verdict/1\""));
        assert_true(body_has(&b, "\"signature\":{\"status\":\"trusted\",\"key\":\"abab"));
        buf_done(&b);
        assert_int_equal(registry_fixture_call(&f, "ui", "GET", "/v1/models/0123", &b), 404);
        buf_done(&b);
}

static void test_a_promotion_is_in_the_audit_log(void **state) {
        struct channel_answer a = registry_fixture_add(&f, "audited.gguf", VIEW("audited"));
        struct http_client *c = harness_client(f.h, "ui", "audit");
        struct http_answer answer;
        char wanted[160];

        assert_true(a.ok);
        assert_int_equal(harness_call(c, "GET", "/v1/records?limit=1000", NULL, &answer), 200);
        (void)snprintf(wanted, sizeof wanted,
                       "\"event\":\"model_promoted\",\"decision\":\"allow\",\"rule\":null,\"subject\":\"%s\"",
                       a.sha256);
        assert_true(body_has(&answer.body, wanted));
        assert_true(body_has(&answer.body, "\"event\":\"manifest_head\""));
        http_answer_done(&answer);
        http_client_free(c);
}

static void test_the_same_job_is_answered_the_same_again(void **state) {
        struct evidence_spec s = evidence_spec_for("again.gguf", VIEW("again"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "again.gguf", VIEW("again"));
        unsigned before = registry_fixture_count(&f);

        for (unsigned i = 0; i < 3; i++) {
                struct channel_answer a = registry_fixture_promote(&f, &s, fd);

                assert_true(a.ok);
                assert_false(a.duplicate);
        }
        assert_int_equal(registry_fixture_count(&f), before + 1);
}

static void test_a_duplicate_is_answered_as_already_there(void **state) {
        struct channel_answer a = registry_fixture_add(&f, "one.gguf", VIEW("twice")), b;
        unsigned before = registry_fixture_count(&f);

        b = registry_fixture_add(&f, "other name.gguf", VIEW("twice"));
        assert_true(a.ok && b.ok);
        assert_true(b.duplicate);
        assert_string_equal(a.sha256, b.sha256);
        assert_int_equal(registry_fixture_count(&f), before);
}

static void test_a_job_can_t_promote_a_second_file(void **state) {
        struct evidence_spec s = evidence_spec_for("x.gguf", VIEW("x one")),
                             t = evidence_spec_for("y.gguf", VIEW("y two"));
        _cleanup_(closep) int x = registry_fixture_file(&f, "x.gguf", VIEW("x one")),
                              y = registry_fixture_file(&f, "y.gguf", VIEW("y two"));
        struct channel_answer a;

        assert_true(registry_fixture_promote(&f, &s, x).ok);
        memcpy(t.job, s.job, sizeof t.job);
        a = registry_fixture_promote(&f, &t, y);
        assert_false(a.ok);
        assert_string_equal(a.code, "job_reused");
        assert_true(a.final);
}

static void test_two_quantisations_stand_side_by_side_under_names_of_their_own(void **state) {
        struct evidence_spec s = evidence_spec_for("pebble.gguf", VIEW("pebble in q4"));
        struct evidence_spec t = evidence_spec_for("pebble.gguf", VIEW("pebble in q8"));
        struct evidence_spec u = evidence_spec_for("pebble.gguf", VIEW("pebble in q8 too"));
        _cleanup_(closep) int q4 = registry_fixture_file(&f, "q4", VIEW("pebble in q4")),
                              q8 = registry_fixture_file(&f, "q8", VIEW("pebble in q8")),
                              q8_too = registry_fixture_file(&f, "q8too", VIEW("pebble in q8 too"));
        struct buf b;

        t.quantization = u.quantization = "Q8_0";
        assert_true(registry_fixture_promote(&f, &s, q4).ok);
        assert_true(registry_fixture_promote(&f, &t, q8).ok);
        assert_true(registry_fixture_promote(&f, &u, q8_too).ok);
        assert_int_equal(registry_fixture_call(&f, "ui", "GET", "/v1/models", &b), 200);
        assert_true(body_has(&b, "\"name\":\"pebble.gguf\""));
        assert_true(body_has(&b, "\"name\":\"pebble.gguf (Q8_0)\""));
        assert_true(body_has(&b, "\"name\":\"pebble.gguf (2)\""));
        buf_done(&b);
}

/* Changes one thing in evidence that would pass. */
static void verdict_reject(struct evidence_spec *s) {
        s->verdict = "reject";
}
static void behaviour_not_run(struct evidence_spec *s) {
        s->statuses[5] = "not_run";
}
static void behaviour_not_applicable(struct evidence_spec *s) {
        s->statuses[5] = "not_applicable";
}
static void format_not_applicable(struct evidence_spec *s) {
        s->statuses[1] = "not_applicable";
}
static void static_scan_failed(struct evidence_spec *s) {
        s->statuses[4] = "fail";
}
static void diffusion_not_run(struct evidence_spec *s) {
        s->statuses[6] = "not_run";
}
static void stage_missing(struct evidence_spec *s) {
        s->statuses[2] = NULL;
}
static void rejecting_finding(struct evidence_spec *s) {
        s->finding = "reject";
}
static void pickle(struct evidence_spec *s) {
        s->kind = "pickle";
}
static void safetensors_tested(struct evidence_spec *s) {
        s->kind = "safetensors";
}
static void no_policy_digest(struct evidence_spec *s) {
        s->policy_digest = "";
}
static void unknown_member(struct evidence_spec *s) {
        s->extra = "\"override\":true";
}
static void repeated_member(struct evidence_spec *s) {
        s->extra = "\"verdict\":{}";
}
static void unknown_source(struct evidence_spec *s) {
        s->source = "elsewhere";
}
static void folder(struct evidence_spec *s) {
        s->kind = "folder";
        s->members = 2;
}
static void diffusion_not_scanned(struct evidence_spec *s) {
        s->kind = "diffusion";
        s->members = 2;
        s->statuses[5] = "not_applicable";
}
static void diffusion_tested(struct evidence_spec *s) {
        s->kind = "diffusion";
        s->members = 2;
        s->statuses[6] = "pass";
}
static void set_not_tested(struct evidence_spec *s) {
        s->kind = "gguf-set";
        s->members = 2;
        s->statuses[5] = "not_applicable";
}
static void set_without_members(struct evidence_spec *s) {
        s->kind = "gguf-set";
}
static void file_with_members(struct evidence_spec *s) {
        s->members = 1;
}
static void too_many_members(struct evidence_spec *s) {
        s->kind = "gguf-set";
        s->members = 20001;
}
static void unknown_document(struct evidence_spec *s) {
        s->documents = "\"notes\":\"abababababababababababababababababababababababababababababababab\"";
}
static void document_without_digest(struct evidence_spec *s) {
        s->documents = "\"bom\":null";
}
static void wrong_size(struct evidence_spec *s) {
        s->size++;
}
static void wrong_hash(struct evidence_spec *s) {
        s->sha256.b[0] ^= 1;
}

static void test_each_reason_to_refuse_is_named(void **state) {
        static const struct {
                const char *name;
                void (*change)(struct evidence_spec *s);
                const char *code;
        } cases[] = {
                {"verdict is reject", verdict_reject, "not_passed"},
                {"behavioural test did not run", behaviour_not_run, "not_passed"},
                {"behavioural test left out for GGUF", behaviour_not_applicable, "not_passed"},
                {"format gate left out", format_not_applicable, "not_passed"},
                {"static scan failed", static_scan_failed, "not_passed"},
                {"diffusion scan did not run", diffusion_not_run, "not_passed"},
                {"a stage is missing", stage_missing, "bad_evidence"},
                {"a finding rejects", rejecting_finding, "not_passed"},
                {"a pickle", pickle, "not_passed"},
                {"safetensors with a behavioural test", safetensors_tested, "not_passed"},
                {"no policy digest", no_policy_digest, "bad_evidence"},
                {"unknown member", unknown_member, "bad_evidence"},
                {"repeated member", repeated_member, "bad_evidence"},
                {"unknown source", unknown_source, "bad_evidence"},
                {"an undecidable folder", folder, "not_passed"},
                {"diffusion without its scan", diffusion_not_scanned, "not_passed"},
                {"diffusion with a behavioural test", diffusion_tested, "not_passed"},
                {"behavioural test left out for a GGUF set", set_not_tested, "not_passed"},
                {"a set without members", set_without_members, "bad_evidence"},
                {"a single file with members", file_with_members, "bad_evidence"},
                {"one member too many", too_many_members, "bad_evidence"},
                {"unknown document", unknown_document, "bad_evidence"},
                {"document without digest", document_without_digest, "bad_evidence"},
                {"wrong size", wrong_size, "size_mismatch"},
                {"wrong hash", wrong_hash, "sha256_mismatch"},
        };
        _cleanup_(closep) int fd = registry_fixture_file(&f, "refused.gguf", VIEW("refused"));
        unsigned before = registry_fixture_count(&f);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct evidence_spec s = evidence_spec_for("refused.gguf", VIEW("refused"));
                struct channel_answer a;

                cases[i].change(&s);
                a = registry_fixture_promote(&f, &s, fd);
                if (a.ok || !a.final || strcmp(a.code, cases[i].code) != 0)
                        fail_msg("%s: ok %d code %s (%s)", cases[i].name, a.ok, a.code, a.message);
        }
        assert_int_equal(registry_fixture_count(&f), before);
}

static void test_safetensors_without_a_behavioural_test_pass(void **state) {
        struct evidence_spec s = evidence_spec_for("w.safetensors", VIEW("weights"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "w.safetensors", VIEW("weights"));

        s.kind = "safetensors";
        s.statuses[5] = "not_applicable";
        s.statuses[3] = "not_applicable";
        assert_true(registry_fixture_promote(&f, &s, fd).ok);
}

static void test_evidence_of_another_key_is_refused(void **state) {
        struct evidence_spec s = evidence_spec_for("forged.gguf", VIEW("forged"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "forged.gguf", VIEW("forged")),
                              sock = registry_fixture_channel(&f, "quarantine");
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);
        struct channel_answer a;

        evidence_message(f.inbox, &s, &message); /* makes a key of its own there */
        a = registry_fixture_ask(sock, buf_view(&message), fd);
        assert_false(a.ok);
        assert_string_equal(a.code, "bad_signature");
        assert_true(a.final);
}

static void test_evidence_of_another_job_is_refused(void **state) {
        struct evidence_spec s = evidence_spec_for("j.gguf", VIEW("job"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "j.gguf", VIEW("job")),
                              sock = registry_fixture_channel(&f, "quarantine");
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20), message = BUF_INIT((size_t)1 << 20);
        struct channel_answer a;

        evidence_write(&s, &text);
        evidence_message_of(f.private_dir, "another-job", "j.gguf", buf_view(&text), &message);
        a = registry_fixture_ask(sock, buf_view(&message), fd);
        assert_false(a.ok);
        assert_string_equal(a.code, "bad_evidence");
}

static void test_only_quarantine_promotes_and_only_inference_opens(void **state) {
        static const struct {
                const char *caller, *op;
        } cases[] = {{"ui", "promote"},       {"inference", "promote"},  {"securectl", "promote"},
                     {"registry", "promote"}, {"supervisor", "promote"}, {"quarantine", "open"},
                     {"ui", "open"},          {"securectl", "open"}};
        struct evidence_spec s = evidence_spec_for("mine.gguf", VIEW("mine"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "mine.gguf", VIEW("mine"));
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);

        evidence_message(f.private_dir, &s, &message);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(closep) int sock = registry_fixture_channel(&f, cases[i].caller);
                struct channel_answer a = strcmp(cases[i].op, "promote") == 0
                                                  ? registry_fixture_ask(sock, buf_view(&message), fd)
                                                  : registry_fixture_open(sock, "00");

                assert_false(a.ok);
                assert_string_equal(a.code, "forbidden");
        }
        assert_true(registry_fixture_promote(&f, &s, fd).ok);
}

static struct channel_answer promote_descriptor(int fd, struct view content) {
        struct evidence_spec s = evidence_spec_for("odd.gguf", content);

        return registry_fixture_promote(&f, &s, fd);
}

static void test_odd_descriptors_are_refused(void **state) {
        static const char content[] = "odd descriptor";
        _cleanup_(closep) int file = registry_fixture_file(&f, "odd.gguf", VIEW(content)),
                              dir = open_dir(f.inbox), writable = open_beneath(dir, "odd.gguf", O_WRONLY, 0),
                              path_only = -EBADF;
        struct channel_answer a;
        int p[2];

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(write(p[1], content, sizeof content - 1), sizeof content - 1);
        a = promote_descriptor(p[0], VIEW(content));
        assert_string_equal(a.code, "bad_descriptor");
        close(p[0]);
        close(p[1]);

        a = promote_descriptor(dir, VIEW(content));
        assert_string_equal(a.code, "bad_descriptor");
        a = promote_descriptor(writable, VIEW(content));
        assert_string_equal(a.code, "bad_descriptor");
        /* somebody still holds it open for writing */
        a = promote_descriptor(file, VIEW(content));
        assert_string_equal(a.code, "being_written");
        assert_false(a.final);
        writable = close_fd(writable);

        assert_int_equal(symlinkat("odd.gguf", dir, "link"), 0);
        path_only = openat(dir, "link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        a = promote_descriptor(path_only, VIEW(content));
        assert_string_equal(a.code, "bad_descriptor");
        a = promote_descriptor(-EBADF, VIEW(content));
        assert_string_equal(a.code, "bad_request");
        assert_true(promote_descriptor(file, VIEW(content)).ok);
}

static void test_malformed_messages_are_refused(void **state) {
        static const char *const messages[] = {
                "{}",
                "{\"op\":\"delete\"}",
                "{\"op\":\"open\"}",
                "{\"op\":\"open\",\"sha256\":\"zz\"}",
                "{\"op\":\"promote\"}",
                "{\"op\":\"promote\",\"job\":\"a b\",\"name\":\"n\",\"evidence\":\"\",\"signature\":\"\"}",
                "{\"op\":\"promote\",\"job\":\"a\",\"name\":\"\",\"evidence\":\"\",\"signature\":\"\"}",
                "{\"op\":\"promote\",\"job\":\"a\",\"name\":\"n\",\"evidence\":\"!\",\"signature\":\"\"}",
                ("{\"op\":\"promote\",\"job\":\"a\",\"name\":\"n\",\"evidence\":\"\",\"signature\":\"\","
                 "\"force\":true}"),
        };
        _cleanup_(closep) int quarantine = registry_fixture_channel(&f, "quarantine"),
                              inference = registry_fixture_channel(&f, "inference"),
                              fd = registry_fixture_file(&f, "m", VIEW("m"));

        for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
                bool open = strstr(messages[i], "\"open\"") != NULL;
                struct channel_answer a = registry_fixture_ask(open ? inference : quarantine,
                                                               view_of(messages[i]), open ? -EBADF : fd);

                assert_false(a.ok);
                assert_string_equal(a.code, "bad_request");
        }
}

static void test_nothing_is_promoted_when_it_can_t_be_audited(void **state) {
        struct evidence_spec s = evidence_spec_for("quiet.gguf", VIEW("quiet"));
        _cleanup_(closep) int fd = registry_fixture_file(&f, "quiet.gguf", VIEW("quiet"));
        unsigned before = registry_fixture_count(&f);
        struct channel_answer a;

        (void)harness_stop(f.h, "audit");
        a = registry_fixture_promote(&f, &s, fd);
        assert_false(a.ok);
        assert_false(a.final);
        assert_string_equal(a.code, "audit_unavailable");
        assert_int_equal(registry_fixture_count(&f), before);
        harness_start(f.h, "audit", NULL);
        assert_true(registry_fixture_promote(&f, &s, fd).ok);
}

struct worker {
        pthread_t thread;
        unsigned kind; /* 0 lists, 1 opens and closes, 2 asks for checks */
        char sha256[65];
        unsigned failures;
};

static bool open_and_close(const char *sha256) {
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "inference");
        struct channel_answer o = registry_fixture_open(sock, sha256);

        close_fd(o.fd);
        return o.ok;
}

static void *work(void *userdata) {
        struct worker *w = userdata;
        char path[128];

        (void)snprintf(path, sizeof path, "/v1/models/%s/verify", w->sha256);
        for (unsigned i = 0; i < 30; i++) {
                bool good = w->kind == 0   ? registry_fixture_count(&f) > 0
                            : w->kind == 1 ? open_and_close(w->sha256)
                                           : registry_fixture_call(&f, "ui", "POST", path, NULL) == 202;

                w->failures += !good;
        }
        return NULL;
}

static void test_many_callers_at_once_all_get_their_answer(void **state) {
        struct channel_answer a = registry_fixture_add(&f, "busy.gguf", VIEW("busy"));
        struct worker workers[6];

        assert_true(a.ok);
        for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
                workers[i].kind = i % 3;
                workers[i].failures = 0;
                memcpy(workers[i].sha256, a.sha256, sizeof workers[i].sha256);
                assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < 10; i++)
                assert_true(registry_fixture_add(&f, "busy.gguf", VIEW("busy")).duplicate);
        for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
                assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
                assert_int_equal(workers[i].failures, 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_passed_model_is_promoted_listed_and_opened),
                cmocka_unit_test(test_a_model_s_page_has_its_verdict),
                cmocka_unit_test(test_a_promotion_is_in_the_audit_log),
                cmocka_unit_test(test_the_same_job_is_answered_the_same_again),
                cmocka_unit_test(test_a_duplicate_is_answered_as_already_there),
                cmocka_unit_test(test_a_job_can_t_promote_a_second_file),
                cmocka_unit_test(test_two_quantisations_stand_side_by_side_under_names_of_their_own),
                cmocka_unit_test(test_each_reason_to_refuse_is_named),
                cmocka_unit_test(test_safetensors_without_a_behavioural_test_pass),
                cmocka_unit_test(test_evidence_of_another_key_is_refused),
                cmocka_unit_test(test_evidence_of_another_job_is_refused),
                cmocka_unit_test(test_only_quarantine_promotes_and_only_inference_opens),
                cmocka_unit_test(test_odd_descriptors_are_refused),
                cmocka_unit_test(test_malformed_messages_are_refused),
                cmocka_unit_test(test_many_callers_at_once_all_get_their_answer),
                cmocka_unit_test(test_nothing_is_promoted_when_it_can_t_be_audited),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
