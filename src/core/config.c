#include "core/config.h"

#include <pthread.h>

#include "base/embedded.h"
#include "base/file.h"
#include "core/schema.h"
#include "wire/json_tree.h"
#include "wire/yaml.h"

#define NAME_MAX_BYTES ((size_t)64)
#define SCHEMAS_MAX    16

extern const struct embedded_file schema_files[]; /* generated from config/schema/ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct json_document *parsed[SCHEMAS_MAX]; /* beside schema_files; kept until the program ends */

static bool is_named(const struct embedded_file *file, const char *schema) {
        struct view name = view_of(file->name), wanted = view_of(schema);

        return name.n > wanted.n && view_starts(name, wanted) &&
               view_eq(view_sub(name, wanted.n, SIZE_MAX), VIEW(".schema.json"));
}

static int parse_schema(const struct embedded_file *file, struct json_document **ret, struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r;

        r = json_parse(file->content, NULL, &doc, reterr);
        if (r < 0)
                return r;
        r = schema_verify(json_root(doc), reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(doc);
        return 0;
}

/* Parsed when first used; a failure (out of memory) is tried again the next time. */
static int find_schema(const char *schema, const struct json **ret, struct fault *reterr) {
        int r = 0;

        for (size_t i = 0; i < SCHEMAS_MAX && schema_files[i].name; i++) {
                if (!is_named(&schema_files[i], schema))
                        continue;
                pthread_mutex_lock(&lock);
                if (!parsed[i])
                        r = parse_schema(&schema_files[i], &parsed[i], reterr);
                pthread_mutex_unlock(&lock);
                if (r < 0)
                        return r;
                *ret = json_root(parsed[i]);
                return 0;
        }
        return fault_set(reterr, -EINVAL, "CONF-010", 0, "no schema named \"%s\" is compiled in", schema);
}

int schema_check(const struct json *value, const char *schema, const char *name, struct fault *reterr) {
        const struct json *root;
        int r = find_schema(schema, &root, reterr);

        return r < 0 ? r : schema_check_tree(root, value, name, reterr);
}

/* A deep copy of a default; scalars' text lives as long as the schema, which is for ever. */
static int copy_tree(struct json_document *doc, const struct json *from, struct json **ret) {
        struct json **slot;
        struct json *copy;
        int r;

        r = json_document_node(doc, &copy);
        if (r < 0)
                return r;
        *copy = *from;
        copy->at = 0; /* not in the file */
        copy->child = copy->next = NULL;
        slot = &copy->child;
        for (const struct json *m = from->child; m; m = m->next) {
                r = copy_tree(doc, m, slot);
                if (r < 0)
                        return r;
                slot = &(*slot)->next;
        }
        *ret = copy;
        return 0;
}

static int add_default(struct json_document *doc, struct json *object, const struct json *property,
                       const struct json *value) {
        struct json **slot = &object->child;
        int r;

        while (*slot)
                slot = &(*slot)->next;
        r = copy_tree(doc, value, slot);
        if (r < 0)
                return r;
        (*slot)->key = property->key;
        object->count++;
        return 0;
}

static struct json *member_of(struct json *object, struct view key) {
        for (struct json *m = object->child; m; m = m->next)
                if (view_eq(m->key, key))
                        return m;
        return NULL;
}

/* Adds what the file leaves out and the schema has a default for. Objects only: list entries have no defaults. */
static int fill_defaults(struct json_document *doc, const struct json *schema, struct json *object) {
        const struct json *properties = json_get(schema, "properties");

        for (const struct json *p = properties ? properties->child : NULL; p; p = p->next) {
                const struct json *value = json_get(p, "default");
                struct json *m = member_of(object, p->key);
                int r = 0;

                if (!m && value) {
                        r = add_default(doc, object, p, value);
                        m = member_of(object, p->key);
                }
                if (r >= 0 && m && m->type == JSON_OBJECT)
                        r = fill_defaults(doc, p, m);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Puts "name:line: " before the fault of the YAML reader. */
static int place_fault(int code, const char *name, struct fault *reterr) {
        struct fault inner;

        if (!reterr)
                return code;
        inner = *reterr;
        return fault_set(reterr, code, inner.rule, inner.at, "%s:%llu: %s", name,
                         (unsigned long long)inner.at, inner.text);
}

int config_parse(struct view text, const char *name, const char *schema, struct json_document **ret,
                 struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        const struct json *root;
        int r;

        r = find_schema(schema, &root, reterr);
        if (r < 0)
                return r;
        r = yaml_parse(text, &doc, reterr);
        if (r < 0)
                return place_fault(r, name, reterr);
        r = schema_check_tree(root, json_root(doc), name, reterr);
        if (r < 0)
                return r;
        r = fill_defaults(doc, root, doc->root);
        if (r < 0)
                return fault_set(reterr, r, "CONF-019", 0, "%s: out of memory", name);
        *ret = TAKE_PTR(doc);
        return 0;
}

int config_load(int dir_fd, const char *path, const char *schema, struct json_document **ret,
                struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(CONFIG_FILE_MAX);
        int r = read_file_beneath(dir_fd, path, CONFIG_FILE_MAX, &text);

        if (r < 0)
                return fault_set(reterr, r, "CONF-001", 0, "%s: can't be read: %s", path,
                                 r == -EFBIG ? "it is larger than 1 MiB" : strerror(-r));
        return config_parse(buf_view(&text), path, schema, ret, reterr);
}
