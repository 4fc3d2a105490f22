/* docs/openapi.yaml describes every route that the programs have, and no other. The routes are read from the tables in the
 * sources: `static const struct http_route routes[]` in any file of a service. */
#include "support/cm.h"

#include <dirent.h>

#include "base/file.h"
#include "wire/yaml.h"

#define TEXT_MAX   ((size_t)4 << 20)
#define ROUTES_MAX 256
#define TABLE      "static const struct http_route routes[] = {"

struct routes {
        char list[ROUTES_MAX][160]; /* "service METHOD /path" */
        bool met[ROUTES_MAX];
        size_t n;
};

static void add(struct routes *r, struct view service, struct view method, struct view path) {
        assert_true(r->n < ROUTES_MAX);
        (void)snprintf(r->list[r->n++], sizeof r->list[0], "%.*s %.*s %.*s", VIEW_ARG(service),
                       VIEW_ARG(method), VIEW_ARG(path));
}

static bool is_method(struct view v) {
        static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"};

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                if (view_eq_str(v, methods[i]))
                        return true;
        return false;
}

static size_t word_length(struct view v) {
        size_t n = 0;

        while (n < v.n && v.p[n] >= 'A' && v.p[n] <= 'Z')
                n++;
        return n;
}

/* A method is a word, quoted or the name of a macro; the next text that begins with a slash is its path. */
static void read_table(struct view service, struct view table, struct routes *r) {
        struct view method = VIEW_NULL;

        for (size_t i = 0; i < table.n; i++) {
                struct view rest = view_sub(table, i, SIZE_MAX), word = view_sub(rest, 0, word_length(rest));

                if (is_method(word) && !(i > 0 && word_length(view_sub(table, i - 1, 1)) > 0)) {
                        method = word;
                        i += word.n - 1;
                } else if (view_starts(rest, VIEW("\"/"))) {
                        struct view path = view_sub(rest, 1, SIZE_MAX);

                        path.n = view_find_char(path, '"');
                        assert_true(method.n > 0 && path.n != SIZE_MAX);
                        add(r, service, method, path);
                        method = VIEW_NULL;
                        i += path.n + 1;
                }
        }
        assert_int_equal(method.n, 0);
}

static void read_source(struct view service, const char *path, struct routes *r) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        size_t at, end;
        struct view rest;

        assert_int_equal(read_file(path, TEXT_MAX, &text), 0);
        at = view_find(buf_view(&text), VIEW(TABLE));
        if (at == SIZE_MAX)
                return;
        rest = view_sub(buf_view(&text), at + strlen(TABLE), SIZE_MAX);
        end = view_find(rest, VIEW("{0},"));
        assert_true(end != SIZE_MAX);
        read_table(service, view_sub(rest, 0, end), r);
}

static void read_service(const char *folder, const char *service, struct routes *r) {
        char path[8192];
        const struct dirent *e;
        DIR *d;

        (void)snprintf(path, sizeof path, "%s/%s", folder, service);
        d = opendir(path);
        if (!d)
                return; /* a file */
        while ((e = readdir(d))) {
                char file[16384];

                (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
                if (view_ends(view_of(e->d_name), VIEW(".c")))
                        read_source(view_of(service), file, r);
        }
        (void)closedir(d);
}

static struct routes *routes_of_sources(void) {
        struct routes *r = calloc(1, sizeof *r);
        const char *source = secure_getenv("SECAI_SOURCE");
        char path[4096];
        const struct dirent *e;
        DIR *d;

        assert_non_null(r);
        assert_non_null(source);
        (void)snprintf(path, sizeof path, "%s/src", source);
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d)))
                if (e->d_name[0] != '.')
                        read_service(path, e->d_name, r);
        (void)closedir(d);
        return r;
}

static struct json_document *load(void) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        struct json_document *d = NULL;
        struct fault why = FAULT_NONE;
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/docs/openapi.yaml", secure_getenv("SECAI_SOURCE"));
        assert_int_equal(read_file(path, TEXT_MAX, &text), 0);
        if (yaml_parse(buf_view(&text), &d, &why) < 0)
                fail_msg("docs/openapi.yaml:%llu: %s", (unsigned long long)why.at, why.text);
        return d;
}

typedef void (*visit)(const char *path, struct view method, const struct json *operation, void *userdata);

/* Each operation of the document; "/assets/{path}" stands for the table's "/assets/" and star. */
static void each_operation(const struct json *root, visit f, void *userdata) {
        for (const struct json *p = json_get_typed(root, "paths", JSON_OBJECT)->child; p; p = p->next) {
                char path[128];
                int n = snprintf(path, sizeof path, "%.*s", VIEW_ARG(p->key));

                assert_true(n > 0 && (size_t)n < sizeof path);
                if (strcmp(path, "/assets/{path}") == 0)
                        (void)snprintf(path, sizeof path, "/assets/*");
                for (const struct json *o = p->child; o; o = o->next)
                        if (!view_eq_str(o->key, "parameters"))
                                f(path, o->key, o, userdata);
        }
}

static void find_route(const char *path, struct view method, const struct json *operation, void *userdata) {
        const struct json *services = json_get_typed(operation, "x-services", JSON_ARRAY);
        struct routes *r = userdata;

        assert_true(services && services->count > 0);
        for (const struct json *s = services->child; s; s = s->next) {
                char line[160], upper[16] = "";
                size_t i;

                for (i = 0; i < method.n && i + 1 < sizeof upper; i++)
                        upper[i] = (char)(method.p[i] - 'a' + 'A');
                (void)snprintf(line, sizeof line, "%.*s %s %s", VIEW_ARG(s->text), upper, path);
                for (i = 0; i < r->n && strcmp(r->list[i], line) != 0; i++)
                        ;
                if (i == r->n)
                        fail_msg("docs/openapi.yaml:%llu: no program has the route %s",
                                 (unsigned long long)operation->at, line);
                assert_false(r->met[i]); /* described once */
                r->met[i] = true;
        }
}

static void the_document_has_exactly_the_routes_of_the_programs(void **state) {
        struct routes *r = routes_of_sources();
        struct json_document *d = load();

        assert_true(r->n > 40);
        each_operation(json_root(d), find_route, r);
        for (size_t i = 0; i < r->n; i++)
                if (!r->met[i])
                        fail_msg("docs/openapi.yaml does not describe the route %s", r->list[i]);
        json_document_free(d);
        free(r);
}

/* "#/a/b" within the document. */
static const struct json *follow(const struct json *root, struct view reference) {
        struct view part, rest = view_sub(reference, 2, SIZE_MAX);
        char name[128];

        assert_true(view_starts(reference, VIEW("#/")));
        while (root && rest.n > 0) {
                if (!view_split(&rest, '/', &part)) {
                        part = rest;
                        rest = VIEW_NULL;
                }
                (void)snprintf(name, sizeof name, "%.*s", VIEW_ARG(part));
                root = json_get(root, name);
        }
        return root;
}

static void check_references(const struct json *root, const struct json *o) {
        const struct json *reference = json_get_typed(o, "$ref", JSON_STRING);

        if (reference && !follow(root, reference->text))
                fail_msg("docs/openapi.yaml:%llu: there is no %.*s", (unsigned long long)reference->at,
                         VIEW_ARG(reference->text));
        for (const struct json *c = o->child; c; c = c->next)
                check_references(root, c);
}

static void every_reference_leads_somewhere(void **state) {
        struct json_document *d = load();

        check_references(json_root(d), json_root(d));
        json_document_free(d);
}

/* The `{name}` of a path is a parameter of the operation or of its path. */
static bool has_parameter(const struct json *root, const struct json *list, struct view name) {
        for (const struct json *p = list ? list->child : NULL; p; p = p->next) {
                const struct json *reference = json_get_typed(p, "$ref", JSON_STRING),
                                  *target = reference ? follow(root, reference->text) : p;

                if (view_eq(json_get_view(target, "name", VIEW_NULL), name) &&
                    view_eq_str(json_get_view(target, "in", VIEW_NULL), "path"))
                        return true;
        }
        return false;
}

static void check_parameters(const struct json *root, const struct json *path, const struct json *operation) {
        struct view rest = path->key, name;
        size_t at;

        while ((at = view_find_char(rest, '{')) != SIZE_MAX) {
                rest = view_sub(rest, at + 1, SIZE_MAX);
                name = view_sub(rest, 0, view_find_char(rest, '}'));
                if (!has_parameter(root, json_get(path, "parameters"), name) &&
                    !has_parameter(root, json_get(operation, "parameters"), name))
                        fail_msg("docs/openapi.yaml:%llu: {%.*s} is not explained",
                                 (unsigned long long)operation->at, VIEW_ARG(name));
        }
}

static bool is_status(struct view v) {
        return v.n == 3 && v.p[0] >= '2' && v.p[0] <= '5';
}

static void check_operation(const struct json *o, struct view ids[], size_t n) {
        const struct json *responses = json_get_typed(o, "responses", JSON_OBJECT);

        ids[n] = json_get_view(o, "operationId", VIEW_NULL);
        assert_true(ids[n].n > 0 && json_get_view(o, "summary", VIEW_NULL).n > 0);
        for (size_t i = 0; i < n; i++)
                assert_false(view_eq(ids[i], ids[n]));
        assert_true(responses && responses->count > 0);
        for (const struct json *r = responses->child; r; r = r->next)
                assert_true(is_status(r->key) && (json_get(r, "$ref") || json_get(r, "description")));
}

static void every_operation_is_complete(void **state) {
        struct json_document *d = load();
        const struct json *root = json_root(d);
        struct view ids[ROUTES_MAX];
        size_t n = 0;

        assert_true(view_starts(json_get_view(root, "openapi", VIEW_NULL), VIEW("3.1.")));
        assert_true(view_eq_str(json_get_view(json_get(root, "info"), "version", VIEW_NULL), SAI_VERSION));
        for (const struct json *p = json_get(root, "paths")->child; p; p = p->next)
                for (const struct json *o = p->child; o; o = o->next)
                        if (!view_eq_str(o->key, "parameters")) {
                                check_parameters(root, p, o);
                                assert_true(n < ROUTES_MAX);
                                check_operation(o, ids, n++);
                        }
        json_document_free(d);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_document_has_exactly_the_routes_of_the_programs),
                cmocka_unit_test(every_reference_leads_somewhere),
                cmocka_unit_test(every_operation_is_complete),
        };

        return cmocka_run_group_tests_name("openapi", tests, NULL, NULL);
}
