#include "support/cm.h"

#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/db.h"
#include "support/temp_dir.h"

static const char *const migrations[] = {
        "CREATE TABLE thing (name TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL) STRICT;",
        "ALTER TABLE thing ADD note TEXT; CREATE TABLE part (thing TEXT REFERENCES thing(name)) STRICT;",
        "CREATE INDEX thing_size ON thing(size);",
};

static const char insert_sql[] = "INSERT INTO thing(name, size) VALUES (?1, ?2)";
static const char select_sql[] = "SELECT size, note FROM thing WHERE name = ?1";

struct fixture {
        struct temp_dir dir;
        char path[128];
        struct db *db;
};

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof *f);

        f->dir = temp_dir_new();
        (void)snprintf(f->path, sizeof f->path, "%s/test.db", f->dir.path);
        *state = f;
        return db_open(f->path, migrations, ARRAY_SIZE(migrations), &f->db);
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        db_free(f->db);
        temp_dir_done(&f->dir);
        free(f);
        return 0;
}

static int insert(struct db *d, const char *name, uint64_t size) {
        sqlite3_stmt *s = db_statement(d, insert_sql);

        assert_non_null(s);
        assert_int_equal(db_bind_view(s, 1, view_of(name)), 0);
        assert_int_equal(db_bind_u64(s, 2, size), 0);
        return db_exec(d, s, NULL);
}

static int size_of(struct db *d, const char *name, uint64_t *ret) {
        sqlite3_stmt *s = db_statement(d, select_sql);
        int r;

        assert_non_null(s);
        assert_int_equal(db_bind_view(s, 1, view_of(name)), 0);
        r = db_step(s);
        if (r > 0)
                *ret = db_column_u64(s, 0);
        sqlite3_reset(s);
        return r;
}

static void committed_rows_stay_and_rolled_back_rows_do_not(void **state) {
        struct fixture *f = *state;
        uint64_t size = 0;

        assert_int_equal(db_begin(f->db), 0);
        assert_int_equal(insert(f->db, "kept", 7), 0);
        assert_int_equal(db_commit(f->db), 0);
        assert_int_equal(db_begin(f->db), 0);
        assert_int_equal(insert(f->db, "dropped", 8), 0);
        db_rollback(f->db);
        f->db = db_free(f->db);
        assert_int_equal(db_open(f->path, migrations, ARRAY_SIZE(migrations), &f->db), 0);
        assert_int_equal(size_of(f->db, "kept", &size), 1);
        assert_int_equal(size, 7);
        assert_int_equal(size_of(f->db, "dropped", &size), 0);
}

static void constraint_and_range_faults_have_their_codes(void **state) {
        struct fixture *f = *state;
        sqlite3_stmt *s;

        assert_int_equal(db_begin(f->db), 0);
        assert_int_equal(insert(f->db, "one", 1), 0);
        assert_int_equal(insert(f->db, "one", 1), -EEXIST);
        s = db_statement(f->db, "INSERT INTO part(thing) VALUES ('nobody')");
        assert_non_null(s);
        assert_int_equal(db_exec(f->db, s, NULL), -EEXIST); /* foreign keys are on */
        s = db_statement(f->db, insert_sql);
        assert_int_equal(db_bind_u64(s, 2, (uint64_t)INT64_MAX + 1), -ERANGE);
        assert_int_equal(db_bind_u64(s, 9, 1), -EINVAL);
        assert_int_equal(db_commit(f->db), 0);
}

static void strict_tables_refuse_another_type(void **state) {
        struct fixture *f = *state;
        sqlite3_stmt *s = db_statement(f->db, insert_sql);

        assert_int_equal(db_bind_view(s, 1, VIEW("x")), 0);
        assert_int_equal(db_bind_view(s, 2, VIEW("many")), 0);
        assert_int_equal(db_exec(f->db, s, NULL), -EEXIST);
}

static void changes_are_counted_and_text_keeps_nul_bytes(void **state) {
        struct fixture *f = *state;
        sqlite3_stmt *s;
        uint64_t changes = 9;

        assert_int_equal(insert(f->db, "a", 1), 0);
        assert_int_equal(insert(f->db, "b", 2), 0);
        s = db_statement(f->db, "UPDATE thing SET note = ?1");
        assert_int_equal(db_bind_view(s, 1, view_make("x\0y", 3)), 0);
        assert_int_equal(db_exec(f->db, s, &changes), 0);
        assert_int_equal(changes, 2);
        s = db_statement(f->db, select_sql);
        assert_int_equal(db_bind_view(s, 1, VIEW("a")), 0);
        assert_int_equal(db_step(s), 1);
        assert_true(view_eq(db_column_view(s, 1), view_make("x\0y", 3)));
}

static void database_files_are_private(void **state) {
        struct fixture *f = *state;
        const char *const names[] = {"test.db", "test.db-wal", "test.db-shm"};
        struct stat s;

        assert_int_equal(insert(f->db, "a", 1), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(fstatat(f->dir.fd, names[i], &s, 0), 0);
                assert_int_equal(s.st_mode & 07777, 0600);
        }
}

static void older_file_is_brought_up_and_newer_file_is_refused(void **state) {
        struct fixture *f = *state;
        char path[160];
        struct db *d = NULL;
        uint64_t size = 0;

        (void)snprintf(path, sizeof path, "%s/old.db", f->dir.path);
        assert_int_equal(db_open(path, migrations, 1, &d), 0);
        assert_int_equal(insert(d, "old", 5), 0);
        d = db_free(d);
        assert_int_equal(db_open(path, migrations, ARRAY_SIZE(migrations), &d), 0);
        assert_int_equal(size_of(d, "old", &size), 1);
        assert_int_equal(size, 5);
        d = db_free(d);
        assert_int_equal(db_open(path, migrations, 2, &d), -EPROTONOSUPPORT);
        assert_null(d);
}

static void failed_migration_leaves_the_older_version(void **state) {
        static const char *const broken[] = {
                "CREATE TABLE a (x INTEGER) STRICT;",
                "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x INTEGER) STRICT;",
        };
        struct fixture *f = *state;
        char path[160];
        struct db *d = NULL;

        (void)snprintf(path, sizeof path, "%s/broken.db", f->dir.path);
        assert_true(db_open(path, broken, 2, &d) < 0);
        assert_int_equal(db_open(path, broken, 1, &d), 0); /* version 1, and table b is not there */
        assert_null(db_statement(d, "SELECT * FROM b"));
        db_free(d);
}

static void file_that_is_no_database_is_refused(void **state) {
        struct fixture *f = *state;
        char path[160];
        char junk[8192];
        struct db *d = NULL;

        memset(junk, 'j', sizeof junk);
        assert_int_equal(replace_file(f->dir.fd, "junk.db", view_make(junk, sizeof junk), 0600), 0);
        (void)snprintf(path, sizeof path, "%s/junk.db", f->dir.path);
        assert_int_equal(db_open(path, migrations, ARRAY_SIZE(migrations), &d), -EUCLEAN);
}

static void damaged_page_is_noticed_at_opening(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int fd = -EBADF;
        char junk[4096];
        struct stat s;

        assert_int_equal(db_begin(f->db), 0);
        for (uint64_t i = 0; i < 2000; i++) {
                char name[64];

                (void)snprintf(name, sizeof name, "a rather long name to fill some pages %06u", (unsigned)i);
                assert_int_equal(insert(f->db, name, i), 0);
        }
        assert_int_equal(db_commit(f->db), 0);
        f->db = db_free(f->db);
        fd = open(f->path, O_RDWR | O_CLOEXEC);
        assert_int_equal(fstat(fd, &s), 0);
        assert_true(s.st_size > 40960);
        memset(junk, 0x5a, sizeof junk);
        for (off_t at = 20480; at + 4096 <= s.st_size; at += 4096)
                assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
        assert_int_equal(db_open(f->path, migrations, ARRAY_SIZE(migrations), &f->db), -EUCLEAN);
}

static void full_disk_is_told_apart(void **state) {
        struct fixture *f = *state;
        int r = 0;

        assert_int_equal(sqlite3_exec(db_handle(f->db), "PRAGMA max_page_count=12", NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(db_begin(f->db), 0);
        for (unsigned i = 0; i < 5000 && r == 0; i++) {
                char name[128];

                (void)snprintf(name, sizeof name, "row %0100u", i);
                r = insert(f->db, name, i);
        }
        assert_int_equal(r, -ENOSPC);
        db_rollback(f->db);
        assert_int_equal(db_begin(f->db), 0); /* the lock was given back */
        db_rollback(f->db);
}

static void symlink_and_relative_path_are_refused(void **state) {
        struct fixture *f = *state;
        char path[160];
        struct db *d = NULL;

        (void)snprintf(path, sizeof path, "%s/link.db", f->dir.path);
        assert_int_equal(symlink(f->path, path), 0);
        assert_int_equal(db_open(path, migrations, ARRAY_SIZE(migrations), &d), -ELOOP);
        assert_int_equal(db_open("relative.db", migrations, ARRAY_SIZE(migrations), &d), -EINVAL);
}

static void *insert_hundred(void *db) {
        static _Atomic uint64_t next;

        for (unsigned i = 0; i < 100; i++) {
                char name[32];
                sqlite3_stmt *s;
                uint64_t n = next++;
                int r = db_begin(db);

                if (r < 0)
                        return db;
                (void)snprintf(name, sizeof name, "t%u", (unsigned)n);
                s = db_statement(db, insert_sql);
                if (!s || db_bind_view(s, 1, view_of(name)) < 0 || db_bind_u64(s, 2, n) < 0 ||
                    db_exec(db, s, NULL) < 0) {
                        db_rollback(db);
                        return db;
                }
                if (db_commit(db) < 0)
                        return db;
        }
        return NULL;
}

static void transactions_of_threads_do_not_mix(void **state) {
        struct fixture *f = *state;
        pthread_t threads[4];
        sqlite3_stmt *s;

        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, insert_hundred, f->db), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
                void *failed = NULL;

                assert_int_equal(pthread_join(threads[i], &failed), 0);
                assert_null(failed);
        }
        s = db_statement(f->db, "SELECT count(*) FROM thing");
        assert_int_equal(db_step(s), 1);
        assert_int_equal(db_column_u64(s, 0), 400);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(committed_rows_stay_and_rolled_back_rows_do_not),
                CASE(constraint_and_range_faults_have_their_codes),
                CASE(strict_tables_refuse_another_type),
                CASE(changes_are_counted_and_text_keeps_nul_bytes),
                CASE(database_files_are_private),
                CASE(older_file_is_brought_up_and_newer_file_is_refused),
                CASE(failed_migration_leaves_the_older_version),
                CASE(file_that_is_no_database_is_refused),
                CASE(damaged_page_is_noticed_at_opening),
                CASE(full_disk_is_told_apart),
                CASE(symlink_and_relative_path_are_refused),
                CASE(transactions_of_threads_do_not_mix),
        };

        return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
