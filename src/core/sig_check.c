#include "core/sig_check.h"

#include "base/text.h"
#include "core/sig_certificate.h"
#include "core/sig_intoto.h"
#include "core/sig_sigstore.h"
#include "core/sig_tree.h"

const char *sig_method_name(enum sig_method m) {
        return m == SIG_METHOD_KEY ? "key" : m == SIG_METHOD_CERTIFICATE ? "certificate" : "sigstore";
}

static int check_envelope(const struct sig_bundle *b, const struct sig_key *key, struct fault *f) {
        _cleanup_(buf_donep) struct buf pae = BUF_INIT(SIG_BUNDLE_BYTES_MAX + 128);
        int r = sig_pae(b->payload, &pae);

        if (r >= 0)
                r = sig_key_verify(key, buf_view(&pae), b->signature);
        return r < 0 ? fault_set(f, r, NULL, 0, "the signature could not be checked: %s", strerrordesc_np(-r))
                     : r;
}

static int check_message(const struct sig_bundle *b, const struct sig_key *key, const struct sha256 *file,
                         struct fault *f) {
        int r;

        if (!file)
                return fault_set(f, -EPROTONOSUPPORT, "PROVENANCE-034", 0,
                                 "this signature is over one file; a folder needs one over a statement");
        if (b->digest.n > 0 && !view_eq(b->digest, view_make(file->b, SHA256_SIZE)))
                return fault_set(f, -EBADMSG, "PROVENANCE-018", 0,
                                 "the bundle was made for a file with another SHA-256");
        r = sig_key_verify_sha256(key, file, b->signature);
        if (r == -EOPNOTSUPP)
                return fault_set(
                        f, -EPROTONOSUPPORT, "PROVENANCE-019", 0,
                        "signatures over a file itself are checked with ECDSA P-256 only; sign a statement "
                        "instead (securectl sign)");
        return r < 0 ? fault_set(f, r, NULL, 0, "the signature could not be checked: %s", strerrordesc_np(-r))
                     : r;
}

int sig_check_with(const struct sig_bundle *b, const struct sig_key *key, const struct sha256 *file,
                   struct fault *reterr) {
        int r = b->content == SIG_MESSAGE ? check_message(b, key, file, reterr)
                                          : check_envelope(b, key, reterr);

        if (r < 0)
                return r;
        return r == 1 ? 0
                      : fault_set(reterr, -EBADMSG, "PROVENANCE-017", 0,
                                  "the signature does not fit; the bundle or the file was changed");
}

/* Model Signing names a key by the SHA-256 of its PEM text in hex, cosign by that of its DER form in base64. */
static bool is_hint_of(struct view hint, const struct sig_key *key) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(64);
        uint8_t id[SHA256_SIZE];

        if (view_eq_str(hint, key->hint))
                return true;
        return hex_decode(view_of(key->id), id, sizeof id) >= 0 &&
               base64_encode(view_make(id, sizeof id), &text) >= 0 && view_eq(hint, buf_view(&text));
}

/* Which key is meant: by its hint, else by the key itself in old bundles. */
static const struct sig_key *find_key(const struct sig_bundle *b, const struct sig_trust *t) {
        struct sig_key raw;

        if (b->hint.n > 0) {
                for (size_t i = 0; i < t->n_keys; i++)
                        if (is_hint_of(b->hint, &t->keys[i]))
                                return &t->keys[i];
                return NULL;
        }
        if (b->raw_key.n == 0 || sig_key_from_pem(b->raw_key, "", &raw, NULL) < 0)
                return NULL;
        for (size_t i = 0; i < t->n_keys; i++)
                if (strcmp(raw.id, t->keys[i].id) == 0) {
                        sig_key_done(&raw);
                        return &t->keys[i];
                }
        sig_key_done(&raw);
        return NULL;
}

static int check_key(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                     struct sig_result *ret, struct fault *f) {
        const struct sig_key *key = find_key(b, t);
        int r;

        if (!key)
                return fault_set(f, -ENOKEY, "PROVENANCE-016", 0,
                                 "the bundle names a key that is none of the trusted ones");
        r = sig_check_with(b, key, file, f);
        if (r < 0)
                return r;
        ret->method = SIG_METHOD_KEY;
        (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", key->id);
        (void)snprintf(ret->who, sizeof ret->who, "%s", key->name);
        return 0;
}

/* Key material alone does not tell the certificate method from Sigstore: log entries do. */
int sig_check_signer(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                     uint64_t now, struct sig_result *ret, struct fault *reterr) {
        struct sig_result result = {0};
        int r;

        if (b->material == SIG_PUBLIC_KEY)
                r = check_key(b, t, file, &result, reterr);
        else if (b->n_entries > 0 || b->material == SIG_CERTIFICATE)
                r = sig_sigstore_check(b, t, file, &result, reterr);
        else
                r = sig_certificate_check(b, t, file, now, &result, reterr);
        if (r >= 0)
                *ret = result;
        return r;
}

/* Which files the signed statement is about. */
static int read_files(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                      struct sig_result *result, struct sig_statement **ret, struct fault *f) {
        struct view builder;
        int r = sig_intoto_files(b->payload, t, file, ret, &builder, f);

        if (r >= 0) /* one of those that the owner has written down: no need to escape it */
                (void)snprintf(result->builder, sizeof result->builder, "%.*s", VIEW_ARG(builder));
        return r;
}

int sig_check_file(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                   uint64_t now, struct sig_result *ret, struct fault *reterr) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = NULL;
        struct sig_result result;
        int r = sig_check_signer(b, t, file, now, &result, reterr);

        if (r >= 0 && b->content == SIG_ENVELOPE)
                r = read_files(b, t, file, &result, &s, reterr);
        if (r >= 0 && s)
                r = sig_statement_check_file(s, file, reterr);
        if (r >= 0)
                *ret = result;
        return r;
}

int sig_check_folder(const struct sig_bundle *b, const struct sig_trust *t, int dir_fd, const char *bundle,
                     uint64_t now, struct sig_result *ret, struct fault *reterr) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = NULL;
        struct sig_result result;
        int r = sig_check_signer(b, t, NULL, now, &result, reterr);

        if (r >= 0)
                r = read_files(b, t, NULL, &result, &s, reterr);
        if (r >= 0)
                r = sig_tree_check(dir_fd, s, bundle, &result.files, &result.bytes, reterr);
        if (r >= 0)
                *ret = result;
        return r;
}

int sig_check_listing(const struct sig_bundle *b, const struct sig_trust *t, const struct set_listing *l,
                      uint64_t now, struct sig_result *ret, struct fault *reterr) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = NULL;
        struct sig_result result;
        struct sha256 digest;
        int r = set_listing_digest(l, &digest);

        if (r >= 0)
                r = sig_check_signer(b, t, &digest, now, &result, reterr);
        if (r >= 0 && b->content == SIG_ENVELOPE)
                r = read_files(b, t, NULL, &result, &s, reterr);
        if (r >= 0 && s)
                r = sig_tree_check_listing(s, l, reterr);
        if (r < 0)
                return r;
        result.files = l->n;
        result.bytes = l->size;
        *ret = result;
        return 0;
}

static struct view trimmed(struct view v) {
        while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r' || v.p[v.n - 1] == ' '))
                v.n--;
        return v;
}

int sig_check_detached(struct view signature, const struct sig_trust *t, const struct sha256 *file,
                       struct sig_result *ret, struct fault *reterr) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(SIG_BUNDLE_BYTES_MAX);

        if (base64_decode(trimmed(signature), &raw) >= 0)
                signature = buf_view(&raw);
        for (size_t i = 0; i < t->n_keys; i++) {
                int r = sig_key_verify_sha256(&t->keys[i], file, signature);

                if (r < 0 && r != -EOPNOTSUPP)
                        return fault_set(reterr, r, NULL, 0, "the signature could not be checked: %s",
                                         strerrordesc_np(-r));
                if (r != 1)
                        continue;
                *ret = (struct sig_result){.method = SIG_METHOD_KEY};
                (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", t->keys[i].id);
                (void)snprintf(ret->who, sizeof ret->who, "%s", t->keys[i].name);
                return 0;
        }
        return fault_set(reterr, -EBADMSG, "PROVENANCE-004", 0,
                         "the detached signature fits none of the trusted ECDSA P-256 keys");
}
