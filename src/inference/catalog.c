#include "inference/catalog.h"

#include "base/text.h"
#include "core/digest.h"
#include "inference/limits.h"

static int unavailable(struct refusal *why, int error) {
        return refusal_set(why, error, 503, "registry_unavailable",
                           "The registry of models does not answer. See securectl status.");
}

static int fetch(struct http_client *registry, struct json_document **ret, struct refusal *why) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *models;
        unsigned status = 0;
        int r;

        if (!registry)
                return unavailable(why, -ENOENT);
        r = http_call_json(registry, "GET", "/v1/models", VIEW_NULL, REGISTRY_CALL_USEC, &status, &d);
        if (r < 0)
                return unavailable(why, r);
        models = json_get_typed(json_root(d), "models", JSON_ARRAY);
        if (status != 200 || !models || models->count > MODELS_MAX)
                return unavailable(why, -EPROTO);
        *ret = TAKE_PTR(d);
        return 0;
}

/* llama-server reads GGUF only, in one file or in parts. */
static bool is_usable(const struct json *m) {
        struct view kind = json_get_view(m, "kind", VIEW_NULL);
        struct sha256 ignored;

        return (view_eq_str(kind, "gguf") || view_eq_str(kind, "gguf-set")) &&
               sha256_from_hex(json_get_view(m, "sha256", VIEW_NULL), &ignored) == 0;
}

static int find(const struct json *models, struct view name, char ret_sha256[65], struct refusal *why) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(512);
        unsigned n = 0;

        for (const struct json *m = models->child; m; m = m->next) {
                if (!is_usable(m) || !view_eq(json_get_view(m, "name", VIEW_NULL), name))
                        continue;
                memcpy(ret_sha256, json_get_view(m, "sha256", VIEW_NULL).p, 64);
                ret_sha256[64] = '\0';
                n++;
        }
        if (n == 1)
                return 0;
        if (buf_append_escaped(&shown, name, 80) < 0)
                buf_clear(&shown);
        if (n > 1)
                return refusal_set(why, -EEXIST, 409, "ambiguous_model",
                                   "%u models are called \"%s\". Name the one you mean by its SHA-256.", n,
                                   buf_str(&shown));
        return refusal_set(why, -ENOENT, 404, "unknown_model",
                           "No chat model is called \"%s\". GET /v1/models lists the names.",
                           buf_str(&shown));
}

int catalog_resolve(struct http_client *registry, struct view model, char ret_sha256[65],
                    struct refusal *ret_why) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct sha256 ignored;
        int r;

        ret_sha256[0] = '\0';
        if (model.n == 0)
                return 0;
        if (sha256_from_hex(model, &ignored) == 0) {
                memcpy(ret_sha256, model.p, 64);
                ret_sha256[64] = '\0';
                return 0;
        }
        r = fetch(registry, &d, ret_why);
        return r < 0 ? r : find(json_get(json_root(d), "models"), model, ret_sha256, ret_why);
}

static void put_member(struct json_writer *w, const struct json *m, const char *name) {
        const struct json *v = json_get(m, name);

        if (v && v->type != JSON_OBJECT && v->type != JSON_ARRAY) {
                json_key(w, name);
                json_put_value(w, v);
        }
}

static void put_model(struct json_writer *w, const struct json *m, const char *loaded_sha256) {
        static const char *const passed_on[] = {"name",       "size",           "architecture",
                                                "parameters", "context_length", "quantization"};
        struct view sha256 = json_get_view(m, "sha256", VIEW_NULL);

        json_object_begin(w);
        json_member_view(w, "id", sha256);
        json_member_string(w, "object", "model");
        json_member_u64(w, "created", 0);
        json_member_string(w, "owned_by", "local");
        for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
                put_member(w, m, passed_on[i]);
        json_member_bool(w, "loaded", view_eq_str(sha256, loaded_sha256));
        json_object_end(w);
}

int catalog_list(struct http_client *registry, const char *loaded_sha256, struct buf *out,
                 struct refusal *ret_why) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct json_writer w = JSON_WRITER(out);
        int r = fetch(registry, &d, ret_why);

        if (r < 0)
                return r;
        json_object_begin(&w);
        json_member_string(&w, "object", "list");
        json_key(&w, "data");
        json_array_begin(&w);
        for (const struct json *m = json_get(json_root(d), "models")->child; m; m = m->next)
                if (is_usable(m))
                        put_model(&w, m, loaded_sha256);
        json_array_end(&w);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? refusal_set(ret_why, r, 503, "out_of_memory", "The list of models is too long.") : 0;
}
