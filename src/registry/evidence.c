#include "registry/evidence.h"

#include "base/text.h"
#include "core/set_listing.h"
#include "registry/limits.h"

#define STAGES 7

/* Which results let an artifact through, stage by stage. */
enum stage_need {
        NEED_PASS,       /* "pass" */
        NEED_PASS_OR_NA, /* "pass" or "not_applicable" */
        NEED_IF_RUN,     /* "pass" when the kind can be run, else "not_applicable" */
        NEED_IF_DIFFUSION,
};
static const struct {
        const char *name;
        enum stage_need need;
} stages[STAGES] = {
        {"source_policy", NEED_PASS_OR_NA},
        {"format_gate", NEED_PASS},
        {"integrity_check", NEED_PASS_OR_NA},
        {"provenance", NEED_PASS_OR_NA},
        {"static_scan", NEED_PASS},
        {"behavioral_test", NEED_IF_RUN},
        {"diffusion_scan", NEED_IF_DIFFUSION},
};

/* What can be promoted. "folder" is what quarantine calls one that it can't decide about. */
static const struct {
        const char *name;
        bool is_set, is_run, is_diffusion;
} kinds[] = {
        {"gguf", false, true, false},     {"safetensors", false, false, false},
        {"gguf-set", true, true, false},  {"safetensors-set", true, false, false},
        {"diffusion", true, false, true},
};

static const char *const document_names[DOCUMENT_KIND_MAX] = {"tensors", "statement", "bom", "behaviour"};

const char *document_kind_name(enum document_kind k) {
        return k >= 0 && k < DOCUMENT_KIND_MAX ? document_names[k] : "";
}

enum document_kind document_kind_from(struct view name) {
        enum document_kind k = 0;

        while (k < DOCUMENT_KIND_MAX && !view_eq_str(name, document_names[k]))
                k++;
        return k;
}

static size_t find_kind(struct view name) {
        size_t i = 0;

        while (i < ARRAY_SIZE(kinds) && !view_eq_str(name, kinds[i].name))
                i++;
        return i;
}

bool evidence_is_set(const struct evidence *e) {
        size_t i = find_kind(e->kind);

        return i < ARRAY_SIZE(kinds) && kinds[i].is_set;
}

void evidence_done(struct evidence *e) {
        *e = (struct evidence){.document = json_document_free(e->document)};
}

bool evidence_id_is_valid(struct view id) {
        if (id.n == 0 || id.n > REGISTRY_ID_MAX)
                return false;
        for (size_t i = 0; i < id.n; i++) {
                char c = id.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_'))
                        return false;
        }
        return true;
}

static int malformed(struct fault *f, const char *what) {
        return fault_set(f, -EBADMSG, "REG-E01", 0, "the evidence is not well-formed: %s", what);
}

static int refused(struct fault *f, const char *rule, const char *what) {
        return fault_set(f, -EPERM, rule, 0, "%s", what);
}

static bool one_of(struct view v, const char *const *names) {
        for (; *names; names++)
                if (view_eq_str(v, *names))
                        return true;
        return false;
}

/* An object that has exactly the members in `names`. */
static bool has_exactly(const struct json *o, const char *const *names) {
        if (!o || o->type != JSON_OBJECT || json_unknown_member(o, names))
                return false;
        for (; *names; names++)
                if (!json_get(o, *names))
                        return false;
        return true;
}

/* A string member of 0..max bytes. */
static bool get_text(const struct json *o, const char *key, size_t max, struct view *ret) {
        const struct json *v = json_get_typed(o, key, JSON_STRING);

        if (!v || v->text.n > max)
                return false;
        *ret = v->text;
        return true;
}

static bool is_digest(struct view v) {
        struct sha256 d;

        return sha256_from_hex(v, &d) >= 0;
}

static int read_summary(const struct json *o, struct evidence *e, struct fault *f) {
        static const char *const names[] = {
                "architecture", "parameters", "context_length", "quantization", "format_version",
                "tensors",      NULL};

        if (!has_exactly(o, names) || !get_text(o, "architecture", REGISTRY_TEXT_MAX, &e->architecture) ||
            !get_text(o, "quantization", REGISTRY_TEXT_MAX, &e->quantization) ||
            json_get_u64(o, "parameters", &e->parameters) < 0 || e->parameters > INT64_MAX ||
            json_get_u64(o, "context_length", &e->context_length) < 0 || e->context_length > INT64_MAX ||
            json_get_u64(o, "format_version", &e->format_version) < 0 ||
            json_get_u64(o, "tensors", &e->tensors) < 0)
                return malformed(f, "summary");
        return 0;
}

static int read_finding(const struct json *o, struct fault *f) {
        static const char *const names[] = {"rule", "severity", "message", "at", "tensor", "file", NULL};
        static const char *const severities[] = {"info", "warning", "reject", NULL};
        const struct json *file = json_get(o, "file"); /* null, or of a folder the member's path */
        struct view text;

        if (!has_exactly(o, names) || (file->type != JSON_NULL && file->type != JSON_STRING) ||
            !get_text(o, "rule", REGISTRY_TEXT_MAX, &text) || !get_text(o, "message", SIZE_MAX, &text) ||
            !get_text(o, "tensor", SIZE_MAX, &text) || !get_text(o, "severity", REGISTRY_TEXT_MAX, &text) ||
            !one_of(text, severities))
                return malformed(f, "finding");
        if (view_eq_str(text, "reject"))
                return refused(f, "REG-E04", "a finding of the verdict rejects the artifact");
        return 0;
}

static bool status_is_enough(struct view status, enum stage_need need, struct view kind) {
        bool pass = view_eq_str(status, "pass"), not_applicable = view_eq_str(status, "not_applicable");
        size_t i = find_kind(kind);

        if (i == ARRAY_SIZE(kinds))
                return false;
        if (need == NEED_IF_RUN)
                return kinds[i].is_run ? pass : not_applicable;
        if (need == NEED_IF_DIFFUSION)
                return pass || (!kinds[i].is_diffusion && not_applicable);
        return pass || (need == NEED_PASS_OR_NA && not_applicable);
}

/* Who signed the file, as the provenance stage says it: "… key <id>". */
static void read_signer(const struct json *findings, struct evidence *e) {
        for (const struct json *c = findings->child; c; c = c->next) {
                struct view message = json_get_view(c, "message", VIEW_NULL), id;

                if (!view_eq_str(json_get_view(c, "rule", VIEW_NULL), "PROVENANCE-001") || message.n < 64)
                        continue;
                id = view_sub(message, message.n - 64, 64);
                e->is_signed = true;
                e->key = is_digest(id) ? id : VIEW_NULL;
        }
}

static int read_stage(const struct json *o, unsigned number, struct evidence *e, struct fault *f) {
        static const char *const names[] = {"stage", "name", "status", "bytes", "ms", "findings", NULL};
        const struct json *findings = json_get_typed(o, "findings", JSON_ARRAY);
        uint64_t n;
        int r = 0;

        if (!has_exactly(o, names) || !findings || json_get_u64(o, "stage", &n) < 0 || n != number ||
            json_get_u64(o, "bytes", &n) < 0 || json_get_u64(o, "ms", &n) < 0 ||
            !view_eq_str(json_get_view(o, "name", VIEW_NULL), stages[number - 1].name))
                return malformed(f, "stage");
        if (!status_is_enough(json_get_view(o, "status", VIEW_NULL), stages[number - 1].need, e->kind))
                return fault_set(f, -EPERM, "REG-E03", 0, "stage %u (%s) did not pass", number,
                                 stages[number - 1].name);
        for (const struct json *c = findings->child; c && r >= 0; c = c->next)
                r = read_finding(c, f);
        if (number == 4)
                read_signer(findings, e);
        return r;
}

static int read_stages(const struct json *list, struct evidence *e, struct fault *f) {
        const struct json *c;
        unsigned number = 0;
        int r = 0;

        if (!list || list->count != STAGES)
                return malformed(f, "the verdict must have stages 1 to 7");
        for (c = list->child; c && r >= 0; c = c->next)
                r = read_stage(c, ++number, e, f);
        return r;
}

static bool is_same_artifact(const struct json *artifact, const struct evidence *e) {
        static const char *const names[] = {"name", "kind", "size", "sha256", "chat_template_sha256", NULL};
        const struct json *template = json_get(artifact, "chat_template_sha256");
        struct sha256 digest;
        uint64_t size;

        if (template && template->type != JSON_NULL &&
            (template->type != JSON_STRING || sha256_from_hex(template->text, &digest) < 0))
                return false;
        return has_exactly(artifact, names) && json_get_u64(artifact, "size", &size) >= 0 &&
               size == e->size &&
               sha256_from_hex(json_get_view(artifact, "sha256", VIEW_NULL), &digest) >= 0 &&
               memcmp(digest.b, e->sha256.b, SHA256_SIZE) == 0 &&
               view_eq(json_get_view(artifact, "kind", VIEW_NULL), e->kind) &&
               json_get_typed(artifact, "name", JSON_STRING);
}

/* For people; nothing rests on it. */
static bool is_list_of_sentences(const struct json *o) {
        if (!o || o->type != JSON_ARRAY || o->count > REGISTRY_SENTENCES_MAX)
                return false;
        for (const struct json *c = o->child; c; c = c->next)
                if (c->type != JSON_STRING || c->text.n > REGISTRY_SENTENCE_MAX)
                        return false;
        return true;
}

static int read_verdict(const struct json *o, struct evidence *e, struct fault *f) {
        static const char *const names[] = {"schema",        "artifact", "verdict",    "stages",
                                            "policy_digest", "scanner",  "not_tested", NULL};

        if (!has_exactly(o, names) || !view_eq_str(json_get_view(o, "schema", VIEW_NULL), "secai.verdict/1"))
                return malformed(f, "verdict");
        if (!is_same_artifact(json_get(o, "artifact"), e))
                return malformed(f, "the verdict speaks of another artifact");
        if (!view_eq(json_get_view(o, "policy_digest", VIEW_NULL), e->policy_digest) ||
            !view_eq(json_get_view(o, "scanner", VIEW_NULL), e->scanner))
                return malformed(f, "the verdict was made under another policy or by another scanner");
        if (!view_eq_str(json_get_view(o, "verdict", VIEW_NULL), "pass"))
                return refused(f, "REG-E02", "the verdict is not \"pass\"");
        if (!is_list_of_sentences(json_get(o, "not_tested")))
                return malformed(f, "not_tested");
        e->verdict = o;
        return read_stages(json_get_typed(o, "stages", JSON_ARRAY), e, f);
}

static int read_facts(const struct json *o, struct evidence *e, struct fault *f) {
        static const char *const sources[] = {"local", "upload", "demo", "url", NULL};

        if (!get_text(o, "job", REGISTRY_ID_MAX, &e->job) || !evidence_id_is_valid(e->job))
                return malformed(f, "job");
        if (sha256_from_hex(json_get_view(o, "sha256", VIEW_NULL), &e->sha256) < 0)
                return malformed(f, "sha256");
        if (json_get_u64(o, "size", &e->size) < 0 || e->size == 0 || e->size > INT64_MAX)
                return malformed(f, "size");
        if (!get_text(o, "name", REGISTRY_WANTED_NAME_MAX, &e->name) || e->name.n == 0)
                return malformed(f, "name");
        if (!get_text(o, "kind", REGISTRY_TEXT_MAX, &e->kind) || find_kind(e->kind) == ARRAY_SIZE(kinds))
                return refused(f, "REG-E05",
                               "only GGUF and safetensors files, sets of them and diffusion folders can be "
                               "promoted");
        if (!get_text(o, "source", REGISTRY_TEXT_MAX, &e->source) || !one_of(e->source, sources))
                return malformed(f, "source");
        if (!get_text(o, "policy_digest", REGISTRY_TEXT_MAX, &e->policy_digest) ||
            !is_digest(e->policy_digest))
                return malformed(f, "policy_digest");
        if (!get_text(o, "scanner", REGISTRY_TEXT_MAX, &e->scanner) || e->scanner.n == 0 ||
            !get_text(o, "created", 64, &e->created) || e->created.n == 0)
                return malformed(f, "scanner or created");
        return 0;
}

static int read_documents(const struct json *o, struct evidence *e, struct fault *f) {
        if (!o || o->type != JSON_OBJECT)
                return malformed(f, "documents");
        for (const struct json *c = o->child; c; c = c->next) {
                enum document_kind k = document_kind_from(c->key);

                if (k == DOCUMENT_KIND_MAX || c->type != JSON_STRING ||
                    sha256_from_hex(c->text, &e->documents[k]) < 0)
                        return malformed(f, "documents");
                e->has_document[k] = true;
        }
        return 0;
}

static int read_members(const struct json *o, struct evidence *e, struct fault *f) {
        if (json_get_u64(o, "members", &e->members) < 0 || e->members > SET_MEMBERS_MAX ||
            evidence_is_set(e) != (e->members > 0))
                return malformed(f, "members");
        return read_documents(json_get(o, "documents"), e, f);
}

static int read_root(const struct json *o, struct evidence *e, struct fault *f) {
        static const char *const names[] = {"schema",    "job",     "sha256",        "size",    "name",
                                            "kind",      "source",  "policy_digest", "scanner", "created",
                                            "documents", "members", "summary",       "verdict", NULL};
        int r;

        if (!has_exactly(o, names))
                return malformed(f, "members missing or unknown");
        if (!view_eq_str(json_get_view(o, "schema", VIEW_NULL), "secai.evidence/1"))
                return malformed(f, "schema");
        r = read_facts(o, e, f);
        if (r >= 0)
                r = read_members(o, e, f);
        if (r >= 0)
                r = read_summary(json_get(o, "summary"), e, f);
        return r < 0 ? r : read_verdict(json_get(o, "verdict"), e, f);
}

int evidence_read(struct view text, struct evidence *ret, struct fault *reterr) {
        static const struct json_limits limits = {.depth = 8, .memory = REGISTRY_EVIDENCE_MEMORY};
        _cleanup_(evidence_donep) struct evidence e = {0};
        int r;

        if (text.n > REGISTRY_EVIDENCE_MAX)
                return malformed(reterr, "too large");
        r = json_parse(text, &limits, &e.document, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return malformed(reterr, "not strict JSON");
        r = read_root(json_root(e.document), &e, reterr);
        if (r < 0)
                return r;
        *ret = e;
        e.document = NULL;
        return 0;
}
