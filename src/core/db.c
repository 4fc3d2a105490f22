#include "core/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#define BUSY_TIMEOUT_MSEC 5000
#define STATEMENTS_MAX    ((size_t)128)
#define SQL_TEXT_MAX      64

struct cached_statement {
        const char *sql;
        sqlite3_stmt *statement;
};

struct db {
        pthread_mutex_t lock;
        sqlite3 *handle;
        struct cached_statement cache[STATEMENTS_MAX];
        size_t cached;
};

static void finalizep(sqlite3_stmt **s) {
        sqlite3_finalize(*s);
}

static int errno_of(int code) {
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CONSTRAINT:
                return -EEXIST;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                return -EROFS;
        case SQLITE_TOOBIG:
                return -EFBIG;
        case SQLITE_RANGE:
        case SQLITE_MISUSE:
                return -EINVAL;
        default:
                return -EIO;
        }
}

/* A full disk may show as a failed write or sync; the system's errno tells. */
static int error_of(sqlite3 *handle, int code) {
        int r = errno_of(code), os = sqlite3_system_errno(handle);

        return r == -EIO && (os == ENOSPC || os == EDQUOT) ? -ENOSPC : r;
}

static int run(sqlite3 *handle, const char *sql) {
        return error_of(handle, sqlite3_exec(handle, sql, NULL, NULL, NULL));
}

static int quick_check(sqlite3 *handle) {
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int code = sqlite3_prepare_v2(handle, "PRAGMA quick_check(1)", -1, &s, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                return error_of(handle, code) == 0 ? -EUCLEAN : error_of(handle, code);
        return view_eq_str(db_column_view(s, 0), "ok") ? 0 : -EUCLEAN;
}

static int user_version(sqlite3 *handle, size_t *ret) {
        _cleanup_(finalizep) sqlite3_stmt *s = NULL;
        int code = sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &s, NULL), version;

        if (code == SQLITE_OK)
                code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                return error_of(handle, code) == 0 ? -EIO : error_of(handle, code);
        version = sqlite3_column_int(s, 0);
        if (version < 0)
                return -EPROTONOSUPPORT;
        *ret = (size_t)version;
        return 0;
}

static int migrate_one(sqlite3 *handle, const char *sql, size_t to) {
        char set_version[SQL_TEXT_MAX];
        int r = run(handle, "BEGIN EXCLUSIVE");

        if (r < 0)
                return r;
        (void)snprintf(set_version, sizeof set_version, "PRAGMA user_version=%zu", to);
        r = run(handle, sql);
        if (r >= 0)
                r = run(handle, set_version);
        if (r >= 0)
                r = run(handle, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(handle))
                (void)run(handle, "ROLLBACK");
        return r;
}

static int migrate(sqlite3 *handle, const char *const *migrations, size_t n) {
        size_t version = 0;
        int r = user_version(handle, &version);

        if (r < 0)
                return r;
        if (version > n)
                return -EPROTONOSUPPORT;
        for (; version < n; version++) {
                r = migrate_one(handle, migrations[version], version + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int configure(sqlite3 *handle) {
        int code = sqlite3_busy_timeout(handle, BUSY_TIMEOUT_MSEC);

        if (code == SQLITE_OK)
                code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
        if (code != SQLITE_OK)
                return error_of(handle, code);
        /* temp_store: a sandboxed service has no /tmp to spill to */
        return run(handle, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                           "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON");
}

static int open_handle(struct db *d, const char *path) {
        int code = sqlite3_open_v2(path, &d->handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE,
                                   NULL);

        if (code == SQLITE_OK)
                return 0;
        return d->handle ? error_of(d->handle, code) : -ENOMEM;
}

/* SQLite gives its journal the mode of the main file, so that mode has to be right before the first write. */
static int make_private_file(const char *path) {
        _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);

        if (fd < 0)
                return negative_errno();
        return fchmod(fd, 0600) < 0 ? negative_errno() : 0;
}

static int open_checked(struct db *d, const char *path, const char *const *migrations, size_t n) {
        int r = make_private_file(path);

        if (r >= 0)
                r = open_handle(d, path);
        if (r >= 0)
                r = configure(d->handle);
        if (r >= 0)
                r = quick_check(d->handle);
        if (r >= 0)
                r = migrate(d->handle, migrations, n);
        return r;
}

int db_open(const char *path, const char *const *migrations, size_t n, struct db **ret) {
        struct db *d;
        int r;

        if (path[0] != '/')
                return -EINVAL;
        d = calloc(1, sizeof *d);
        if (!d)
                return -ENOMEM;
        r = -pthread_mutex_init(&d->lock, NULL);
        if (r < 0) {
                free(d);
                return r;
        }
        r = open_checked(d, path, migrations, n);
        if (r < 0) {
                db_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

struct db *db_free(struct db *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->cached; i++)
                sqlite3_finalize(d->cache[i].statement);
        sqlite3_close(d->handle);
        pthread_mutex_destroy(&d->lock);
        free(d);
        return NULL;
}

sqlite3 *db_handle(struct db *d) {
        return d->handle;
}

int db_begin(struct db *d) {
        int r;

        pthread_mutex_lock(&d->lock);
        r = run(d->handle, "BEGIN IMMEDIATE");
        if (r < 0)
                pthread_mutex_unlock(&d->lock);
        return r;
}

static void reset_statements(struct db *d) {
        for (size_t i = 0; i < d->cached; i++)
                sqlite3_reset(d->cache[i].statement);
}

int db_commit(struct db *d) {
        int r;

        reset_statements(d); /* a statement left in the middle of its rows would hold the transaction open */
        r = run(d->handle, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(d->handle))
                (void)run(d->handle, "ROLLBACK");
        pthread_mutex_unlock(&d->lock);
        return r;
}

void db_rollback(struct db *d) {
        reset_statements(d);
        if (!sqlite3_get_autocommit(d->handle))
                (void)run(d->handle, "ROLLBACK");
        pthread_mutex_unlock(&d->lock);
}

static sqlite3_stmt *cached(struct db *d, const char *sql) {
        for (size_t i = 0; i < d->cached; i++)
                if (d->cache[i].sql == sql)
                        return d->cache[i].statement;
        return NULL;
}

sqlite3_stmt *db_statement(struct db *d, const char *constant_sql) {
        sqlite3_stmt *s = cached(d, constant_sql);

        if (s) {
                sqlite3_reset(s);
                sqlite3_clear_bindings(s);
                return s;
        }
        if (d->cached >= STATEMENTS_MAX)
                return NULL;
        if (sqlite3_prepare_v3(d->handle, constant_sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
                return NULL;
        d->cache[d->cached++] = (struct cached_statement){constant_sql, s};
        return s;
}

int db_bind_view(sqlite3_stmt *s, int index, struct view v) {
        if (!v.p)
                return errno_of(sqlite3_bind_null(s, index));
        if (v.n > INT32_MAX)
                return -EFBIG;
        return errno_of(sqlite3_bind_text(s, index, v.p, (int)v.n, SQLITE_TRANSIENT));
}

int db_bind_u64(sqlite3_stmt *s, int index, uint64_t v) {
        return v > INT64_MAX ? -ERANGE : errno_of(sqlite3_bind_int64(s, index, (sqlite3_int64)v));
}

struct view db_column_view(sqlite3_stmt *s, int column) {
        const void *p = sqlite3_column_blob(s, column);
        int n = sqlite3_column_bytes(s, column);

        return view_make(p, n > 0 ? (size_t)n : 0);
}

uint64_t db_column_u64(sqlite3_stmt *s, int column) {
        sqlite3_int64 v = sqlite3_column_int64(s, column);

        return v < 0 ? 0 : (uint64_t)v;
}

int db_exec(struct db *d, sqlite3_stmt *s, uint64_t *ret_changes) {
        int code = sqlite3_step(s), r = error_of(d->handle, code);

        if (code == SQLITE_ROW)
                r = -EINVAL; /* not a statement for this call */
        sqlite3_reset(s);
        if (r < 0)
                return r;
        if (ret_changes)
                *ret_changes = (uint64_t)sqlite3_changes64(d->handle);
        return 0;
}

int db_step(sqlite3_stmt *s) {
        int code = sqlite3_step(s);

        return code == SQLITE_ROW ? 1 : error_of(sqlite3_db_handle(s), code);
}
