#include "core/sig_sigstore.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/sig_body.h"
#include "core/sig_certificate.h"
#include "core/sig_log.h"
#include "core/sig_root.h"
#include "core/sig_sct.h"
#include "core/sig_stamp.h"

#define OID_ISSUER     "1.3.6.1.4.1.57264.1.8" /* UTF8String in DER */
#define OID_ISSUER_OLD "1.3.6.1.4.1.57264.1.1" /* the bare text */
#define TIMES_MAX      (SIG_LOG_ENTRIES_MAX + 1)

struct times {
        uint64_t at[TIMES_MAX];
        size_t n;
};

static void names_freep(GENERAL_NAMES **n) {
        GENERAL_NAMES_free(*n);
}

/* Second-generation entries have no signed time of their own. */
static bool has_own_time(const struct sig_log_entry *e) {
        return view_eq_str(e->version, "0.0.1") &&
               (view_eq_str(e->kind, "hashedrekord") || view_eq_str(e->kind, "dsse"));
}

/* An integrated time counts only when the log has signed it. */
static int add_entry_time(const struct sig_log_entry *e, const struct sig_root *root, struct times *t,
                          struct fault *f) {
        const struct sig_log_key *log = sig_log_find(root, e, f);
        int r;

        if (!log)
                return -ENOKEY;
        if (e->set.n == 0)
                return 0;
        r = sig_log_check_set(e, log, f);
        if (r < 0)
                return r;
        if (!sig_window_holds(&log->window, e->integrated_time))
                return fault_set(f, -EKEYEXPIRED, "PROVENANCE-064", 0,
                                 "the log's key was not valid at the time of the entry");
        if (has_own_time(e))
                t->at[t->n++] = e->integrated_time;
        return 0;
}

static int find_times(const struct sig_bundle *b, const struct sig_root *root, struct times *t,
                      struct fault *f) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->n_entries; i++)
                r = add_entry_time(&b->entries[i], root, t, f);
        if (r >= 0 && b->n_stamps > 0) {
                r = sig_stamp_check(b, root, &t->at[t->n], f);
                if (r >= 0)
                        t->n++;
        }
        if (r < 0)
                return r;
        return t->n > 0 ? 0
                        : fault_set(f, -EBADMSG, "PROVENANCE-062", 0,
                                    "neither a log nor a time stamp proves when the signature was made");
}

/* The authority's root is the anchor; its other certificates lie between. */
static int build_at(const struct sig_bundle *b, const struct sig_root *root, uint64_t at,
                    struct sig_chain *ret, struct fault *f) {
        int r = fault_set(f, -EKEYREJECTED, "PROVENANCE-041", 0,
                          "no pinned authority was valid at the time of the signature");

        for (size_t i = 0; r < 0 && r != -ENOMEM && i < root->n_authorities; i++) {
                const struct sig_authority *a = &root->authorities[i];

                if (sig_window_holds(&a->window, at))
                        r = sig_chain_build(b->certificates[0], a->chain, a->n - 1, &a->chain[a->n - 1], 1,
                                            at, ret, f);
        }
        return r;
}

/* At every proven time the certificate must have been valid. */
static int build(const struct sig_bundle *b, const struct sig_root *root, const struct times *t,
                 struct sig_chain *ret, struct fault *f) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n; i++) {
                sig_chain_done(ret);
                r = build_at(b, root, t->at[i], ret, f);
        }
        return r;
}

static int check_proof(const struct sig_bundle *b, const struct sig_log_entry *e, const struct sig_root *root,
                       struct fault *f) {
        const struct sig_log_key *log = sig_log_find(root, e, f);
        bool is_second = view_eq_str(e->version, "0.0.2");
        int r;

        if (!log)
                return -ENOKEY;
        if (!e->has_proof) {
                if (b->minor == 1 && e->set.n > 0)
                        return 0; /* the promise of the log stands in for the proof in bundles 0.1 */
                return fault_set(f, -EBADMSG, "PROVENANCE-054", 0, "the log entry has no inclusion proof");
        }
        if (is_second && e->proof_index != e->log_index)
                return fault_set(f, -EBADMSG, "PROVENANCE-054", 0, "the entry names two places in the log");
        r = sig_log_check_inclusion(e->body, e->proof_index, e->tree_size, e->path, e->n_path, e->root, f);
        return r < 0 ? r : sig_log_check_checkpoint(e->checkpoint, e->tree_size, e->root, log, f);
}

static int check_window(const struct sig_log_entry *e, const struct sig_root *root, const struct times *t,
                        struct fault *f) {
        const struct sig_log_key *log = sig_log_find(root, e, f);

        for (size_t i = 0; log && i < t->n; i++)
                if (!sig_window_holds(&log->window, t->at[i]))
                        return fault_set(f, -EKEYEXPIRED, "PROVENANCE-064", 0,
                                         "the log's key was not valid at the time of the signature");
        return log ? 0 : -ENOKEY;
}

static int check_entries(const struct sig_bundle *b, const struct sig_root *root, const struct times *t,
                         const struct sha256 *file, struct fault *f) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->n_entries; i++) {
                r = check_proof(b, &b->entries[i], root, f);
                if (r >= 0)
                        r = check_window(&b->entries[i], root, t, f);
                if (r >= 0)
                        r = sig_body_check(b, &b->entries[i], b->certificates[0], file, f);
        }
        return r;
}

/* The one subject alternative name, an e-mail address or URI, in an extension that nobody may skip. */
static int identity_of(X509 *leaf, char out[SIG_IDENTITY_MAX + 1], struct fault *f) {
        int critical = 0;
        _cleanup_(names_freep)
                GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
        const GENERAL_NAME *n = names && sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0)
                                                                         : NULL;
        const ASN1_IA5STRING *text;
        int length;

        if (!n || critical != 1 || (n->type != GEN_EMAIL && n->type != GEN_URI))
                return fault_set(f, -EBADMSG, "PROVENANCE-060", 0,
                                 "the certificate must name exactly one e-mail address or URI, critically");
        text = n->type == GEN_EMAIL ? n->d.rfc822Name : n->d.uniformResourceIdentifier;
        length = ASN1_STRING_length(text);
        if (length <= 0 || length > SIG_IDENTITY_MAX ||
            memchr(ASN1_STRING_get0_data(text), 0, (size_t)length))
                return fault_set(f, -EBADMSG, "PROVENANCE-060", 0,
                                 "the identity in the certificate is too long");
        memcpy(out, ASN1_STRING_get0_data(text), (size_t)length);
        out[length] = '\0';
        return 0;
}

static const ASN1_OCTET_STRING *extension(X509 *leaf, const char *oid) {
        ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        int at = object ? X509_get_ext_by_OBJ(leaf, object, -1) : -1;

        if (at >= 0 && X509_get_ext_by_OBJ(leaf, object, at) >= 0)
                at = -1; /* twice: neither counts */
        ASN1_OBJECT_free(object);
        return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(leaf, at));
}

static int issuer_of(X509 *leaf, char out[SIG_IDENTITY_MAX + 1], struct fault *f) {
        const ASN1_OCTET_STRING *x = extension(leaf, OID_ISSUER), *old = extension(leaf, OID_ISSUER_OLD);
        const unsigned char *p = x ? ASN1_STRING_get0_data(x) : old ? ASN1_STRING_get0_data(old) : NULL;
        long n = x ? ASN1_STRING_length(x) : old ? ASN1_STRING_length(old) : 0;
        const unsigned char *end = p + n;
        int tag = 0, class = 0;

        if (x &&
            ((ASN1_get_object(&p, &n, &tag, &class, n) & 0x80) || tag != V_ASN1_UTF8STRING || p + n != end))
                n = 0;
        if (!p || n <= 0 || n > SIG_IDENTITY_MAX || memchr(p, 0, (size_t)n))
                return fault_set(f, -EBADMSG, "PROVENANCE-061", 0,
                                 "the certificate does not say who vouched for the identity");
        memcpy(out, p, (size_t)n);
        out[n] = '\0';
        return 0;
}

static int escape(const char *text, char out[SIG_IDENTITY_MAX + 1]) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT((size_t)8 * SIG_IDENTITY_MAX);

        if (buf_append_escaped(&shown, view_of(text), 160) < 0)
                return -ENOMEM;
        (void)snprintf(out, SIG_IDENTITY_MAX + 1, "%s", buf_str(&shown));
        return 0;
}

static int check_identity(X509 *leaf, const struct sig_trust *t, struct sig_result *ret, struct fault *f) {
        char identity[SIG_IDENTITY_MAX + 1], issuer[SIG_IDENTITY_MAX + 1];
        bool known = false;
        int r = identity_of(leaf, identity, f);

        if (r >= 0)
                r = issuer_of(leaf, issuer, f);
        if (r >= 0 && (escape(identity, ret->who) < 0 || escape(issuer, ret->issuer) < 0))
                r = fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n_identities; i++) {
                if (strcmp(identity, t->identities[i].identity) != 0)
                        continue;
                if (strcmp(issuer, t->identities[i].issuer) == 0) {
                        ret->identity = &t->identities[i];
                        return 0;
                }
                known = true;
        }
        return known ? fault_set(f, -EKEYREJECTED, "PROVENANCE-061", 0,
                                 "%.60s is trusted, but not when vouched for by %.60s", ret->who, ret->issuer)
                     : fault_set(f, -EKEYREJECTED, "PROVENANCE-060", 0,
                                 "signed by %.100s, whom policy.yaml doesn't name", ret->who);
}

static int check_leaf(const struct sig_bundle *b, const struct sig_trust *t, struct sig_chain *chain,
                      const struct sha256 *file, struct sig_result *ret, struct fault *f) {
        struct sig_key key = {0};
        int r = sig_chain_key(chain, true, &key, f);

        if (r >= 0)
                r = check_identity(chain->leaf, t, ret, f);
        if (r >= 0)
                r = sig_sct_check(chain, t->sigstore, f);
        if (r >= 0)
                r = sig_check_with(b, &key, file, f);
        if (r >= 0)
                (void)snprintf(ret->key_id, sizeof ret->key_id, "%s", key.id);
        sig_key_done(&key);
        return r;
}

int sig_sigstore_check(const struct sig_bundle *b, const struct sig_trust *t, const struct sha256 *file,
                       struct sig_result *ret, struct fault *reterr) {
        _cleanup_(sig_chain_donep) struct sig_chain chain = {0};
        struct times times = {0};
        int r;

        if (!t->sigstore)
                return fault_set(
                        reterr, -ENOKEY, "PROVENANCE-050", 0,
                        "signed with the Sigstore method, but policy.yaml pins no trusted root for it");
        if (b->n_entries == 0)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-051", 0,
                                 "no public log has recorded this signature");
        if (b->content == SIG_MESSAGE && !file)
                return fault_set(reterr, -EPROTONOSUPPORT, "PROVENANCE-034", 0,
                                 "this signature is over one file; a folder needs one over a statement");
        r = find_times(b, t->sigstore, &times, reterr);
        if (r >= 0)
                r = build(b, t->sigstore, &times, &chain, reterr);
        if (r >= 0)
                r = check_leaf(b, t, &chain, file, ret, reterr);
        if (r >= 0)
                r = check_entries(b, t->sigstore, &times, file, reterr);
        if (r < 0)
                return r;
        ret->method = SIG_METHOD_SIGSTORE;
        ret->signed_at = times.at[0];
        return 0;
}
