/* db: SQLite for services: one writer connection, WAL, synchronous=FULL, STRICT tables, foreign keys, busy timeout,
 * defensive mode, trusted_schema off. Statements are prepared once and bound, never built from text. */
#pragma once

#include <sqlite3.h>

#include "base/macros.h"
#include "base/view.h"

struct db; /* opaque; has a mutex: one transaction at a time */

/* Opens or creates `path` (absolute) and brings it to the newest schema: migrations[i] (SQL text) leads from user_version
 * i to i + 1, each in a transaction. A file with a newer version: -EPROTONOSUPPORT. A file that fails
 * PRAGMA quick_check: -EUCLEAN. */
SAI_NODISCARD int db_open(const char *path, const char *const *migrations, size_t n, struct db **ret);
struct db *db_free(struct db *d);
sqlite3 *db_handle(struct db *d);
/* Locks and begins (IMMEDIATE); every begin is followed by exactly one commit or rollback, which unlock. */
SAI_NODISCARD int db_begin(struct db *d);
SAI_NODISCARD int
db_commit(struct db *d); /* negative: nothing was written, and it is unlocked all the same */
void db_rollback(struct db *d);
/* Prepared statement by its constant text (cached by pointer), reset and unbound. NULL: error. */
SAI_NODISCARD sqlite3_stmt *db_statement(struct db *d, const char *constant_sql);
SAI_NODISCARD int db_bind_view(sqlite3_stmt *s, int index, struct view v);
SAI_NODISCARD int db_bind_u64(sqlite3_stmt *s, int index, uint64_t v); /* -ERANGE above INT64_MAX */
struct view db_column_view(sqlite3_stmt *s, int column);               /* valid until the next step */
uint64_t db_column_u64(sqlite3_stmt *s, int column);
/* Steps a statement without rows: 0, -EEXIST (constraint), -ENOSPC (full), -EIO. *ret_changes may be NULL. */
SAI_NODISCARD int db_exec(struct db *d, sqlite3_stmt *s, uint64_t *ret_changes);
/* 1 = a row is there, 0 = done, negative = error. */
SAI_NODISCARD int db_step(sqlite3_stmt *s);
