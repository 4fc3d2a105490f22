#include "quarantine/jobs.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"

static const char *const migrations[] = {
        "CREATE TABLE job ("
        " id TEXT PRIMARY KEY, name BLOB NOT NULL, url BLOB NOT NULL, signature BLOB NOT NULL,"
        " size INTEGER NOT NULL, source INTEGER NOT NULL, from_inbox INTEGER NOT NULL, state INTEGER NOT "
        "NULL,"
        " stage INTEGER NOT NULL, tries INTEGER NOT NULL, starts INTEGER NOT NULL, code TEXT NOT NULL,"
        " reason TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, not_before INTEGER NOT "
        "NULL,"
        " duplicate INTEGER NOT NULL, kept INTEGER NOT NULL, sha256 TEXT NOT NULL, file_id TEXT NOT NULL,"
        " verdict TEXT NOT NULL, evidence BLOB NOT NULL, evidence_signature BLOB NOT NULL, inbox_id TEXT NOT "
        "NULL"
        ") STRICT;"
        "CREATE INDEX job_by_state ON job (state, not_before, starts, created);"
        "CREATE INDEX job_by_time ON job (created);",
};

#define COLUMNS                                                                                              \
        "id, name, url, signature, size, source, from_inbox, state, stage, tries, starts, code, reason, "    \
        "created,"                                                                                           \
        " updated, not_before, duplicate, kept, sha256, file_id, verdict, evidence, evidence_signature, "    \
        "inbox_id"

static const char *const states[JOB_STATE_MAX] = {"receiving", "waiting",  "scanning", "promoting",
                                                  "promoted",  "rejected", "parked"};

struct jobs {
        struct db *db;
};

const char *job_state_name(enum job_state s) {
        return states[s];
}

void job_done(struct job *j) {
        buf_done(&j->name);
        buf_done(&j->url);
        buf_done(&j->signature);
        buf_done(&j->code);
        buf_done(&j->reason);
        buf_done(&j->verdict);
        buf_done(&j->evidence);
        buf_done(&j->evidence_signature);
}

int jobs_open(const char *path, struct jobs **ret) {
        struct jobs *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        r = db_open(path, migrations, ARRAY_SIZE(migrations), &s->db);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct jobs *jobs_free(struct jobs *s) {
        if (!s)
                return NULL;
        db_free(s->db);
        free(s);
        return NULL;
}

/* Ends a transaction by its result so far. */
static int finish(struct jobs *s, int r) {
        if (r < 0) {
                db_rollback(s->db);
                return r;
        }
        return db_commit(s->db);
}

static int make_id(char out[JOB_ID_SIZE]) {
        uint64_t msec = clock_real_usec() / USEC_PER_MSEC;
        unsigned char raw[12];
        int r;

        r = random_bytes(raw, sizeof raw);
        if (r < 0)
                return r;
        for (int i = 0; i < 6; i++)
                raw[i] = (unsigned char)(msec >> (8 * (5 - i)));
        hex_encode(raw, sizeof raw, out);
        out[JOB_ID_SIZE - 1] = '\0';
        return 0;
}

static int bind_text(sqlite3_stmt *q, int i, const struct buf *b) {
        return db_bind_view(q, i, view_make(buf_str(b), b->n));
}

static int bind_blob(sqlite3_stmt *q, int i, const struct buf *b) {
        return sqlite3_bind_blob64(q, i, buf_str(b), b->n, SQLITE_STATIC) == SQLITE_OK ? 0 : -ENOMEM;
}

/* Parameters ?1 to ?24 in the order of COLUMNS. */
static int bind_job(sqlite3_stmt *q, const struct job *j) {
        const uint64_t numbers[] = {
                j->size,  (uint64_t)j->source, j->from_inbox, (uint64_t)j->state, j->stage, j->tries,
                j->starts};
        const uint64_t times[] = {j->created_usec, j->updated_usec, j->not_before_usec, j->duplicate,
                                  j->kept};
        int r = db_bind_view(q, 1, view_of(j->id));

        r = r < 0 ? r : bind_blob(q, 2, &j->name);
        r = r < 0 ? r : bind_blob(q, 3, &j->url);
        r = r < 0 ? r : bind_blob(q, 4, &j->signature);
        for (int i = 0; i < (int)ARRAY_SIZE(numbers) && r >= 0; i++)
                r = db_bind_u64(q, 5 + i, numbers[i]);
        r = r < 0 ? r : bind_text(q, 12, &j->code);
        r = r < 0 ? r : bind_text(q, 13, &j->reason);
        for (int i = 0; i < (int)ARRAY_SIZE(times) && r >= 0; i++)
                r = db_bind_u64(q, 14 + i, times[i]);
        r = r < 0 ? r : db_bind_view(q, 19, view_of(j->sha256));
        r = r < 0 ? r : db_bind_view(q, 20, view_of(j->file_id));
        r = r < 0 ? r : bind_text(q, 21, &j->verdict);
        r = r < 0 ? r : bind_blob(q, 22, &j->evidence);
        r = r < 0 ? r : bind_blob(q, 23, &j->evidence_signature);
        return r < 0 ? r : db_bind_view(q, 24, view_of(j->inbox_id));
}

static int take_buf(sqlite3_stmt *q, int column, struct buf *out) {
        struct view v = db_column_view(q, column);

        buf_clear(out);
        return buf_append_view(out, v);
}

static void take_text(sqlite3_stmt *q, int column, char *out, size_t n) {
        struct view v = db_column_view(q, column);

        (void)snprintf(out, n, "%.*s", (int)MIN_OF(v.n, n - 1), v.p ? v.p : "");
}

static int take_buffers(sqlite3_stmt *q, struct job *j) {
        struct buf *const list[] = {&j->name,   &j->url,     &j->signature, &j->code,
                                    &j->reason, &j->verdict, &j->evidence,  &j->evidence_signature};
        static const int columns[] = {1, 2, 3, 11, 12, 20, 21, 22};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(columns) && r >= 0; i++)
                r = take_buf(q, columns[i], list[i]);
        return r;
}

static int take_row(sqlite3_stmt *q, struct job *j) {
        uint64_t source = db_column_u64(q, 5), state = db_column_u64(q, 7);

        if (source >= SOURCE_MAX || state >= JOB_STATE_MAX)
                return -EUCLEAN;
        take_text(q, 0, j->id, sizeof j->id);
        j->size = db_column_u64(q, 4);
        j->source = (enum source_kind)source;
        j->from_inbox = db_column_u64(q, 6) != 0;
        j->state = (enum job_state)state;
        j->stage = (unsigned)db_column_u64(q, 8);
        j->tries = (unsigned)db_column_u64(q, 9);
        j->starts = (unsigned)db_column_u64(q, 10);
        j->created_usec = db_column_u64(q, 13);
        j->updated_usec = db_column_u64(q, 14);
        j->not_before_usec = db_column_u64(q, 15);
        j->duplicate = db_column_u64(q, 16) != 0;
        j->kept = db_column_u64(q, 17) != 0;
        take_text(q, 18, j->sha256, sizeof j->sha256);
        take_text(q, 19, j->file_id, sizeof j->file_id);
        take_text(q, 23, j->inbox_id, sizeof j->inbox_id);
        return take_buffers(q, j);
}

int jobs_add(struct jobs *s, struct job *j) {
        sqlite3_stmt *q;
        int r;

        r = make_id(j->id);
        if (r >= 0)
                r = db_begin(s->db);
        if (r < 0)
                return r;
        j->created_usec = j->updated_usec = clock_real_usec();
        q = db_statement(s->db, "INSERT INTO job (" COLUMNS
                                ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,"
                                "?18,?19,?20,?21,?22,?23,?24)");
        r = q ? bind_job(q, j) : -EIO;
        if (r >= 0)
                r = db_exec(s->db, q, NULL);
        return finish(s, r);
}

static int get(struct jobs *s, struct view id, struct job *ret) {
        sqlite3_stmt *q = db_statement(s->db, "SELECT " COLUMNS " FROM job WHERE id = ?1");
        int r = q ? db_bind_view(q, 1, id) : -EIO;

        if (r >= 0)
                r = db_step(q);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = take_row(q, ret);
        (void)sqlite3_reset(q); /* an open SELECT would keep an old state of the database in use */
        return r;
}

int jobs_get(struct jobs *s, struct view id, struct job *ret) {
        int r = db_begin(s->db);

        return r < 0 ? r : finish(s, get(s, id, ret));
}

static int put(struct jobs *s, struct job *j) {
        sqlite3_stmt *q = db_statement(
                s->db,
                "UPDATE job SET url=?3, signature=?4, size=?5, source=?6, from_inbox=?7, state=?8, stage=?9,"
                " tries=?10, starts=?11, code=?12, reason=?13, updated=?15, not_before=?16,"
                " duplicate=?17, kept=?18, sha256=?19, file_id=?20, verdict=?21, evidence=?22,"
                " evidence_signature=?23, inbox_id=?24 WHERE id=?1 AND name=?2 AND created=?14");
        uint64_t changes = 0;
        int r;

        j->updated_usec = MAX_OF(clock_real_usec(), j->updated_usec + 1);
        r = q ? bind_job(q, j) : -EIO;
        if (r >= 0)
                r = db_exec(s->db, q, &changes);
        return r < 0 ? r : changes == 1 ? 0 : -ENOENT;
}

int jobs_put(struct jobs *s, struct job *j) {
        int r = db_begin(s->db);

        return r < 0 ? r : finish(s, put(s, j));
}

int jobs_delete(struct jobs *s, struct view id) {
        sqlite3_stmt *q;
        int r;

        r = db_begin(s->db);
        if (r < 0)
                return r;
        q = db_statement(s->db, "DELETE FROM job WHERE id = ?1");
        r = q ? db_bind_view(q, 1, id) : -EIO;
        if (r >= 0)
                r = db_exec(s->db, q, NULL);
        return finish(s, r);
}

/* Those that were started least often go first: a file that keeps killing us does not hold up the others. */
static int take(struct jobs *s, uint64_t now, struct job *ret) {
        sqlite3_stmt *q = db_statement(s->db, "SELECT " COLUMNS
                                              " FROM job WHERE state IN (?1, ?2) AND not_before <= ?3"
                                              " ORDER BY starts, created LIMIT 1");
        int r = q ? db_bind_u64(q, 1, JOB_WAITING) : -EIO;

        r = r < 0 ? r : db_bind_u64(q, 2, JOB_PROMOTING);
        r = r < 0 ? r : db_bind_u64(q, 3, now);
        if (r >= 0)
                r = db_step(q);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = take_row(q, ret);
        (void)sqlite3_reset(q);
        if (r < 0)
                return r;
        if (ret->state == JOB_WAITING)
                ret->state = JOB_SCANNING;
        ret->starts++;
        ret->not_before_usec = UINT64_MAX >> 1; /* taken: nobody else takes a promoting one meanwhile */
        return put(s, ret);
}

int jobs_take(struct jobs *s, uint64_t now_real_usec, struct job *ret) {
        int r = db_begin(s->db);

        return r < 0 ? r : finish(s, take(s, now_real_usec, ret));
}

static int collect_ids(sqlite3_stmt *q, struct buf *ids) {
        for (;;) {
                int r = db_step(q);
                struct view id;

                if (r <= 0)
                        return r;
                id = db_column_view(q, 0);
                r = id.n == JOB_ID_SIZE - 1 ? buf_append_view(ids, id) : -EUCLEAN;
                if (r < 0)
                        return r;
        }
}

int jobs_list(struct jobs *s, enum job_state state, bool oldest_first, unsigned most, struct buf *ids) {
        sqlite3_stmt *q;
        int r = db_begin(s->db);

        if (r < 0)
                return r;
        q = db_statement(s->db,
                         oldest_first
                                 ? "SELECT id FROM job WHERE ?1 IN (state, ?2) ORDER BY created, id LIMIT ?3"
                                 : "SELECT id FROM job WHERE ?1 IN (state, ?2) ORDER BY created DESC, id "
                                   "DESC LIMIT ?3");
        r = q ? db_bind_u64(q, 1, (uint64_t)state) : -EIO;
        r = r < 0 ? r : db_bind_u64(q, 2, JOB_STATE_MAX);
        r = r < 0 ? r : db_bind_u64(q, 3, most);
        return finish(s, r < 0 ? r : collect_ids(q, ids));
}

int jobs_find_refusal(struct jobs *s, const char *inbox_id, char ret_id[JOB_ID_SIZE]) {
        sqlite3_stmt *q;
        int r = db_begin(s->db);

        if (r < 0)
                return r;
        q = db_statement(s->db, "SELECT id FROM job WHERE inbox_id = ?1 AND state = ?2 AND kept = 0 LIMIT 1");
        r = q ? db_bind_view(q, 1, view_of(inbox_id)) : -EIO;
        r = r < 0 ? r : db_bind_u64(q, 2, JOB_PARKED);
        if (r >= 0)
                r = db_step(q);
        if (r == 1)
                take_text(q, 0, ret_id, JOB_ID_SIZE);
        if (q)
                (void)sqlite3_reset(q);
        return finish(s, r < 0 ? r : r == 1 ? 0 : -ENOENT);
}

int jobs_kept_bytes(struct jobs *s, uint64_t *ret) {
        sqlite3_stmt *q;
        int r = db_begin(s->db);

        if (r < 0)
                return r;
        q = db_statement(s->db, "SELECT coalesce(sum(size), 0) FROM job WHERE state = ?1 AND kept = 1");
        r = q ? db_bind_u64(q, 1, JOB_REJECTED) : -EIO;
        if (r >= 0)
                r = db_step(q);
        if (r == 1)
                *ret = db_column_u64(q, 0);
        if (q)
                (void)sqlite3_reset(q);
        return finish(s, r < 0 ? r : r == 1 ? 0 : -EIO);
}

int jobs_trim(struct jobs *s, unsigned most) {
        sqlite3_stmt *q;
        int r = db_begin(s->db);

        if (r < 0)
                return r;
        q = db_statement(s->db, "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE state = ?1 OR (state "
                                "= ?2 AND kept = 0)"
                                " ORDER BY created DESC LIMIT -1 OFFSET ?3)");
        r = q ? db_bind_u64(q, 1, JOB_PROMOTED) : -EIO;
        r = r < 0 ? r : db_bind_u64(q, 2, JOB_REJECTED);
        r = r < 0 ? r : db_bind_u64(q, 3, most);
        return finish(s, r < 0 ? r : db_exec(s->db, q, NULL));
}
