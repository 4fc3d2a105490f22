#include "quarantine/checks.h"

#include "base/buf.h"
#include "base/text.h"

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
        bool known = true, allowed = false;

        switch (summary->kind) {
        case MODEL_KIND_GGUF:
        case MODEL_KIND_GGUF_SET:
                allowed = p->gguf;
                break;
        case MODEL_KIND_SAFETENSORS:
        case MODEL_KIND_SAFETENSORS_SET:
                allowed = p->safetensors;
                break;
        case MODEL_KIND_DIFFUSION:
                allowed = p->diffusion;
                break;
        default:
                known = false;
        }
        if (allowed || has_reject(s))
                return 0; /* a reader has said already, and better, what it is */
        return known ? stage_say(s, STAGE_FORMAT, FINDING_REJECT, "FORMAT-002",
                                 "%s: not accepted by policy.yaml (formats)", model_kind_title(summary->kind))
                     : stage_say(s, STAGE_FORMAT, FINDING_REJECT, "FORMAT-001",
                                 "this is not a model of an accepted format: %s",
                                 model_kind_title(summary->kind));
}

static bool digest_is(const struct json *o, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        return view_eq_str(json_get_view(o, "sha256", VIEW_NULL), hex);
}

static int check_pin(const struct json *pin, struct view name, uint64_t n, const struct sha256 *digest,
                     struct stage *s) {
        uint64_t size;

        if (!view_eq(json_get_view(pin, "name", VIEW_NULL), name))
                return 0;
        if (!json_get(pin, "sha256"))
                return 0; /* only the chat template is pinned */
        if (!digest_is(pin, digest))
                return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-001",
                                 "models.lock.yaml pins this name to another content (line %llu)",
                                 (unsigned long long)pin->at);
        if (json_get_u64(pin, "size", &size) == 0 && size != n)
                return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-001",
                                 "models.lock.yaml pins this name to another size (line %llu)",
                                 (unsigned long long)pin->at);
        return stage_say(s, STAGE_INTEGRITY, FINDING_INFO, "INTEGRITY-003",
                         "the content is the one that models.lock.yaml pins");
}

/* The template that a pin names: variants of one model (other quantizations) share it. */
static int check_pinned_template(const struct json *pin, const struct artifact *a,
                                 const struct model_summary *summary, struct stage *s) {
        struct view wanted = json_get_view(pin, "chat_template_sha256", VIEW_NULL);
        char hex[SHA256_HEX_SIZE] = "";

        if (wanted.n == 0 || !view_eq(json_get_view(pin, "name", VIEW_NULL), a->name))
                return 0;
        hex_encode(summary->template_sha256, sizeof summary->template_sha256, hex);
        if (!summary->has_chat_template)
                return stage_say(
                        s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-004",
                        "models.lock.yaml pins a chat template for this name, but there is none (line %llu)",
                        (unsigned long long)pin->at);
        if (!view_eq_str(wanted, hex))
                return stage_say(s, STAGE_INTEGRITY, FINDING_REJECT, "INTEGRITY-004",
                                 "models.lock.yaml pins another chat template for this name (line %llu); "
                                 "this one is %s",
                                 (unsigned long long)pin->at, hex);
        return stage_say(s, STAGE_INTEGRITY, FINDING_INFO, "INTEGRITY-005",
                         "the chat template is the one that models.lock.yaml pins");
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

/* What has been said since is about this member. */
static void name_member(struct stage *s, size_t before, size_t position) {
        for (size_t i = before; i < s->n; i++)
                s->findings[i].member = (uint32_t)position + 1;
}

static int check_pinned_member(const struct json *pin, const struct artifact *a,
                               const struct set_listing *set, struct stage *s) {
        struct view path = json_get_view(pin, "name", VIEW_NULL);
        size_t before = s->n, i;
        int r;

        if (!view_starts(path, a->name) || path.n <= a->name.n + 1 || path.p[a->name.n] != '/')
                return 0;
        i = set_listing_find(set, view_sub(path, a->name.n + 1, SIZE_MAX));
        if (i == SIZE_MAX)
                return 0;
        r = check_pin(pin, path, set->members[i].size, &set->members[i].sha256, s);
        name_member(s, before, i);
        return r;
}

/* Files of the same content in the order of the listing. */
static int by_content(const void *a, const void *b) {
        const struct set_member *x = *(const struct set_member *const *)a,
                                *y = *(const struct set_member *const *)b;
        int order = memcmp(x->sha256.b, y->sha256.b, SHA256_SIZE);

        return order != 0 ? order : x < y ? -1 : x > y;
}

/* Position of the first of the sorted members with that content or a later one. */
static size_t first_with(const struct set_member *const *sorted, size_t n, const struct sha256 *digest) {
        size_t low = 0;

        while (low < n) {
                size_t middle = low + (n - low) / 2;

                if (memcmp(sorted[middle]->sha256.b, digest->b, SHA256_SIZE) < 0)
                        low = middle + 1;
                else
                        n = middle;
        }
        return low;
}

/* Every file that has the content is named. */
static int check_blocked_content(const struct json *block, const struct set_listing *set,
                                 const struct set_member *const *sorted, struct stage *s) {
        struct sha256 digest;
        int r = 0;

        if (sha256_from_hex(json_get_view(block, "sha256", VIEW_NULL), &digest) < 0)
                return 0;
        for (size_t i = first_with(sorted, set->n, &digest);
             r >= 0 && i < set->n && memcmp(&digest, &sorted[i]->sha256, sizeof digest) == 0; i++) {
                size_t before = s->n;

                r = check_block(block, &digest, s);
                name_member(s, before, (size_t)(sorted[i] - set->members));
        }
        return r;
}

/* Both lists may be long: the members are sorted by digest once. */
static int check_blocked_members(const struct json *blocks, const struct set_listing *set, struct stage *s) {
        _cleanup_(freep) const struct set_member **sorted = NULL;
        int r = 0;

        if (!blocks || !blocks->child)
                return 0;
        sorted = calloc(set->n, sizeof(const struct set_member *));
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < set->n; i++)
                sorted[i] = &set->members[i];
        qsort(sorted, set->n, sizeof(const struct set_member *), by_content);
        for (const struct json *c = blocks->child; c && r >= 0; c = c->next)
                r = check_blocked_content(c, set, sorted, s);
        return r;
}

int check_integrity(const struct policy *p, const struct artifact *a, const struct sha256 *digest,
                    const struct model_summary *summary, const struct set_listing *set, struct stage *s) {
        const struct json *root = json_root(p->lock), *pins = json_get_typed(root, "pins", JSON_ARRAY),
                          *blocks = json_get_typed(root, "blocklist", JSON_ARRAY);
        int r = 0;

        for (const struct json *c = pins ? pins->child : NULL; c && r >= 0; c = c->next)
                r = check_pin(c, a->name, a->size, digest, s);
        for (const struct json *c = pins ? pins->child : NULL; c && r >= 0; c = c->next)
                r = check_pinned_template(c, a, summary, s);
        for (const struct json *c = pins && set ? pins->child : NULL; c && r >= 0; c = c->next)
                r = check_pinned_member(c, a, set, s);
        for (const struct json *c = blocks ? blocks->child : NULL; c && r >= 0; c = c->next)
                r = check_block(c, digest, s);
        return r < 0 || !set ? r : check_blocked_members(blocks, set, s);
}
