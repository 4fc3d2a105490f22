#include "registry_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "support/cm.h"

#include "base/file.h"

#define WAIT (60 * USEC_PER_SEC)

void registry_fixture_make(struct registry_fixture *f) {
        f->h = harness_new();
        (void)snprintf(f->private_dir, sizeof f->private_dir, "%s/private", harness_root(f->h));
        (void)snprintf(f->inbox, sizeof f->inbox, "%s/inbox", harness_root(f->h));
        assert_int_equal(mkdir(f->private_dir, 0700), 0);
        assert_int_equal(mkdir(f->inbox, 0700), 0);
        evidence_make_key(f->private_dir, harness_credentials_path(f->h, "registry"));
        harness_start(f->h, "audit", NULL);
        harness_start(f->h, "registry", NULL);
}

void registry_fixture_done(struct registry_fixture *f) {
        f->h = harness_free(f->h);
}

int registry_fixture_file(struct registry_fixture *f, const char *name, struct view content) {
        _cleanup_(closep) int dir = open_dir(f->inbox);
        int fd;

        (void)unlinkat(dir, name, 0);
        assert_int_equal(replace_file(dir, name, content, 0600), 0);
        fd = open_beneath(dir, name, O_RDONLY, 0);
        assert_true(fd >= 0);
        return fd;
}

/* The harness gives tokens out of one buffer: one thread at a time may ask. */
static pthread_mutex_t harness_lock = PTHREAD_MUTEX_INITIALIZER;

int registry_fixture_channel(struct registry_fixture *f, const char *caller) {
        char path[512], token[128];
        int sock;

        (void)snprintf(path, sizeof path, "%s/registry.fd.sock", harness_run_path(f->h));
        pthread_mutex_lock(&harness_lock);
        (void)snprintf(token, sizeof token, "%s", harness_token(f->h, caller, "registry"));
        pthread_mutex_unlock(&harness_lock);
        sock = fd_channel_connect(path, view_of(token), WAIT);
        assert_true(sock >= 0);
        return sock;
}

static void copy(char *out, size_t n, struct view v) {
        (void)snprintf(out, n, "%.*s", VIEW_ARG(v));
}

struct channel_answer registry_fixture_ask(int sock, struct view message, int fd) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct channel_answer a = {.fd = -EBADF};
        const struct json *o;

        assert_int_equal(fd_channel_send(sock, message, fd, WAIT), 0);
        assert_int_equal(fd_channel_receive(sock, WAIT, &d, &a.fd), 0);
        o = json_root(d);
        assert_int_equal(json_get_bool(o, "ok", &a.ok), 0);
        (void)!json_get_bool(o, "duplicate", &a.duplicate);
        (void)!json_get_bool(o, "final", &a.final);
        (void)!json_get_u64(o, "size", &a.size);
        copy(a.code, sizeof a.code, json_get_view(o, "code", VIEW("")));
        copy(a.message, sizeof a.message, json_get_view(o, "message", VIEW("")));
        copy(a.sha256, sizeof a.sha256, json_get_view(o, "sha256", VIEW("")));
        copy(a.name, sizeof a.name, json_get_view(o, "name", VIEW("")));
        copy(a.kind, sizeof a.kind, json_get_view(o, "kind", VIEW("")));
        return a;
}

struct channel_answer registry_fixture_promote(struct registry_fixture *f, const struct evidence_spec *s,
                                               int fd) {
        _cleanup_(closep) int sock = registry_fixture_channel(f, "quarantine");
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)1 << 20);

        evidence_message(f->private_dir, s, &message);
        return registry_fixture_ask(sock, buf_view(&message), fd);
}

struct channel_answer registry_fixture_add(struct registry_fixture *f, const char *name,
                                           struct view content) {
        struct evidence_spec s = evidence_spec_for(name, content);
        _cleanup_(closep) int fd = registry_fixture_file(f, name, content);

        return registry_fixture_promote(f, &s, fd);
}

struct channel_answer registry_fixture_open(int sock, const char *sha256) {
        char message[128];

        (void)snprintf(message, sizeof message, "{\"op\":\"open\",\"sha256\":\"%s\"}", sha256);
        return registry_fixture_ask(sock, view_of(message), -EBADF);
}

unsigned registry_fixture_call(struct registry_fixture *f, const char *caller, const char *method,
                               const char *path, struct buf *ret_body) {
        struct http_client *c;
        struct http_answer a;
        unsigned status;

        pthread_mutex_lock(&harness_lock);
        c = harness_client(f->h, caller, "registry");
        pthread_mutex_unlock(&harness_lock);
        status = harness_call(c, method, path, NULL, &a);

        if (ret_body)
                *ret_body = TAKE_BUF(a.body);
        http_answer_done(&a);
        http_client_free(c);
        return status;
}

unsigned registry_fixture_count(struct registry_fixture *f) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf body = BUF_INIT(0);
        const struct json *models;

        assert_int_equal(registry_fixture_call(f, "ui", "GET", "/v1/models", &body), 200);
        assert_int_equal(json_parse(buf_view(&body), NULL, &d, NULL), 0);
        models = json_get_typed(json_root(d), "models", JSON_ARRAY);
        assert_non_null(models);
        return models->count;
}

void registry_fixture_object(struct registry_fixture *f, const char *sha256, char out[512]) {
        (void)snprintf(out, 512, "%s/objects/sha256/%.2s/%s", harness_state_path(f->h, "registry"), sha256,
                       sha256 + 2);
}

/* --- sets --- */

struct buf registry_fixture_listing(const struct test_set *t) {
        _cleanup_(set_listing_donep) struct set_listing l = {0};
        struct buf text = BUF_INIT(SET_LISTING_MAX);

        for (size_t i = 0; i < t->n; i++) {
                struct sha256 d;

                assert_int_equal(sha256_of(view_of(t->contents[i]), &d), 0);
                assert_int_equal(set_listing_add(&l, view_of(t->paths[i]), strlen(t->contents[i]), &d), 0);
        }
        assert_int_equal(set_listing_sort(&l), 0);
        assert_int_equal(set_listing_write(&l, &text), 0);
        return text;
}

struct evidence_spec registry_fixture_set_spec(const char *name, const struct test_set *t) {
        _cleanup_(buf_donep) struct buf text = registry_fixture_listing(t);
        struct evidence_spec s = evidence_spec_for(name, buf_view(&text));

        s.kind = "gguf-set";
        s.members = t->n;
        s.size = 0;
        for (size_t i = 0; i < t->n; i++)
                s.size += strlen(t->contents[i]);
        return s;
}

static struct channel_answer hand_in(struct registry_fixture *f, int sock, const char *start,
                                     struct view content, bool with_size) {
        _cleanup_(closep) int fd = registry_fixture_file(f, "handed", content);
        _cleanup_(buf_donep) struct buf message = BUF_INIT(1024);
        char hex[SHA256_HEX_SIZE];
        struct sha256 d;

        assert_int_equal(sha256_of(content, &d), 0);
        sha256_hex(&d, hex);
        assert_int_equal(buf_printf(&message, "%s,\"sha256\":\"%s\"", start, hex), 0);
        if (with_size)
                assert_int_equal(buf_printf(&message, ",\"size\":%zu", content.n), 0);
        assert_int_equal(buf_append_char(&message, '}'), 0);
        return registry_fixture_ask(sock, buf_view(&message), fd);
}

struct channel_answer registry_fixture_member(struct registry_fixture *f, int sock, struct view content) {
        return hand_in(f, sock, "{\"op\":\"member\"", content, true);
}

struct channel_answer registry_fixture_document(struct registry_fixture *f, int sock, const char *name,
                                                struct view content) {
        char start[128];

        (void)snprintf(start, sizeof start, "{\"op\":\"document\",\"name\":\"%s\"", name);
        return hand_in(f, sock, start, content, false);
}

struct channel_answer registry_fixture_promote_set(struct registry_fixture *f, int sock,
                                                   const struct evidence_spec *s, const struct test_set *t) {
        _cleanup_(buf_donep) struct buf text = registry_fixture_listing(t),
                                        message = BUF_INIT((size_t)1 << 20);
        _cleanup_(closep) int fd = registry_fixture_file(f, "listing", buf_view(&text));

        for (size_t i = 0; i < t->n; i++) {
                struct channel_answer a = registry_fixture_member(f, sock, view_of(t->contents[i]));

                if (!a.ok)
                        return a;
        }
        evidence_message(f->private_dir, s, &message);
        return registry_fixture_ask(sock, buf_view(&message), fd);
}
