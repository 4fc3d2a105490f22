#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"

#define WAIT_USEC (UINT64_C(60) * USEC_PER_SEC)

char *rig_model_path(const char *name) {
        char *path;
        const char *source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        assert_true(asprintf(&path, "%s/%s", source, name) > 0);
        return path;
}

struct buf rig_read_model(const char *name) {
        _cleanup_(freep) char *path = rig_model_path(name);
        struct buf content = BUF_INIT((size_t)8 << 20);

        assert_int_equal(read_file(path, (size_t)8 << 20, &content), 0);
        return content;
}

int rig_inbox(struct harness *h) {
        _cleanup_(freep) char *path = NULL;
        int fd;

        assert_true(asprintf(&path, "%s/incoming", harness_state_path(h, "quarantine")) > 0);
        fd = open_dir(path);
        assert_true(fd >= 0);
        return fd;
}

void rig_drop_bytes(struct harness *h, const char *name, struct view bytes) {
        _cleanup_(closep) int dir = rig_inbox(h),
                              fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes.p, bytes.n), 0);
}

void rig_drop_model(struct harness *h, const char *as, const char *model) {
        _cleanup_(buf_donep) struct buf content = rig_read_model(model);

        rig_drop_bytes(h, as, buf_view(&content));
}

bool rig_in_inbox(struct harness *h, const char *name) {
        _cleanup_(closep) int dir = rig_inbox(h);
        struct stat st;

        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

const struct json *rig_find_job(struct harness *h, const char *name, struct json_document **doc) {
        struct http_client *c = harness_client(h, "ui", "quarantine");
        struct http_answer a;
        const struct json *jobs;

        *doc = NULL;
        assert_int_equal(harness_call(c, "GET", "/v1/jobs", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, doc, NULL), 0);
        http_answer_done(&a);
        http_client_free(c);
        jobs = json_get_typed(json_root(*doc), "jobs", JSON_ARRAY);
        assert_non_null(jobs);
        for (const struct json *j = jobs->child; j; j = j->next)
                if (view_eq_str(json_get_view(j, "name", VIEW_NULL), name))
                        return j;
        return NULL;
}

const struct json *rig_wait_for(struct harness *h, const char *name, const char *state,
                                struct json_document **doc) {
        uint64_t deadline = clock_monotonic_usec() + WAIT_USEC;

        for (;;) {
                const struct json *j = rig_find_job(h, name, doc);
                struct view is = json_get_view(j, "state", VIEW("none"));

                if (view_eq_str(is, state))
                        return j;
                if (clock_monotonic_usec() > deadline)
                        fail_msg("%s is %.*s, not %s (%.*s); %s", name, VIEW_ARG(is), state,
                                 VIEW_ARG(json_get_view(j, "reason", VIEW_NULL)),
                                 harness_stderr(h, "quarantine"));
                json_document_free(*doc);
                usleep(50000);
        }
}

void rig_expect_state(struct harness *h, const char *name, const char *state, const char *code) {
        struct json_document *doc;
        const struct json *j = rig_wait_for(h, name, state, &doc);

        if (code && !view_eq_str(json_get_view(j, "code", VIEW_NULL), code))
                fail_msg("code is %.*s, not %s", VIEW_ARG(json_get_view(j, "code", VIEW_NULL)), code);
        json_document_free(doc);
}

bool rig_registry_has(struct harness *h, const char *name) {
        struct http_client *c = harness_client(h, "ui", "registry");
        struct json_document *doc = NULL;
        const struct json *models;
        struct http_answer a;
        bool found = false;

        assert_int_equal(harness_call(c, "GET", "/v1/models", NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &doc, NULL), 0);
        models = json_get_typed(json_root(doc), "models", JSON_ARRAY);
        assert_non_null(models);
        for (const struct json *m = models->child; m; m = m->next)
                found |= view_eq_str(json_get_view(m, "name", VIEW_NULL), name);
        json_document_free(doc);
        http_answer_done(&a);
        http_client_free(c);
        return found;
}

void rig_make_keys(struct harness *h) {
        const char *arguments[] = {"--make-keys", "--state", harness_state_path(h, "quarantine"), NULL};
        _cleanup_(freep) char *from = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        _cleanup_(closep) int dir = open_dir(harness_credentials_path(h, "registry"));

        assert_int_equal(harness_run(h, "quarantine", arguments, NULL), 0);
        assert_true(asprintf(&from, "%s/evidence.pub", harness_state_path(h, "quarantine")) > 0);
        assert_int_equal(read_file(from, 4096, &pem), 0);
        assert_true(dir >= 0);
        assert_int_equal(replace_file(dir, "evidence.pub", buf_view(&pem), 0644), 0);
}

int rig_start(void **state) {
        struct harness *h = harness_new();

        if (!harness_worker_root_path(h)) {
                print_message("the sealed worker root is missing: stage 6 can't run\n");
                harness_free(h);
                return -1;
        }
        rig_make_keys(h);
        harness_start(h, "audit", NULL);
        harness_start(h, "registry", NULL);
        harness_start(h, "quarantine", NULL);
        *state = h;
        return 0;
}

int rig_stop(void **state) {
        harness_free(*state);
        return 0;
}
