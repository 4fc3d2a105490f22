#include "core/identity.h"

#include "base/secret.h"
#include "core/config.h"
#include "core/digest.h"

struct inbound {
        char caller[IDENTITY_NAME_MAX];
        size_t n_caller;
        struct sha256 digest;
        uint64_t uid; /* UINT64_MAX: not known by uid */
        bool has_digest;
};

struct outbound {
        char target[IDENTITY_NAME_MAX];
        size_t n_target;
        struct secret token;
};

struct identity {
        struct inbound inbound[IDENTITY_CALLERS_MAX];
        size_t n_inbound;
        struct outbound outbound[IDENTITY_CALLERS_MAX];
        size_t n_outbound;
        struct json_document *acl;
};

static int copy_name(struct view v, char out[IDENTITY_NAME_MAX], size_t *ret_n) {
        if (v.n == 0 || v.n > IDENTITY_NAME_MAX)
                return -EBADMSG;
        memcpy(out, v.p, v.n);
        *ret_n = v.n;
        return 0;
}

static int add_inbound(struct identity *id, const struct json *o) {
        static const char *const known[] = {"caller", "sha256", "uid", NULL};
        struct inbound *in = &id->inbound[id->n_inbound];
        struct view digest = json_get_view(o, "sha256", VIEW_NULL);
        int r;

        if (id->n_inbound == IDENTITY_CALLERS_MAX || json_unknown_member(o, known))
                return -EBADMSG;
        r = copy_name(json_get_view(o, "caller", VIEW_NULL), in->caller, &in->n_caller);
        if (r == 0 && digest.p)
                r = sha256_from_hex(digest, &in->digest);
        if (r < 0)
                return -EBADMSG;
        in->has_digest = digest.p != NULL;
        r = json_get_u64(o, "uid", &in->uid);
        if (r == -ENOENT)
                in->uid = UINT64_MAX;
        else if (r < 0 || in->uid >= UINT32_MAX)
                return -EBADMSG;
        id->n_inbound++;
        return 0;
}

static int add_outbound(struct identity *id, const struct json *o) {
        static const char *const known[] = {"target", "token", NULL};
        struct outbound *out = &id->outbound[id->n_outbound];
        struct view token = json_get_view(o, "token", VIEW_NULL);
        int r;

        if (id->n_outbound == IDENTITY_CALLERS_MAX || token.n == 0 || json_unknown_member(o, known))
                return -EBADMSG;
        r = copy_name(json_get_view(o, "target", VIEW_NULL), out->target, &out->n_target);
        if (r == 0)
                r = secret_copy(token, &out->token);
        if (r == 0)
                id->n_outbound++;
        return r;
}

static int add_list(struct identity *id, const struct json *root, const char *key,
                    int (*add)(struct identity *, const struct json *)) {
        const struct json *list = json_get_typed(root, key, JSON_ARRAY);

        if (!list)
                return json_get(root, key) ? -EBADMSG : 0;
        for (const struct json *o = list->child; o; o = o->next) {
                int r = add(id, o);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_tokens(struct identity *id, struct view tokens, struct fault *reterr) {
        static const char *const known[] = {"inbound", "outbound", NULL};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *root;
        int r;

        if (tokens.n == 0)
                return 0;
        r = json_parse(tokens, NULL, &d, reterr);
        if (r < 0)
                return r;
        root = json_root(d);
        r = root->type != JSON_OBJECT || json_unknown_member(root, known) ? -EBADMSG : 0;
        if (r == 0)
                r = add_list(id, root, "inbound", add_inbound);
        if (r == 0)
                r = add_list(id, root, "outbound", add_outbound);
        if (r < 0)
                return fault_set(reterr, r, "TOKENS-001", 0,
                                 "tokens.json: expected {\"inbound\":[{\"caller\",\"sha256\"}],"
                                 "\"outbound\":[{\"target\",\"token\"}]}");
        return 0;
}

int identity_new(struct view tokens, int config_dir, struct identity **ret, struct fault *reterr) {
        struct identity *id = calloc(1, sizeof(*id));
        int r;

        if (!id)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        r = read_tokens(id, tokens, reterr);
        if (r == 0)
                r = config_load(config_dir, "service-acl.yaml", "service-acl", &id->acl, reterr);
        if (r < 0) {
                identity_free(id);
                return r;
        }
        *ret = id;
        return 0;
}

struct identity *identity_free(struct identity *id) {
        if (!id)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(id->outbound); i++)
                secret_done(&id->outbound[i].token);
        json_document_free(id->acl);
        free(id);
        return NULL;
}

/* All entries are compared, so that time does not tell which one was nearly right. */
struct view identity_of_token(const struct identity *id, struct view token) {
        struct view found = VIEW_NULL;
        struct sha256 digest;

        if (token.n == 0 || sha256_of(token, &digest) < 0)
                return VIEW_NULL;
        for (size_t i = 0; i < id->n_inbound; i++) {
                const struct inbound *in = &id->inbound[i];

                if (in->has_digest && view_eq_constant_time(view_make(digest.b, sizeof(digest.b)),
                                                            view_make(in->digest.b, sizeof(in->digest.b))))
                        found = (struct view){in->caller, in->n_caller};
        }
        return found;
}

struct view identity_of_uid(const struct identity *id, uint32_t uid) {
        for (size_t i = 0; i < id->n_inbound; i++)
                if (id->inbound[i].uid == uid)
                        return (struct view){id->inbound[i].caller, id->inbound[i].n_caller};
        return VIEW_NULL;
}

struct view identity_token_for(const struct identity *id, struct view target) {
        for (size_t i = 0; i < id->n_outbound; i++)
                if (view_eq((struct view){id->outbound[i].target, id->outbound[i].n_target}, target))
                        return secret_view(&id->outbound[i].token);
        return VIEW_NULL;
}

bool identity_may(const struct identity *id, struct view caller, const char *permission) {
        const struct json *callers = json_get_typed(json_root(id->acl), "callers", JSON_OBJECT);

        for (const struct json *c = callers ? callers->child : NULL; c; c = c->next) {
                if (!view_eq(c->key, caller) || c->type != JSON_ARRAY)
                        continue;
                for (const struct json *p = c->child; p; p = p->next)
                        if (p->type == JSON_STRING && view_eq_str(p->text, permission))
                                return true;
        }
        return false;
}
