#include "core/sig_statement.h"

#include "base/file.h"
#include "base/num.h"
#include "base/text.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://model_signing/signature/v1.0"

static int fault_at(struct fault *f, const char *rule, const struct json *at, const char *what) {
        return fault_set(f, -EBADMSG, rule, at ? at->at : 0, "statement: %s", what);
}

size_t sig_hash_size(enum sig_hash h) {
        return h == SIG_BLAKE2B ? 64 : SHA256_SIZE;
}

bool sig_path_is_safe(struct view path) {
        bool more = true;

        if (path.n == 0 || path.n > SIG_PATH_BYTES_MAX)
                return false;
        while (more) {
                struct view part;

                more = view_split(&path, '/', &part);
                if (!more)
                        part = path;
                if (!file_name_is_safe(part) || memchr(part.p, '\\', part.n))
                        return false;
        }
        return true;
}

static int read_hash(struct view name, enum sig_hash *ret) {
        if (view_eq_str(name, "sha256"))
                *ret = SIG_SHA256;
        else if (view_eq_str(name, "blake2b"))
                *ret = SIG_BLAKE2B;
        else
                return -EPROTONOSUPPORT;
        return 0;
}

static int read_ignored(struct sig_statement *s, const struct json *list, struct fault *f) {
        if (!list)
                return 0;
        if (list->type != JSON_ARRAY || list->count > SIG_IGNORED_MAX)
                return fault_at(f, "PROVENANCE-023", list, "ignore_paths must be a list of at most 64 paths");
        for (const struct json *c = list->child; c; c = c->next) {
                if (c->type != JSON_STRING || !sig_path_is_safe(c->text))
                        return fault_at(f, "PROVENANCE-023", c,
                                        "a path of ignore_paths is not relative and plain");
                s->ignored[s->n_ignored++] = c->text;
        }
        return 0;
}

static bool is_whole(const struct json *o, const char *key, uint64_t *ret) {
        double d;

        if (json_get_u64(o, key, ret) == 0)
                return *ret > 0;
        /* writers that pass through a protobuf Struct print 1000000000.0 */
        if (json_get_double(o, key, &d) < 0 || d < 1 || d > 9e15 || (double)(uint64_t)d != d)
                return false;
        *ret = (uint64_t)d;
        return true;
}

static int read_serialization(struct sig_statement *s, const struct json *o, struct fault *f) {
        static const char *const names[] = {"method",       "hash_type",  "allow_symlinks",
                                            "ignore_paths", "shard_size", NULL};
        struct view method = json_get_view(o, "method", VIEW_NULL);
        const struct json *links = json_get(o, "allow_symlinks");

        if (!o || o->type != JSON_OBJECT || json_unknown_member(o, names))
                return fault_at(f, "PROVENANCE-023", o, "serialization is missing or has an unknown member");
        if (!view_eq_str(method, "files") && !view_eq_str(method, "shards"))
                return fault_at(f, "PROVENANCE-023", o, "the method must be files or shards");
        if (read_hash(json_get_view(o, "hash_type", VIEW_NULL), &s->hash) < 0)
                return fault_at(f, "PROVENANCE-024", o, "hash_type must be sha256 or blake2b");
        if (links && links->type != JSON_BOOL)
                return fault_at(f, "PROVENANCE-023", links, "allow_symlinks must be true or false");
        s->is_sharded = view_eq_str(method, "shards");
        if (s->is_sharded != !!json_get(o, "shard_size") ||
            (s->is_sharded && !is_whole(o, "shard_size", &s->shard_bytes)))
                return fault_at(f, "PROVENANCE-023", o,
                                "shard_size belongs to the method shards, as a whole number");
        return read_ignored(s, json_get(o, "ignore_paths"), f);
}

/* "path:start:end", split at the last two colons. */
static int split_shard(struct view name, struct sig_resource *x) {
        size_t colons[2], n = 0;

        for (size_t i = name.n; i > 0 && n < 2; i--)
                if (name.p[i - 1] == ':')
                        colons[n++] = i - 1;
        if (n < 2 || u64_parse(view_sub(name, colons[0] + 1, SIZE_MAX), INT64_MAX, &x->end) < 0 ||
            u64_parse(view_sub(name, colons[1] + 1, colons[0] - colons[1] - 1), INT64_MAX, &x->start) < 0)
                return -EBADMSG;
        x->path = view_sub(name, 0, colons[1]);
        return x->end > x->start ? 0 : -EBADMSG;
}

static int read_resource(struct sig_statement *s, const struct json *o, struct fault *f) {
        static const char *const names[] = {"name", "digest", "algorithm", NULL};
        struct sig_resource *x = &s->resources[s->n_resources];
        struct view name = json_get_view(o, "name", VIEW_NULL);
        enum sig_hash hash;

        if (o->type != JSON_OBJECT || json_unknown_member(o, names))
                return fault_at(f, "PROVENANCE-022", o, "a resource has an unknown member");
        if (read_hash(json_get_view(o, "algorithm", VIEW_NULL), &hash) < 0 || hash != s->hash)
                return fault_at(f, "PROVENANCE-024", o,
                                "a resource's algorithm is unknown or not that of hash_type");
        x->path = name;
        if (s->is_sharded && split_shard(name, x) < 0)
                return fault_at(f, "PROVENANCE-022", o, "a shard's name is not path:start:end");
        if (!sig_path_is_safe(x->path) && !view_eq_str(x->path, "."))
                return fault_at(f, "PROVENANCE-022", o, "a resource's name is not a plain relative path");
        if (hex_decode(json_get_view(o, "digest", VIEW_NULL), x->digest, sig_hash_size(s->hash)) < 0)
                return fault_at(f, "PROVENANCE-022", o,
                                "a resource's digest has not the right number of lower-case digits");
        s->n_resources++;
        return 0;
}

/* By components, as the reference writer sorts: "a/b" comes before "a.txt". */
static int compare_parts(struct view a, struct view b) {
        for (size_t i = 0; i < MIN_OF(a.n, b.n); i++) {
                if (a.p[i] == b.p[i])
                        continue;
                if (a.p[i] == '/' || b.p[i] == '/')
                        return a.p[i] == '/' ? -1 : 1;
                return (uint8_t)a.p[i] < (uint8_t)b.p[i] ? -1 : 1;
        }
        return a.n < b.n ? -1 : a.n > b.n;
}

/* The shards of a file must cover it without gap or overlap, all but the last of full size. */
static bool shards_follow(const struct sig_statement *s, const struct sig_resource *last,
                          const struct sig_resource *x) {
        if (x->end - x->start > s->shard_bytes)
                return false;
        if (!last || !view_eq(last->path, x->path))
                return x->start == 0;
        return x->start == last->end && last->end - last->start == s->shard_bytes;
}

static int check_order(const struct sig_statement *s, struct fault *f) {
        bool by_bytes = true, by_parts = true;

        for (size_t i = 0; i < s->n_resources; i++) {
                const struct sig_resource *x = &s->resources[i], *last = i ? x - 1 : NULL;
                bool same = last && view_eq(last->path, x->path);

                if (s->is_sharded && !shards_follow(s, last, x))
                        return fault_at(f, "PROVENANCE-022", NULL,
                                        "the shards of a file don't follow each other");
                if (!s->is_sharded && same)
                        return fault_at(f, "PROVENANCE-022", NULL, "a file is listed twice");
                if (!last || same)
                        continue;
                by_bytes = by_bytes && view_compare(last->path, x->path) < 0;
                by_parts = by_parts && compare_parts(last->path, x->path) < 0;
        }
        return by_bytes || by_parts
                       ? 0
                       : fault_at(f, "PROVENANCE-022", NULL, "the resources are not sorted by name");
}

static int read_resources(struct sig_statement *s, const struct json *list, struct fault *f) {
        int r = 0;

        if (!list || list->type != JSON_ARRAY || list->count == 0 || list->count > SIG_RESOURCES_MAX)
                return fault_set(f, -EBADMSG, "PROVENANCE-022", list ? list->at : 0,
                                 "statement: resources must list 1 to %d files", SIG_RESOURCES_MAX);
        s->resources = calloc(list->count, sizeof *s->resources);
        if (!s->resources)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        for (const struct json *c = list->child; r >= 0 && c; c = c->next)
                r = read_resource(s, c, f);
        if (r < 0)
                return r;
        if (s->n_resources > 1)
                for (size_t i = 0; i < s->n_resources; i++)
                        if (!s->is_sharded && view_eq_str(s->resources[i].path, "."))
                                return fault_at(f, "PROVENANCE-022", list,
                                                "\".\" stands for a single file only");
        return check_order(s, f);
}

/* Always SHA-256, whatever the files were hashed with. */
static int check_root(const struct sig_statement *s, struct fault *f) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        struct sha256 root;
        int r = digest_new(&d);

        for (size_t i = 0; r >= 0 && i < s->n_resources; i++)
                r = digest_update(d, view_make(s->resources[i].digest, sig_hash_size(s->hash)));
        if (r >= 0)
                r = digest_final(d, &root);
        if (r < 0)
                return fault_set(f, r, NULL, 0, "the root digest can't be computed");
        return memcmp(&root, &s->root, sizeof root) == 0
                       ? 0
                       : fault_at(f, "PROVENANCE-021", NULL,
                                  "the root digest is not that of the listed files");
}

static int read_subject(struct sig_statement *s, const struct json *list, struct fault *f) {
        static const char *const names[] = {"name", "digest", NULL}, *const digest_names[] = {"sha256", NULL};
        const struct json *digest;

        if (!list || list->type != JSON_ARRAY || list->count != 1 || list->child->type != JSON_OBJECT)
                return fault_at(f, "PROVENANCE-021", list, "there must be exactly one subject");
        digest = json_get_typed(list->child, "digest", JSON_OBJECT);
        if (json_unknown_member(list->child, names) || !digest || json_unknown_member(digest, digest_names) ||
            sha256_from_hex(json_get_view(digest, "sha256", VIEW_NULL), &s->root) < 0)
                return fault_at(f, "PROVENANCE-021", list,
                                "the subject must have a name and one sha256 digest");
        s->name = json_get_view(list->child, "name", VIEW_NULL);
        return 0;
}

static int read_statement(struct sig_statement *s, const struct json *root, struct fault *f) {
        static const char *const names[] = {"_type", "subject", "predicateType", "predicate", NULL};
        static const char *const predicate_names[] = {"resources", "serialization", NULL};
        const struct json *predicate = json_get_typed(root, "predicate", JSON_OBJECT);
        int r;

        if (!root || root->type != JSON_OBJECT || json_unknown_member(root, names) ||
            !view_eq_str(json_get_view(root, "_type", VIEW_NULL), STATEMENT_TYPE))
                return fault_at(f, "PROVENANCE-020", root, "not an in-toto Statement v1");
        if (!view_eq_str(json_get_view(root, "predicateType", VIEW_NULL), PREDICATE_TYPE))
                return fault_at(f, "PROVENANCE-020", root,
                                "the predicateType is not that of Model Signing v1.0");
        if (!predicate || json_unknown_member(predicate, predicate_names))
                return fault_at(f, "PROVENANCE-020", predicate,
                                "the predicate is missing or has an unknown member");
        r = read_subject(s, json_get(root, "subject"), f);
        if (r >= 0)
                r = read_serialization(s, json_get(predicate, "serialization"), f);
        if (r >= 0)
                r = read_resources(s, json_get(predicate, "resources"), f);
        return r < 0 ? r : check_root(s, f);
}

int sig_statement_read(struct view payload, struct sig_statement **ret, struct fault *reterr) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = calloc(1, sizeof *s);
        struct fault why = FAULT_NONE;
        int r;

        if (!s)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        r = json_parse(payload, NULL, &s->document, &why);
        if (r < 0)
                return fault_set(reterr, r, r == -ENOMEM ? NULL : "PROVENANCE-020", why.at,
                                 "statement: not strict JSON: %.80s", why.text);
        r = read_statement(s, json_root(s->document), reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct sig_statement *sig_statement_free(struct sig_statement *s) {
        if (!s)
                return NULL;
        json_document_free(s->document);
        free(s->resources);
        free(s);
        return NULL;
}

int sig_statement_check_file(const struct sig_statement *s, const struct sha256 *digest,
                             struct fault *reterr) {
        if (s->n_resources != 1 || s->is_sharded || s->hash != SIG_SHA256)
                return fault_set(
                        reterr, -EPROTONOSUPPORT, "PROVENANCE-034", 0,
                        "the statement is not about one whole file with a SHA-256; verify the folder that it "
                        "was made for");
        if (memcmp(s->resources[0].digest, digest->b, SHA256_SIZE) != 0)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-031", 0,
                                 "the file is not the one that was signed: its SHA-256 differs");
        return 0;
}

static int root_of(const struct sig_file *files, size_t n, char out[SHA256_HEX_SIZE]) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        struct sha256 root;
        int r = digest_new(&d);

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = digest_update(d, view_make(files[i].digest.b, SHA256_SIZE));
        if (r >= 0)
                r = digest_final(d, &root);
        if (r >= 0)
                sha256_hex(&root, out);
        return r;
}

static void write_predicate(struct json_writer *w, const struct sig_file *files, size_t n,
                            const char *const *ignored) {
        char hex[SHA256_HEX_SIZE];

        json_key(w, "predicate");
        json_object_begin(w);
        json_key(w, "resources");
        json_array_begin(w);
        for (size_t i = 0; i < n; i++) {
                json_object_begin(w);
                json_member_string(w, "name", files[i].path);
                sha256_hex(&files[i].digest, hex);
                json_member_string(w, "digest", hex);
                json_member_string(w, "algorithm", "sha256");
                json_object_end(w);
        }
        json_array_end(w);
        json_key(w, "serialization");
        json_object_begin(w);
        json_member_string(w, "method", "files");
        json_member_string(w, "hash_type", "sha256");
        json_member_bool(w, "allow_symlinks", false);
        json_key(w, "ignore_paths");
        json_array_begin(w);
        for (; *ignored; ignored++)
                json_put_string(w, *ignored);
        json_array_end(w);
        json_object_end(w);
        json_object_end(w);
}

int sig_statement_write(const char *name, const struct sig_file *files, size_t n, const char *const *ignored,
                        struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char root[SHA256_HEX_SIZE];
        int r = root_of(files, n, root);

        if (r < 0)
                return r;
        json_object_begin(&w);
        json_member_string(&w, "_type", STATEMENT_TYPE);
        json_key(&w, "subject");
        json_array_begin(&w);
        json_object_begin(&w);
        json_member_string(&w, "name", name);
        json_key(&w, "digest");
        json_object_begin(&w);
        json_member_string(&w, "sha256", root);
        json_object_end(&w);
        json_object_end(&w);
        json_array_end(&w);
        json_member_string(&w, "predicateType", PREDICATE_TYPE);
        write_predicate(&w, files, n, ignored);
        json_object_end(&w);
        return json_write_end(&w);
}
