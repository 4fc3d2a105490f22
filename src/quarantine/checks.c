#include "quarantine/checks.h"

#include "base/buf.h"

static const char *const sources[SOURCE_MAX] = {"local", "upload", "demo", "url"};

const char *source_kind_name(enum source_kind s) {
        return sources[s];
}

int source_kind_from(struct view name, enum source_kind *ret) {
        for (int i = 0; i < SOURCE_MAX; i++)
                if (view_eq_str(name, sources[i])) {
                        *ret = (enum source_kind)i;
                        return 0;
                }
        return -EBADMSG;
}

static int check_url(const struct policy *p, struct view text, struct stage *s) {
        _cleanup_(url_donep) struct url u = {.text = BUF_INIT(URL_MAX)};
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(400);
        struct fault why = FAULT_NONE;
        int r;

        r = url_parse(text, &u, &why);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return stage_say(s, STAGE_SOURCE, FINDING_REJECT, "SOURCE-002",
                                 "the address can't be used: %s", why.text);
        r = buf_append_escaped(&shown, buf_view(&u.text), 120);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_sources; i++)
                if (url_is_beneath(&u, &p->sources[i]))
                        return stage_say(s, STAGE_SOURCE, FINDING_INFO, "SOURCE-004",
                                         "from %s, which sources.allowlist.yaml allows", buf_str(&shown));
        return stage_say(s, STAGE_SOURCE, FINDING_REJECT, "SOURCE-003",
                         "%s is not below any address of sources.allowlist.yaml", buf_str(&shown));
}

int check_source(const struct policy *p, const struct artifact *a, struct stage *s) {
        int r;

        if (a->size > p->artifact_bytes) {
                r = stage_say(s, STAGE_SOURCE, FINDING_REJECT, "SOURCE-005",
                              "%llu bytes; policy accepts at most %llu (limits.artifact_bytes)",
                              (unsigned long long)a->size, (unsigned long long)p->artifact_bytes);
                if (r < 0)
                        return r;
        }
        if (a->source == SOURCE_URL)
                return check_url(p, a->url, s);
        if (!p->local_import)
                return stage_say(s, STAGE_SOURCE, FINDING_REJECT, "SOURCE-001",
                                 "local import is switched off in sources.allowlist.yaml");
        return 0;
}

static bool has_reject(const struct stage *s) {
        for (size_t i = 0; i < s->n; i++)
                if (s->findings[i].severity == FINDING_REJECT)
                        return true;
        return false;
}

int check_format(const struct policy *p, const struct model_summary *summary, struct stage *s) {
        bool known = summary->kind == MODEL_KIND_GGUF || summary->kind == MODEL_KIND_SAFETENSORS;
        bool allowed = (summary->kind == MODEL_KIND_GGUF && p->gguf) ||
                       (summary->kind == MODEL_KIND_SAFETENSORS && p->safetensors);

        if (allowed || has_reject(s))
                return 0; /* a reader has said already, and better, what it is */
        return known ? stage_say(s, STAGE_FORMAT, FINDING_REJECT, "FORMAT-002",
                                 "%s files are not accepted by policy.yaml (formats)",
                                 model_kind_title(summary->kind))
                     : stage_say(s, STAGE_FORMAT, FINDING_REJECT, "FORMAT-001",
                                 "this is not a GGUF or Safetensors model: %s",
                                 model_kind_title(summary->kind));
}

static bool digest_is(const struct json *o, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        return view_eq_str(json_get_view(o, "sha256", VIEW_NULL), hex);
}

static int check_pin(const struct json *pin, const struct artifact *a, const struct sha256 *digest,
                     struct stage *s) {
        uint64_t size;

        if (!view_eq(json_get_view(pin, "name", VIEW_NULL), a->name))
                return 0;
        if (!digest_is(pin, digest))
                return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-001",
                                 "models.lock.yaml pins this name to another content (line %llu)",
                                 (unsigned long long)pin->at);
        if (json_get_u64(pin, "size", &size) == 0 && size != a->size)
                return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-001",
                                 "models.lock.yaml pins this name to another size (line %llu)",
                                 (unsigned long long)pin->at);
        return stage_say(s, STAGE_INTEGRITY, FINDING_INFO, "INTEGRITY-003",
                         "the content is the one that models.lock.yaml pins");
}

static int check_block(const struct json *block, const struct sha256 *digest, struct stage *s) {
        _cleanup_(buf_donep) struct buf reason = BUF_INIT(400);

        if (!digest_is(block, digest))
                return 0;
        if (buf_append_escaped(&reason, json_get_view(block, "reason", VIEW_NULL), 120) < 0)
                return -ENOMEM;
        return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-002",
                         "blocked by models.lock.yaml: %s", buf_str(&reason));
}

int check_integrity(const struct policy *p, const struct artifact *a, const struct sha256 *digest,
                    struct stage *s) {
        const struct json *root = json_root(p->lock), *pins = json_get_typed(root, "pins", JSON_ARRAY),
                          *blocks = json_get_typed(root, "blocklist", JSON_ARRAY);
        int r = 0;

        for (const struct json *c = pins ? pins->child : NULL; c && r >= 0; c = c->next)
                r = check_pin(c, a, digest, s);
        for (const struct json *c = blocks ? blocks->child : NULL; c && r >= 0; c = c->next)
                r = check_block(c, digest, s);
        return r;
}
