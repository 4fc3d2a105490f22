#include "ui/conversations.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "ui/limits.h"

#define WORDS_MAX 8

/* The whole as the page sent it (checked and written anew by us) beside what lists and searches need. Trigrams find any
 * part of a word, in any script, from three characters on. */
const char conversations_sql[] =
        "CREATE TABLE conversation (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL,"
        " model TEXT NOT NULL, system TEXT NOT NULL, settings TEXT NOT NULL, messages TEXT NOT NULL,"
        " created INTEGER NOT NULL, updated INTEGER NOT NULL) STRICT;"
        "CREATE INDEX conversation_updated ON conversation (updated);"
        "CREATE VIRTUAL TABLE conversation_text USING fts5(text, tokenize='trigram');";

/* --- checking --- */

static int refuse(struct fault *f, int code, const char *text) {
        return fault_set(f, code, NULL, 0, "%s", text);
}

static int check_text(const struct json *o, const char *key, size_t max, bool required, struct fault *f) {
        const struct json *v = json_get(o, key);

        if (!v && !required)
                return 0;
        if (!v || v->type != JSON_STRING)
                return fault_set(f, -EBADMSG, NULL, 0, "%s must be a text", key);
        if (v->text.n > max)
                return fault_set(f, -E2BIG, NULL, 0, "%s is too long; at most %zu bytes are kept", key, max);
        return 0;
}

static int check_number(const struct json *o, const char *key, struct fault *f) {
        const struct json *v = json_get(o, key);

        if (!v || v->type == JSON_NUMBER || v->type == JSON_NULL)
                return 0;
        return fault_set(f, -EBADMSG, NULL, 0, "%s must be a number", key);
}

static int check_settings(const struct json *s, struct fault *f) {
        static const char *const known[] = {"temperature", "top_p", "max_tokens", "seed", NULL};
        int r = 0;

        if (!s)
                return 0;
        if (s->type != JSON_OBJECT || json_unknown_member(s, known))
                return refuse(f, -EBADMSG, "settings has temperature, top_p, max_tokens and seed only");
        for (size_t i = 0; r == 0 && known[i]; i++)
                r = check_number(s, known[i], f);
        return r;
}

static bool is_one_of(const struct json *o, const char *key, const char *const *values, bool required) {
        const struct json *v = json_get(o, key);

        if (!v)
                return !required;
        for (; *values; values++)
                if (v->type == JSON_STRING && view_eq_str(v->text, *values))
                        return true;
        return false;
}

static int check_message(const struct json *m, struct fault *f) {
        static const char *const known[] = {"role", "content", "tokens", "tokens_per_second", "cut", NULL};
        static const char *const roles[] = {"user", "assistant", NULL}, *const cuts[] = {"stopped", "length",
                                                                                         "lost", NULL};
        int r;

        if (m->type != JSON_OBJECT || json_unknown_member(m, known) || !is_one_of(m, "role", roles, true) ||
            !is_one_of(m, "cut", cuts, false))
                return refuse(f, -EBADMSG,
                              "a message has role (user or assistant), content, tokens, tokens_per_second, "
                              "cut (stopped, length or lost) only");
        r = check_text(m, "content", UI_MESSAGE_BYTES_MAX, true, f);
        if (r == 0)
                r = check_number(m, "tokens", f);
        return r < 0 ? r : check_number(m, "tokens_per_second", f);
}

int conversation_check(const struct json *c, struct fault *reterr) {
        static const char *const known[] = {"title", "model", "system", "settings", "messages", NULL};
        const struct json *messages = json_get_typed(c, "messages", JSON_ARRAY);
        int r;

        if (json_unknown_member(c, known) || !messages)
                return refuse(reterr, -EBADMSG,
                              "a conversation has title, model, system, settings, messages only");
        r = check_text(c, "title", UI_TITLE_BYTES_MAX, true, reterr);
        if (r == 0)
                r = check_text(c, "model", UI_TITLE_BYTES_MAX, false, reterr);
        if (r == 0)
                r = check_text(c, "system", UI_SYSTEM_BYTES_MAX, false, reterr);
        if (r == 0)
                r = check_settings(json_get(c, "settings"), reterr);
        if (r == 0 && messages->count > UI_MESSAGES_MAX)
                return refuse(reterr, -E2BIG, "the conversation has too many messages; start a new one");
        for (const struct json *m = messages->child; r == 0 && m; m = m->next)
                r = check_message(m, reterr);
        return r;
}

/* --- writing --- */

static int end_transaction(struct db *db, int r) {
        if (r == 0)
                return db_commit(db);
        db_rollback(db);
        return r;
}

static int text_of(const struct json *v, const char *otherwise, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        if (!v)
                return buf_append_str(out, otherwise);
        json_put_value(&w, v);
        return json_write_end(&w);
}

/* What is searched: the title and all that was said, line by line. */
static int searched_text(const struct json *c, struct buf *out) {
        const struct json *messages = json_get(c, "messages");
        int r = buf_append_view(out, json_get_view(c, "title", VIEW_NULL));

        for (const struct json *m = messages->child; r == 0 && m; m = m->next) {
                r = buf_append_char(out, '\n');
                if (r == 0)
                        r = buf_append_view(out, json_get_view(m, "content", VIEW_NULL));
        }
        return r;
}

struct row {
        struct buf settings, messages, text;
};

static void row_done(struct row *row) {
        buf_done(&row->settings);
        buf_done(&row->messages);
        buf_done(&row->text);
}

static int row_fill(struct row *row, const struct json *c) {
        int r;

        *row = (struct row){BUF_INIT(4096), BUF_INIT(4 * UI_CONVERSATION_BYTES),
                            BUF_INIT(2 * UI_CONVERSATION_BYTES)};
        r = text_of(json_get(c, "settings"), "{}", &row->settings);
        if (r == 0)
                r = text_of(json_get(c, "messages"), "[]", &row->messages);
        return r < 0 ? r : searched_text(c, &row->text);
}

/* ?1 id … ?7 time */
static int bind_row(sqlite3_stmt *s, struct view id, const struct json *c, const struct row *row) {
        const struct view values[] = {id,
                                      json_get_view(c, "title", VIEW("")),
                                      json_get_view(c, "model", VIEW("")),
                                      json_get_view(c, "system", VIEW("")),
                                      buf_view(&row->settings),
                                      buf_view(&row->messages)};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(values); i++)
                r = db_bind_view(s, (int)i + 1, values[i]);
        return r < 0 ? r : db_bind_u64(s, (int)ARRAY_SIZE(values) + 1, clock_real_usec());
}

static int put_text(struct db *db, const char *sql, uint64_t number, struct view text) {
        sqlite3_stmt *s = db_statement(db, sql);
        int r = s ? db_bind_u64(s, 1, number) : -EIO;

        if (r == 0)
                r = db_bind_view(s, 2, text);
        return r < 0 ? r : db_exec(db, s, NULL);
}

static int has_room(struct db *db) {
        sqlite3_stmt *s = db_statement(db, "SELECT count(*) FROM conversation");
        int r = s ? db_step(s) : -EIO;

        if (r < 0)
                return r;
        return db_column_u64(s, 0) < UI_CONVERSATIONS_MAX ? 0 : -EDQUOT;
}

static int insert(struct db *db, struct view id, const struct json *c, const struct row *row) {
        static const char insert_sql[] =
                "INSERT INTO conversation (id, title, model, system, settings, messages, created,"
                " updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
        static const char text_sql[] = "INSERT INTO conversation_text (rowid, text) VALUES (?1, ?2)";
        sqlite3_stmt *s = db_statement(db, insert_sql);
        int r = s ? bind_row(s, id, c, row) : -EIO;

        if (r == 0)
                r = db_exec(db, s, NULL);
        if (r < 0)
                return r;
        return put_text(db, text_sql, (uint64_t)sqlite3_last_insert_rowid(db_handle(db)),
                        buf_view(&row->text));
}

int conversation_create(struct db *db, const struct json *c, char id[CONVERSATION_ID_SIZE]) {
        _cleanup_(row_done) struct row row = {0};
        uint8_t random[(CONVERSATION_ID_SIZE - 1) / 2];
        int r = random_bytes(random, sizeof(random));

        if (r == 0)
                r = row_fill(&row, c);
        if (r < 0)
                return r;
        hex_encode(random, sizeof(random), id);
        id[CONVERSATION_ID_SIZE - 1] = '\0';
        r = db_begin(db);
        if (r < 0)
                return r;
        r = has_room(db);
        if (r == 0)
                r = insert(db, view_of(id), c, &row);
        return end_transaction(db, r);
}

/* The row's number; -ENOENT. */
static int find_number(struct db *db, struct view id, uint64_t *ret) {
        sqlite3_stmt *s = db_statement(db, "SELECT number FROM conversation WHERE id = ?1");
        int r = s ? db_bind_view(s, 1, id) : -EIO;

        if (r == 0)
                r = db_step(s);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret = db_column_u64(s, 0);
        return 0;
}

static int update(struct db *db, struct view id, const struct json *c, const struct row *row) {
        static const char update_sql[] =
                "UPDATE conversation SET title = ?2, model = ?3, system = ?4, settings = ?5,"
                " messages = ?6, updated = ?7 WHERE id = ?1";
        static const char text_sql[] = "UPDATE conversation_text SET text = ?2 WHERE rowid = ?1";
        sqlite3_stmt *s;
        uint64_t number;
        int r = find_number(db, id, &number);

        if (r < 0)
                return r;
        s = db_statement(db, update_sql);
        r = s ? bind_row(s, id, c, row) : -EIO;
        if (r == 0)
                r = db_exec(db, s, NULL);
        return r < 0 ? r : put_text(db, text_sql, number, buf_view(&row->text));
}

int conversation_replace(struct db *db, struct view id, const struct json *c) {
        _cleanup_(row_done) struct row row = {0};
        int r = row_fill(&row, c);

        if (r == 0)
                r = db_begin(db);
        return r < 0 ? r : end_transaction(db, update(db, id, c, &row));
}

static int delete_number(struct db *db, const char *sql, uint64_t number) {
        sqlite3_stmt *s = db_statement(db, sql);
        int r = s ? db_bind_u64(s, 1, number) : -EIO;

        return r < 0 ? r : db_exec(db, s, NULL);
}

static int delete_both(struct db *db, struct view id) {
        static const char row_sql[] = "DELETE FROM conversation WHERE number = ?1";
        static const char text_sql[] = "DELETE FROM conversation_text WHERE rowid = ?1";
        uint64_t number;
        int r = find_number(db, id, &number);

        if (r == 0)
                r = delete_number(db, text_sql, number);
        return r < 0 ? r : delete_number(db, row_sql, number);
}

int conversation_delete(struct db *db, struct view id) {
        int r = db_begin(db);

        return r < 0 ? r : end_transaction(db, delete_both(db, id));
}

/* --- reading --- */

static void put_time(struct json_writer *w, const char *key, uint64_t usec) {
        char text[CLOCK_TEXT_SIZE];

        clock_format(usec, text);
        json_member_string(w, key, text);
}

static int write_whole(sqlite3_stmt *s, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_view(&w, "id", db_column_view(s, 0));
        json_member_view(&w, "title", db_column_view(s, 1));
        json_member_view(&w, "model", db_column_view(s, 2));
        json_member_view(&w, "system", db_column_view(s, 3));
        json_key(&w, "settings");
        json_put_raw(&w, db_column_view(s, 4));
        json_key(&w, "messages");
        json_put_raw(&w, db_column_view(s, 5));
        put_time(&w, "created_at", db_column_u64(s, 6));
        put_time(&w, "updated_at", db_column_u64(s, 7));
        json_object_end(&w);
        return json_write_end(&w);
}

static int read_one(struct db *db, struct view id, struct buf *out) {
        static const char sql[] = "SELECT id, title, model, system, settings, messages, created, updated"
                                  " FROM conversation WHERE id = ?1";
        sqlite3_stmt *s = db_statement(db, sql);
        int r = s ? db_bind_view(s, 1, id) : -EIO;

        if (r == 0)
                r = db_step(s);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        return write_whole(s, out);
}

int conversation_read(struct db *db, struct view id, struct buf *out) {
        int r = db_begin(db);

        if (r < 0)
                return r;
        r = read_one(db, id, out);
        db_rollback(db);
        return r;
}

/* --- search --- */

static size_t count_characters(struct view v) {
        size_t n = 0;

        for (size_t i = 0; i < v.n; i++)
                n += ((unsigned char)v.p[i] & 0xc0) != 0x80;
        return n;
}

static size_t split_words(struct view text, struct view words[WORDS_MAX]) {
        size_t n = 0;

        for (bool more = true; more && n < WORDS_MAX;) {
                struct view word;

                more = view_split(&text, ' ', &word);
                if (!more)
                        word = text;
                if (word.n > 0)
                        words[n++] = word;
        }
        return n;
}

/* "one" AND "two": each a phrase in quotes, so that nothing in it is query language. */
static int write_match(const struct view words[], size_t n, struct buf *out) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                r = buf_append_str(out, i > 0 ? " AND \"" : "\"");
                for (size_t k = 0; r == 0 && k < words[i].n; k++)
                        r = buf_append_str(out, words[i].p[k] == '"' ? "\"" : "") < 0
                                    ? -ENOMEM
                                    : buf_append_char(out, words[i].p[k]);
                if (r == 0)
                        r = buf_append_char(out, '"');
        }
        return r;
}

/* %text%, with the signs that mean something to LIKE escaped: for words that trigrams can't find. */
static int write_like(struct view text, struct buf *out) {
        int r = buf_append_char(out, '%');

        for (size_t i = 0; r == 0 && i < text.n; i++) {
                if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
                        r = buf_append_char(out, '\\');
                if (r == 0)
                        r = buf_append_char(out, text.p[i]);
        }
        return r < 0 ? r : buf_append_char(out, '%');
}

#define LIST_HEAD "SELECT c.id, c.title, c.model, c.updated FROM conversation c"
#define LIST_TAIL " ORDER BY c.updated DESC LIMIT ?2"

static int prepare_list(struct db *db, struct view search, sqlite3_stmt **ret) {
        static const char all_sql[] = LIST_HEAD LIST_TAIL;
        static const char match_sql[] = LIST_HEAD
                " JOIN conversation_text t ON t.rowid = c.number WHERE conversation_text"
                " MATCH ?1" LIST_TAIL;
        static const char like_sql[] = LIST_HEAD
                " JOIN conversation_text t ON t.rowid = c.number WHERE t.text LIKE ?1"
                " ESCAPE '\\'" LIST_TAIL;
        _cleanup_(buf_donep) struct buf pattern = BUF_INIT(4 * UI_SEARCH_BYTES_MAX + 128);
        struct view words[WORDS_MAX];
        size_t n = split_words(search, words);
        bool is_short = false;
        sqlite3_stmt *s;
        int r = 0;

        for (size_t i = 0; i < n; i++)
                is_short = is_short || count_characters(words[i]) < 3;
        if (n > 0)
                r = is_short ? write_like(search, &pattern) : write_match(words, n, &pattern);
        if (r < 0)
                return r;
        s = db_statement(db, n == 0 ? all_sql : is_short ? like_sql : match_sql);
        r = s ? db_bind_u64(s, 2, UI_LISTED_MAX) : -EIO;
        if (r == 0 && n > 0)
                r = db_bind_view(s, 1, buf_view(&pattern));
        *ret = s;
        return r;
}

static int write_list(sqlite3_stmt *s, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        int r;

        json_object_begin(&w);
        json_key(&w, "conversations");
        json_array_begin(&w);
        while ((r = db_step(s)) == 1) {
                json_object_begin(&w);
                json_member_view(&w, "id", db_column_view(s, 0));
                json_member_view(&w, "title", db_column_view(s, 1));
                json_member_view(&w, "model", db_column_view(s, 2));
                put_time(&w, "updated_at", db_column_u64(s, 3));
                json_object_end(&w);
        }
        json_array_end(&w);
        json_object_end(&w);
        return r < 0 ? r : json_write_end(&w);
}

int conversation_list(struct db *db, struct view search, struct buf *out) {
        sqlite3_stmt *s = NULL;
        int r = db_begin(db);

        if (r < 0)
                return r;
        r = prepare_list(db, view_sub(search, 0, UI_SEARCH_BYTES_MAX), &s);
        if (r == 0)
                r = write_list(s, out);
        db_rollback(db);
        return r;
}
