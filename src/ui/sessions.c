#include "ui/sessions.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/digest.h"
#include "ui/limits.h"

struct moment {
        const char *boot;
        uint64_t now;
};

static struct moment this_moment(const struct app *app) {
        return (struct moment){app->boot_id, clock_boot_usec()};
}

static int bind_hash(sqlite3_stmt *s, int index, const struct sha256 *hash) {
        return sqlite3_bind_blob(s, index, hash->b, sizeof(hash->b), SQLITE_TRANSIENT) == SQLITE_OK ? 0
                                                                                                    : -ENOMEM;
}

/* Sessions of other boots, past their limits, and the oldest above the number that may be. */
static int drop_old(struct app *app, const struct moment *m) {
        static const char sql[] =
                "DELETE FROM session WHERE boot <> ?1 OR created <= ?2 OR seen <= ?3 OR hash IN"
                " (SELECT hash FROM session ORDER BY seen DESC LIMIT -1 OFFSET ?4)";
        uint64_t absolute = app->settings.absolute_usec, idle = app->settings.idle_usec;
        sqlite3_stmt *s = db_statement(app->db, sql);
        int r;

        if (!s)
                return -EIO;
        r = db_bind_view(s, 1, view_of(m->boot));
        if (r == 0)
                r = db_bind_u64(s, 2, m->now > absolute ? m->now - absolute : 0);
        if (r == 0)
                r = db_bind_u64(s, 3, m->now > idle ? m->now - idle : 0);
        if (r == 0)
                r = db_bind_u64(s, 4, UI_SESSIONS_MAX - 1);
        return r < 0 ? r : db_exec(app->db, s, NULL);
}

static int insert(struct app *app, const struct moment *m, const struct sha256 *hash) {
        static const char sql[] = "INSERT INTO session (hash, boot, created, seen) VALUES (?1, ?2, ?3, ?3)";
        sqlite3_stmt *s = db_statement(app->db, sql);
        int r;

        if (!s)
                return -EIO;
        r = bind_hash(s, 1, hash);
        if (r == 0)
                r = db_bind_view(s, 2, view_of(m->boot));
        if (r == 0)
                r = db_bind_u64(s, 3, m->now);
        return r < 0 ? r : db_exec(app->db, s, NULL);
}

static int end_transaction(struct app *app, int r) {
        if (r == 0)
                return db_commit(app->db);
        db_rollback(app->db);
        return r;
}

int session_begin(struct app *app, char token[SESSION_TOKEN_SIZE]) {
        uint8_t random[SESSION_TOKEN_CHARS / 2];
        struct moment m = this_moment(app);
        struct sha256 hash;
        int r = random_bytes(random, sizeof(random));

        if (r < 0)
                return r;
        hex_encode(random, sizeof(random), token);
        token[SESSION_TOKEN_CHARS] = '\0';
        wipe(random, sizeof(random));
        r = sha256_of((struct view){token, SESSION_TOKEN_CHARS}, &hash);
        if (r == 0)
                r = db_begin(app->db);
        if (r < 0)
                return r;
        r = drop_old(app, &m);
        if (r == 0)
                r = insert(app, &m, &hash);
        return end_transaction(app, r);
}

static int touch_session(struct app *app, const struct moment *m, const struct sha256 *hash) {
        static const char sql[] = "UPDATE session SET seen = ?2 WHERE hash = ?1";
        sqlite3_stmt *s = db_statement(app->db, sql);
        int r;

        if (!s)
                return -EIO;
        r = bind_hash(s, 1, hash);
        if (r == 0)
                r = db_bind_u64(s, 2, m->now);
        return r < 0 ? r : db_exec(app->db, s, NULL);
}

/* 1 and the two times when the session is of this boot. */
static int find(struct app *app, const struct moment *m, const struct sha256 *hash, uint64_t *ret_created,
                uint64_t *ret_seen) {
        static const char sql[] = "SELECT created, seen FROM session WHERE hash = ?1 AND boot = ?2";
        sqlite3_stmt *s = db_statement(app->db, sql);
        int r;

        if (!s)
                return -EIO;
        r = bind_hash(s, 1, hash);
        if (r == 0)
                r = db_bind_view(s, 2, view_of(m->boot));
        if (r == 0)
                r = db_step(s);
        if (r == 1) {
                *ret_created = db_column_u64(s, 0);
                *ret_seen = db_column_u64(s, 1);
        }
        return r;
}

static bool is_open(const struct settings *s, uint64_t now, uint64_t created, uint64_t seen) {
        return created <= now && seen <= now && now - created < s->absolute_usec && now - seen < s->idle_usec;
}

int session_check(struct app *app, struct view token, bool touch) {
        uint64_t created = 0, seen = 0,
                 each = MIN_OF(UI_SEEN_EACH_S * USEC_PER_SEC, app->settings.idle_usec / 10);
        struct moment m = this_moment(app);
        struct sha256 hash;
        bool write;
        int r;

        if (token.n != SESSION_TOKEN_CHARS)
                return 0;
        r = sha256_of(token, &hash);
        if (r == 0)
                r = db_begin(app->db);
        if (r < 0)
                return r;
        r = find(app, &m, &hash, &created, &seen);
        if (r == 1)
                r = is_open(&app->settings, m.now, created, seen);
        write = r == 1 && touch && m.now - seen >= each;
        if (!write) {
                db_rollback(app->db);
                return r;
        }
        r = end_transaction(app, touch_session(app, &m, &hash));
        return r < 0 ? r : 1;
}

static int run_delete(struct app *app, const char *sql, struct view token) {
        struct sha256 hash;
        sqlite3_stmt *s;
        int r = sha256_of(token, &hash);

        if (r == 0)
                r = db_begin(app->db);
        if (r < 0)
                return r;
        s = db_statement(app->db, sql);
        r = s ? bind_hash(s, 1, &hash) : -EIO;
        if (r == 0)
                r = db_exec(app->db, s, NULL);
        return end_transaction(app, r);
}

int session_end(struct app *app, struct view token) {
        static const char sql[] = "DELETE FROM session WHERE hash = ?1";

        return run_delete(app, sql, token);
}

int session_end_others(struct app *app, struct view token) {
        static const char sql[] = "DELETE FROM session WHERE hash <> ?1";

        return run_delete(app, sql, token);
}

int session_csrf(struct view token, char out[SESSION_TOKEN_SIZE]) {
        struct sha256 mac;
        int r = hmac_sha256(token, VIEW("secai csrf"), &mac);

        if (r < 0)
                return r;
        sha256_hex(&mac, out);
        return 0;
}
