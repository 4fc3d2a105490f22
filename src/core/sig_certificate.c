#include "core/sig_certificate.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/sig_stamp.h"

static void store_freep(X509_STORE **s) {
        X509_STORE_free(*s);
}
static void context_freep(X509_STORE_CTX **c) {
        X509_STORE_CTX_free(*c);
}
static void stack_freep(STACK_OF(X509) * *s) {
        sk_X509_free(*s); /* its members are borrowed */
}

void sig_chain_done(struct sig_chain *c) {
        X509_free(c->leaf);
        X509_free(c->issuer);
        *c = (struct sig_chain){0};
}

static int read_leaf(struct view der, X509 **ret) {
        const unsigned char *p = (const unsigned char *)der.p;
        X509 *x = der.n > SIG_CERTIFICATE_MAX ? NULL : d2i_X509(NULL, &p, (long)der.n);

        if (x && (size_t)(p - (const unsigned char *)der.p) != der.n) {
                X509_free(x);
                x = NULL;
        }
        if (!x)
                return -EBADMSG;
        *ret = x;
        return 0;
}

static int add_all(X509_STORE *store, X509 *const *roots, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (X509_STORE_add_cert(store, roots[i]) != 1)
                        return -ENOMEM;
        return 0;
}

static int push_all(STACK_OF(X509) * list, X509 *const *all, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (sk_X509_push(list, all[i]) <= 0)
                        return -ENOMEM;
        return 0;
}

static int explain(X509_STORE_CTX *c, struct fault *f) {
        int error = X509_STORE_CTX_get_error(c);
        bool is_time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;

        if (is_time)
                return fault_set(f, -EKEYEXPIRED, "PROVENANCE-043", 0,
                                 "a certificate is not valid at the time of the signature: %s",
                                 X509_verify_cert_error_string(error));
        return fault_set(f, -EKEYREJECTED, "PROVENANCE-041", 0,
                         "the certificates lead to no pinned authority: %s",
                         X509_verify_cert_error_string(error));
}

static int verify(X509_STORE *store, X509 *leaf, STACK_OF(X509) * between, uint64_t at, X509 **ret_issuer,
                  struct fault *f) {
        _cleanup_(context_freep) X509_STORE_CTX *c = X509_STORE_CTX_new();
        STACK_OF(X509) * chain;
        X509 *issuer;

        if (!c || X509_STORE_CTX_init(c, store, leaf, between) != 1)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(c), (time_t)at);
        X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(c), SIG_CHAIN_MAX);
        if (X509_verify_cert(c) != 1)
                return explain(c, f);
        chain = X509_STORE_CTX_get0_chain(c);
        issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : sk_X509_value(chain, 0);
        if (X509_up_ref(issuer) != 1)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        *ret_issuer = issuer;
        return 0;
}

int sig_chain_build(struct view leaf, X509 *const *between, size_t n_between, X509 *const *roots,
                    size_t n_roots, uint64_t at, struct sig_chain *ret, struct fault *reterr) {
        _cleanup_(store_freep) X509_STORE *store = X509_STORE_new();
        _cleanup_(stack_freep) STACK_OF(X509) *list = sk_X509_new_null();
        _cleanup_(sig_chain_donep) struct sig_chain c = {0};
        int r;

        if (!store || !list || add_all(store, roots, n_roots) < 0 || push_all(list, between, n_between) < 0)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        if (read_leaf(leaf, &c.leaf) < 0)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-040", 0,
                                 "the signer's certificate can't be read");
        r = verify(store, c.leaf, list, at, &c.issuer, reterr);
        if (r < 0)
                return r;
        *ret = c;
        memset(&c, 0, sizeof c); /* handed over: nothing is cleaned up here */
        return 0;
}

int sig_chain_key(const struct sig_chain *c, bool need_eku, struct sig_key *ret, struct fault *reterr) {
        uint32_t flags = X509_get_extension_flags(c->leaf);
        bool has_eku = (flags & EXFLAG_XKUSAGE) != 0, has_usage = (flags & EXFLAG_KUSAGE) != 0;
        bool may_sign = (X509_get_key_usage(c->leaf) & KU_DIGITAL_SIGNATURE) != 0;
        bool is_code = (X509_get_extended_key_usage(c->leaf) & XKU_CODE_SIGN) != 0;
        int r;

        if (flags & EXFLAG_CA)
                return fault_set(reterr, -EKEYREJECTED, "PROVENANCE-042", 0,
                                 "the signer's certificate is that of an authority, not of a signer");
        if ((has_usage && !may_sign) || (has_eku && !is_code) || (need_eku && !has_eku) ||
            (!has_usage && !has_eku))
                return fault_set(
                        reterr, -EKEYREJECTED, "PROVENANCE-042", 0,
                        "the signer's certificate is not meant for signing (digitalSignature, codeSigning)");
        r = sig_key_from(X509_get0_pubkey(c->leaf), "", ret);
        return r < 0 ? fault_set(reterr, r, "PROVENANCE-019", 0,
                                 "the signer's key is of a sort that is not supported")
                     : 0;
}

static int subject_of(X509 *leaf, char out[SIG_IDENTITY_MAX + 1]) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT((size_t)8 * SIG_IDENTITY_MAX);
        char text[SIG_IDENTITY_MAX];

        if (!X509_NAME_oneline(X509_get_subject_name(leaf), text, sizeof text))
                return -ENOMEM;
        if (buf_append_escaped(&shown, view_of(text), 120) < 0)
                return -ENOMEM;
        (void)snprintf(out, SIG_IDENTITY_MAX + 1, "%s", buf_str(&shown));
        return 0;
}

static void free_between(X509 **between, size_t n) {
        for (size_t i = 0; i < n; i++)
                X509_free(between[i]);
}

static int build(const struct sig_bundle *b, const struct sig_trust *t, uint64_t at, struct sig_chain *ret,
                 struct fault *f) {
        X509 *between[SIG_CHAIN_MAX];
        size_t n = 0;
        int r = 0;

        for (size_t i = 1; r >= 0 && i < b->n_certificates; i++) {
                r = read_leaf(b->certificates[i], &between[n]);
                if (r >= 0)
                        n++;
                else
                        r = fault_set(f, -EBADMSG, "PROVENANCE-040", 0,
                                      "a certificate of the chain can't be read");
        }
        if (r >= 0)
                r = sig_chain_build(b->certificates[0], between, n, t->roots, t->n_roots, at, ret, f);
        free_between(between, n);
        return r;
}

int sig_certificate_check(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                          uint64_t now, struct sig_result *ret, struct fault *reterr) {
        _cleanup_(sig_chain_donep) struct sig_chain chain = {0};
        struct sig_key key = {0};
        uint64_t at = now;
        int r;

        if (t->n_roots == 0)
                return fault_set(
                        reterr, -ENOKEY, "PROVENANCE-044", 0,
                        "signed with a certificate, but policy.yaml pins none under trusted_certificates");
        if (b->n_stamps > 0) {
                r = sig_stamp_check(b, t->sigstore, &at, reterr);
                if (r < 0)
                        return r;
                ret->signed_at = at;
        }
        r = build(b, t, at, &chain, reterr);
        if (r >= 0)
                r = sig_chain_key(&chain, false, &key, reterr);
        if (r >= 0)
                r = sig_check_with(b, &key, file, reterr);
        if (r >= 0 && subject_of(chain.leaf, ret->who) < 0)
                r = fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        if (r >= 0) {
                ret->method = SIG_METHOD_CERTIFICATE;
                (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", key.id);
        }
        sig_key_done(&key);
        return r;
}
