#include "quarantine/verdict.h"

#include "base/text.h"
#include "quarantine/untested.h"

void verdict_done(struct verdict *v) {
        for (unsigned i = 0; i <= STAGES; i++)
                stage_done(&v->stages[i]);
        member_names_done(&v->names);
        set_listing_done(&v->members);
        free(v->kinds);
        v->kinds = NULL;
}

bool verdict_is_reject(const struct verdict *v) {
        for (unsigned i = 1; i <= STAGES; i++)
                if (v->stages[i].status == STAGE_FAIL)
                        return true;
        return false;
}

bool verdict_is_pass(const struct verdict *v) {
        if (!v->is_known || verdict_is_reject(v))
                return false;
        for (unsigned i = 1; i <= v->last_stage; i++)
                if (v->stages[i].status == STAGE_NOT_RUN)
                        return false;
        return v->last_stage >= STAGE_SOURCE && v->last_stage <= STAGES;
}

void verdict_write_stages(struct json_writer *w, const struct verdict *v) {
        json_array_begin(w);
        for (unsigned i = 1; i <= STAGES; i++)
                stage_write(w, i, &v->stages[i], &v->names);
        json_array_end(w);
}

static void write_member(struct json_writer *w, const struct verdict *v, size_t i) {
        const struct set_member *m = &v->members.members[i];
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(8 * (size_t)SET_PATH_MAX);
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&m->sha256, hex);
        json_object_begin(w);
        json_key(w, "path");
        if (buf_append_escaped(&shown, view_of(m->path), SET_PATH_MAX) >= 0)
                json_put_view(w, buf_view(&shown));
        else
                w->error = -ENOMEM;
        json_member_u64(w, "size", m->size);
        json_member_string(w, "sha256", hex);
        json_member_string(w, "kind", model_kind_name(v->kinds ? v->kinds[i] : MODEL_KIND_UNKNOWN));
        json_object_end(w);
}

static void write_untested(struct json_writer *w, const struct verdict *v) {
        struct untested u;

        untested_find(v, &u);
        json_key(w, "not_tested");
        json_array_begin(w);
        for (size_t i = 0; i < u.n; i++)
                json_put_string(w, u.text[i]);
        json_array_end(w);
}

static void write_template(struct json_writer *w, const struct model_summary *s) {
        char hex[SHA256_HEX_SIZE] = "";

        hex_encode(s->template_sha256, sizeof s->template_sha256, hex);
        json_member_string(w, "chat_template_sha256", s->has_chat_template ? hex : NULL);
}

static void write_body(struct json_writer *w, const struct verdict *v) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&v->sha256, hex);
        json_member_string(w, "schema", "secai.verdict/1");
        json_key(w, "artifact");
        json_object_begin(w);
        json_member_string(w, "name", v->name);
        json_member_string(w, "kind", model_kind_name(v->summary.kind));
        json_member_u64(w, "size", v->summary.size);
        json_member_string(w, "sha256", hex);
        write_template(w, &v->summary);
        json_object_end(w);
        json_member_string(w, "verdict", verdict_is_pass(v) ? "pass" : "reject");
        json_key(w, "stages");
        verdict_write_stages(w, v);
        write_untested(w, v);
        json_member_string(w, "policy_digest", v->policy_digest);
        json_member_string(w, "scanner", v->scanner);
}

void verdict_write(struct json_writer *w, const struct verdict *v) {
        json_object_begin(w);
        write_body(w, v);
        json_object_end(w);
}

void verdict_write_with_members(struct json_writer *w, const struct verdict *v) {
        json_object_begin(w);
        write_body(w, v);
        json_key(w, "members");
        json_array_begin(w);
        for (size_t i = 0; i < v->members.n; i++)
                write_member(w, v, i);
        json_array_end(w);
        json_object_end(w);
}

void verdict_write_summary(struct json_writer *w, const struct verdict *v) {
        const struct model_summary *s = &v->summary;

        json_object_begin(w);
        json_member_string(w, "architecture", s->architecture);
        json_member_u64(w, "parameters", s->parameters);
        json_member_u64(w, "context_length", s->context_length);
        json_member_string(w, "quantization", s->quantization);
        json_member_u64(w, "format_version", s->format_version);
        json_member_u64(w, "tensors", s->tensors);
        json_object_end(w);
}

void verdict_store(struct json_writer *w, const struct verdict *v) {
        json_object_begin(w);
        json_key(w, "verdict");
        verdict_write(w, v);
        json_member_bool(w, "is_known", v->is_known);
        json_member_u64(w, "kind", v->summary.kind);
        json_member_bool(w, "has_chat_template", v->summary.has_chat_template);
        json_member_u64(w, "non_finite", v->summary.non_finite);
        json_member_string(w, "model_name", v->summary.name);
        json_member_string(w, "license", v->summary.license);
        json_key(w, "summary");
        verdict_write_summary(w, v);
        json_object_end(w);
}

static void copy_text(char *out, size_t n, struct view v) {
        (void)snprintf(out, n, "%.*s", (int)MIN_OF(v.n, n - 1), v.p ? v.p : "");
}

static int restore_summary(const struct json *root, const struct json *artifact, struct model_summary *s) {
        const struct json *o = json_get_typed(root, "summary", JSON_OBJECT);
        uint64_t kind, version;

        if (json_get_u64(root, "kind", &kind) < 0 || kind >= MODEL_KIND_MAX ||
            json_get_u64(artifact, "size", &s->size) < 0 ||
            json_get_u64(o, "parameters", &s->parameters) < 0 ||
            json_get_u64(o, "tensors", &s->tensors) < 0 ||
            json_get_u64(o, "context_length", &s->context_length) < 0 ||
            json_get_u64(o, "format_version", &version) < 0 || version > UINT32_MAX ||
            json_get_u64(root, "non_finite", &s->non_finite) < 0 ||
            json_get_bool(root, "has_chat_template", &s->has_chat_template) < 0)
                return -EBADMSG;
        if (s->has_chat_template && hex_decode(json_get_view(artifact, "chat_template_sha256", VIEW_NULL),
                                               s->template_sha256, sizeof s->template_sha256) < 0)
                return -EBADMSG;
        s->kind = (enum model_kind)kind;
        s->format_version = (uint32_t)version;
        copy_text(s->architecture, sizeof s->architecture, json_get_view(o, "architecture", VIEW_NULL));
        copy_text(s->quantization, sizeof s->quantization, json_get_view(o, "quantization", VIEW_NULL));
        copy_text(s->name, sizeof s->name, json_get_view(root, "model_name", VIEW_NULL));
        copy_text(s->license, sizeof s->license, json_get_view(root, "license", VIEW_NULL));
        return 0;
}

static int restore_stages(const struct json *list, struct verdict *v) {
        const struct json *c = list ? list->child : NULL;

        for (unsigned i = 1; i <= STAGES; i++, c = c ? c->next : NULL)
                if (!c || stage_read(c, i, &v->names, &v->stages[i]) < 0)
                        return -EBADMSG;
        return 0;
}

int verdict_restore(struct view text, struct verdict *ret) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(verdict_donep) struct verdict v = {.last_stage = STAGES};
        const struct json *root, *o, *artifact;
        int r;

        r = json_parse(text, NULL, &doc, NULL);
        if (r < 0)
                return r;
        root = json_root(doc);
        o = json_get_typed(root, "verdict", JSON_OBJECT);
        artifact = json_get_typed(o, "artifact", JSON_OBJECT);
        if (json_get_bool(root, "is_known", &v.is_known) < 0 ||
            sha256_from_hex(json_get_view(artifact, "sha256", VIEW_NULL), &v.sha256) < 0 ||
            restore_summary(root, artifact, &v.summary) < 0 ||
            restore_stages(json_get_typed(o, "stages", JSON_ARRAY), &v) < 0)
                return -EBADMSG;
        copy_text(v.name, sizeof v.name, json_get_view(artifact, "name", VIEW_NULL));
        copy_text(v.policy_digest, sizeof v.policy_digest, json_get_view(o, "policy_digest", VIEW_NULL));
        copy_text(v.scanner, sizeof v.scanner, json_get_view(o, "scanner", VIEW_NULL));
        *ret = v;
        v = (struct verdict){0};
        return 0;
}
