#include "registry/parts.h"

#include "registry/limits.h"

static int bind_digest(sqlite3_stmt *s, int index, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        return db_bind_view(s, index, view_of(hex));
}

/* --- adding --- */

static int insert(struct db *db, const char *sql, const struct sha256 *model, struct view name,
                  const struct sha256 *object, uint64_t size) {
        sqlite3_stmt *s = db_statement(db, sql);
        int r = s ? bind_digest(s, 1, model) : -EIO;

        if (r >= 0)
                r = db_bind_view(s, 2, name);
        if (r >= 0)
                r = bind_digest(s, 3, object);
        if (r >= 0)
                r = db_bind_u64(s, 4, size);
        return r < 0 ? r : db_exec(db, s, NULL);
}

static int has_room(struct db *db, size_t more) {
        sqlite3_stmt *s = db_statement(db, "SELECT count(*) FROM member");
        int r = s ? db_step(s) : -EIO;

        if (r != 1)
                return r < 0 ? r : -EIO;
        return db_column_u64(s, 0) + more > REGISTRY_MEMBERS_MAX ? -E2BIG : 0;
}

int parts_insert(struct db *db, const struct evidence *e, const struct set_listing *members,
                 const uint64_t sizes[DOCUMENT_KIND_MAX]) {
        static const char member_sql[] = "INSERT INTO member VALUES(?1, ?2, ?3, ?4)";
        static const char document_sql[] = "INSERT INTO document VALUES(?1, ?2, ?3, ?4)";
        int r = members ? has_room(db, members->n) : 0;

        for (size_t i = 0; members && i < members->n && r >= 0; i++)
                r = insert(db, member_sql, &e->sha256, view_of(members->members[i].path),
                           &members->members[i].sha256, members->members[i].size);
        for (enum document_kind k = 0; k < DOCUMENT_KIND_MAX && r >= 0; k++)
                if (e->has_document[k])
                        r = insert(db, document_sql, &e->sha256, view_of(document_kind_name(k)),
                                   &e->documents[k], sizes[k]);
        return r;
}

/* --- reading: columns model, name, sha256, size --- */

static int read_part(sqlite3_stmt *s, struct part *p) {
        *p = (struct part){.name = db_column_view(s, 1), .size = db_column_u64(s, 3)};
        return sha256_from_hex(db_column_view(s, 0), &p->model) < 0 ||
                               sha256_from_hex(db_column_view(s, 2), &p->sha256) < 0
                       ? -EUCLEAN
                       : 0;
}

static int each_row(sqlite3_stmt *s, part_seen seen, void *userdata) {
        struct part p;
        int r;

        while ((r = db_step(s)) == 1) {
                r = read_part(s, &p);
                if (r >= 0)
                        r = seen(&p, userdata);
                if (r < 0)
                        return r;
        }
        return r;
}

static int each_of(struct db *db, const char *sql, const struct sha256 *model, part_seen seen,
                   void *userdata) {
        sqlite3_stmt *s = db_statement(db, sql);
        int r = !s ? -EIO : model ? bind_digest(s, 1, model) : 0;

        return r < 0 ? r : each_row(s, seen, userdata);
}

int parts_each_member(struct db *db, const struct sha256 *model, part_seen seen, void *userdata) {
        static const char all[] =
                "SELECT model, path, member.sha256, size FROM member LEFT JOIN check_run ON model = "
                "check_run.sha256 WHERE coalesce(state, 0) NOT IN (3, 4)";
        static const char one[] =
                "SELECT model, path, sha256, size FROM member WHERE model = ?1 ORDER BY path";

        return each_of(db, model ? one : all, model, seen, userdata);
}

int parts_each_document(struct db *db, const struct sha256 *model, part_seen seen, void *userdata) {
        static const char sql[] =
                "SELECT model, name, sha256, size FROM document WHERE model = ?1 ORDER BY name";

        return each_of(db, sql, model, seen, userdata);
}

static int find(struct db *db, const char *sql, const struct sha256 *model, struct view name,
                struct sha256 *ret, uint64_t *ret_size) {
        sqlite3_stmt *s = db_statement(db, sql);
        struct part p;
        int r = s ? bind_digest(s, 1, model) : -EIO;

        if (r >= 0)
                r = db_bind_view(s, 2, name.n ? name : VIEW(""));
        if (r >= 0)
                r = db_step(s);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = read_part(s, &p);
        if (r < 0)
                return r;
        *ret = p.sha256;
        *ret_size = p.size;
        return 0;
}

int parts_find_member(struct db *db, const struct sha256 *model, struct view path, struct sha256 *ret,
                      uint64_t *ret_size) {
        static const char sql[] =
                "SELECT model, path, sha256, size FROM member WHERE model = ?1 AND path = ?2";

        return find(db, sql, model, path, ret, ret_size);
}

int parts_find_document(struct db *db, const struct sha256 *model, enum document_kind kind,
                        struct sha256 *ret, uint64_t *ret_size) {
        static const char sql[] =
                "SELECT model, name, sha256, size FROM document WHERE model = ?1 AND name = ?2";

        return find(db, sql, model, view_of(document_kind_name(kind)), ret, ret_size);
}

int parts_is_owned(struct db *db, const struct sha256 *object) {
        static const char sql[] = "SELECT 1 FROM model WHERE sha256 = ?1 UNION ALL"
                                  " SELECT 1 FROM member WHERE sha256 = ?1 UNION ALL"
                                  " SELECT 1 FROM document WHERE sha256 = ?1 LIMIT 1";
        sqlite3_stmt *s = db_statement(db, sql);
        int r = s ? bind_digest(s, 1, object) : -EIO;

        return r < 0 ? r : db_step(s);
}

/* --- what the head vouches for --- */

struct hashing {
        struct digest *digest;
        const char *kind;
};

/* A JSON list a row; the first element tells them from the rows of models, which begin with a digest. */
static int hash_part(const struct part *p, void *userdata) {
        struct hashing *h = userdata;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8 * SET_PATH_MAX + 512);
        struct json_writer w = JSON_WRITER(&text);
        char model[SHA256_HEX_SIZE], object[SHA256_HEX_SIZE];
        int r;

        sha256_hex(&p->model, model);
        sha256_hex(&p->sha256, object);
        json_array_begin(&w);
        json_put_string(&w, h->kind);
        json_put_string(&w, model);
        json_put_view(&w, p->name);
        json_put_string(&w, object);
        json_put_u64(&w, p->size);
        json_array_end(&w);
        r = json_write_end(&w);
        if (r >= 0)
                r = buf_append_char(&text, '\n');
        return r < 0 ? r : digest_update(h->digest, buf_view(&text));
}

int parts_hash(struct db *db, struct digest *d) {
        static const char members[] = "SELECT model, path, sha256, size FROM member ORDER BY model, path";
        static const char documents[] = "SELECT model, name, sha256, size FROM document ORDER BY model, name";
        struct hashing h = {d, "member"};
        int r = each_of(db, members, NULL, hash_part, &h);

        h.kind = "document";
        return r < 0 ? r : each_of(db, documents, NULL, hash_part, &h);
}
