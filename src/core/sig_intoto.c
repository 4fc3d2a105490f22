#include "core/sig_intoto.h"

#include "core/sig_check.h"
#include "core/sig_tree.h"

#define STATEMENT_TYPE  "https://in-toto.io/Statement/v1"
#define SLSA_PROVENANCE "https://slsa.dev/provenance/v1"
#define SLSA_SUMMARY    "https://slsa.dev/verification_summary/v1"
#define VERIFIER        "urn:secai:quarantine:"

static int fault_at(struct fault *f, const char *rule, const struct json *at, const char *what) {
        return fault_set(f, -EBADMSG, rule, at ? at->at : 0, "statement: %s", what);
}

/* Other digests of the same artifact may stand beside the one that counts here. */
static int read_subject(struct sig_intoto *s, const struct json *o, struct fault *f) {
        static const char *const names[] = {"name",      "digest",  "uri",         "downloadLocation",
                                            "mediaType", "content", "annotations", NULL};
        const struct json *digest = json_get_typed(o, "digest", JSON_OBJECT);
        struct sig_subject *x = &s->subjects[s->n];

        if (o->type != JSON_OBJECT || json_unknown_member(o, names))
                return fault_at(f, "PROVENANCE-021", o, "a subject has an unknown member");
        if (sha256_from_hex(json_get_view(digest, "sha256", VIEW_NULL), &x->sha256) < 0)
                return fault_at(f, "PROVENANCE-021", o, "a subject has no SHA-256 of 64 lower-case digits");
        x->name = json_get_view(o, "name", VIEW_NULL);
        s->n++;
        return 0;
}

static int read_subjects(struct sig_intoto *s, const struct json *list, struct fault *f) {
        int r = 0;

        if (!list || list->type != JSON_ARRAY || list->count == 0 || list->count > SIG_RESOURCES_MAX)
                return fault_set(f, -EBADMSG, "PROVENANCE-021", list ? list->at : 0,
                                 "statement: there must be 1 to %d subjects", SIG_RESOURCES_MAX);
        s->subjects = calloc(list->count, sizeof *s->subjects);
        if (!s->subjects)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        for (const struct json *c = list->child; r >= 0 && c; c = c->next)
                r = read_subject(s, c, f);
        return r;
}

static int read_statement(struct sig_intoto *s, const struct json *root, struct fault *f) {
        static const char *const names[] = {"_type", "subject", "predicateType", "predicate", NULL};

        if (!root || root->type != JSON_OBJECT || json_unknown_member(root, names) ||
            !view_eq_str(json_get_view(root, "_type", VIEW_NULL), STATEMENT_TYPE))
                return fault_at(f, "PROVENANCE-020", root, "not an in-toto Statement v1");
        s->type = json_get_view(root, "predicateType", VIEW_NULL);
        s->predicate = json_get_typed(root, "predicate", JSON_OBJECT);
        if (!s->predicate)
                return fault_at(f, "PROVENANCE-020", root, "the predicate is missing");
        return read_subjects(s, json_get(root, "subject"), f);
}

int sig_intoto_read(struct view payload, struct sig_intoto **ret, struct fault *reterr) {
        _cleanup_(sig_intoto_freep) struct sig_intoto *s = calloc(1, sizeof *s);
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

struct sig_intoto *sig_intoto_free(struct sig_intoto *s) {
        if (!s)
                return NULL;
        json_document_free(s->document);
        free(s->subjects);
        free(s);
        return NULL;
}

/* --- subjects as files --- */

static int by_path(const void *a, const void *b) {
        return view_compare(((const struct sig_resource *)a)->path, ((const struct sig_resource *)b)->path);
}

static int copy_subjects(const struct sig_intoto *i, size_t first, struct sig_statement *s, struct fault *f) {
        for (size_t k = first; k < i->n; k++) {
                struct sig_resource *x = &s->resources[s->n_resources++];

                if (!sig_path_is_safe(i->subjects[k].name))
                        return fault_at(f, "PROVENANCE-022", NULL,
                                        "the name of a subject is not a plain relative path");
                x->path = i->subjects[k].name;
                memcpy(x->digest, i->subjects[k].sha256.b, SHA256_SIZE);
        }
        qsort(s->resources, s->n_resources, sizeof *s->resources, by_path);
        for (size_t k = 1; k < s->n_resources; k++)
                if (by_path(&s->resources[k - 1], &s->resources[k]) == 0)
                        return fault_at(f, "PROVENANCE-022", NULL, "a file is named twice");
        return 0;
}

/* The one that is asked about, or the first, which then is not the file that was signed. */
static void copy_one(const struct sig_intoto *i, const struct sha256 *file, struct sig_statement *s) {
        size_t at = 0;

        for (size_t k = 0; k < i->n; k++)
                if (memcmp(&i->subjects[k].sha256, file, sizeof *file) == 0)
                        at = k;
        s->resources[0].path = VIEW(".");
        memcpy(s->resources[0].digest, i->subjects[at].sha256.b, SHA256_SIZE);
        s->n_resources = 1;
}

/* The signature's own file may lie beside them, and so may what Git keeps. */
static void leave_out(struct sig_statement *s) {
        for (size_t i = 0; sig_default_ignored[i] && s->n_ignored < SIG_IGNORED_MAX; i++)
                s->ignored[s->n_ignored++] = view_of(sig_default_ignored[i]);
}

static int make_statement(struct sig_intoto *i, size_t first, const struct sha256 *file,
                          struct sig_statement **ret, struct fault *f) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = calloc(1, sizeof *s);
        int r = 0;

        if (s)
                s->resources = calloc(i->n, sizeof *s->resources);
        if (!s || !s->resources)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        s->hash = SIG_SHA256;
        s->name = i->subjects[0].name;
        leave_out(s);
        if (file)
                copy_one(i, file, s);
        else
                r = copy_subjects(i, first, s, f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

/* --- SLSA provenance --- */

static bool names_builder(const struct sig_trust *t, struct view builder) {
        for (size_t i = 0; i < t->n_builders; i++)
                if (view_eq_str(builder, t->builders[i]))
                        return true;
        return false;
}

static int check_build(const struct json *p, struct fault *f) {
        const struct json *build = json_get_typed(p, "buildDefinition", JSON_OBJECT),
                          *used = json_get(build, "resolvedDependencies");

        if (json_get_view(build, "buildType", VIEW_NULL).n == 0 ||
            !json_get_typed(build, "externalParameters", JSON_OBJECT) || (used && used->type != JSON_ARRAY))
                return fault_at(f, "PROVENANCE-025", p,
                                "buildDefinition needs a buildType and externalParameters, and "
                                "resolvedDependencies must be a list");
        return 0;
}

static int read_builder(const struct sig_intoto *i, const struct sig_trust *t, struct view *ret,
                        struct fault *f) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);
        struct view id = json_get_view(json_get(json_get(i->predicate, "runDetails"), "builder"), "id",
                                       VIEW_NULL);
        int r = check_build(i->predicate, f);

        if (r < 0)
                return r;
        if (id.n == 0 || id.n > SIG_IDENTITY_MAX)
                return fault_at(f, "PROVENANCE-025", i->predicate, "runDetails.builder.id is missing");
        if (!names_builder(t, id)) {
                r = buf_append_escaped(&shown, id, 100);
                return fault_set(f, -EKEYREJECTED, "PROVENANCE-026", 0,
                                 "built by %s, which policy.yaml doesn't name (provenance.builders)",
                                 r < 0 ? "somebody" : buf_str(&shown));
        }
        *ret = id;
        return 0;
}

/* Whether it is worth looking: most statements are of Model Signing, and those are read once only. */
static bool may_be_slsa(struct view payload) {
        return view_find(payload, VIEW("slsa.dev")) != SIZE_MAX;
}

int sig_intoto_files(struct view payload, const struct sig_trust *t, const struct sha256 *file,
                     struct sig_statement **ret, struct view *ret_builder, struct fault *reterr) {
        _cleanup_(sig_intoto_freep) struct sig_intoto *i = NULL;
        int r = may_be_slsa(payload) ? sig_intoto_read(payload, &i, reterr) : 0;

        if (r < 0)
                return r;
        *ret_builder = VIEW_NULL;
        if (!i || !view_eq_str(i->type, SLSA_PROVENANCE))
                return sig_statement_read(payload, ret, reterr);
        r = read_builder(i, t, ret_builder, reterr);
        if (r >= 0)
                r = make_statement(i, 0, file, ret, reterr);
        if (r >= 0)
                (*ret)->document = TAKE_PTR(i->document); /* the views go with it */
        return r;
}

/* --- verification summaries of our own --- */

static int check_verifier(const struct sig_summary *s, const struct sig_key *key, struct fault *f) {
        char expected[sizeof VERIFIER + SHA256_HEX_SIZE];
        const struct json *p = s->statement->predicate;

        (void)snprintf(expected, sizeof expected, VERIFIER "%s", key->id);
        if (!view_eq_str(json_get_view(json_get(p, "verifier"), "id", VIEW_NULL), expected))
                return fault_at(f, "PROVENANCE-027", p, "the verifier is not the one whose key signed it");
        return 0;
}

static int read_result(struct sig_summary *s, struct fault *f) {
        const struct json *p = s->statement->predicate,
                          *version = json_get(json_get(p, "verifier"), "version"),
                          *digest = json_get(json_get(p, "policy"), "digest");
        struct view result = json_get_view(p, "verificationResult", VIEW_NULL);

        s->is_pass = view_eq_str(result, "PASSED");
        s->scanner = json_get_view(version, "scanner", VIEW_NULL);
        s->policy = json_get_view(digest, "sha256", VIEW_NULL);
        if ((!s->is_pass && !view_eq_str(result, "FAILED")) || s->scanner.n == 0 || s->policy.n != 64)
                return fault_at(f, "PROVENANCE-027", p,
                                "verificationResult, the scanner or the digest of the policy is missing");
        return 0;
}

static int read_files(struct sig_summary *s, struct fault *f) {
        const struct sig_subject *first = &s->statement->subjects[0];
        uint64_t members;

        if (json_get_u64(json_get(s->statement->predicate, "secai_artifact"), "members", &members) < 0 ||
            members != s->statement->n - 1)
                return fault_at(f, "PROVENANCE-027", s->statement->predicate,
                                "the number of files is not that of the subjects");
        s->name = first->name;
        s->sha256 = first->sha256;
        return members > 0 ? make_statement(s->statement, 1, NULL, &s->files, f) : 0;
}

static int read_summary(struct sig_summary *s, const struct sig_key *key, struct fault *f) {
        int r;

        if (!view_eq_str(s->statement->type, SLSA_SUMMARY))
                return fault_at(f, "PROVENANCE-027", NULL, "the predicateType is not " SLSA_SUMMARY);
        r = check_verifier(s, key, f);
        if (r >= 0)
                r = read_result(s, f);
        return r < 0 ? r : read_files(s, f);
}

int sig_summary_read(const struct sig_bundle *envelope, const struct sig_key *key, struct sig_summary *ret,
                     struct fault *reterr) {
        _cleanup_(sig_summary_donep) struct sig_summary s = {0};
        int r = 0;

        if (envelope->content != SIG_ENVELOPE ||
            (envelope->hint.n > 0 && !view_eq_str(envelope->hint, key->id)))
                r = fault_set(reterr, -ENOKEY, "PROVENANCE-016", 0,
                              "the statement is signed by another key than quarantine's");
        if (r >= 0)
                r = sig_check_with(envelope, key, NULL, reterr);
        if (r >= 0)
                r = sig_intoto_read(envelope->payload, &s.statement, reterr);
        if (r >= 0)
                r = read_summary(&s, key, reterr);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct sig_summary){0};
        return 0;
}

/* The rules that refused it, as far as there is room. */
static int tell_refused(const struct sig_summary *s, struct fault *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(256);
        const struct json *stages = json_get_typed(s->statement->predicate, "secai_stages", JSON_ARRAY);
        int r = 0;

        for (const struct json *c = stages ? stages->child : NULL; c; c = c->next) {
                const struct json *rules = json_get_typed(c, "rules", JSON_ARRAY);

                for (const struct json *x = rules ? rules->child : NULL; r >= 0 && x && text.n < 80;
                     x = x->next)
                        if (view_eq_str(json_get_view(x, "severity", VIEW_NULL), "reject")) {
                                r = buf_append_str(&text, " ");
                                if (r >= 0)
                                        r = buf_append_escaped(&text, json_get_view(x, "rule", VIEW_NULL),
                                                               16);
                        }
        }
        return fault_set(f, -EKEYREJECTED, "PROVENANCE-028", 0, "quarantine rejected it:%s",
                         text.n > 0 ? buf_str(&text) : " not all stages were passed");
}

int sig_summary_check_file(const struct sig_summary *s, const struct sha256 *digest, struct fault *reterr) {
        if (s->files)
                return fault_set(reterr, -EPROTONOSUPPORT, "PROVENANCE-034", 0,
                                 "the statement is about a folder; name the folder");
        if (memcmp(&s->sha256, digest, sizeof *digest) != 0)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-031", 0,
                                 "the statement is about another file: its SHA-256 differs");
        return s->is_pass ? 0 : tell_refused(s, reterr);
}

int sig_summary_check_folder(const struct sig_summary *s, int dir_fd, uint64_t *ret_files,
                             uint64_t *ret_bytes, struct fault *reterr) {
        int r;

        if (!s->files)
                return fault_set(reterr, -EPROTONOSUPPORT, "PROVENANCE-034", 0,
                                 "the statement is about a single file; name the file");
        r = sig_tree_check(dir_fd, s->files, "model.sig", ret_files, ret_bytes, reterr);
        if (r < 0)
                return r;
        return s->is_pass ? 0 : tell_refused(s, reterr);
}

void sig_summary_done(struct sig_summary *s) {
        sig_statement_free(s->files);
        sig_intoto_free(s->statement);
        *s = (struct sig_summary){0};
}
