#include "core/sig_sct.h"

#include <openssl/ct.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define MSEC_PER_SEC 1000U

static void list_freep(STACK_OF(SCT) * *l) {
        SCT_LIST_free(*l);
}

static int put_number(struct buf *out, uint64_t v, unsigned bytes) {
        int r = 0;

        while (r >= 0 && bytes-- > 0)
                r = buf_append_char(out, (char)(v >> (8 * bytes) & 0xff));
        return r;
}

/* What was signed over before the receipts were put in. They are taken out of the leaf itself: a copy would decode its key
 * once more, which costs more than all the hashing here. */
static int take_receipts(X509 *leaf, struct buf *ret_certificate) {
        unsigned char *der = NULL;
        int at = X509_get_ext_by_NID(leaf, NID_ct_precert_scts, -1), n, r;

        if (at < 0)
                return -ENOENT;
        X509_EXTENSION_free(X509_delete_ext(leaf, at));
        n = i2d_re_X509_tbs(leaf, &der);
        if (n <= 0)
                return -ENOMEM;
        r = put_number(ret_certificate, (uint64_t)n, 3);
        if (r >= 0)
                r = buf_append(ret_certificate, der, (size_t)n);
        OPENSSL_free(der);
        return r;
}

static int put_issuer(X509 *issuer, struct buf *out) {
        unsigned char *der = NULL;
        struct sha256 digest;
        int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &der), r;

        if (n <= 0)
                return -ENOMEM;
        r = sha256_of(view_make(der, (size_t)n), &digest);
        OPENSSL_free(der);
        return r < 0 ? r : buf_append(out, digest.b, SHA256_SIZE);
}

static int signed_text(const struct sig_chain *chain, struct view certificate, const SCT *sct,
                       struct buf *out) {
        unsigned char *extensions = NULL;
        size_t n = SCT_get0_extensions(sct, &extensions);
        int r = put_number(out, 0, 2); /* version 1, certificate timestamp */

        if (r >= 0)
                r = put_number(out, SCT_get_timestamp(sct), 8);
        if (r >= 0)
                r = put_number(out, 1, 2); /* an entry of a certificate before its receipts */
        if (r >= 0)
                r = put_issuer(chain->issuer, out);
        if (r >= 0)
                r = buf_append_view(out, certificate);
        if (r >= 0)
                r = put_number(out, n, 2);
        return r < 0 ? r : buf_append(out, extensions, n);
}

/* 1 = right, 0 = of a log that is not pinned, negative = wrong or undecided. */
static int check_one(const struct sig_chain *chain, struct view certificate, const SCT *sct,
                     const struct sig_root *root, struct fault *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(2 * SIG_CERTIFICATE_MAX);
        unsigned char *id = NULL, *signature = NULL;
        size_t n_id = SCT_get0_log_id(sct, &id), n = SCT_get0_signature(sct, &signature);
        const struct sig_log_key *log = NULL;
        int r;

        for (size_t i = 0; i < root->n_ct_logs; i++)
                if (view_eq(view_make(id, n_id), view_make(root->ct_logs[i].id_of_key, SHA256_SIZE)))
                        log = &root->ct_logs[i];
        if (!log)
                return 0;
        if (SCT_get_version(sct) != SCT_VERSION_V1 ||
            !sig_window_holds(&log->window, SCT_get_timestamp(sct) / MSEC_PER_SEC))
                return fault_set(f, -EBADMSG, "PROVENANCE-059", 0,
                                 "a receipt is not of the time of the certificate log");
        r = signed_text(chain, certificate, sct, &text);
        if (r >= 0)
                r = sig_key_verify(&log->key, buf_view(&text), view_make(signature, n));
        if (r < 0)
                return fault_set(f, r, NULL, 0, "a receipt could not be checked");
        return r == 1 ? 1
                      : fault_set(f, -EBADMSG, "PROVENANCE-059", 0,
                                  "a receipt of the certificate log is not about this certificate");
}

int sig_sct_check(struct sig_chain *chain, const struct sig_root *root, struct fault *reterr) {
        _cleanup_(list_freep)
                STACK_OF(SCT) *list = X509_get_ext_d2i(chain->leaf, NID_ct_precert_scts, NULL, NULL);
        _cleanup_(buf_donep) struct buf certificate = BUF_INIT(SIG_CERTIFICATE_MAX + 3);
        bool is_logged = false;

        if (list && take_receipts(chain->leaf, &certificate) < 0)
                return fault_set(reterr, -ENOMEM, NULL, 0, "a receipt could not be checked");

        for (int i = 0; list && i < sk_SCT_num(list); i++) {
                int r = check_one(chain, buf_view(&certificate), sk_SCT_value(list, i), root, reterr);

                if (r < 0)
                        return r;
                is_logged |= r == 1;
        }
        return is_logged ? 0
                         : fault_set(reterr, -EBADMSG, "PROVENANCE-059", 0,
                                     "the certificate carries no receipt of a pinned certificate log");
}
