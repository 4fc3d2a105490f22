#include "registry/routes.h"

#include "base/file.h"
#include "registry/limits.h"

static int authorize(struct http_request *q, const struct http_route *route, void *userdata) {
        const struct routes_context *c = userdata;

        return service_authorize(q, route, c->service);
}

static void put_or_null(struct json_writer *w, const char *key, struct view v) {
        json_key(w, key);
        if (v.n)
                json_put_view(w, v);
        else
                json_put_null(w);
}

static void write_check(struct json_writer *w, const struct model *m, struct routes_context *c) {
        bool running;
        uint64_t bytes = checker_progress(c->checker, &m->sha256, &running);
        enum check_state state = running                     ? CHECK_RUNNING
                                 : m->check == CHECK_RUNNING ? CHECK_PENDING
                                                             : m->check;

        put_or_null(w, "verified_at", m->verified_at);
        json_member_string(w, "verify_state", check_state_name(state));
        json_member_u64(w, "verify_bytes", bytes);
}

static void write_documents(struct json_writer *w, struct view names) {
        struct view name;

        json_key(w, "documents");
        json_array_begin(w);
        while (view_split(&names, ',', &name))
                json_put_view(w, name);
        if (names.n > 0)
                json_put_view(w, names);
        json_array_end(w);
}

/* The members of a model object; the caller begins and ends it. */
static void write_model(struct json_writer *w, const struct model *m, struct routes_context *c) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&m->sha256, hex);
        json_member_string(w, "sha256", hex);
        json_member_view(w, "name", m->name);
        json_member_view(w, "kind", m->kind);
        json_member_u64(w, "size", m->size);
        json_member_view(w, "architecture", m->architecture);
        json_member_u64(w, "parameters", m->parameters);
        json_member_u64(w, "context_length", m->context_length);
        json_member_view(w, "quantization", m->quantization);
        json_member_u64(w, "members", m->members);
        write_documents(w, m->documents);
        json_member_view(w, "promoted_at", m->promoted_at);
        json_member_view(w, "job", m->job);
        json_member_view(w, "source", m->source);
        json_key(w, "signature");
        json_object_begin(w);
        json_member_view(w, "status", m->signature_status);
        put_or_null(w, "key", m->signature_key);
        json_object_end(w);
        write_check(w, m, c);
        json_member_bool(w, "loaded", catalog_is_loaded(c->catalog, &m->sha256));
}

struct listing {
        struct routes_context *context;
        struct json_writer *writer;
};

static int list_one(const struct model *m, void *userdata) {
        struct listing *l = userdata;

        json_object_begin(l->writer);
        write_model(l->writer, m, l->context);
        json_object_end(l->writer);
        return l->writer->error;
}

static void write_head(struct json_writer *w, struct manifest *manifest) {
        struct manifest_head h = manifest_head(manifest);
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&h.digest, hex);
        json_key(w, "head");
        json_object_begin(w);
        json_member_u64(w, "version", h.version);
        json_member_string(w, "sha256", hex);
        json_object_end(w);
}

static int list_models(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        _cleanup_(buf_donep) struct buf body = BUF_INIT(REGISTRY_LIST_BYTES);
        struct json_writer w = JSON_WRITER(&body);
        struct listing l = {c, &w};
        int r;

        json_object_begin(&w);
        json_key(&w, "models");
        json_array_begin(&w);
        r = manifest_each(c->manifest, list_one, &l);
        json_array_end(&w);
        write_head(&w, c->manifest);
        json_object_end(&w);
        if (r >= 0)
                r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

/* The verdict is inside the evidence's text, which was checked when the model was promoted. */
static int write_verdict(struct json_writer *w, struct view evidence) {
        static const struct json_limits limits = {.memory = REGISTRY_EVIDENCE_MEMORY};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int r = json_parse(evidence, &limits, &d, NULL);

        if (r < 0)
                return r;
        json_key(w, "verdict");
        json_put_value(w, json_get(json_root(d), "verdict"));
        return w->error;
}

/* Leaves the object open for the files. */
static int write_whole(const struct model *m, void *userdata) {
        struct listing *l = userdata;

        json_object_begin(l->writer);
        write_model(l->writer, m, l->context);
        return write_verdict(l->writer, m->evidence);
}

static int write_file(const struct part *p, void *userdata) {
        struct json_writer *w = userdata;
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&p->sha256, hex);
        json_object_begin(w);
        json_member_view(w, "path", p->name);
        json_member_u64(w, "size", p->size);
        json_member_string(w, "sha256", hex);
        json_object_end(w);
        return w->error;
}

static int write_files(struct json_writer *w, struct manifest *manifest, const struct sha256 *digest) {
        int r;

        json_key(w, "files");
        json_array_begin(w);
        r = manifest_each_member(manifest, digest, write_file, w);
        json_array_end(w);
        json_object_end(w);
        return r;
}

/* The digest in the path; -EBADMSG after it has answered that there is no such model. */
static int path_digest(struct http_request *q, struct sha256 *ret) {
        int r;

        if (sha256_from_hex(http_path_part(q, 0), ret) >= 0)
                return 0;
        r = http_reply_error(q, 404, "unknown_model", NULL,
                             "A model is named by its 64 lower-case hex digits.");
        return r < 0 ? r : -EBADMSG;
}

static int reply_unknown(struct http_request *q) {
        return http_reply_error(q, 404, "unknown_model", NULL, "The registry has no such model.");
}

static int get_model(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        _cleanup_(buf_donep) struct buf body = BUF_INIT(REGISTRY_LIST_BYTES);
        struct json_writer w = JSON_WRITER(&body);
        struct listing l = {c, &w};
        struct sha256 digest;
        int r = path_digest(q, &digest);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        r = manifest_get(c->manifest, &digest, write_whole, &l);
        if (r == -ENOENT)
                return reply_unknown(q);
        if (r >= 0)
                r = write_files(&w, c->manifest, &digest);
        if (r >= 0)
                r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

/* --- a document: some MB, so in pieces --- */

struct sending {
        int fd;
        uint64_t at, size;
};

static int send_piece(void *userdata, struct buf *out) {
        struct sending *s = userdata;
        size_t n = (size_t)MIN_OF(s->size - s->at, (uint64_t)REGISTRY_DOCUMENT_PIECE);
        int r = buf_reserve(out, n);

        if (r >= 0)
                r = pread_all(s->fd, out->p + out->n, n, s->at);
        if (r < 0)
                return r;
        out->n += n;
        s->at += n;
        return s->at < s->size;
}

static void sending_free(void *userdata) {
        struct sending *s = userdata;

        close_fd(s->fd);
        free(s);
}

static int reply_document(struct http_request *q, int fd, uint64_t size) {
        struct http_stream stream = {
                .content_type = "application/json", .next = send_piece, .destroy = sending_free};
        struct sending *s = calloc(1, sizeof *s);

        if (!s) {
                close_fd(fd);
                return -ENOMEM;
        }
        *s = (struct sending){.fd = fd, .size = size};
        stream.userdata = s;
        return http_reply_stream(q, 200, &stream);
}

static int get_document(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        enum document_kind kind = document_kind_from(http_path_part(q, 1));
        struct refusal f = {0};
        struct sha256 digest;
        uint64_t size;
        int fd, r = path_digest(q, &digest);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        if (!manifest_has(c->manifest, &digest))
                return reply_unknown(q);
        if (kind == DOCUMENT_KIND_MAX)
                return http_reply_error(q, 404, "unknown_document", NULL,
                                        "Documents are tensors, statement, bom and behaviour.");
        fd = catalog_open_document(c->catalog, &digest, kind, &size, &f);
        if (fd < 0)
                return http_reply_error(q, fd == -ENOENT ? 404 : 503, f.code, NULL, "%s.", f.text);
        return reply_document(q, fd, size);
}

static int verify_model(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        struct sha256 digest;
        int r = path_digest(q, &digest);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        r = manifest_set_check(c->manifest, &digest, CHECK_PENDING);
        if (r == -ENOENT)
                return reply_unknown(q);
        if (r < 0)
                return r;
        checker_wake(c->checker);
        return http_reply_json(q, 202, VIEW("{\"state\":\"pending\"}"));
}

static int delete_model(struct http_request *q, void *userdata) {
        struct routes_context *c = userdata;
        struct refusal f = {0};
        struct sha256 digest;
        int r = path_digest(q, &digest);

        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        r = catalog_delete(c->catalog, &digest, http_caller(q), &f);
        if (r >= 0)
                return http_reply(q, 204, NULL, VIEW_NULL);
        return http_reply_error(q, r == -ENOENT ? 404 : r == -EBUSY ? 409 : 503, f.code, NULL, "%s.", f.text);
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = service_health},
        {.method = "GET", .path = "/v1/models", .handler = list_models, .permission = "registry.read"},
        {.method = "GET", .path = "/v1/models/{sha256}", .handler = get_model, .permission = "registry.read"},
        {.method = "GET",
         .path = "/v1/models/{sha256}/documents/{name}",
         .handler = get_document,
         .permission = "registry.read"},
        {.method = "POST",
         .path = "/v1/models/{sha256}/verify",
         .handler = verify_model,
         .permission = "registry.verify"},
        {.method = "DELETE",
         .path = "/v1/models/{sha256}",
         .handler = delete_model,
         .permission = "registry.delete"},
        {0},
};

int routes_serve(struct routes_context *context, const int *listen_fds, size_t n, struct http_server **ret) {
        const struct http_server_config config = {
                .name = "registry",
                .routes = routes,
                .limits = {.connections = REGISTRY_CONNECTIONS},
                .authorize = authorize,
                .userdata = context,
        };

        return http_server_new(&config, listen_fds, n, ret);
}
