#include "quarantine/demand.h"

enum match_sort { MATCH_LOCAL, MATCH_URL, MATCH_NAME };

/* All that is set must hold. */
struct wanted {
        const struct sig_key *key;
        const struct sig_identity *identity;
        const char *builder;
};

struct demand {
        enum match_sort sort;
        struct url url;
        char text[DEMAND_MATCH_MAX + 1]; /* as written */
        uint64_t line;
        struct wanted wanted[DEMAND_SIGNERS_MAX];
        size_t n;
};

struct demands {
        struct demand *list;
        size_t n;
};

static int wrong(struct fault *f, const struct json *at, const char *what) {
        return fault_set(f, -EBADMSG, "CONFIG-002", at->at, "policy/policy.yaml:%llu: provenance.sources: %s",
                         (unsigned long long)at->at, what);
}

static const struct sig_key *find_key(const struct sig_trust *t, struct view name) {
        for (size_t i = 0; i < t->n_keys; i++)
                if (view_eq(name, view_of(t->keys[i].name)))
                        return &t->keys[i];
        return NULL;
}

static const struct sig_identity *find_identity(const struct sig_trust *t, struct view identity,
                                                struct view issuer) {
        for (size_t i = 0; i < t->n_identities; i++)
                if (view_eq_str(identity, t->identities[i].identity) &&
                    view_eq_str(issuer, t->identities[i].issuer))
                        return &t->identities[i];
        return NULL;
}

static const char *find_builder(const struct sig_trust *t, struct view builder) {
        for (size_t i = 0; i < t->n_builders; i++)
                if (view_eq_str(builder, t->builders[i]))
                        return t->builders[i];
        return NULL;
}

static int read_wanted(const struct json *o, const struct sig_trust *t, struct wanted *w, struct fault *f) {
        const struct json *key = json_get(o, "key"), *identity = json_get(o, "identity"),
                          *issuer = json_get(o, "issuer"), *builder = json_get(o, "builder");

        if (!!identity != !!issuer || (key && identity) || (!key && !identity && !builder))
                return wrong(f, o, "a signer is a key, or identity and issuer, and may have a builder");
        w->key = key ? find_key(t, key->text) : NULL;
        w->identity = identity ? find_identity(t, identity->text, issuer->text) : NULL;
        w->builder = builder ? find_builder(t, builder->text) : NULL;
        if (key && !w->key)
                return wrong(f, o, "the key is none of trusted_keys");
        if (identity && !w->identity)
                return wrong(f, o, "identity and issuer are none of sigstore.identities");
        return builder && !w->builder ? wrong(f, o, "the builder is none of provenance.builders") : 0;
}

static bool is_pattern(struct view v) {
        for (size_t i = 0; i < v.n; i++)
                if ((unsigned char)v.p[i] < 0x20 || v.p[i] == '/' || v.p[i] == 0x7f)
                        return false;
        return true;
}

static int read_match(struct demand *d, const struct json *o, struct fault *f) {
        struct view match = json_get_view(o, "match", VIEW_NULL);
        struct fault why = FAULT_NONE;

        if (match.n == 0 || match.n > DEMAND_MATCH_MAX)
                return wrong(f, o, "match must have 1 to 512 characters");
        (void)snprintf(d->text, sizeof d->text, "%.*s", VIEW_ARG(match));
        d->line = o->at;
        if (view_eq_str(match, "local")) {
                d->sort = MATCH_LOCAL;
                return 0;
        }
        if (view_find(match, VIEW("://")) == SIZE_MAX) {
                d->sort = MATCH_NAME;
                return is_pattern(match) ? 0 : wrong(f, o, "a name has no slash and no control character");
        }
        d->sort = MATCH_URL;
        return url_parse_pattern(match, &d->url, &why) < 0 ? wrong(f, o, why.text) : 0;
}

static int read_demand(struct demand *d, const struct json *o, const struct sig_trust *t, struct fault *f) {
        const struct json *list = json_get_typed(o, "require", JSON_ARRAY);
        int r = read_match(d, o, f);

        if (r >= 0 && (!list || list->count == 0 || list->count > DEMAND_SIGNERS_MAX))
                r = wrong(f, o, "require must list 1 to 8 signers");
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next)
                r = read_wanted(c, t, &d->wanted[d->n++], f);
        return r;
}

int demands_read(const struct json *list, const struct sig_trust *trust, struct demands **ret,
                 struct fault *reterr) {
        size_t count = list ? list->count : 0;
        struct demands *d;
        int r = 0;

        if (count > DEMANDS_MAX)
                return fault_set(reterr, -E2BIG, "CONFIG-002", list->at,
                                 "policy/policy.yaml: provenance.sources has more than %d entries",
                                 DEMANDS_MAX);
        d = calloc(1, sizeof *d);
        if (d)
                d->list = calloc(count + 1, sizeof *d->list);
        if (!d || !d->list) {
                free(d);
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        }
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next) {
                d->list[d->n].url.text = BUF_INIT(URL_MAX);
                r = read_demand(&d->list[d->n++], c, trust, reterr);
        }
        if (r < 0) {
                demands_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

struct demands *demands_free(struct demands *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++)
                url_done(&d->list[i].url);
        free(d->list);
        free(d);
        return NULL;
}

/* One star is gone back to at a time: at most length times length steps. */
static bool name_fits(struct view pattern, struct view name) {
        size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;

        while (n < name.n) {
                if (p < pattern.n && pattern.p[p] == '*') {
                        star = p++;
                        mark = n;
                } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
                        p++;
                        n++;
                } else if (star != SIZE_MAX) {
                        p = star + 1;
                        n = ++mark;
                } else
                        return false;
        }
        while (p < pattern.n && pattern.p[p] == '*')
                p++;
        return p == pattern.n;
}

/* An address that can't be read matches every entry for addresses: stage 1 refuses it anyway. */
static bool url_fits(const struct url *pattern, const struct artifact *a) {
        _cleanup_(url_donep) struct url u = {.text = BUF_INIT(URL_MAX)};

        if (a->source != SOURCE_URL)
                return false;
        return url_parse(a->url, &u, NULL) < 0 || url_is_beneath(&u, pattern);
}

static bool matches(const struct demand *d, const struct artifact *a) {
        switch (d->sort) {
        case MATCH_LOCAL:
                return a->source != SOURCE_URL;
        case MATCH_URL:
                return url_fits(&d->url, a);
        default:
                return name_fits(view_of(d->text), a->name);
        }
}

bool demands_concern(const struct demands *d, const struct artifact *a) {
        for (size_t i = 0; d && i < d->n; i++)
                if (matches(&d->list[i], a))
                        return true;
        return false;
}

static bool is_wanted(const struct wanted *w, const struct sig_result *signer) {
        if (w->key && (signer->method != SIG_METHOD_KEY || strcmp(signer->key_id, w->key->id) != 0))
                return false;
        if (w->identity && signer->identity != w->identity)
                return false;
        return !w->builder || strcmp(signer->builder, w->builder) == 0;
}

static bool is_met(const struct demand *d, const struct sig_result *signer) {
        for (size_t i = 0; signer && i < d->n; i++)
                if (is_wanted(&d->wanted[i], signer))
                        return true;
        return false;
}

static int tell_wanted(const struct wanted *w, struct buf *out) {
        int r = 0;

        if (w->key)
                r = buf_printf(out, "the key %.40s", w->key->name);
        if (r >= 0 && w->identity)
                r = buf_append_escaped(out, view_of(w->identity->identity), 60);
        if (r >= 0 && w->builder)
                r = buf_append_str(out, w->key || w->identity ? ", built by " : "whoever, built by ");
        return r >= 0 && w->builder ? buf_append_escaped(out, view_of(w->builder), 60) : r;
}

static int tell(const struct demand *d, struct buf *out) {
        int r = buf_printf(out, "policy.yaml:%llu wants files matching ", (unsigned long long)d->line);

        if (r >= 0)
                r = buf_append_escaped(out, view_of(d->text), 60);
        if (r >= 0)
                r = buf_append_str(out, " to be signed by ");
        for (size_t i = 0; r >= 0 && i < d->n; i++) {
                if (i > 0)
                        r = buf_append_str(out, " or ");
                if (r >= 0)
                        r = tell_wanted(&d->wanted[i], out);
        }
        return r;
}

int demands_check(const struct demands *d, const struct artifact *a, const struct sig_result *signer,
                  bool *ret_met, struct buf *out) {
        for (size_t i = 0; d && i < d->n; i++) {
                int r;

                if (!matches(&d->list[i], a) || is_met(&d->list[i], signer))
                        continue;
                r = tell(&d->list[i], out);
                if (r >= 0)
                        *ret_met = false;
                return r;
        }
        *ret_met = true;
        return 0;
}
