/* A model in parts, from the real registry into the real llama-server. Left out, with a word on standard error, where there is
 * no worker root. */
#include "../registry/registry_fixture.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "support/cm.h"
#include "support/split_gguf.h"

#define PARTS 3

static struct {
        struct registry_fixture registry;
        struct http_client *client;
        struct buf whole, parts[PARTS], listing;
        char set[SHA256_HEX_SIZE];
} rig;

/* One thread for the worker: its threads spin, and tests share the machine. */
static void use_one_thread(void) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1 << 20);
        _cleanup_(closep) int dir = open_dir(harness_copy_config(rig.registry.h)), sub = -EBADF;
        char *at;

        assert_int_equal(read_file_beneath(dir, "config/appliance.yaml", 1 << 20, &text), 0);
        at = strstr(text.p, "threads: 0");
        assert_non_null(at);
        at[9] = '1';
        sub = open_beneath(dir, "config", O_RDONLY | O_DIRECTORY, 0);
        assert_int_equal(replace_file(sub, "appliance.yaml", buf_view(&text), 0644), 0);
}

static void read_model(void) {
        const char *stage = secure_getenv("SECAI_STAGE");
        char path[512];

        (void)snprintf(path, sizeof path, "%s/usr/share/secure-ai/demo/pebble.gguf", stage ? stage : "");
        rig.whole = BUF_INIT((size_t)16 << 20);
        assert_int_equal(read_file(path, (size_t)16 << 20, &rig.whole), 0);
        for (unsigned i = 0; i < PARTS; i++)
                rig.parts[i] = BUF_INIT((size_t)16 << 20);
        assert_int_equal(split_gguf(buf_view(&rig.whole), PARTS, rig.parts), 0);
}

/* The listing of the parts and of a text beside them. */
static struct evidence_spec describe(const char *name, const char *kind) {
        _cleanup_(set_listing_donep) struct set_listing l = {0};
        struct evidence_spec s;
        struct sha256 d;
        char path[128];

        for (unsigned i = 0; i < PARTS; i++) {
                split_gguf_name("pebble", i, PARTS, path);
                assert_int_equal(sha256_of(buf_view(&rig.parts[i]), &d), 0);
                assert_int_equal(set_listing_add(&l, view_of(path), rig.parts[i].n, &d), 0);
        }
        assert_int_equal(sha256_of(VIEW("# Pebble"), &d), 0);
        assert_int_equal(set_listing_add(&l, view_of(name), 8, &d), 0); /* another text, another set */
        assert_int_equal(set_listing_sort(&l), 0);
        rig.listing = BUF_INIT(SET_LISTING_MAX);
        assert_int_equal(set_listing_write(&l, &rig.listing), 0);
        s = evidence_spec_for(name, buf_view(&rig.listing));
        s.kind = kind;
        s.members = l.n;
        s.size = l.size;
        return s;
}

static void promote(const char *name, const char *kind, bool tested) {
        struct evidence_spec s = describe(name, kind);
        _cleanup_(closep) int sock = registry_fixture_channel(&rig.registry, "quarantine"),
                              fd = registry_fixture_file(&rig.registry, "l", buf_view(&rig.listing));
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);
        struct channel_answer a;

        if (!tested)
                s.statuses[5] = "not_applicable";
        for (unsigned i = 0; i < PARTS; i++)
                assert_true(registry_fixture_member(&rig.registry, sock, buf_view(&rig.parts[i])).ok);
        assert_true(registry_fixture_member(&rig.registry, sock, VIEW("# Pebble")).ok);
        evidence_message(rig.registry.private_dir, &s, &message);
        a = registry_fixture_ask(sock, buf_view(&message), fd);
        if (!a.ok)
                fail_msg("%s: %s", a.code, a.message);
        if (tested)
                memcpy(rig.set, a.sha256, sizeof rig.set);
        buf_done(&rig.listing);
}

static int start(void **state) {
        struct channel_answer a;

        registry_fixture_make(&rig.registry);
        use_one_thread();
        read_model();
        a = registry_fixture_add(&rig.registry, "whole.gguf", buf_view(&rig.whole));
        assert_true(a.ok);
        promote("in parts", "gguf-set", true);
        promote("weights only", "safetensors-set", false);
        harness_start(rig.registry.h, "inference", NULL);
        rig.client = harness_client(rig.registry.h, "ui", "inference");
        return 0;
}

static int stop(void **state) {
        http_client_free(rig.client);
        (void)harness_stop(rig.registry.h, "inference");
        registry_fixture_done(&rig.registry);
        buf_done(&rig.whole);
        for (unsigned i = 0; i < PARTS; i++)
                buf_done(&rig.parts[i]);
        return 0;
}

/* What the model says; the caller frees it. */
static struct buf chat(const char *model) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct buf text = BUF_INIT(1 << 20);
        const struct json *choices;
        char body[512];

        (void)snprintf(
                body, sizeof body,
                "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello, who are you?\"}],"
                "\"max_tokens\":24,\"temperature\":0,\"seed\":1}",
                model);
        if (harness_call(rig.client, "POST", "/v1/chat/completions", body, &a) != 200)
                fail_msg("%s: %u %s\n%s", model, a.status, buf_str(&a.body),
                         harness_stderr(rig.registry.h, "inference"));
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &d, NULL), 0);
        choices = json_get_typed(json_root(d), "choices", JSON_ARRAY);
        assert_non_null(choices);
        assert_int_equal(buf_append_view(&text, json_get_view(json_get(choices->child, "message"), "content",
                                                              VIEW_NULL)),
                         0);
        assert_true(text.n > 0);
        return text;
}

static void a_model_in_parts_answers_as_the_whole_one_does(void **state) {
        _cleanup_(buf_donep) struct buf whole = chat("whole.gguf"), parts = chat("in parts");
        char path[128];

        assert_string_equal(buf_str(&parts), buf_str(&whole));
        /* the lease of the set is the channel over which its files came */
        (void)snprintf(path, sizeof path, "/v1/models/%s", rig.set);
        assert_int_equal(registry_fixture_call(&rig.registry, "ui", "DELETE", path, NULL), 409);
}

static void sets_that_can_t_be_run_are_not_offered(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0}, b = {0};

        assert_int_equal(harness_call(rig.client, "GET", "/v1/models", NULL, &a), 200);
        assert_non_null(strstr(buf_str(&a.body), "\"name\":\"in parts\""));
        assert_null(strstr(buf_str(&a.body), "weights only"));
        assert_int_equal(harness_call(rig.client, "POST", "/v1/load", "{\"model\":\"weights only\"}", &b),
                         404);
}

static void an_unloaded_set_can_be_deleted(void **state) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        char path[128];
        unsigned status = 409;

        assert_int_equal(harness_call(rig.client, "POST", "/v1/unload", NULL, &a), 200);
        (void)snprintf(path, sizeof path, "/v1/models/%s", rig.set);
        for (unsigned i = 0; i < 1000 && status == 409; i++) {
                status = registry_fixture_call(&rig.registry, "ui", "DELETE", path, NULL);
                (void)usleep(status == 409 ? 10000 : 0); /* until the registry sees the end of the channel */
        }
        assert_int_equal(status, 204);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sets_that_can_t_be_run_are_not_offered),
                cmocka_unit_test(a_model_in_parts_answers_as_the_whole_one_does),
                cmocka_unit_test(an_unloaded_set_can_be_deleted),
        };
        struct harness *h = harness_new();
        bool can_run = harness_worker_root_path(h) != NULL;

        harness_free(h);
        if (!can_run) {
                (void)fprintf(stderr, "NOT TESTED: no sealed worker root (tools/worker-root.sh)\n");
                printf("1..0 # SKIP no worker root\n");
                return 0;
        }
        return cmocka_run_group_tests(tests, start, stop);
}
