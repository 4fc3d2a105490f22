#include "core/sig_stamp.h"

#include <openssl/ts.h>
#include <openssl/x509_vfy.h>
#include <time.h>

/* OpenSSL 3.4 gave these their names; what they do is the same. */
#if OPENSSL_VERSION_NUMBER < 0x30400000L
#define TS_VERIFY_CTX_set0_store TS_VERIFY_CTX_set_store
#define TS_VERIFY_CTX_set0_certs TS_VERIFY_CTX_set_certs
#define TS_VERIFY_CTX_set0_data  TS_VERIFY_CTX_set_data
#endif

static void response_freep(TS_RESP **r) {
        TS_RESP_free(*r);
}
static void verify_freep(TS_VERIFY_CTX **c) {
        TS_VERIFY_CTX_free(*c);
}

static int refuse(struct fault *f, const char *what) {
        return fault_set(f, -EBADMSG, "PROVENANCE-063", 0, "time stamp: %s", what);
}

static int time_of(TS_RESP *response, uint64_t *ret) {
        TS_TST_INFO *info = TS_RESP_get_tst_info(response);
        const ASN1_GENERALIZEDTIME *at = info ? TS_TST_INFO_get_time(info) : NULL;
        struct tm t;
        time_t seconds;

        if (!at || ASN1_TIME_to_tm(at, &t) != 1)
                return -EBADMSG;
        seconds = timegm(&t);
        if (seconds < 0)
                return -EBADMSG;
        *ret = (uint64_t)seconds;
        return 0;
}

/* OpenSSL follows whatever digest the stamp names; SHA-1 would not bind it to the signature. */
static bool has_strong_imprint(TS_RESP *response) {
        TS_TST_INFO *info = TS_RESP_get_tst_info(response);
        const ASN1_OBJECT *algorithm = NULL;
        int nid;

        if (!info)
                return false;
        X509_ALGOR_get0(&algorithm, NULL, NULL, TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(info)));
        nid = OBJ_obj2nid(algorithm);
        return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

/* Only the authority's own chain; the last certificate is the anchor, the others are known to the verifier. */
static X509_STORE *store_of(const struct sig_authority *a, uint64_t at) {
        X509_STORE *store = X509_STORE_new();

        if (!store)
                return NULL;
        if (X509_STORE_add_cert(store, a->chain[a->n - 1]) != 1) {
                X509_STORE_free(store);
                return NULL;
        }
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)at);
        return store;
}

static STACK_OF(X509) * chain_of(const struct sig_authority *a) {
        STACK_OF(X509) *list = sk_X509_new_null();

        for (size_t i = 0; list && i < a->n; i++)
                if (X509_up_ref(a->chain[i]) != 1 || sk_X509_push(list, a->chain[i]) <= 0) {
                        sk_X509_pop_free(list, X509_free);
                        return NULL;
                }
        return list;
}

static bool fits(TS_RESP *response, struct view signature, const struct sig_authority *a, uint64_t at) {
        _cleanup_(verify_freep) TS_VERIFY_CTX *c = TS_VERIFY_CTX_new();
        X509_STORE *store = store_of(a, at);
        STACK_OF(X509) *chain = chain_of(a);
        BIO *data = BIO_new_mem_buf(signature.p, (int)signature.n);

        if (!c || !store || !chain || !data) {
                X509_STORE_free(store);
                sk_X509_pop_free(chain, X509_free);
                BIO_free(data);
                return false;
        }
        (void)TS_VERIFY_CTX_set0_store(c, store); /* the context owns all three */
        (void)TS_VERIFY_CTX_set0_certs(c, chain);
        (void)TS_VERIFY_CTX_set0_data(c, data);
        (void)TS_VERIFY_CTX_set_flags(c, TS_VFY_VERSION | TS_VFY_SIGNATURE | TS_VFY_DATA);
        return TS_RESP_verify_response(c, response) == 1;
}

static int check_one(struct view stamp, struct view signature, const struct sig_root *root, uint64_t *ret,
                     struct fault *f) {
        const unsigned char *p = (const unsigned char *)stamp.p;
        _cleanup_(response_freep) TS_RESP *response = d2i_TS_RESP(NULL, &p, (long)stamp.n);
        uint64_t at;

        if (!response || p != (const unsigned char *)stamp.p + stamp.n || time_of(response, &at) < 0 ||
            !has_strong_imprint(response))
                return refuse(f, "can't be read");
        for (size_t i = 0; i < root->n_stampers; i++)
                if (sig_window_holds(&root->stampers[i].window, at) &&
                    fits(response, signature, &root->stampers[i], at)) {
                        *ret = at;
                        return 0;
                }
        return refuse(f, "not by a pinned authority at a time of its validity, or not over this signature");
}

int sig_stamp_check(const struct sig_bundle *b, const struct sig_root *root, uint64_t *ret_seconds,
                    struct fault *reterr) {
        uint64_t latest = 0;
        int r = 0;

        if (!root || root->n_stampers == 0)
                return refuse(
                        reterr,
                        "no authority for time stamps is pinned (sigstore.trusted_root in policy.yaml)");
        for (size_t i = 0; r >= 0 && i < b->n_stamps; i++) {
                uint64_t at = 0;

                r = check_one(b->stamps[i], b->signature, root, &at, reterr);
                latest = MAX_OF(latest, at);
        }
        if (r >= 0)
                *ret_seconds = latest;
        return r;
}
