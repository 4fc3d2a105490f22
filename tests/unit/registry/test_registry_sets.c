/* Sets (models of several files) and documents in the registry. */
#include "registry_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "support/cm.h"

#include "base/clock.h"
#include "base/file.h"

#define KILLS 20

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

static void hex_of(const char *content, char out[SHA256_HEX_SIZE]) {
        struct sha256 d;

        assert_int_equal(sha256_of(view_of(content), &d), 0);
        sha256_hex(&d, out);
}

static bool is_stored(const char *content) {
        char hex[SHA256_HEX_SIZE], path[512];
        struct stat st;

        hex_of(content, hex);
        registry_fixture_object(&f, hex, path);
        return stat(path, &st) == 0;
}

/* What ends with a connection ends a moment after it. */
static void expect_gone(const char *content) {
        for (unsigned i = 0; i < 1000 && is_stored(content); i++)
                (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_false(is_stored(content));
}

static unsigned call_model(const char *method, const char *sha256, const char *suffix, struct buf *ret) {
        char path[200];

        (void)snprintf(path, sizeof path, "/v1/models/%s%s", sha256, suffix);
        return registry_fixture_call(&f, "ui", method, path, ret);
}

static void expect_call(const char *method, const char *sha256, const char *suffix, unsigned status,
                        const char *text) {
        struct buf b;

        assert_int_equal(call_model(method, sha256, suffix, &b), status);
        if (text && !body_has(&b, text))
                fail_msg("expected %s in %s", text, buf_str(&b));
        buf_done(&b);
}

static void wait_for_state(const char *sha256, const char *wanted) {
        for (unsigned i = 0; i < 1000; i++) {
                struct buf b;
                bool there = call_model("GET", sha256, "", &b) == 200 && body_has(&b, wanted);

                buf_done(&b);
                if (there)
                        return;
                (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        fail_msg("the model never got %s", wanted);
}

static void state_of(const struct evidence_spec *s, char hex[SHA256_HEX_SIZE]) {
        sha256_hex(&s->sha256, hex);
}

static struct channel_answer promote_set(const struct evidence_spec *s, const struct test_set *t) {
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "quarantine");

        return registry_fixture_promote_set(&f, sock, s, t);
}

static struct channel_answer add_set(const char *name, const struct test_set *t) {
        struct evidence_spec s = registry_fixture_set_spec(name, t);
        struct channel_answer a = promote_set(&s, t);

        if (!a.ok)
                fail_msg("%s: %s", a.code, a.message);
        return a;
}

static struct channel_answer open_member(int sock, const char *set, const char *path) {
        char message[512];

        (void)snprintf(message, sizeof message, "{\"op\":\"open_member\",\"sha256\":\"%s\",\"path\":\"%s\"}",
                       set, path);
        return registry_fixture_ask(sock, view_of(message), -EBADF);
}

static void expect_content(int fd, const char *content) {
        struct buf b = BUF_INIT(1 << 20);

        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(buf_read_file(&b, fd), 0);
        assert_string_equal(buf_str(&b), content);
        buf_done(&b);
        close_fd(fd);
}

/* --- sets --- */

static void test_a_set_is_promoted_listed_and_opened_file_by_file(void **state) {
        const struct test_set t = {
                3, {"README.md", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {"# read", "one", "two"}};
        struct channel_answer a = add_set("pebble", &t), o;
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "inference");
        _cleanup_(buf_donep) struct buf listing = registry_fixture_listing(&t);
        char hex[SHA256_HEX_SIZE], wanted[256];

        assert_false(a.duplicate);
        hex_of("two", hex);
        (void)snprintf(wanted, sizeof wanted,
                       "{\"path\":\"m-00002-of-00002.gguf\",\"size\":3,\"sha256\":\"%s\"}]", hex);
        expect_call("GET", a.sha256, "", 200, wanted);
        expect_call("GET", a.sha256, "", 200, "\"kind\":\"gguf-set\",\"size\":12");
        expect_call("GET", "", "", 404, NULL);
        assert_int_equal(registry_fixture_call(&f, "ui", "GET", "/v1/models", NULL), 200);
        expect_call("GET", a.sha256, "", 200, "\"members\":3,\"documents\":[]");

        o = open_member(sock, a.sha256, "README.md");
        assert_string_equal(o.code, "bad_request"); /* not open on this channel */
        o = registry_fixture_open(sock, a.sha256);
        assert_true(o.ok);
        assert_string_equal(o.kind, "gguf-set");
        assert_int_equal(o.size, 12);
        expect_content(o.fd, buf_str(&listing));
        for (size_t i = 0; i < t.n; i++) {
                o = open_member(sock, a.sha256, t.paths[i]);
                assert_true(o.ok);
                assert_int_equal(o.size, strlen(t.contents[i]));
                expect_content(o.fd, t.contents[i]);
        }
        assert_string_equal(open_member(sock, a.sha256, "none").code, "unknown_member");
        assert_string_equal(open_member(sock, a.sha256, "../README.md").code, "bad_request");
        expect_call("DELETE", a.sha256, "", 409, "model_loaded");
}

static void test_the_same_job_is_answered_the_same_without_its_files(void **state) {
        const struct test_set t = {2, {"a", "b"}, {"again a", "again b"}};
        struct evidence_spec s = registry_fixture_set_spec("again", &t);
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "quarantine");
        _cleanup_(buf_donep) struct buf text = registry_fixture_listing(&t),
                                        message = BUF_INIT((size_t)1 << 20);
        _cleanup_(closep) int fd = registry_fixture_file(&f, "listing again", buf_view(&text));
        struct channel_answer a = promote_set(&s, &t);

        assert_true(a.ok && !a.duplicate);
        evidence_message(f.private_dir, &s, &message);
        a = registry_fixture_ask(sock, buf_view(&message), fd);
        assert_true(a.ok && !a.duplicate);
        s = registry_fixture_set_spec("other name", &t);
        a = promote_set(&s, &t);
        assert_true(a.ok && a.duplicate);
}

static void test_what_was_handed_in_goes_with_its_connection(void **state) {
        const struct test_set kept = {2, {"a", "b"}, {"kept by a model", "also kept"}};
        int sock = registry_fixture_channel(&f, "quarantine");

        (void)add_set("keeper", &kept);
        assert_true(registry_fixture_member(&f, sock, VIEW("handed in")).ok);
        assert_true(registry_fixture_member(&f, sock, VIEW("handed in")).ok); /* twice: once */
        assert_true(registry_fixture_member(&f, sock, VIEW("kept by a model")).ok);
        assert_true(registry_fixture_document(&f, sock, "bom", VIEW("{\"handed\":1}")).ok);
        assert_true(is_stored("{\"handed\":1}"));
        close_fd(sock);
        expect_gone("{\"handed\":1}");
        expect_gone("handed in");
        assert_true(is_stored("kept by a model"));
}

static void test_a_file_that_two_connections_hand_in_stays_for_the_second(void **state) {
        const struct test_set t = {2, {"a", "b"}, {"shared a", "shared b"}};
        struct evidence_spec s = registry_fixture_set_spec("shared", &t);
        int first = registry_fixture_channel(&f, "quarantine"),
            second = registry_fixture_channel(&f, "quarantine");
        struct channel_answer a;

        assert_true(registry_fixture_member(&f, first, VIEW("shared a")).ok);
        assert_true(registry_fixture_document(&f, first, "bom", VIEW("{\"first\":1}")).ok);
        a = registry_fixture_member(&f, second, VIEW("shared a"));
        assert_true(a.ok);
        close_fd(first);
        expect_gone("{\"first\":1}");
        a = registry_fixture_promote_set(&f, second, &s, &t);
        assert_true(a.ok);
        close_fd(second);
        assert_true(is_stored("shared a"));
}

static void test_deleting_leaves_what_another_model_has(void **state) {
        const struct test_set one = {2, {"a", "b"}, {"common", "only one"}},
                              two = {2, {"x", "y"}, {"common", "only two"}};
        struct channel_answer a = add_set("one", &one), b = add_set("two", &two),
                              c = registry_fixture_add(&f, "single.gguf", VIEW("only two"));

        assert_true(c.ok);
        expect_call("DELETE", a.sha256, "", 204, NULL);
        assert_false(is_stored("only one"));
        assert_true(is_stored("common"));
        expect_call("DELETE", b.sha256, "", 204, NULL);
        assert_false(is_stored("common"));
        assert_true(is_stored("only two")); /* a model of its own */
        expect_call("DELETE", c.sha256, "", 204, NULL);
        assert_false(is_stored("only two"));
}

struct refused {
        struct test_set given; /* members that are handed in */
        struct test_set listed;
        struct evidence_spec spec;
        const char *listing; /* NULL: of `listed` */
};

static void one_missing(struct refused *r) {
        r->given.n--;
}
static void one_of_other_size(struct refused *r) {
        r->spec.size++;
}
static void one_member_more(struct refused *r) {
        r->spec.members++;
}
static void not_a_listing(struct refused *r) {
        r->listing = "secai.set/1\nnonsense\n";
        assert_int_equal(sha256_of(view_of(r->listing), &r->spec.sha256), 0);
}
static void another_listing(struct refused *r) {
        r->listing = "secai.set/1\nnonsense\n";
}
static void empty_listing(struct refused *r) {
        r->listing = "";
}
static void safetensors_set_tested(struct refused *r) {
        r->spec.kind = "safetensors-set";
}
static void single_kind(struct refused *r) {
        r->spec.kind = "gguf";
        r->spec.members = 0;
}

static void test_each_reason_to_refuse_a_set_is_named(void **state) {
        static const struct {
                const char *name, *code;
                void (*change)(struct refused *);
        } cases[] = {
                {"a file is missing", "member_missing", one_missing},
                {"size of the files differs", "size_mismatch", one_of_other_size},
                {"number of the files differs", "size_mismatch", one_member_more},
                {"the descriptor is no listing", "bad_listing", not_a_listing},
                {"another listing", "sha256_mismatch", another_listing},
                {"an empty listing", "size_mismatch", empty_listing},
                {"tested though it can't run", "not_passed", safetensors_set_tested},
                {"a listing as a single file", "size_mismatch", single_kind},
        };
        const struct test_set t = {2, {"a", "b"}, {"refused a", "refused b"}};
        unsigned before = registry_fixture_count(&f);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct refused r = {t, t, registry_fixture_set_spec("refused", &t), NULL};
                int sock = registry_fixture_channel(&f, "quarantine");
                _cleanup_(buf_donep) struct buf text = BUF_INIT(0), message = BUF_INIT((size_t)1 << 20);
                _cleanup_(closep) int fd = -EBADF;
                struct channel_answer a;

                cases[i].change(&r);
                text = registry_fixture_listing(&r.listed);
                fd = registry_fixture_file(&f, "refused listing",
                                           r.listing ? view_of(r.listing) : buf_view(&text));
                for (size_t k = 0; k < r.given.n; k++)
                        assert_true(registry_fixture_member(&f, sock, view_of(r.given.contents[k])).ok);
                evidence_message(f.private_dir, &r.spec, &message);
                a = registry_fixture_ask(sock, buf_view(&message), fd);
                if (a.ok || !a.final || strcmp(a.code, cases[i].code) != 0)
                        fail_msg("%s: ok %d code %s (%s)", cases[i].name, a.ok, a.code, a.message);
                close_fd(sock);
                expect_gone("refused a");
        }
        assert_int_equal(registry_fixture_count(&f), before);
}

static void test_a_file_that_is_not_as_stated_stops_the_set(void **state) {
        const struct test_set t = {2, {"a", "b"}, {"true a", "true b"}};
        struct evidence_spec s = registry_fixture_set_spec("lied", &t);
        int sock = registry_fixture_channel(&f, "quarantine");
        _cleanup_(closep) int wrong = registry_fixture_file(&f, "wrong", VIEW("fals a"));
        char hex[SHA256_HEX_SIZE], message[256];
        struct channel_answer a;

        hex_of("true a", hex);
        (void)snprintf(message, sizeof message, "{\"op\":\"member\",\"sha256\":\"%s\",\"size\":6}", hex);
        a = registry_fixture_ask(sock, view_of(message), wrong);
        assert_true(a.ok); /* it is hashed beside: the promotion says what came of it */
        a = registry_fixture_promote_set(&f, sock, &s, &t);
        assert_false(a.ok);
        assert_true(a.final);
        assert_string_equal(a.code, "sha256_mismatch");
        close_fd(sock);
        expect_gone("true b");
        assert_false(is_stored("true a"));
        assert_true(promote_set(&s, &t).ok);
}

static void test_malformed_hand_ins_are_refused(void **state) {
        static const char *const messages[] = {
                "{\"op\":\"member\"}",
                "{\"op\":\"member\",\"sha256\":\"00\",\"size\":1}",
                "{\"op\":\"member\",\"sha256\":"
                "\"abababababababababababababababababababababababababababababababab\",\"size\":-1}",
                "{\"op\":\"member\",\"sha256\":"
                "\"abababababababababababababababababababababababababababababababab\",\"size\":1,\"x\":1}",
                "{\"op\":\"document\",\"name\":\"notes\",\"sha256\":"
                "\"abababababababababababababababababababababababababababababababab\"}",
                "{\"op\":\"document\",\"name\":\"bom\"}",
        };
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "quarantine"),
                              inference = registry_fixture_channel(&f, "inference"),
                              fd = registry_fixture_file(&f, "m", VIEW("m"));

        for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
                assert_string_equal(registry_fixture_ask(sock, view_of(messages[i]), fd).code, "bad_request");
                assert_string_equal(registry_fixture_ask(inference, view_of(messages[i]), fd).code,
                                    "forbidden");
        }
        assert_string_equal(open_member(sock, "00", "a").code, "forbidden");
}

/* --- documents --- */

static struct evidence_spec spec_with_documents(const char *content, const char *tensors, const char *bom,
                                                char text[512]) {
        struct evidence_spec s = evidence_spec_for("documented.gguf", view_of(content));
        char a[SHA256_HEX_SIZE], b[SHA256_HEX_SIZE];

        hex_of(tensors, a);
        hex_of(bom, b);
        (void)snprintf(text, 512, "\"tensors\":\"%s\",\"bom\":\"%s\"", a, b);
        s.documents = text;
        return s;
}

static struct channel_answer promote_on(int sock, const struct evidence_spec *s, struct view content) {
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);
        _cleanup_(closep) int fd = registry_fixture_file(&f, "documented", content);

        evidence_message(f.private_dir, s, &message);
        return registry_fixture_ask(sock, buf_view(&message), fd);
}

static void test_documents_come_with_the_model_and_are_served(void **state) {
        static const char tensors[] = "{\"tensors\":[]}", bom[] = "{\"bom\":true}";
        int sock = registry_fixture_channel(&f, "quarantine");
        char text[512];
        struct evidence_spec s = spec_with_documents("documented", tensors, bom, text);
        struct channel_answer a;

        assert_true(registry_fixture_document(&f, sock, "tensors", VIEW(tensors)).ok);
        assert_true(registry_fixture_document(&f, sock, "bom", VIEW(bom)).ok);
        assert_string_equal(registry_fixture_document(&f, sock, "bom", VIEW(bom)).code, "bad_request");
        a = promote_on(sock, &s, VIEW("documented"));
        assert_true(a.ok);
        close_fd(sock);
        expect_call("GET", a.sha256, "", 200, "\"members\":0,\"documents\":[\"bom\",\"tensors\"]");
        expect_call("GET", a.sha256, "/documents/tensors", 200, tensors);
        expect_call("GET", a.sha256, "/documents/bom", 200, bom);
        expect_call("GET", a.sha256, "/documents/statement", 404, "unknown_document");
        expect_call("GET", a.sha256, "/documents/notes", 404, "unknown_document");
        expect_call("GET", "abababababababababababababababababababababababababababababababab",
                    "/documents/bom", 404, "unknown_model");
        {
                char hex[SHA256_HEX_SIZE], path[512];
                int fd;

                hex_of(bom, hex);
                registry_fixture_object(&f, hex, path);
                assert_int_equal(chmod(path, 0600), 0);
                fd = open(path, O_WRONLY | O_CLOEXEC);
                assert_int_equal(pwrite(fd, "X", 1, 0), 1);
                close_fd(fd);
                expect_call("GET", a.sha256, "/documents/bom", 503, "document_damaged");
        }
        expect_call("DELETE", a.sha256, "", 204, NULL);
        assert_false(is_stored(tensors));
        assert_false(is_stored(bom));
}

static void test_a_large_document_is_served_whole(void **state) {
        struct buf large = BUF_INIT((size_t)8 << 20), b;
        int sock = registry_fixture_channel(&f, "quarantine");
        struct evidence_spec s = evidence_spec_for("large document.gguf", VIEW("large document"));
        char text[128], hex[SHA256_HEX_SIZE];
        struct channel_answer a;

        assert_int_equal(buf_append_char(&large, '['), 0);
        for (unsigned i = 0; i < 500000; i++)
                assert_int_equal(buf_printf(&large, "%u,", i), 0);
        assert_int_equal(buf_append_str(&large, "0]"), 0);
        hex_of(buf_str(&large), hex);
        (void)snprintf(text, sizeof text, "\"tensors\":\"%s\"", hex);
        s.documents = text;
        assert_true(registry_fixture_document(&f, sock, "tensors", buf_view(&large)).ok);
        a = promote_on(sock, &s, VIEW("large document"));
        assert_true(a.ok);
        assert_int_equal(call_model("GET", a.sha256, "/documents/tensors", &b), 200);
        assert_true(view_eq(buf_view(&b), buf_view(&large)));
        buf_done(&large);
        buf_done(&b);
        close_fd(sock);
}

static void test_documents_must_be_those_of_the_evidence(void **state) {
        static const char tensors[] = "{\"t\":1}", bom[] = "{\"b\":1}";
        static const struct {
                const char *tensors, *bom, *statement;
        } cases[] = {
                {NULL, NULL, NULL},           /* none */
                {tensors, NULL, NULL},        /* one is missing */
                {tensors, "{\"b\":2}", NULL}, /* another content */
                {tensors, bom, "{\"s\":1}"},  /* one more */
                {bom, tensors, NULL},         /* mixed up */
        };
        char text[512];
        struct evidence_spec s = spec_with_documents("papers", tensors, bom, text);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(closep) int sock = registry_fixture_channel(&f, "quarantine");
                struct channel_answer a;

                if (cases[i].tensors)
                        assert_true(
                                registry_fixture_document(&f, sock, "tensors", view_of(cases[i].tensors)).ok);
                if (cases[i].bom)
                        assert_true(registry_fixture_document(&f, sock, "bom", view_of(cases[i].bom)).ok);
                if (cases[i].statement)
                        assert_true(
                                registry_fixture_document(&f, sock, "statement", view_of(cases[i].statement))
                                        .ok);
                a = promote_on(sock, &s, VIEW("papers"));
                assert_false(a.ok);
                assert_true(a.final);
                assert_string_equal(a.code, "documents_mismatch");
        }
}

static void test_a_document_is_checked_and_bounded(void **state) {
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "quarantine"),
                              wrong = registry_fixture_file(&f, "wrong", VIEW("{}")),
                              empty = registry_fixture_file(&f, "empty", VIEW("")),
                              large = registry_fixture_file(&f, "large", VIEW("{}"));
        static const char message[] = "{\"op\":\"document\",\"name\":\"bom\",\"sha256\":"
                                      "\"abababababababababababababababababababababababababababababababab\"}";
        char path[512];

        (void)snprintf(path, sizeof path, "%s/large", f.inbox);
        assert_int_equal(truncate(path, ((off_t)64 << 20) + 1), 0);
        assert_string_equal(registry_fixture_ask(sock, VIEW(message), large).code, "document_too_large");
        assert_string_equal(registry_fixture_ask(sock, VIEW(message), empty).code, "bad_descriptor");
        assert_string_equal(registry_fixture_ask(sock, VIEW(message), wrong).code, "sha256_mismatch");
        assert_true(registry_fixture_document(&f, sock, "bom", VIEW("{}")).ok); /* the connection goes on */
}

/* --- damage, blocklist, roll-back --- */

static void damage(const char *content) {
        char hex[SHA256_HEX_SIZE], path[512];
        int fd;

        hex_of(content, hex);
        registry_fixture_object(&f, hex, path);
        assert_int_equal(chmod(path, 0600), 0);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "X", 1, 0), 1);
        close_fd(fd);
}

static void test_damage_of_one_file_is_found_and_healed_by_another_import(void **state) {
        const struct test_set t = {3, {"a", "b", "c"}, {"sound", "will be damaged", "sound too"}};
        struct evidence_spec s = registry_fixture_set_spec("healed", &t);
        struct channel_answer a = add_set("damaged", &t);
        _cleanup_(closep) int sock = registry_fixture_channel(&f, "inference");

        expect_call("POST", a.sha256, "/verify", 202, NULL);
        wait_for_state(a.sha256, "\"verify_state\":\"ok\"");
        damage("will be damaged");
        expect_call("POST", a.sha256, "/verify", 202, NULL);
        wait_for_state(a.sha256, "\"verify_state\":\"failed\"");
        assert_string_equal(registry_fixture_open(sock, a.sha256).code, "model_damaged");
        a = promote_set(&s, &t);
        assert_true(a.ok && a.duplicate);
        a = registry_fixture_open(sock, a.sha256);
        assert_true(a.ok);
        close_fd(a.fd);
}

static void test_a_start_finds_lost_files_and_orphans_of_sets(void **state) {
        const struct test_set t = {2, {"a", "b"}, {"lost file", "left file"}};
        struct channel_answer a = add_set("lossy", &t);
        char hex[SHA256_HEX_SIZE], path[512], orphan[512];
        int fd;

        (void)harness_stop(f.h, "registry");
        hex_of("lost file", hex);
        registry_fixture_object(&f, hex, path);
        assert_int_equal(unlink(path), 0);
        registry_fixture_object(&f, "cdababababababababababababababababababababababababababababababab",
                                orphan);
        (void)snprintf(path, sizeof path, "%s/objects/sha256/cd", harness_state_path(f.h, "registry"));
        (void)mkdir(path, 0700);
        fd = open(orphan, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
        assert_true(fd >= 0);
        close_fd(fd);
        harness_start(f.h, "registry", NULL);
        assert_int_equal(access(orphan, F_OK), -1);
        assert_true(is_stored("left file"));
        expect_call("GET", a.sha256, "", 200, "\"verify_state\":\"failed\"");
        expect_call("DELETE", a.sha256, "", 204, NULL);
        assert_false(is_stored("left file"));
}

static void test_the_blocklist_counts_for_the_set_and_for_each_file(void **state) {
        const struct test_set open_one = {2, {"a", "b"}, {"good file", "later blocked"}},
                              fresh = {2, {"a", "b"}, {"other file", "later blocked"}},
                              whole = {1, {"a"}, {"listing blocked"}};
        struct channel_answer a = add_set("partly blocked", &open_one);
        struct evidence_spec s = registry_fixture_set_spec("fresh", &fresh),
                             w = registry_fixture_set_spec("whole", &whole);
        char hex[SHA256_HEX_SIZE], set[SHA256_HEX_SIZE], text[512];
        const char *config = harness_copy_config(f.h);
        _cleanup_(closep) int dir = open_dir(config), policy = -EBADF, sock = -EBADF;

        hex_of("later blocked", hex);
        state_of(&w, set);
        (void)snprintf(text, sizeof text,
                       "version: 1\npins: []\nblocklist:\n  - sha256: %s\n    reason: test\n  - sha256: %s\n"
                       "    reason: test\n",
                       hex, set);
        policy = open_beneath(dir, "policy", O_RDONLY | O_DIRECTORY, 0);
        assert_int_equal(replace_file(policy, "models.lock.yaml", view_of(text), 0644), 0);
        (void)harness_stop(f.h, "registry");
        harness_start(f.h, "registry", NULL);
        sock = registry_fixture_channel(&f, "inference");
        assert_string_equal(registry_fixture_open(sock, a.sha256).code, "blocked");
        assert_string_equal(promote_set(&s, &fresh).code, "blocked");
        assert_string_equal(promote_set(&w, &whole).code, "blocked");
        expect_gone("other file");
        assert_int_equal(
                replace_file(policy, "models.lock.yaml", VIEW("version: 1\npins: []\nblocklist: []\n"), 0644),
                0);
        (void)harness_stop(f.h, "registry");
        harness_start(f.h, "registry", NULL);
        assert_true(promote_set(&s, &fresh).ok);
}

static void run_sql(const char *sql) {
        char path[512];
        sqlite3 *db;

        (void)snprintf(path, sizeof path, "%s/manifest.db", harness_state_path(f.h, "registry"));
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct buf get_db(void) {
        _cleanup_(closep) int dir = open_dir(harness_state_path(f.h, "registry"));
        struct buf b = BUF_INIT((size_t)64 << 20);

        assert_int_equal(read_file_beneath(dir, "manifest.db", (size_t)64 << 20, &b), 0);
        return b;
}

static void put_db(const struct buf *b) {
        _cleanup_(closep) int dir = open_dir(harness_state_path(f.h, "registry"));

        assert_int_equal(replace_file(dir, "manifest.db", buf_view(b), 0600), 0);
}

static void test_changed_rows_of_files_and_documents_are_noticed(void **state) {
        static const char *const changes[] = {
                "UPDATE member SET path = 'zz' WHERE path = 'tamper'",
                "UPDATE member SET size = size + 1 WHERE path = 'tamper'",
                "DELETE FROM member WHERE path = 'tamper'",
                "INSERT INTO member SELECT sha256, 'more', sha256, 1 FROM model LIMIT 1",
                "INSERT INTO document SELECT sha256, 'behaviour', sha256, 1 FROM model LIMIT 1",
                "DELETE FROM document",
        };
        const struct test_set t = {2, {"other", "tamper"}, {"x", "y"}};
        struct buf db;

        (void)add_set("tampered", &t);
        (void)harness_stop(f.h, "registry");
        db = get_db();
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                run_sql(changes[i]);
                if (harness_try_start(f.h, "registry", NULL) == 0)
                        fail_msg("%s was not noticed", changes[i]);
                put_db(&db);
        }
        assert_non_null(strstr(harness_stderr(f.h, "registry"), "manifest_tampered"));
        harness_start(f.h, "registry", NULL);
        buf_done(&db);
}

/* As the version before sets left it: the same head is good for it. */
static void test_a_manifest_from_before_sets_is_taken_over(void **state) {
        struct registry_fixture old = f;
        struct channel_answer a;

        registry_fixture_make(&f);
        a = registry_fixture_add(&f, "old.gguf", VIEW("from before"));
        (void)harness_stop(f.h, "registry");
        run_sql("DROP TABLE member; DROP TABLE document; PRAGMA user_version = 1;");
        harness_start(f.h, "registry", NULL);
        expect_call("GET", a.sha256, "", 200, "\"members\":0,\"documents\":[]");
        registry_fixture_done(&f);
        f = old;
}

/* --- killed --- */

struct promoter {
        const struct test_set *set;
        struct evidence_spec spec;
        int sock;
};

static bool send_file(int sock, struct view message, const char *content) {
        struct json_document *d = NULL;
        int fd = memfd_create("member", MFD_CLOEXEC), got = -EBADF, r = -EIO;
        char path[64];
        int reader;

        if (fd < 0 || write_all(fd, content, strlen(content)) < 0)
                return false;
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        reader = open(path, O_RDONLY | O_CLOEXEC);
        close_fd(fd);
        if (fd_channel_send(sock, message, reader, USEC_PER_SEC * 10) >= 0)
                r = fd_channel_receive(sock, USEC_PER_SEC * 10, &d, &got);
        json_document_free(d);
        close_fd(got);
        close_fd(reader);
        return r >= 0;
}

/* Sends all and doesn't care whether answers come: the registry is killed meanwhile. */
static void *send_promotion(void *userdata) {
        struct promoter *p = userdata;
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20), text = BUF_INIT(0);
        char line[256], hex[SHA256_HEX_SIZE];

        for (size_t i = 0; i < p->set->n; i++) {
                hex_of(p->set->contents[i], hex);
                (void)snprintf(line, sizeof line, "{\"op\":\"member\",\"sha256\":\"%s\",\"size\":%zu}", hex,
                               strlen(p->set->contents[i]));
                if (!send_file(p->sock, view_of(line), p->set->contents[i]))
                        return NULL;
        }
        hex_of("{\"kill\":1}", hex);
        (void)snprintf(line, sizeof line, "{\"op\":\"document\",\"name\":\"bom\",\"sha256\":\"%s\"}", hex);
        if (!send_file(p->sock, view_of(line), "{\"kill\":1}"))
                return NULL;
        evidence_message(f.private_dir, &p->spec, &message);
        text = registry_fixture_listing(p->set);
        (void)send_file(p->sock, buf_view(&message), buf_str(&text));
        return NULL;
}

/* All of it or nothing of it, after a start. */
static void check_consistent(const char *set, const struct test_set *t) {
        bool listed = call_model("GET", set, "", NULL) == 200;

        for (size_t i = 0; i < t->n; i++)
                assert_int_equal(is_stored(t->contents[i]), listed);
        assert_int_equal(is_stored("{\"kill\":1}"), listed);
        if (listed)
                expect_call("GET", set, "", 200, "\"documents\":[\"bom\"]");
}

static void test_killed_at_any_point_it_has_the_set_wholly_or_not(void **state) {
        static char large[3][300001];
        char documents[128], hex[SHA256_HEX_SIZE];
        unsigned whole = 0;

        hex_of("{\"kill\":1}", hex);
        (void)snprintf(documents, sizeof documents, "\"bom\":\"%s\"", hex);
        for (unsigned i = 0; i < KILLS; i++) {
                struct test_set t = {3, {"a", "b", "c"}, {large[0], large[1], large[2]}};
                struct promoter p = {.set = &t, .sock = registry_fixture_channel(&f, "quarantine")};
                char set[SHA256_HEX_SIZE];
                struct channel_answer a;
                pthread_t thread;

                for (unsigned k = 0; k < 3; k++)
                        memset(large[k], (int)('A' + i + 20 * k), sizeof large[k] - 1);
                p.spec = registry_fixture_set_spec("killed", &t);
                p.spec.documents = documents;
                state_of(&p.spec, set);
                assert_int_equal(pthread_create(&thread, NULL, send_promotion, &p), 0);
                (void)nanosleep(&(struct timespec){.tv_nsec = (long)i * 1300000}, NULL);
                harness_kill(f.h, "registry");
                assert_int_equal(pthread_join(thread, NULL), 0);
                close_fd(p.sock);
                harness_start(f.h, "registry", NULL);
                check_consistent(set, &t);
                whole += call_model("GET", set, "", NULL) == 200;
                p.sock = registry_fixture_channel(&f, "quarantine");
                assert_true(registry_fixture_document(&f, p.sock, "bom", VIEW("{\"kill\":1}")).ok);
                a = registry_fixture_promote_set(&f, p.sock, &p.spec, &t);
                if (!a.ok)
                        fail_msg("%s %s", a.code, a.message);
                assert_false(a.duplicate);
                close_fd(p.sock);
                check_consistent(set, &t);
                expect_call("DELETE", set, "", 204, NULL);
        }
        print_message("# %u of %u were there before the kill\n", whole, KILLS);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_set_is_promoted_listed_and_opened_file_by_file),
                cmocka_unit_test(test_the_same_job_is_answered_the_same_without_its_files),
                cmocka_unit_test(test_what_was_handed_in_goes_with_its_connection),
                cmocka_unit_test(test_a_file_that_two_connections_hand_in_stays_for_the_second),
                cmocka_unit_test(test_deleting_leaves_what_another_model_has),
                cmocka_unit_test(test_each_reason_to_refuse_a_set_is_named),
                cmocka_unit_test(test_a_file_that_is_not_as_stated_stops_the_set),
                cmocka_unit_test(test_malformed_hand_ins_are_refused),
                cmocka_unit_test(test_documents_come_with_the_model_and_are_served),
                cmocka_unit_test(test_a_large_document_is_served_whole),
                cmocka_unit_test(test_documents_must_be_those_of_the_evidence),
                cmocka_unit_test(test_a_document_is_checked_and_bounded),
                cmocka_unit_test(test_damage_of_one_file_is_found_and_healed_by_another_import),
                cmocka_unit_test(test_a_start_finds_lost_files_and_orphans_of_sets),
                cmocka_unit_test(test_the_blocklist_counts_for_the_set_and_for_each_file),
                cmocka_unit_test(test_changed_rows_of_files_and_documents_are_noticed),
                cmocka_unit_test(test_a_manifest_from_before_sets_is_taken_over),
                cmocka_unit_test(test_killed_at_any_point_it_has_the_set_wholly_or_not),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
