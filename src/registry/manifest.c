#include "registry/manifest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/file.h"
#include "registry/head.h"
#include "registry/limits.h"

#define DB_NAME   "manifest.db"
#define HEAD_NAME "head.json"
#define KEY_NAME  "registry.key"
#define LOCK_NAME "lock"

/* `model`, `member`, `document` and `head` are what is signed; `job` and `check_run` are notes that may be lost without harm to trust. */
static const char *const migrations[] = {
        "CREATE TABLE model("
        " sha256 TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, size INTEGER NOT "
        "NULL,"
        " architecture TEXT NOT NULL, parameters INTEGER NOT NULL, context_length INTEGER NOT NULL,"
        " quantization TEXT NOT NULL, promoted_at TEXT NOT NULL, job TEXT NOT NULL, source TEXT NOT NULL,"
        " signature_status TEXT NOT NULL, signature_key TEXT, evidence TEXT NOT NULL) STRICT;"
        "CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id = 1), text TEXT NOT NULL) STRICT;"
        "CREATE TABLE job(id TEXT PRIMARY KEY NOT NULL, sha256 TEXT NOT NULL, duplicate INTEGER NOT NULL) "
        "STRICT;"
        "CREATE TABLE check_run("
        " sha256 TEXT PRIMARY KEY NOT NULL REFERENCES model(sha256) ON DELETE CASCADE,"
        " state INTEGER NOT NULL, verified_at TEXT) STRICT;",
        PARTS_SCHEMA,
};

struct manifest {
        struct db *db;
        int state_dir; /* borrowed */
        int lock_fd;
        struct signing_key *key;
        struct public_key *public;
        pthread_mutex_t lock; /* for what follows */
        struct head head;
        struct buf head_text;
        bool head_dirty; /* head.json is older */
};

#define COLUMNS                                                                                              \
        "model.sha256, name, kind, size, architecture, parameters, context_length, quantization, "           \
        "promoted_at,"                                                                                       \
        " job, source, signature_status, signature_key, evidence, state, verified_at,"                       \
        " (SELECT count(*) FROM member WHERE member.model = model.sha256),"                                  \
        " (SELECT group_concat(name) FROM (SELECT name FROM document WHERE document.model = model.sha256"    \
        " ORDER BY name))"

const char *check_state_name(enum check_state s) {
        static const char *const names[CHECK_STATE_MAX] = {"ok", "pending", "running", "failed", "failed"};

        return s >= 0 && s < CHECK_STATE_MAX ? names[s] : "failed";
}

static int read_model(sqlite3_stmt *s, struct model *m) {
        uint64_t state = db_column_u64(s, 14);

        *m = (struct model){
                .name = db_column_view(s, 1),
                .kind = db_column_view(s, 2),
                .size = db_column_u64(s, 3),
                .architecture = db_column_view(s, 4),
                .parameters = db_column_u64(s, 5),
                .context_length = db_column_u64(s, 6),
                .quantization = db_column_view(s, 7),
                .promoted_at = db_column_view(s, 8),
                .job = db_column_view(s, 9),
                .source = db_column_view(s, 10),
                .signature_status = db_column_view(s, 11),
                .signature_key = db_column_view(s, 12),
                .evidence = db_column_view(s, 13),
                .check = state < CHECK_STATE_MAX ? (enum check_state)state : CHECK_FAILED,
                .verified_at = db_column_view(s, 15),
                .members = db_column_u64(s, 16),
                .documents = db_column_view(s, 17),
        };
        return sha256_from_hex(db_column_view(s, 0), &m->sha256) < 0 ? -EUCLEAN : 0;
}

/* Walks over the rows of a bound statement. */
static int each_row(sqlite3_stmt *s, manifest_seen seen, void *userdata, uint64_t *ret_rows) {
        struct model m;
        int r;

        *ret_rows = 0;
        while ((r = db_step(s)) == 1) {
                r = read_model(s, &m);
                if (r >= 0)
                        r = seen(&m, userdata);
                if (r < 0)
                        return r;
                ++*ret_rows;
        }
        return r;
}

/* Empty text is text: a view without bytes must not become NULL. */
static int bind_text(sqlite3_stmt *s, int index, struct view v) {
        return db_bind_view(s, index, v.n ? v : VIEW(""));
}

static int bind_digest(sqlite3_stmt *s, int index, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        return db_bind_view(s, index, view_of(hex));
}

/* What of a model the head vouches for: all of its row, as a JSON list, so that no two rows read alike. */
static int hash_model(const struct model *m, void *userdata) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)4 << 20);
        struct json_writer w = JSON_WRITER(&text);
        char hex[SHA256_HEX_SIZE];
        int r;

        sha256_hex(&m->sha256, hex);
        json_array_begin(&w);
        json_put_string(&w, hex);
        json_put_view(&w, m->name);
        json_put_view(&w, m->kind);
        json_put_u64(&w, m->size);
        json_put_view(&w, m->architecture);
        json_put_u64(&w, m->parameters);
        json_put_u64(&w, m->context_length);
        json_put_view(&w, m->quantization);
        json_put_view(&w, m->promoted_at);
        json_put_view(&w, m->job);
        json_put_view(&w, m->source);
        json_put_view(&w, m->signature_status);
        json_put_view(&w, m->signature_key);
        json_put_view(&w, m->evidence);
        json_array_end(&w);
        r = json_write_end(&w);
        if (r >= 0)
                r = buf_append_char(&text, '\n');
        return r < 0 ? r : digest_update(userdata, buf_view(&text));
}

/* Digest and number of all models; inside a transaction. */
static int hash_models(struct manifest *m, struct head *ret) {
        static const char sql[] = "SELECT " COLUMNS
                                  " FROM model LEFT JOIN check_run USING(sha256) ORDER BY model.sha256";
        _cleanup_(digest_freep) struct digest *d = NULL;
        sqlite3_stmt *s = db_statement(m->db, sql);
        int r = s ? digest_new(&d) : -EIO;

        if (r >= 0)
                r = each_row(s, hash_model, d, &ret->models);
        if (r >= 0)
                r = parts_hash(m->db, d);
        return r < 0 ? r : digest_final(d, &ret->digest);
}

/* Signs the list as it now stands in the transaction; *text is the new head. */
static int write_head(struct manifest *m, uint64_t version, struct head *ret, struct buf *text) {
        static const char sql[] =
                "INSERT INTO head(id, text) VALUES(1, ?1) ON CONFLICT(id) DO UPDATE SET text = ?1";
        struct head h = {.version = version};
        sqlite3_stmt *s;
        int r = hash_models(m, &h);

        if (r >= 0)
                r = head_sign(&h, clock_real_usec(), m->key, text);
        if (r < 0)
                return r;
        s = db_statement(m->db, sql);
        r = s ? db_bind_view(s, 1, buf_view(text)) : -EIO;
        if (r >= 0)
                r = db_exec(m->db, s, NULL);
        if (r >= 0)
                *ret = h;
        return r;
}

static void publish(struct manifest *m) {
        if (m->head_dirty && replace_file(m->state_dir, HEAD_NAME, buf_view(&m->head_text), 0600) >= 0)
                m->head_dirty = false;
}

void manifest_publish_head(struct manifest *m) {
        pthread_mutex_lock(&m->lock);
        publish(m);
        pthread_mutex_unlock(&m->lock);
}

static void take_head(struct manifest *m, const struct head *h, struct buf *text) {
        m->head = *h;
        buf_done(&m->head_text);
        m->head_text = TAKE_BUF(*text);
        m->head_dirty = true;
        publish(m);
}

/* Ends a transaction that changed the list: new head, commit, head.json. `r` < 0: rolls back. The caller has m->lock. */
static int finish_change(struct manifest *m, int r, uint64_t version) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(HEAD_TEXT_MAX);
        struct head h;

        if (r >= 0)
                r = write_head(m, version, &h, &text);
        if (r < 0) {
                db_rollback(m->db);
                return r;
        }
        r = db_commit(m->db);
        if (r >= 0)
                take_head(m, &h, &text);
        return r;
}

struct manifest_head manifest_head(struct manifest *m) {
        struct manifest_head h;

        pthread_mutex_lock(&m->lock);
        h = (struct manifest_head){m->head.version, m->head.digest};
        pthread_mutex_unlock(&m->lock);
        return h;
}

static int broken(struct fault *f, const char *rule, const char *text) {
        return fault_set(f, -EUCLEAN, rule, 0, "%s", text);
}

/* The head of the database: 0 and *ret, 1 when there is none yet. Inside a transaction. */
static int read_db_head(struct manifest *m, struct head *ret, struct buf *text, struct fault *f) {
        sqlite3_stmt *s = db_statement(m->db, "SELECT text FROM head");
        int r = s ? db_step(s) : -EIO;

        if (r == 0)
                return 1;
        if (r > 0)
                r = buf_append_view(text, db_column_view(s, 0));
        if (r >= 0)
                r = head_read(buf_view(text), m->public, ret);
        if (r == -EBADMSG || r == -EKEYREJECTED || r == -EFBIG)
                return broken(f, "manifest_tampered",
                              "the head in manifest.db was not signed by this registry");
        return r;
}

/* The head beside the database: 0 and *ret, 1 when there is none. */
static int read_file_head(struct manifest *m, struct head *ret, struct fault *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(HEAD_TEXT_MAX);
        int r = read_file_beneath(m->state_dir, HEAD_NAME, HEAD_TEXT_MAX, &text);

        if (r == -ENOENT)
                return 1;
        if (r >= 0)
                r = head_read(buf_view(&text), m->public, ret);
        if (r == -EBADMSG || r == -EKEYREJECTED || r == -EFBIG)
                return broken(f, "manifest_tampered", "head.json was not signed by this registry");
        return r;
}

static bool same_list(const struct head *a, const struct head *b) {
        return a->models == b->models && memcmp(a->digest.b, b->digest.b, SHA256_SIZE) == 0;
}

/* `file` may be one version behind: a crash between commit and head.json. */
static int compare_heads(const struct head *db, const struct head *file, struct fault *f) {
        if (db->version < file->version)
                return broken(f, "manifest_rolled_back",
                              "manifest.db is older than head.json: it was put back to an earlier copy");
        if (db->version > file->version + 1)
                return broken(f, "manifest_rolled_back",
                              "head.json is older than manifest.db: it was put back to an earlier copy");
        if (db->version == file->version && !same_list(db, file))
                return broken(f, "manifest_tampered", "head.json and manifest.db speak of different lists");
        return 0;
}

/* Inside a transaction: the list must be the one that was signed last. 1: nothing is there yet. */
static int check_heads(struct manifest *m, struct buf *text, struct fault *f) {
        struct head db = {0}, file = {0}, now = {0};
        int no_db = read_db_head(m, &db, text, f), no_file, r;

        if (no_db < 0)
                return no_db;
        no_file = read_file_head(m, &file, f);
        if (no_file < 0)
                return no_file;
        r = hash_models(m, &now);
        if (r < 0)
                return r;
        if (no_db)
                return no_file && now.models == 0
                               ? 1
                               : broken(f, "manifest_rolled_back",
                                        "manifest.db is new, but this registry had models");
        if (!same_list(&db, &now))
                return broken(f, "manifest_tampered",
                              "the models in manifest.db are not the ones that were signed");
        if (no_file && db.version > 1)
                return broken(f, "manifest_tampered", "head.json is missing");
        m->head = db;
        m->head_dirty = no_file || file.version != db.version;
        return no_file ? 0 : compare_heads(&db, &file, f);
}

static int check_or_begin(struct manifest *m, struct fault *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(HEAD_TEXT_MAX);
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = check_heads(m, &text, f);
        if (r == 1)
                return finish_change(m, 0, 1);
        db_rollback(m->db);
        if (r < 0)
                return r;
        buf_done(&m->head_text);
        m->head_text = TAKE_BUF(text);
        publish(m);
        return 0;
}

/* One process at a time: an owner's acceptance beside a running service would be overwritten by its next change. */
static int take_lock(struct manifest *m, struct fault *f) {
        m->lock_fd = open_beneath(m->state_dir, LOCK_NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
        if (m->lock_fd < 0)
                return m->lock_fd;
        if (flock(m->lock_fd, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        return errno == EWOULDBLOCK ? fault_set(f, -EBUSY, "manifest_busy", 0,
                                                "a registry runs on this folder; stop it first")
                                    : negative_errno();
}

static int open_keys(struct manifest *m, bool may_create, struct fault *f) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        bool begun = !may_create && (faccessat(m->state_dir, DB_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
                                     faccessat(m->state_dir, HEAD_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
        int r = signing_key_load(m->state_dir, KEY_NAME, !begun, &m->key);

        if (r == -ENOENT)
                return broken(f, "manifest_tampered", "registry.key is missing, but a manifest is there");
        if (r >= 0)
                r = signing_key_public_pem(m->key, &pem);
        return r < 0 ? r : public_key_from_pem(buf_view(&pem), &m->public, NULL);
}

static int open_db(struct manifest *m, const char *state_path, struct fault *f) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (asprintf(&path, "%s/" DB_NAME, state_path) < 0)
                return -ENOMEM;
        r = db_open(path, migrations, ARRAY_SIZE(migrations), &m->db);
        if (r == -EUCLEAN)
                return broken(f, "manifest_tampered", "manifest.db is damaged");
        return r;
}

/* `new_key`: a missing key is made even though a manifest is there. */
static int open_all(const char *state_path, int state_dir, bool new_key, struct manifest **ret,
                    struct fault *f) {
        _cleanup_(manifest_freep) struct manifest *m = calloc(1, sizeof *m);
        int r;

        if (!m)
                return -ENOMEM;
        m->state_dir = state_dir;
        m->lock_fd = -EBADF;
        m->head_text = BUF_INIT(HEAD_TEXT_MAX);
        pthread_mutex_init(&m->lock, NULL);
        r = take_lock(m, f);
        if (r >= 0)
                r = open_keys(m, new_key, f);
        if (r >= 0)
                r = open_db(m, state_path, f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manifest_open(const char *state_path, int state_dir, struct manifest **ret, struct fault *reterr) {
        _cleanup_(manifest_freep) struct manifest *m = NULL;
        struct fault f = FAULT_NONE;
        int r = open_all(state_path, state_dir, false, &m, &f);

        if (r >= 0)
                r = check_or_begin(m, &f);
        if (r < 0)
                return f.code < 0 ? (*reterr = f).code
                                  : fault_set(reterr, r, "manifest_unreadable", 0,
                                              "the manifest can't be opened: %s", strerror(-r));
        *ret = TAKE_PTR(m);
        return 0;
}

int manifest_accept(const char *state_path, int state_dir, struct fault *reterr) {
        _cleanup_(manifest_freep) struct manifest *m = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(HEAD_TEXT_MAX);
        struct head db = {0}, file = {0};
        int r = open_all(state_path, state_dir, true, &m, reterr);

        if (r >= 0)
                r = db_begin(m->db);
        if (r < 0)
                return r;
        (void)read_db_head(m, &db, &text, NULL); /* unreadable ones count as version 0 */
        (void)read_file_head(m, &file, NULL);
        r = finish_change(m, 0, MAX_OF(db.version, file.version) + REGISTRY_ACCEPT_STEP);
        return r >= 0 && m->head_dirty
                       ? fault_set(reterr, -EIO, "manifest_unreadable", 0, "head.json can't be written")
                       : r;
}

struct manifest *manifest_free(struct manifest *m) {
        if (!m)
                return NULL;
        db_free(m->db);
        signing_key_free(m->key);
        public_key_free(m->public);
        buf_done(&m->head_text);
        close_fd(m->lock_fd);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return NULL;
}

/* --- changes --- */

static int name_is_taken(struct manifest *m, struct view name) {
        sqlite3_stmt *s = db_statement(m->db, "SELECT 1 FROM model WHERE name = ?1");
        int r = s ? db_bind_view(s, 1, name) : -EIO;

        return r < 0 ? r : db_step(s);
}

/* The n-th try: "name", "name (Q4_0)", "name (2)", "name (3)" … */
static int make_name(struct view name, struct view quantization, unsigned n, struct buf *out) {
        int r;

        buf_clear(out);
        r = buf_append_escaped(out, name, REGISTRY_NAME_MAX);
        if (r < 0 || n == 0)
                return r;
        if (n > 1)
                return buf_printf(out, " (%u)", n);
        r = buf_append_str(out, " (");
        if (r >= 0)
                r = buf_append_escaped(out, quantization.n ? quantization : VIEW("1"), 32);
        return r < 0 ? r : buf_append_char(out, ')');
}

static int find_name(struct manifest *m, const struct evidence *e, struct view name, struct buf *out) {
        int r = 1;

        for (unsigned n = 0; n < REGISTRY_NAME_TRIES && r == 1; n++) {
                r = make_name(name, e->quantization, n, out);
                if (r >= 0)
                        r = name_is_taken(m, buf_view(out));
        }
        return r == 1 ? -E2BIG : r;
}

static int count_models(struct manifest *m, uint64_t *ret) {
        sqlite3_stmt *s = db_statement(m->db, "SELECT count(*) FROM model");
        int r = s ? db_step(s) : -EIO;

        if (r != 1)
                return r < 0 ? r : -EIO;
        *ret = db_column_u64(s, 0);
        return 0;
}

static int insert_model(struct manifest *m, const struct evidence *e, struct view text, struct view name,
                        const char *now) {
        static const char sql[] = "INSERT INTO model VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";
        sqlite3_stmt *s = db_statement(m->db, sql);
        int r = s ? bind_digest(s, 1, &e->sha256) : -EIO;

        if (r >= 0)
                r = bind_text(s, 2, name);
        if (r >= 0)
                r = bind_text(s, 3, e->kind);
        if (r >= 0)
                r = db_bind_u64(s, 4, e->size);
        if (r >= 0)
                r = bind_text(s, 5, e->architecture);
        if (r >= 0)
                r = db_bind_u64(s, 6, e->parameters);
        if (r >= 0)
                r = db_bind_u64(s, 7, e->context_length);
        if (r >= 0)
                r = bind_text(s, 8, e->quantization);
        if (r >= 0)
                r = bind_text(s, 9, view_of(now));
        if (r >= 0)
                r = bind_text(s, 10, e->job);
        if (r >= 0)
                r = bind_text(s, 11, e->source);
        if (r >= 0)
                r = bind_text(s, 12, e->is_signed ? VIEW("trusted") : VIEW("unsigned"));
        if (r >= 0)
                r = db_bind_view(s, 13, e->key);
        if (r >= 0)
                r = bind_text(s, 14, text);
        return r < 0 ? r : db_exec(m->db, s, NULL);
}

static int insert_check(struct manifest *m, const struct sha256 *digest, const char *now) {
        sqlite3_stmt *s = db_statement(m->db, "INSERT INTO check_run VALUES(?1, 0, ?2)");
        int r = s ? bind_digest(s, 1, digest) : -EIO;

        if (r >= 0)
                r = db_bind_view(s, 2, view_of(now));
        return r < 0 ? r : db_exec(m->db, s, NULL);
}

static int insert_job(struct manifest *m, struct view job, const struct sha256 *digest, bool duplicate) {
        sqlite3_stmt *s = db_statement(m->db, "INSERT OR REPLACE INTO job VALUES(?1, ?2, ?3)");
        int r = s ? db_bind_view(s, 1, job) : -EIO;

        if (r >= 0)
                r = bind_digest(s, 2, digest);
        if (r >= 0)
                r = db_bind_u64(s, 3, duplicate);
        return r < 0 ? r : db_exec(m->db, s, NULL);
}

static int add_rows(struct manifest *m, const struct manifest_entry *entry) {
        const struct evidence *e = entry->evidence;
        _cleanup_(buf_donep) struct buf name = BUF_INIT(16 * REGISTRY_NAME_MAX);
        char now[CLOCK_TEXT_SIZE];
        uint64_t count;
        int r = count_models(m, &count);

        if (r >= 0 && count >= REGISTRY_MODELS_MAX)
                return -E2BIG;
        if (r >= 0)
                r = find_name(m, e, entry->name, &name);
        if (r < 0)
                return r;
        clock_format(clock_real_usec(), now);
        r = insert_model(m, e, entry->text, buf_view(&name), now);
        if (r >= 0)
                r = parts_insert(m->db, e, entry->members, entry->document_sizes);
        if (r >= 0)
                r = insert_check(m, &e->sha256, now);
        return r < 0 ? r : insert_job(m, e->job, &e->sha256, false);
}

int manifest_add(struct manifest *m, const struct manifest_entry *entry) {
        int r;

        pthread_mutex_lock(&m->lock);
        r = db_begin(m->db);
        if (r >= 0)
                r = finish_change(m, add_rows(m, entry), m->head.version + 1);
        pthread_mutex_unlock(&m->lock);
        return r;
}

static int delete_rows(struct manifest *m, const struct sha256 *digest) {
        sqlite3_stmt *s = db_statement(m->db, "DELETE FROM model WHERE sha256 = ?1");
        uint64_t changes = 0;
        int r = s ? bind_digest(s, 1, digest) : -EIO;

        if (r >= 0)
                r = db_exec(m->db, s, &changes);
        if (r >= 0 && changes == 0)
                return -ENOENT;
        s = r < 0 ? NULL : db_statement(m->db, "DELETE FROM job WHERE sha256 = ?1");
        if (!s)
                return r < 0 ? r : -EIO;
        r = bind_digest(s, 1, digest);
        return r < 0 ? r : db_exec(m->db, s, NULL);
}

int manifest_remove(struct manifest *m, const struct sha256 *digest) {
        int r;

        pthread_mutex_lock(&m->lock);
        r = db_begin(m->db);
        if (r >= 0)
                r = finish_change(m, delete_rows(m, digest), m->head.version + 1);
        pthread_mutex_unlock(&m->lock);
        return r;
}

/* Ends a transaction that touched notes only: the signed list is as it was. */
static int finish_note(struct manifest *m, int r) {
        if (r >= 0)
                return db_commit(m->db);
        db_rollback(m->db);
        return r;
}

int manifest_note_job(struct manifest *m, struct view job, const struct sha256 *digest) {
        int r = db_begin(m->db);

        return r < 0 ? r : finish_note(m, insert_job(m, job, digest, true));
}

static int find_job(struct manifest *m, struct view job, struct sha256 *ret, bool *ret_duplicate) {
        sqlite3_stmt *s = db_statement(m->db, "SELECT sha256, duplicate FROM job WHERE id = ?1");
        int r = s ? db_bind_view(s, 1, job) : -EIO;

        if (r >= 0)
                r = db_step(s);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret_duplicate = db_column_u64(s, 1) != 0;
        return sha256_from_hex(db_column_view(s, 0), ret);
}

int manifest_find_job(struct manifest *m, struct view job, struct sha256 *ret, bool *ret_duplicate) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = find_job(m, job, ret, ret_duplicate);
        db_rollback(m->db);
        return r;
}

/* --- reading --- */

int manifest_each(struct manifest *m, manifest_seen seen, void *userdata) {
        static const char sql[] = "SELECT " COLUMNS
                                  " FROM model LEFT JOIN check_run USING(sha256) ORDER BY name";
        sqlite3_stmt *s;
        uint64_t rows;
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        s = db_statement(m->db, sql);
        r = s ? each_row(s, seen, userdata, &rows) : -EIO;
        db_rollback(m->db);
        return r;
}

int manifest_get(struct manifest *m, const struct sha256 *digest, manifest_seen seen, void *userdata) {
        static const char sql[] = "SELECT " COLUMNS
                                  " FROM model LEFT JOIN check_run USING(sha256) WHERE model.sha256 = ?1";
        sqlite3_stmt *s;
        uint64_t rows = 0;
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        s = db_statement(m->db, sql);
        r = s ? bind_digest(s, 1, digest) : -EIO;
        if (r >= 0)
                r = each_row(s, seen, userdata, &rows);
        db_rollback(m->db);
        return r < 0 ? r : rows ? 0 : -ENOENT;
}

static int ignore_model(const struct model *model, void *userdata) {
        return 0;
}

bool manifest_has(struct manifest *m, const struct sha256 *digest) {
        return manifest_get(m, digest, ignore_model, NULL) >= 0;
}

int manifest_each_member(struct manifest *m, const struct sha256 *model, part_seen seen, void *userdata) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = parts_each_member(m->db, model, seen, userdata);
        db_rollback(m->db);
        return r;
}

int manifest_each_document(struct manifest *m, const struct sha256 *model, part_seen seen, void *userdata) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = parts_each_document(m->db, model, seen, userdata);
        db_rollback(m->db);
        return r;
}

int manifest_find_member(struct manifest *m, const struct sha256 *model, struct view path, struct sha256 *ret,
                         uint64_t *ret_size) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = parts_find_member(m->db, model, path, ret, ret_size);
        db_rollback(m->db);
        return r;
}

int manifest_find_document(struct manifest *m, const struct sha256 *model, enum document_kind kind,
                           struct sha256 *ret, uint64_t *ret_size) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = parts_find_document(m->db, model, kind, ret, ret_size);
        db_rollback(m->db);
        return r;
}

bool manifest_owns(struct manifest *m, const struct sha256 *object) {
        int r = db_begin(m->db);

        if (r < 0)
                return true;
        r = parts_is_owned(m->db, object);
        db_rollback(m->db);
        return r != 0;
}

/* --- checks --- */

static int set_check(struct manifest *m, const struct sha256 *digest, enum check_state state) {
        static const char sql[] =
                "INSERT INTO check_run(sha256, state, verified_at) SELECT ?1, ?2, ?3 FROM model WHERE sha256 "
                "= ?1"
                " ON CONFLICT(sha256) DO UPDATE SET state = ?2, verified_at = coalesce(?3, verified_at)";
        sqlite3_stmt *s = db_statement(m->db, sql);
        char now[CLOCK_TEXT_SIZE];
        uint64_t changes = 0;
        int r = s ? bind_digest(s, 1, digest) : -EIO;

        clock_format(clock_real_usec(), now);
        if (r >= 0)
                r = db_bind_u64(s, 2, state);
        if (r >= 0 && (state == CHECK_OK || state == CHECK_UNREPORTED))
                r = db_bind_view(s, 3, view_of(now));
        if (r >= 0)
                r = db_exec(m->db, s, &changes);
        return r < 0 ? r : changes ? 0 : -ENOENT;
}

int manifest_set_check(struct manifest *m, const struct sha256 *digest, enum check_state state) {
        int r = db_begin(m->db);

        return r < 0 ? r : finish_note(m, set_check(m, digest, state));
}

static int make_due(struct manifest *m, uint64_t before_usec) {
        static const char sql[] = "UPDATE check_run SET state = 1 WHERE state = 0 AND verified_at < ?1";
        sqlite3_stmt *s = db_statement(m->db, sql);
        char before[CLOCK_TEXT_SIZE];
        int r;

        clock_format(before_usec, before);
        r = s ? db_bind_view(s, 1, view_of(before)) : -EIO;
        return r < 0 ? r : db_exec(m->db, s, NULL);
}

int manifest_make_due(struct manifest *m, uint64_t before_usec) {
        int r = db_begin(m->db);

        return r < 0 ? r : finish_note(m, make_due(m, before_usec));
}

static int next_pending(struct manifest *m, struct sha256 *ret, uint64_t *ret_size) {
        static const char sql[] =
                "SELECT sha256, size FROM check_run JOIN model USING(sha256) WHERE state IN (1, 2)"
                " ORDER BY verified_at LIMIT 1";
        sqlite3_stmt *s = db_statement(m->db, sql);
        int r = s ? db_step(s) : -EIO;

        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret_size = db_column_u64(s, 1);
        return sha256_from_hex(db_column_view(s, 0), ret);
}

int manifest_next_pending(struct manifest *m, struct sha256 *ret, uint64_t *ret_size) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = next_pending(m, ret, ret_size);
        db_rollback(m->db);
        return r;
}

static int next_unreported(struct manifest *m, struct sha256 *ret) {
        sqlite3_stmt *s = db_statement(m->db, "SELECT sha256 FROM check_run WHERE state = 4 LIMIT 1");
        int r = s ? db_step(s) : -EIO;

        return r <= 0 ? (r < 0 ? r : -ENOENT) : sha256_from_hex(db_column_view(s, 0), ret);
}

int manifest_next_unreported(struct manifest *m, struct sha256 *ret) {
        int r = db_begin(m->db);

        if (r < 0)
                return r;
        r = next_unreported(m, ret);
        db_rollback(m->db);
        return r;
}
