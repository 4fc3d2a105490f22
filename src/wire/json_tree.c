#include "wire/json_tree.h"

#include "base/num.h"

#define CHUNK_FIRST ((size_t)32)
#define CHUNK_MOST  ((size_t)1024)
/* Up to this many names are compared pair by pair through fingerprints; above, hashing is faster. */
#define PAIRWISE_MAX ((uint32_t)32)
/* A set that grew past this is not kept: clearing it would cost each later object the size of the largest. */
#define SEEN_KEEP_MAX ((size_t)1024)

int json_document_new(struct json_document **ret) {
        struct json_document *d = calloc(1, sizeof *d);
        int r;

        if (!d)
                return -ENOMEM;
        r = arena_new(SIZE_MAX, &d->arena); /* the cap is the budget: it differs from use to use */
        if (r < 0) {
                free(d);
                return r;
        }
        *ret = d;
        return 0;
}

struct json_document *json_document_free(struct json_document *d) {
        if (d) {
                hash_set_free(d->seen);
                arena_free(d->arena);
                free(d);
        }
        return NULL;
}

void json_document_reset(struct json_document *d, size_t memory) {
        arena_clear(d->arena);
        d->root = NULL;
        d->spare = NULL;
        d->spare_count = 0;
        d->chunk = CHUNK_FIRST;
        d->budget = memory;
}

int json_document_bytes(struct json_document *d, size_t n, char **ret) {
        char *p;

        if (n > d->budget)
                return -E2BIG;
        p = arena_alloc_bytes(d->arena, n);
        if (!p)
                return -ENOMEM;
        d->budget -= n;
        *ret = p;
        return 0;
}

static int refill(struct json_document *d) {
        size_t n = MIN_OF(d->chunk, d->budget / sizeof(struct json));

        if (n == 0)
                return -E2BIG;
        d->spare = arena_alloc(d->arena, n * sizeof(struct json));
        if (!d->spare)
                return -ENOMEM;
        d->spare_count = n;
        d->budget -= n * sizeof(struct json);
        d->chunk = MIN_OF(d->chunk * 2, CHUNK_MOST);
        return 0;
}

int json_document_node(struct json_document *d, struct json **ret) {
        if (d->spare_count == 0) {
                int r = refill(d);

                if (r < 0)
                        return r;
        }
        d->spare_count--;
        *ret = d->spare++;
        return 0;
}

/* Differs for most names that differ; equal for equal ones. */
static uint64_t fingerprint(struct view key) {
        uint64_t head = 0, tail = 0;

        if (key.n >= 8) {
                head = load_le64(key.p);
                tail = load_le64(key.p + key.n - 8);
        } else if (key.n >= 4) {
                head = load_le32(key.p);
                tail = load_le32(key.p + key.n - 4);
        } else
                for (size_t i = 0; i < key.n; i++)
                        head = head << 8 | (unsigned char)key.p[i];
        return head ^ tail * UINT64_C(0x9e3779b97f4a7c15) ^ key.n;
}

static const struct json *find_pair(const struct json *object) {
        uint64_t prints[PAIRWISE_MAX];
        const struct json *members[PAIRWISE_MAX];
        uint32_t n = 0;

        for (const struct json *m = object->child; m; m = m->next) {
                uint64_t print = fingerprint(m->key);

                for (uint32_t i = 0; i < n; i++)
                        if (prints[i] == print && view_eq(members[i]->key, m->key))
                                return m;
                prints[n] = print;
                members[n++] = m;
        }
        return NULL;
}

static int find_hashed(struct json_document *d, const struct json *object, const struct json **ret_second) {
        int r;

        if (!d->seen) {
                r = hash_set_new(SIZE_MAX, &d->seen);
                if (r < 0)
                        return r;
        }
        for (const struct json *m = object->child; m; m = m->next) {
                r = hash_set_add(d->seen, m->key);
                if (r <= 0) {
                        if (r == 0)
                                *ret_second = m;
                        return r < 0 ? r : 1;
                }
        }
        return 0;
}

int json_find_duplicate(struct json_document *d, const struct json *object, const struct json **ret_second) {
        int r;

        if (object->count <= PAIRWISE_MAX) {
                const struct json *second = find_pair(object);

                if (second)
                        *ret_second = second;
                return second != NULL;
        }
        r = find_hashed(d, object, ret_second);
        if (d->seen && hash_set_count(d->seen) > SEEN_KEEP_MAX)
                d->seen = hash_set_free(d->seen);
        else if (d->seen)
                hash_set_clear(d->seen);
        return r;
}

void json_show_name(struct view name, char out[JSON_NAME_SHOWN]) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(JSON_NAME_SHOWN - 3);

        out[0] = '\0';
        if (buf_append_escaped(&shown, name, 40) >= 0)
                (void)snprintf(out, JSON_NAME_SHOWN, "\"%s\"", buf_str(&shown));
}

const struct json *json_root(const struct json_document *d) {
        return d ? d->root : NULL;
}

const struct json *json_get(const struct json *o, const char *key) {
        struct view name = view_of(key);

        if (!o || o->type != JSON_OBJECT)
                return NULL;
        for (const struct json *m = o->child; m; m = m->next)
                if (view_eq(m->key, name))
                        return m;
        return NULL;
}

const struct json *json_get_typed(const struct json *o, const char *key, enum json_type type) {
        const struct json *m = json_get(o, key);

        return m && m->type == type ? m : NULL;
}

struct view json_get_view(const struct json *o, const char *key, struct view otherwise) {
        const struct json *m = json_get_typed(o, key, JSON_STRING);

        return m ? m->text : otherwise;
}

int json_get_u64(const struct json *o, const char *key, uint64_t *ret) {
        const struct json *m = json_get(o, key);

        if (!m)
                return -ENOENT;
        if (m->type != JSON_NUMBER || !m->is_integer || m->is_negative)
                return -EBADMSG;
        *ret = m->integer;
        return 0;
}

int json_get_bool(const struct json *o, const char *key, bool *ret) {
        const struct json *m = json_get(o, key);

        if (!m)
                return -ENOENT;
        if (m->type != JSON_BOOL)
                return -EBADMSG;
        *ret = m->boolean;
        return 0;
}

int json_get_double(const struct json *o, const char *key, double *ret) {
        const struct json *m = json_get(o, key);

        if (!m)
                return -ENOENT;
        if (m->type != JSON_NUMBER)
                return -EBADMSG;
        *ret = strtod(m->text.p,
                      NULL); /* json_scan_number has checked form and range, and the byte behind it */
        return 0;
}

static bool is_listed(struct view key, const char *const *names) {
        for (; *names; names++)
                if (view_eq_str(key, *names))
                        return true;
        return false;
}

const struct json *json_unknown_member(const struct json *o, const char *const *names) {
        if (!o || o->type != JSON_OBJECT)
                return NULL;
        for (const struct json *m = o->child; m; m = m->next)
                if (!is_listed(m->key, names))
                        return m;
        return NULL;
}

const char *json_type_name(enum json_type t) {
        static const char *const names[JSON_TYPE_MAX] = {"null",   "boolean", "number",
                                                         "string", "array",   "object"};

        return t >= 0 && t < JSON_TYPE_MAX ? names[t] : "unknown";
}
