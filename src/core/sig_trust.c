#include "core/sig_trust.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "core/sig_root.h"

#define KEY_BYTES_MAX  ((size_t)64 << 10)
#define ROOT_BYTES_MAX ((size_t)1 << 20)

struct loader {
        int keys; /* the folder */
        struct digest *digest;
        struct sig_trust *trust;
        struct fault *fault;
};

static void bio_freep(BIO **b) {
        BIO_free(*b);
}

static int load_file(struct loader *l, struct view name, size_t max, char path[129], struct buf *ret) {
        int r;

        (void)snprintf(path, 129, "%.*s", (int)MIN_OF(name.n, (size_t)128), name.p);
        r = read_file_beneath(l->keys, path, max, ret);
        if (r < 0)
                return fault_set(l->fault, r, "CONFIG-002", 0,
                                 "policy/policy.yaml trusts keys/%.80s, which can't be read: %s", path,
                                 strerrordesc_np(-r));
        return l->digest ? digest_update(l->digest, buf_view(ret)) : 0;
}

static int load_key(struct loader *l, struct view name) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(KEY_BYTES_MAX);
        struct sig_trust *t = l->trust;
        char path[129];
        int r = load_file(l, name, KEY_BYTES_MAX, path, &pem);

        if (r >= 0)
                r = sig_key_from_pem(buf_view(&pem), path, &t->keys[t->n_keys], l->fault);
        if (r >= 0)
                t->n_keys++;
        return r;
}

static int load_certificate(struct loader *l, struct view name) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(KEY_BYTES_MAX);
        _cleanup_(bio_freep) BIO *b = NULL;
        struct sig_trust *t = l->trust;
        char path[129];
        int r = load_file(l, name, KEY_BYTES_MAX, path, &pem);

        if (r < 0)
                return r;
        b = BIO_new_mem_buf(buf_str(&pem), (int)pem.n);
        t->roots[t->n_roots] = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
        if (!t->roots[t->n_roots])
                return fault_set(l->fault, -EBADMSG, "KEY-003", 0, "keys/%.80s is no certificate in PEM",
                                 path);
        t->n_roots++;
        return 0;
}

static int load_list(struct loader *l, const struct json *list, size_t max,
                     int (*load)(struct loader *l, struct view name)) {
        int r = 0;

        if (list && list->count > max)
                return fault_set(l->fault, -E2BIG, "CONFIG-002", list->at,
                                 "more than %zu trusted files of one sort", max);
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next)
                r = load(l, c->text);
        return r;
}

static int copy_text(const struct json *o, const char *key, char out[SIG_IDENTITY_MAX + 1]) {
        struct view v = json_get_view(o, key, VIEW_NULL);

        if (v.n == 0 || v.n > SIG_IDENTITY_MAX || memchr(v.p, '\0', v.n))
                return -EBADMSG;
        memcpy(out, v.p, v.n);
        out[v.n] = '\0';
        return 0;
}

static int load_sigstore(struct loader *l, const struct json *o) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ROOT_BYTES_MAX);
        const struct json *list = json_get_typed(o, "identities", JSON_ARRAY);
        struct view name = json_get_view(o, "trusted_root", VIEW_NULL);
        struct sig_trust *t = l->trust;
        char path[129];
        int r;

        if (!o || name.n == 0)
                return 0;
        r = load_file(l, name, ROOT_BYTES_MAX, path, &text);
        if (r >= 0)
                r = sig_root_read(buf_view(&text), &t->sigstore, l->fault);
        if (r >= 0 && list && list->count > SIG_IDENTITIES_MAX)
                r = fault_set(l->fault, -E2BIG, "CONFIG-002", list->at, "more than %d identities",
                              SIG_IDENTITIES_MAX);
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next) {
                struct sig_identity *id = &t->identities[t->n_identities++];

                if (copy_text(c, "identity", id->identity) < 0 || copy_text(c, "issuer", id->issuer) < 0)
                        r = fault_set(l->fault, -EBADMSG, "CONFIG-002", c->at,
                                      "policy/policy.yaml: an identity needs identity and issuer, 1 to %d "
                                      "bytes each",
                                      SIG_IDENTITY_MAX);
        }
        return r;
}

int sig_trust_add_builder(struct sig_trust *t, struct view id) {
        if (id.n == 0 || id.n > SIG_IDENTITY_MAX || memchr(id.p, '\0', id.n))
                return -EINVAL;
        if (t->n_builders == SIG_BUILDERS_MAX)
                return -E2BIG;
        memcpy(t->builders[t->n_builders], id.p, id.n);
        t->builders[t->n_builders++][id.n] = '\0';
        return 0;
}

static int load_builders(struct loader *l, const struct json *list) {
        for (const struct json *c = list ? list->child : NULL; c; c = c->next)
                if (sig_trust_add_builder(l->trust, c->text) < 0)
                        return fault_set(
                                l->fault, -EBADMSG, "CONFIG-002", c->at,
                                "policy/policy.yaml: provenance.builders lists at most %d names of 1 "
                                "to %d bytes",
                                SIG_BUILDERS_MAX, SIG_IDENTITY_MAX);
        return 0;
}

static bool names_files(const struct json *p) {
        const struct json *keys = json_get_typed(p, "trusted_keys", JSON_ARRAY),
                          *certificates = json_get_typed(p, "trusted_certificates", JSON_ARRAY);

        return (keys && keys->count > 0) || (certificates && certificates->count > 0) ||
               json_get_view(json_get_typed(p, "sigstore", JSON_OBJECT), "trusted_root", VIEW_NULL).n > 0;
}

int sig_trust_load(int config_dir, const struct json *provenance, struct digest *digest,
                   struct sig_trust **ret, struct fault *reterr) {
        _cleanup_(sig_trust_freep) struct sig_trust *t = calloc(1, sizeof *t);
        _cleanup_(closep) int keys = -EBADF;
        struct loader l = {.digest = digest, .trust = t, .fault = reterr};
        int r;

        if (!t)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        if (names_files(provenance)) {
                keys = open_beneath(config_dir, "keys", O_RDONLY | O_DIRECTORY, 0);
                if (keys < 0)
                        return fault_set(reterr, keys, "CONFIG-002", 0,
                                         "policy/policy.yaml names trusted files, but the folder keys/ can't "
                                         "be opened");
                l.keys = keys;
                r = load_list(&l, json_get_typed(provenance, "trusted_keys", JSON_ARRAY), SIG_KEYS_MAX,
                              load_key);
                if (r >= 0)
                        r = load_list(&l, json_get_typed(provenance, "trusted_certificates", JSON_ARRAY),
                                      SIG_ROOTS_MAX, load_certificate);
                if (r >= 0)
                        r = load_sigstore(&l, json_get_typed(provenance, "sigstore", JSON_OBJECT));
                if (r < 0)
                        return r;
        }
        r = load_builders(&l, json_get_typed(provenance, "builders", JSON_ARRAY));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int sig_trust_of_key(struct view pem, const char *name, struct sig_trust **ret, struct fault *reterr) {
        _cleanup_(sig_trust_freep) struct sig_trust *t = calloc(1, sizeof *t);
        int r;

        if (!t)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        r = sig_key_from_pem(pem, name, &t->keys[0], reterr);
        if (r < 0)
                return r;
        t->n_keys = 1;
        *ret = TAKE_PTR(t);
        return 0;
}

struct sig_trust *sig_trust_free(struct sig_trust *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_keys; i++)
                sig_key_done(&t->keys[i]);
        for (size_t i = 0; i < t->n_roots; i++)
                X509_free(t->roots[i]);
        sig_root_free(t->sigstore);
        free(t);
        return NULL;
}
