/* Every command of securectl against the whole running system, as its owner uses it. */
#include "support/cm.h"

#include <sys/wait.h>

#include "base/file.h"
#include "support/system.h"
#include "support/temp_dir.h"
#include "wire/json.h"

struct fixture {
        struct system *system;
        char demo[4096]; /* the shipped demo model */
};

static int start(void **state) {
        static struct fixture f;

        assert_non_null(secure_getenv("SECAI_STAGE"));
        (void)snprintf(f.demo, sizeof f.demo, "%s/usr/share/secure-ai/demo/pebble.gguf",
                       secure_getenv("SECAI_STAGE"));
        f.system = system_new(NULL);
        system_start(f.system, NULL);
        *state = &f;
        return 0;
}

static int stop(void **state) {
        struct fixture *f = *state;

        assert_int_equal(system_stop(f->system), 0);
        f->system = system_free(f->system);
        return 0;
}

/* Runs a command; its exit code, and its output in *out. */
static int run(struct fixture *f, struct buf *out, const char *const *arguments) {
        int status;

        buf_done(out);
        *out = BUF_INIT((size_t)16 << 20);
        status = system_securectl(f->system, arguments, out);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}
#define RUN(f, out, ...) run(f, out, (const char *const[]){__VA_ARGS__, NULL})

static void assert_says(const struct buf *out, const char *text) {
        if (!strstr(buf_str(out), text))
                fail_msg("expected \"%s\" in:\n%s", text, buf_str(out));
}

static struct json_document *parse(const struct buf *out) {
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;

        if (json_parse(buf_view(out), NULL, &doc, &fault) < 0)
                fail_msg("%s in:\n%s", fault.text, buf_str(out));
        return doc;
}

static void status_says_that_all_services_are_well(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        struct json_document *doc;

        assert_int_equal(RUN(f, &out, "status"), 0);
        assert_says(&out, "registry    ok");
        assert_says(&out, "imports     0 under way");
        assert_int_equal(RUN(f, &out, "status", "--json"), 0);
        doc = parse(&out);
        assert_int_equal(json_get(json_root(doc), "services")->count, 5);
        json_document_free(doc);
}

static void import_of_what_is_no_model_is_rejected_with_its_rule(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096);

        assert_int_equal(replace_file(dir.fd, "fake.gguf", VIEW("this is no model at all"), 0600), 0);
        assert_int_equal(buf_printf(&path, "%s/fake.gguf", dir.path), 0);
        assert_int_equal(RUN(f, &out, "import", path.p), 1);
        assert_says(&out, "FAIL 2 format gate");
        assert_says(&out, "fake.gguf: REJECTED");
        assert_int_equal(RUN(f, &out, "import", "--detach", "/dev/null"), 2);
        assert_says(&out, "neither a file nor a folder");
        assert_int_equal(RUN(f, &out, "import", "/nonexistent"), 2);
}

static void a_folder_is_imported_as_one_model(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096);

        assert_int_equal(
                buf_printf(&path, "%s/tests/data/pebble/pebble-refuse-hf/", secure_getenv("SECAI_SOURCE")),
                0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", path.p), 0);
        assert_int_equal(RUN(f, &out, "import", path.p), 0);
        assert_int_equal(RUN(f, &out, "models"), 0);
        assert_says(&out, "pebble-refuse-hf");
        assert_int_equal(symlinkat("/etc/passwd", dir.fd, "config.json"), 0);
        assert_int_equal(RUN(f, &out, "import", dir.path), 2);
        assert_says(&out, "symbolic link");
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", dir.path), 1);
        assert_says(&out, "FORMAT-003");
}

static void names_from_outside_can_not_move_the_terminal(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096);

        assert_int_equal(replace_file(dir.fd, "a\x1b[2Jb.gguf", VIEW("no model"), 0600), 0);
        assert_int_equal(buf_printf(&path, "%s/a\x1b[2Jb.gguf", dir.path), 0);
        (void)RUN(f, &out, "import", path.p);
        assert_null(strchr(out.p, '\x1b'));
        assert_int_equal(RUN(f, &out, "jobs"), 0);
        assert_null(strchr(out.p, '\x1b'));
}

/* The id of the newest job. */
static void newest_job(struct fixture *f, char id[65]) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        struct json_document *doc;
        struct view text;

        assert_int_equal(RUN(f, &out, "jobs", "--json"), 0);
        doc = parse(&out);
        text = json_get_view(json_get(json_root(doc), "jobs")->child, "id", VIEW_NULL);
        assert_true(text.n > 0 && text.n < 65);
        memcpy(id, text.p, text.n);
        id[text.n] = '\0';
        json_document_free(doc);
}

static void jobs_can_be_shown_and_deleted(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        char id[65];

        newest_job(f, id);
        assert_int_equal(RUN(f, &out, "jobs", "show", id), 0);
        assert_says(&out, "1 source policy");
        assert_int_equal(RUN(f, &out, "jobs", "retry", id), 2); /* a rejected file is not tried again */
        assert_int_equal(RUN(f, &out, "jobs", "delete", id), 0);
        assert_int_equal(RUN(f, &out, "jobs", "show", id), 2);
        assert_int_equal(RUN(f, &out, "jobs", "show", "../models"), 2);
        assert_says(&out, "not a job's id");
}

/* What `documents` has written: the path of the statement. */
static void statement_of(const char *folder, const char *name, struct buf *out) {
        buf_clear(out);
        assert_int_equal(buf_printf(out, "%s/%s.statement.json", folder, name), 0);
        assert_int_equal(access(out->p, R_OK), 0);
}

static void a_refused_import_is_stated_for_auditors(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096), other = BUF_INIT(4096),
                                        statement = BUF_INIT(4096), text = BUF_INIT(1 << 20);
        char id[65];

        assert_int_equal(replace_file(dir.fd, "refused.gguf", VIEW("#!/bin/sh\nexit 0\n"), 0600), 0);
        assert_int_equal(replace_file(dir.fd, "other.gguf", VIEW("#!/bin/sh\nexit 1\n"), 0600), 0);
        assert_int_equal(buf_printf(&path, "%s/refused.gguf", dir.path), 0);
        assert_int_equal(buf_printf(&other, "%s/other.gguf", dir.path), 0);
        assert_int_equal(RUN(f, &out, "import", path.p), 1);
        newest_job(f, id);
        assert_int_equal(RUN(f, &out, "jobs", "documents", id, "--out", dir.path), 0);
        assert_says(&out, "refused.gguf.statement.json");
        statement_of(dir.path, "refused.gguf", &statement);
        assert_int_equal(RUN(f, &out, "verify", "--statement", statement.p, path.p), 1);
        assert_says(&out, "PROVENANCE-028");
        assert_says(&out, "KIND-");
        assert_int_equal(RUN(f, &out, "verify", "--statement", statement.p, other.p), 1);
        assert_says(&out, "PROVENANCE-031");
        assert_int_equal(read_file(statement.p, 1 << 20, &text), 0);
        text.p[view_find(buf_view(&text), VIEW("\"payload\":\"")) + 200] ^= 1;
        assert_int_equal(replace_file(dir.fd, "changed.json", buf_view(&text), 0600), 0);
        buf_clear(&statement);
        assert_int_equal(buf_printf(&statement, "%s/changed.json", dir.path), 0);
        assert_int_equal(RUN(f, &out, "verify", "--statement", statement.p, path.p), 1);
        assert_int_equal(RUN(f, &out, "verify", "--statement", "/nonexistent", path.p), 2);
        assert_int_equal(RUN(f, &out, "jobs", "delete", id), 0);
}

static void the_demo_model_passes_and_chats(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        struct json_document *doc;

        assert_int_equal(RUN(f, &out, "import", f->demo), 0);
        assert_says(&out, "passed; stored as ");
        assert_int_equal(RUN(f, &out, "models"), 0);
        assert_says(&out, "pebble.gguf");
        assert_int_equal(RUN(f, &out, "models", "show", "pebble.gguf", "--json"), 0);
        doc = parse(&out);
        assert_true(view_eq(json_get_view(json_get(json_root(doc), "verdict"), "verdict", VIEW_NULL),
                            VIEW("pass")));
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "models", "verify", "pebble.gguf"), 0);
        assert_says(&out, "is unchanged");
        assert_int_equal(RUN(f, &out, "chat", "hello"), 0); /* the only model needs no name */
        assert_true(out.n > 1);
        assert_int_equal(RUN(f, &out, "chat", "-m", "pebble.gguf", "--json", "--seed", "1", "hello"), 0);
        doc = parse(&out);
        assert_non_null(json_get_typed(json_root(doc), "choices", JSON_ARRAY));
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "chat", "-m", "nobody", "hello"), 2);
        assert_int_equal(RUN(f, &out, "import", f->demo), 0);
        assert_says(&out, "it was there already");
}

static void a_models_documents_are_fetched_and_verify(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), statement = BUF_INIT(4096), path = BUF_INIT(4096);

        assert_int_equal(RUN(f, &out, "models", "documents", "pebble.gguf", "-o", dir.path), 0);
        assert_says(&out, "pebble.gguf.bom.json");
        statement_of(dir.path, "pebble.gguf", &statement);
        assert_int_equal(RUN(f, &out, "verify", "--statement", statement.p, f->demo), 0);
        assert_says(&out, "signed by quarantine");
        assert_int_equal(replace_file(dir.fd, "pebble.gguf", VIEW("another"), 0600), 0);
        assert_int_equal(buf_printf(&path, "%s/pebble.gguf", dir.path), 0);
        assert_int_equal(RUN(f, &out, "verify", "-s", statement.p, path.p), 1);
        assert_says(&out, "PROVENANCE-031");
}

static void deleting_needs_a_yes(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);

        assert_int_equal(RUN(f, &out, "models", "delete", "pebble.gguf"), 2);
        assert_says(&out, "nothing was deleted");
        assert_int_equal(RUN(f, &out, "models"), 0);
        assert_says(&out, "pebble.gguf");
        assert_int_equal(RUN(f, &out, "models", "delete", "nobody", "--yes"), 2);
        assert_int_equal(RUN(f, &out, "models", "delete", "pebble.gguf", "--yes"), 2); /* it is at work */
        assert_says(&out, "model_loaded");
}

static void scan_imports_nothing(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), before = BUF_INIT(0);
        struct json_document *doc;

        assert_int_equal(RUN(f, &before, "jobs", "--json"), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", "--json", f->demo), 0);
        doc = parse(&out);
        assert_true(view_eq(json_get_view(json_root(doc), "schema", VIEW_NULL), VIEW("secai.verdict/1")));
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "jobs", "--json"), 0);
        assert_string_equal(out.p, before.p);
}

static void scan_of_several_is_a_table(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096);
        const char *details;

        assert_int_equal(replace_file(dir.fd, "hello.gguf", VIEW("hello\n"), 0644), 0);
        assert_int_equal(buf_printf(&path, "%s/hello.gguf", dir.path), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", f->demo, path.p), 1);
        assert_says(&out, "FIRST REASON\npass          pebble.gguf");
        assert_says(&out, "\nREJECTED      hello.gguf");
        details = strstr(out.p, "\n\n");
        assert_non_null(details);
        assert_non_null(strstr(details, "What was not tested:"));
        assert_null(strchr(out.p, '\x1b')); /* no progress where there is no terminal */
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", f->demo, f->demo), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", "--json", f->demo), 0);
        assert_says(&out, "\"not_tested\":[\"Behaviour (stage 6) was not asked for.\"");
}

static void owner_signs_a_model_and_a_change_is_found(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), key = BUF_INIT(4096), model = BUF_INIT(4096);

        assert_int_equal(buf_printf(&key, "%s/keys/owner.pub", system_root(f->system)), 0);
        assert_int_equal(buf_printf(&model, "%s/tuned.gguf", dir.path), 0);
        assert_int_equal(replace_file(dir.fd, "tuned.gguf", VIEW("these are my weights"), 0644), 0);
        assert_int_equal(RUN(f, &out, "keys", "new", "owner"), 0);
        assert_int_equal(RUN(f, &out, "keys", "new", "owner"), 1); /* never replaced */
        assert_int_equal(RUN(f, &out, "sign", "--key", "owner", model.p), 0);
        assert_int_equal(RUN(f, &out, "verify", "--key", key.p, model.p), 0);
        assert_int_equal(replace_file(dir.fd, "tuned.gguf", VIEW("these are my weight$"), 0644), 0);
        assert_int_equal(RUN(f, &out, "verify", "--key", key.p, model.p), 1);
        assert_says(&out, "PROVENANCE-");
}

static void scan_writes_one_sarif_log_of_all_files(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), path = BUF_INIT(4096);
        const struct json *log, *result;
        struct json_document *doc;
        struct view uri;

        assert_int_equal(replace_file(dir.fd, "not a model.gguf", VIEW("hello\n"), 0644), 0);
        assert_int_equal(buf_printf(&path, "%s/not a model.gguf", dir.path), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", "--sarif", f->demo, buf_str(&path)), 1);
        doc = parse(&out);
        assert_true(view_eq(json_get_view(json_root(doc), "version", VIEW_NULL), VIEW("2.1.0")));
        log = json_get_typed(json_root(doc), "runs", JSON_ARRAY)->child;
        assert_int_equal(json_get_typed(log, "artifacts", JSON_ARRAY)->count, 2);
        for (result = json_get_typed(log, "results", JSON_ARRAY)->child; result; result = result->next)
                if (view_eq(json_get_view(result, "level", VIEW_NULL), VIEW("error")))
                        break;
        assert_non_null(result);
        uri = json_get_view(json_get(json_get(json_get(result, "locations")->child, "physicalLocation"),
                                     "artifactLocation"),
                            "uri", VIEW_NULL);
        assert_true(view_starts(uri, VIEW("file:///")) && view_ends(uri, VIEW("/not%20a%20model.gguf")));
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "scan", "--sarif", "--json", f->demo), 2);
        assert_int_equal(RUN(f, &out, "scan"), 2);
        assert_int_equal(RUN(f, &out, "scan", "--sarif", "/no/such/file"), 2);
}

static void compare_says_which_tensors_differ_and_where(void **state) {
        struct fixture *f = *state;
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), model = BUF_INIT((size_t)64 << 20);
        _cleanup_(freep) char *old = NULL, *new = NULL, *changed = NULL;
        struct json_document *doc;

        assert_true(asprintf(&old, "%s/old.json", dir.path) > 0 &&
                    asprintf(&new, "%s/new.json", dir.path) > 0 &&
                    asprintf(&changed, "%s/changed.gguf", dir.path) > 0);
        assert_int_equal(read_file(f->demo, (size_t)64 << 20, &model), 0);
        model.p[model.n - 100] ^= 1; /* a code of the last tensor */
        assert_int_equal(replace_file(dir.fd, "changed.gguf", buf_view(&model), 0644), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", "--tensors", old, f->demo), 0);
        assert_int_equal(RUN(f, &out, "scan", "--stages", "1-5", "--tensors", new, changed), 0);
        assert_int_equal(RUN(f, &out, "compare", old, old), 0);
        assert_int_equal(RUN(f, &out, "compare", "--old-file", f->demo, "--new-file", changed, old, new), 1);
        assert_says(&out, "1 changed, 0 added, 0 removed");
        assert_says(&out, ", 1 of ");
        assert_int_equal(RUN(f, &out, "compare", "--json", old, new), 1);
        doc = parse(&out);
        assert_int_equal(json_get_typed(json_root(doc), "tensors", JSON_ARRAY)->count, 1);
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "compare", old, changed), 2);
        assert_int_equal(RUN(f, &out, "scan", "--tensors", old, f->demo, f->demo), 2);
}

static void explain_knows_the_rules_that_findings_quote(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), same = BUF_INIT(0);
        struct json_document *doc;

        assert_int_equal(RUN(f, &out, "explain", "GGUF-G12"), 0);
        assert_says(&out, "GGUF-G12: tensor in the wrong place\n  stage 2 (format_gate), reject");
        assert_int_equal(RUN(f, &same, "scan", "--explain", "gguf-g12"), 0);
        assert_string_equal(same.p, out.p);
        assert_int_equal(RUN(f, &out, "explain"), 0);
        assert_says(&out, "YARA-034        5  reject   EICAR test file");
        assert_int_equal(RUN(f, &out, "explain", "--json"), 0);
        doc = parse(&out);
        assert_true(json_get_typed(json_root(doc), "rules", JSON_ARRAY)->count > 100);
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "explain", "GGUF-G99"), 1);
        assert_says(&out, "there is no rule \"GGUF-G99\"");
        assert_int_equal(RUN(f, &out, "scan", "--explain", "--sarif"), 2);
}

static void audit_is_whole_and_tells_what_happened(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        struct json_document *doc;

        assert_int_equal(RUN(f, &out, "audit", "verify"), 0);
        assert_says(&out, "the audit log is whole");
        assert_int_equal(RUN(f, &out, "audit", "verify", "--json"), 0);
        doc = parse(&out);
        assert_true(json_get(json_root(doc), "ok")->boolean);
        json_document_free(doc);
        assert_int_equal(RUN(f, &out, "audit", "tail", "-n", "500"), 0);
        assert_says(&out, "system_started");
        assert_int_equal(RUN(f, &out, "audit", "tail", "-n", "0"), 2);
}

static void wrong_use_is_explained(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);

        assert_int_equal(RUN(f, &out, "models", "--nope"), 2);
        assert_says(&out, "--nope is not an option");
        assert_int_equal(RUN(f, &out, "models", "frobnicate", "x"), 2);
        assert_int_equal(RUN(f, &out, "audit"), 2);
        assert_int_equal(RUN(f, &out, "chat", "--seed", "x", "hi"), 2);
        assert_says(&out, "--seed wants a whole number");
}

/* Stops the system, looks at the log without it, and starts another for the tests behind. */
static void a_stopped_system_says_what_to_do_and_a_changed_log_is_found(void **state) {
        struct fixture *f = *state;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0), text = BUF_INIT(0), path = BUF_INIT(4096);
        _cleanup_(closep) int log = -EBADF;
        char *at;

        assert_int_equal(system_stop(f->system), 0);
        assert_int_equal(RUN(f, &out, "models"), 2);
        assert_says(&out, "securectl up --state-root ");
        assert_int_equal(RUN(f, &out, "status"), 1);
        assert_int_equal(RUN(f, &out, "audit", "verify"), 0);
        assert_int_equal(buf_printf(&path, "%s/log", system_root(f->system)), 0);
        log = open_dir(path.p);
        assert_true(log >= 0);
        assert_int_equal(read_file_beneath(log, "audit.log", (size_t)16 << 20, &text), 0);
        at = strstr(text.p, "system_started");
        assert_non_null(at);
        memcpy(at, "system_stopped", strlen("system_stopped"));
        assert_int_equal(replace_file(log, "audit.log", buf_view(&text), 0600), 0);
        assert_int_equal(RUN(f, &out, "audit", "verify"), 1);
        assert_says(&out, "BROKEN (record_changed)");
        assert_int_equal(unlinkat(log, "audit.log", 0), 0);
        assert_int_equal(RUN(f, &out, "audit", "verify"), 1);
        f->system = system_free(f->system);
        f->system = system_new(NULL);
        system_start(f->system, NULL);
}

static bool has_worker_root(void) {
        const char *given = secure_getenv("SECAI_WORKER_ROOT"), *home = secure_getenv("HOME");
        char path[4096];

        if (given)
                (void)snprintf(path, sizeof path, "%s/.complete", given);
        else
                (void)snprintf(path, sizeof path, "%s/.cache/secure-ai/worker-root/.complete",
                               home ? home : "");
        return access(path, R_OK) == 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(status_says_that_all_services_are_well),
                cmocka_unit_test(import_of_what_is_no_model_is_rejected_with_its_rule),
                cmocka_unit_test(names_from_outside_can_not_move_the_terminal),
                cmocka_unit_test(jobs_can_be_shown_and_deleted),
                cmocka_unit_test(a_refused_import_is_stated_for_auditors),
                cmocka_unit_test(a_folder_is_imported_as_one_model),
                cmocka_unit_test(scan_imports_nothing),
                cmocka_unit_test(scan_of_several_is_a_table),
                cmocka_unit_test(owner_signs_a_model_and_a_change_is_found),
                cmocka_unit_test(scan_writes_one_sarif_log_of_all_files),
                cmocka_unit_test(compare_says_which_tensors_differ_and_where),
                cmocka_unit_test(explain_knows_the_rules_that_findings_quote),
                cmocka_unit_test(audit_is_whole_and_tells_what_happened),
                cmocka_unit_test(wrong_use_is_explained),
                cmocka_unit_test(a_stopped_system_says_what_to_do_and_a_changed_log_is_found),
                /* last: left out where there is no worker root */
                cmocka_unit_test(the_demo_model_passes_and_chats),
                cmocka_unit_test(a_models_documents_are_fetched_and_verify),
                cmocka_unit_test(deleting_needs_a_yes),
        };
        size_t n = ARRAY_SIZE(tests);

        if (!has_worker_root()) {
                printf("# no sealed worker root: no model is promoted and none chats\n");
                n -= 3;
        }
        return _cmocka_run_group_tests("securectl", tests, n, start, stop);
}
