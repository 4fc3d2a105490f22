#include "support/cm.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/file.h"
#include "registry/manifest.h"
#include "registry/objects.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"

static const char content[] = "content of a model";

struct walk {
        struct temp_dir temp;
        struct objects *objects;
        struct sha256 digest;
        bool linked; /* the way of the link; else the way of the copy */
};

static int open_source(const struct walk *w) {
        int fd;

        (void)unlinkat(w->temp.fd, "source", 0);
        assert_int_equal(replace_file(w->temp.fd, "source", VIEW(content), 0600), 0);
        fd = open_beneath(w->temp.fd, "source", O_RDONLY, 0);
        assert_true(fd >= 0);
        if (!w->linked)
                assert_int_equal(unlinkat(w->temp.fd, "source", 0), 0);
        return fd;
}

struct attempt {
        struct walk *w;
        int fd;
};

static int admit(void *userdata) {
        struct attempt *a = userdata;

        return objects_admit(a->w->objects, a->fd, sizeof content - 1, &a->w->digest);
}

/* The object is there as a whole, or it is not there. */
static void check(int result, void *userdata) {
        struct attempt *a = userdata;
        _cleanup_(closep) int kept = objects_open(a->w->objects, &a->w->digest);
        struct buf text = BUF_INIT(64);

        if (result >= 0)
                assert_true(kept >= 0);
        if (kept >= 0) {
                assert_int_equal(buf_read_file(&text, kept), 0);
                assert_string_equal(buf_str(&text), content);
        } else
                assert_int_equal(kept, -ENOENT);
        buf_done(&text);
        assert_int_equal(objects_remove(a->w->objects, &a->w->digest), 0);
        a->fd = close_fd(a->fd);
        a->fd = open_source(a->w);
}

static void walk_admission(bool linked) {
        struct walk w = {.temp = temp_dir_new(), .linked = linked};
        struct attempt a = {.w = &w};

        assert_int_equal(sha256_of(VIEW(content), &w.digest), 0);
        assert_int_equal(objects_open_store(w.temp.fd, &w.objects), 0);
        a.fd = open_source(&w);
        assert_true(fault_inject_walk(FAULT_ALL, admit, check, &a) > 3);
        close_fd(a.fd);
        objects_free(w.objects);
        temp_dir_done(&w.temp);
}

static void test_linking_survives_every_failing_call(void **state) {
        walk_admission(true);
}

static void test_copying_survives_every_failing_call(void **state) {
        walk_admission(false);
}

/* --- a set comes into the manifest as a whole or not at all --- */

struct manifest_walk {
        struct temp_dir temp;
        struct manifest *manifest;
        struct set_listing set;
        struct evidence evidence;
};

static void make_set(struct manifest_walk *w) {
        struct sha256 d;
        char path[32];

        for (unsigned i = 0; i < 5; i++) {
                (void)snprintf(path, sizeof path, "file %u", i);
                assert_int_equal(sha256_of(view_of(path), &d), 0);
                assert_int_equal(set_listing_add(&w->set, view_of(path), i, &d), 0);
        }
        w->evidence = (struct evidence){.job = VIEW("job"),
                                        .name = VIEW("set"),
                                        .kind = VIEW("gguf-set"),
                                        .source = VIEW("local"),
                                        .policy_digest = VIEW("p"),
                                        .scanner = VIEW("s"),
                                        .created = VIEW("c"),
                                        .size = 10,
                                        .members = 5,
                                        .has_document = {[DOCUMENT_BOM] = true}};
        assert_int_equal(set_listing_digest(&w->set, &w->evidence.sha256), 0);
        w->evidence.documents[DOCUMENT_BOM] = w->evidence.sha256;
}

static int add_set(void *userdata) {
        struct manifest_walk *w = userdata;
        const struct manifest_entry entry = {.evidence = &w->evidence,
                                             .text = VIEW("{}"),
                                             .name = VIEW("set"),
                                             .members = &w->set,
                                             .document_sizes = {[DOCUMENT_BOM] = 7}};

        return manifest_add(w->manifest, &entry);
}

static int count_part(const struct part *p, void *userdata) {
        ++*(unsigned *)userdata;
        return 0;
}

static void check_set(int result, void *userdata) {
        struct manifest_walk *w = userdata;
        bool there = manifest_has(w->manifest, &w->evidence.sha256);
        unsigned members = 0, documents = 0;
        struct fault fault = FAULT_NONE;

        assert_int_equal(manifest_each_member(w->manifest, &w->evidence.sha256, count_part, &members), 0);
        assert_int_equal(manifest_each_document(w->manifest, &w->evidence.sha256, count_part, &documents), 0);
        assert_int_equal(members, there ? 5 : 0);
        assert_int_equal(documents, there ? 1 : 0);
        if (result >= 0)
                assert_true(there);
        /* what is there was signed: it opens again */
        w->manifest = manifest_free(w->manifest);
        assert_int_equal(manifest_open(w->temp.path, w->temp.fd, &w->manifest, &fault), 0);
        if (there)
                assert_int_equal(manifest_remove(w->manifest, &w->evidence.sha256), 0);
        assert_false(manifest_owns(w->manifest, &w->set.members[0].sha256));
}

static void test_a_set_is_listed_wholly_or_not_whichever_call_fails(void **state) {
        struct manifest_walk w = {.temp = temp_dir_new()};
        struct fault fault = FAULT_NONE;

        make_set(&w);
        assert_int_equal(manifest_open(w.temp.path, w.temp.fd, &w.manifest, &fault), 0);
        assert_true(fault_inject_walk(FAULT_ALL, add_set, check_set, &w) > 3);
        manifest_free(w.manifest);
        set_listing_done(&w.set);
        temp_dir_done(&w.temp);
}

/* REGISTRY_MEMBERS_MAX at n and n + 1: all but one of the rows are put there beside the program, and accepted by the owner. */
static void test_the_files_of_all_sets_together_have_a_limit(void **state) {
        static const char rows[] =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199995) "
                "INSERT INTO member SELECT model.sha256, i, model.sha256, 1 FROM model, n";
        struct manifest_walk w = {.temp = temp_dir_new()};
        struct set_listing none = {0};
        struct evidence first = {0};
        const struct manifest_entry entry = {
                .evidence = &first, .text = VIEW("{}"), .name = VIEW("first"), .members = &none};
        struct fault fault = FAULT_NONE;
        char path[128];
        sqlite3 *db;

        make_set(&w);
        first = w.evidence;
        memset(&first.sha256, 1, sizeof first.sha256);
        first.has_document[DOCUMENT_BOM] = false;
        assert_int_equal(manifest_open(w.temp.path, w.temp.fd, &w.manifest, &fault), 0);
        assert_int_equal(manifest_add(w.manifest, &entry), 0);
        w.manifest = manifest_free(w.manifest);
        (void)snprintf(path, sizeof path, "%s/manifest.db", w.temp.path);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(manifest_accept(w.temp.path, w.temp.fd, &fault), 0);
        assert_int_equal(manifest_open(w.temp.path, w.temp.fd, &w.manifest, &fault), 0);
        assert_int_equal(add_set(&w), 0);
        memset(&w.evidence.sha256, 2, sizeof w.evidence.sha256);
        assert_int_equal(add_set(&w), -E2BIG);
        manifest_free(w.manifest);
        set_listing_done(&w.set);
        temp_dir_done(&w.temp);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_linking_survives_every_failing_call),
                cmocka_unit_test(test_copying_survives_every_failing_call),
                cmocka_unit_test(test_a_set_is_listed_wholly_or_not_whichever_call_fails),
                cmocka_unit_test(test_the_files_of_all_sets_together_have_a_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
