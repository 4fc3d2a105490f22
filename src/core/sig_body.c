#include "core/sig_body.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/text.h"

struct binding {
        const struct sig_bundle *b;
        struct view leaf;
        struct sha256 signed_digest;  /* of what the signature was made over */
        struct sha256 payload_digest; /* of the envelope's payload */
};

static void bio_freep(BIO **b) {
        BIO_free(*b);
}

static bool is_base64_of(const struct json *o, const char *key, struct view expected) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(SIG_LOG_BODY_MAX);
        struct view v = json_get_view(o, key, VIEW_NULL);

        return v.n > 0 && base64_decode(v, &raw) >= 0 && view_eq(buf_view(&raw), expected);
}

/* base64 of the PEM text of the signer's certificate; nothing may follow it. */
static bool is_pem_of_leaf(const struct json *o, const char *key, struct view leaf) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(SIG_LOG_BODY_MAX);
        _cleanup_(bio_freep) BIO *bio = NULL;
        struct view v = json_get_view(o, key, VIEW_NULL);
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long n = 0;
        bool same;

        if (v.n == 0 || base64_decode(v, &pem) < 0)
                return false;
        bio = BIO_new_mem_buf(buf_str(&pem), (int)pem.n);
        same = bio && PEM_read_bio(bio, &name, &header, &der, &n) == 1 && strcmp(name, "CERTIFICATE") == 0 &&
               view_eq(view_make(der, (size_t)n), leaf) && BIO_ctrl_pending(bio) == 0;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        return same;
}

static bool is_hash(const struct json *o, const struct sha256 *expected) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(expected, hex);
        return view_eq_str(json_get_view(o, "algorithm", VIEW_NULL), "sha256") &&
               view_eq_str(json_get_view(o, "value", VIEW_NULL), hex);
}

static bool fits_dsse(const struct json *spec, const struct binding *x) {
        const struct json *list = json_get_typed(spec, "signatures", JSON_ARRAY);

        return x->b->content == SIG_ENVELOPE && is_hash(json_get(spec, "payloadHash"), &x->payload_digest) &&
               list && list->count == 1 && is_base64_of(list->child, "signature", x->b->signature) &&
               is_pem_of_leaf(list->child, "verifier", x->leaf);
}

static bool fits_record(const struct json *spec, const struct binding *x) {
        const struct json *signature = json_get(spec, "signature");

        return x->b->content == SIG_MESSAGE &&
               is_hash(json_get(json_get(spec, "data"), "hash"), &x->signed_digest) &&
               is_base64_of(signature, "content", x->b->signature) &&
               is_pem_of_leaf(json_get(signature, "publicKey"), "content", x->leaf);
}

static bool fits_record_2(const struct json *spec, const struct binding *x) {
        const struct json *record = json_get(spec, "hashedRekordV002"), *data = json_get(record, "data"),
                          *signature = json_get(record, "signature");

        return view_eq_str(json_get_view(data, "algorithm", VIEW_NULL), "SHA2_256") &&
               is_base64_of(data, "digest", view_make(x->signed_digest.b, SHA256_SIZE)) &&
               is_base64_of(signature, "content", x->b->signature) &&
               is_base64_of(json_get(json_get(signature, "verifier"), "x509Certificate"), "rawBytes",
                            x->leaf);
}

static int fill(struct binding *x, const struct sha256 *file) {
        _cleanup_(buf_donep) struct buf pae = BUF_INIT(SIG_BUNDLE_BYTES_MAX + 128);
        int r;

        if (x->b->content == SIG_MESSAGE) {
                if (!file)
                        return -EINVAL;
                x->signed_digest = *file;
                return 0;
        }
        r = sig_pae(x->b->payload, &pae);
        if (r >= 0)
                r = sha256_of(buf_view(&pae), &x->signed_digest);
        return r < 0 ? r : sha256_of(x->b->payload, &x->payload_digest);
}

int sig_body_check(const struct sig_bundle *b, const struct sig_log_entry *e, struct view leaf,
                   const struct sha256 *file, struct fault *reterr) {
        static const struct {
                const char *kind, *version;
                bool (*fits)(const struct json *spec, const struct binding *x);
        } known[] = {{"dsse", "0.0.1", fits_dsse},
                     {"hashedrekord", "0.0.1", fits_record},
                     {"hashedrekord", "0.0.2", fits_record_2}};
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct binding x = {.b = b, .leaf = leaf};
        const struct json *root;
        int r = fill(&x, file);

        if (r < 0)
                return fault_set(reterr, r, NULL, 0, "the log entry could not be compared");
        if (json_parse(e->body, NULL, &doc, NULL) < 0)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-058", 0, "the log entry is not strict JSON");
        root = json_root(doc);
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (!view_eq_str(e->kind, known[i].kind) || !view_eq_str(e->version, known[i].version))
                        continue;
                if (view_eq_str(json_get_view(root, "kind", VIEW_NULL), known[i].kind) &&
                    view_eq_str(json_get_view(root, "apiVersion", VIEW_NULL), known[i].version) &&
                    known[i].fits(json_get(root, "spec"), &x))
                        return 0;
                return fault_set(reterr, -EBADMSG, "PROVENANCE-058", 0,
                                 "the log entry speaks of another signature, content or certificate");
        }
        return fault_set(reterr, -EPROTONOSUPPORT, "PROVENANCE-052", 0,
                         "the log entry is neither dsse 0.0.1 nor hashedrekord 0.0.1 or 0.0.2");
}
