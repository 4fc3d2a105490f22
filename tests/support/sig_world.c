#include "support/sig_world.h"

#include "support/cm.h"

#include <openssl/ct.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "core/sig_bundle.h"
#include "core/sig_root.h"
#include "core/sig_statement.h"

#define LEAVES 11
#define PLACE  5
#define HOUR   UINT64_C(3600)
#define TEN    UINT64_C(600)

struct world {
        EVP_PKEY *root_key, *ca_key, *leaf_key, *ct_key, *log_key, *log2_key, *stamp_key, *stranger;
        X509 *root, *ca, *stamper, *other_stamper;
        struct sig_trust *trust;
};

static EVP_PKEY *p256(void) {
        EVP_PKEY *k = EVP_EC_gen("P-256");

        assert_non_null(k);
        return k;
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value) {
        X509V3_CTX c;
        X509_EXTENSION *e;

        X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
        assert_non_null(e);
        assert_int_equal(X509_add_ext(x, e, -1), 1);
        X509_EXTENSION_free(e);
}

static void extend_raw(X509 *x, const char *oid, const void *p, size_t n) {
        ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
        X509_EXTENSION *e;

        assert_int_equal(ASN1_OCTET_STRING_set(octets, p, (int)n), 1);
        e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets);
        assert_int_equal(X509_add_ext(x, e, -1), 1);
        X509_EXTENSION_free(e);
        ASN1_OCTET_STRING_free(octets);
        ASN1_OBJECT_free(object);
}

static X509 *certificate(const char *name, EVP_PKEY *key, X509 *issuer, uint64_t from, uint64_t to) {
        static long serial = 1;
        X509 *x = X509_new();
        X509_NAME *subject = X509_get_subject_name(x);

        assert_int_equal(X509_set_version(x, 2), 1);
        ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
        assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from));
        assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)to));
        assert_int_equal(name[0] == '\0' ||
                                 X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                            (const unsigned char *)name, -1, -1, 0) == 1,
                         1);
        assert_int_equal(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject), 1);
        assert_int_equal(X509_set_pubkey(x, key), 1);
        return x;
}

static X509 *authority(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
        X509 *x = certificate(name, key, issuer, WORLD_TIME - 1000 * HOUR, WORLD_TIME + 1000000 * HOUR);

        extend(x, issuer ? issuer : x, NID_basic_constraints, "critical,CA:TRUE");
        extend(x, issuer ? issuer : x, NID_key_usage, "critical,keyCertSign,cRLSign");
        assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
        return x;
}

static void sign_with(EVP_PKEY *k, struct view message, struct buf *out) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        unsigned char signature[256];
        size_t n = sizeof signature;

        assert_int_equal(
                EVP_DigestSignInit(c, NULL, EVP_PKEY_is_a(k, "ED25519") ? NULL : EVP_sha256(), NULL, k), 1);
        assert_int_equal(EVP_DigestSign(c, signature, &n, (const unsigned char *)message.p, message.n), 1);
        EVP_MD_CTX_free(c);
        assert_int_equal(buf_append(out, signature, n), 0);
}

static void spki(EVP_PKEY *k, struct buf *out) {
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(k, &der);

        assert_true(n > 0);
        assert_int_equal(buf_append(out, der, (size_t)n), 0);
        OPENSSL_free(der);
}

static struct sha256 spki_hash(EVP_PKEY *k) {
        struct buf der = BUF_INIT(4096);
        struct sha256 h;

        spki(k, &der);
        assert_int_equal(sha256_of(buf_view(&der), &h), 0);
        buf_done(&der);
        return h;
}

static void der_of(X509 *x, struct buf *out) {
        unsigned char *der = NULL;
        int n = i2d_X509(x, &der);

        assert_true(n > 0);
        assert_int_equal(buf_append(out, der, (size_t)n), 0);
        OPENSSL_free(der);
}

static void put64(struct json_writer *w, const char *key, struct view raw) {
        struct buf text = BUF_INIT(1 << 20);

        assert_int_equal(base64_encode(raw, &text), 0);
        json_member_view(w, key, buf_view(&text));
        buf_done(&text);
}

static void put_window(struct json_writer *w) {
        json_key(w, "validFor");
        json_object_begin(w);
        json_member_string(w, "start", "2025-01-01T00:00:00Z");
        json_member_string(w, "end", "2026-01-01T00:00:00.000Z");
        json_object_end(w);
}

static void put_log(struct json_writer *w, EVP_PKEY *k) {
        struct buf der = BUF_INIT(4096);
        struct sha256 id = spki_hash(k);

        spki(k, &der);
        json_object_begin(w);
        json_member_string(w, "baseUrl", "https://log.example.com");
        json_key(w, "publicKey");
        json_object_begin(w);
        put64(w, "rawBytes", buf_view(&der));
        put_window(w);
        json_object_end(w);
        json_key(w, "logId");
        json_object_begin(w);
        put64(w, "keyId", view_make(id.b, 32));
        json_object_end(w);
        json_object_end(w);
        buf_done(&der);
}

static void put_authority(struct json_writer *w, X509 *const *chain, size_t n) {
        json_array_begin(w);
        json_object_begin(w);
        json_key(w, "certChain");
        json_object_begin(w);
        json_key(w, "certificates");
        json_array_begin(w);
        for (size_t i = 0; i < n; i++) {
                struct buf der = BUF_INIT(16384);

                der_of(chain[i], &der);
                json_object_begin(w);
                put64(w, "rawBytes", buf_view(&der));
                json_object_end(w);
                buf_done(&der);
        }
        json_array_end(w);
        json_object_end(w);
        put_window(w);
        json_object_end(w);
        json_array_end(w);
}

static void make_trust(struct world *w) {
        struct buf text = BUF_INIT(1 << 20);
        struct json_writer j = JSON_WRITER(&text);
        X509 *const ca[] = {w->ca, w->root}, *const stampers[] = {w->stamper, w->root};
        struct fault why = FAULT_NONE;

        json_object_begin(&j);
        json_member_string(&j, "mediaType", "application/vnd.dev.sigstore.trustedroot+json;version=0.1");
        json_key(&j, "tlogs");
        json_array_begin(&j);
        put_log(&j, w->log_key);
        put_log(&j, w->log2_key);
        json_array_end(&j);
        json_key(&j, "ctlogs");
        json_array_begin(&j);
        put_log(&j, w->ct_key);
        json_array_end(&j);
        json_key(&j, "certificateAuthorities");
        put_authority(&j, ca, 2);
        json_key(&j, "timestampAuthorities");
        put_authority(&j, stampers, 2);
        json_object_end(&j);
        assert_int_equal(json_write_end(&j), 0);
        w->trust = calloc(1, sizeof *w->trust);
        assert_int_equal(sig_root_read(buf_view(&text), &w->trust->sigstore, &why), 0);
        (void)snprintf(w->trust->identities[0].identity, SIG_IDENTITY_MAX, WORLD_IDENTITY);
        (void)snprintf(w->trust->identities[0].issuer, SIG_IDENTITY_MAX, WORLD_ISSUER);
        w->trust->n_identities = 1;
        assert_int_equal(X509_up_ref(w->root), 1);
        w->trust->roots[0] = w->root;
        w->trust->n_roots = 1;
        buf_done(&text);
}

static X509 *stamper_of(struct world *w, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
        X509 *x = certificate("stamps", key, issuer, WORLD_TIME - 1000 * HOUR, WORLD_TIME + 1000 * HOUR);

        extend(x, issuer ? issuer : x, NID_key_usage, "critical,digitalSignature");
        extend(x, issuer ? issuer : x, NID_ext_key_usage, "critical,timeStamping");
        assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
        return x;
}

struct world *world_new(void) {
        struct world *w = calloc(1, sizeof *w);

        w->root_key = p256();
        w->ca_key = p256();
        w->leaf_key = p256();
        w->ct_key = p256();
        w->log_key = p256();
        w->stamp_key = p256();
        w->stranger = p256();
        w->log2_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        w->root = authority("root", w->root_key, NULL, w->root_key);
        w->ca = authority("between", w->ca_key, w->root, w->root_key);
        w->stamper = stamper_of(w, w->stamp_key, w->root, w->root_key);
        w->other_stamper = stamper_of(w, w->stranger, NULL, w->stranger);
        make_trust(w);
        return w;
}

struct world *world_free(struct world *w) {
        EVP_PKEY *keys[] = {w->root_key, w->ca_key,   w->leaf_key,  w->ct_key,
                            w->log_key,  w->log2_key, w->stamp_key, w->stranger};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                EVP_PKEY_free(keys[i]);
        X509_free(w->root);
        X509_free(w->ca);
        X509_free(w->stamper);
        X509_free(w->other_stamper);
        sig_trust_free(w->trust);
        free(w);
        return NULL;
}

const struct sig_trust *world_trust(const struct world *w) {
        return w->trust;
}

static void put_be(struct buf *b, uint64_t v, unsigned bytes) {
        while (bytes-- > 0)
                assert_int_equal(buf_append_char(b, (char)(v >> (8 * bytes) & 0xff)), 0);
}

/* The receipt of the certificate log, as RFC 6962 has it. */
static void add_sct(struct world *w, X509 *leaf, enum damage damage) {
        struct buf text = BUF_INIT(1 << 16), signature = BUF_INIT(256), list = BUF_INIT(1024),
                   octets = BUF_INIT(1024);
        EVP_PKEY *key = damage == SCT_UNKNOWN_LOG ? w->stranger : w->ct_key;
        struct sha256 issuer = spki_hash(w->ca_key), id = spki_hash(key);
        unsigned char *tbs = NULL;
        uint64_t at = WORLD_TIME * 1000 + 5;
        int n = i2d_re_X509_tbs(leaf, &tbs);

        put_be(&text, 0, 2);
        put_be(&text, damage == SCT_WRONG ? at + 1 : at, 8);
        put_be(&text, 1, 2);
        assert_int_equal(buf_append(&text, issuer.b, 32), 0);
        put_be(&text, (uint64_t)n, 3);
        assert_int_equal(buf_append(&text, tbs, (size_t)n), 0);
        put_be(&text, 0, 2);
        sign_with(key, buf_view(&text), &signature);
        put_be(&list, 47 + signature.n, 2); /* one receipt */
        put_be(&list, 0, 1);
        assert_int_equal(buf_append(&list, id.b, 32), 0);
        put_be(&list, at, 8);
        put_be(&list, 0, 2);
        put_be(&list, 0x0403, 2); /* SHA-256, ECDSA */
        put_be(&list, signature.n, 2);
        assert_int_equal(buf_append_view(&list, buf_view(&signature)), 0);
        put_be(&octets, 0x0481, 2);
        put_be(&octets, list.n + 2, 1);
        put_be(&octets, list.n, 2);
        assert_int_equal(buf_append_view(&octets, buf_view(&list)), 0);
        extend_raw(leaf, "1.3.6.1.4.1.11129.2.4.2", octets.p, octets.n);
        OPENSSL_free(tbs);
        buf_done(&text);
        buf_done(&signature);
        buf_done(&list);
        buf_done(&octets);
}

static void add_issuer(X509 *leaf, enum damage damage) {
        const char *issuer = damage == LEAF_OTHER_ISSUER ? "https://accounts.example.org" : WORLD_ISSUER;
        char der[128];

        if (damage == LEAF_NO_ISSUER)
                return;
        der[0] = V_ASN1_UTF8STRING;
        der[1] = (char)strlen(issuer);
        memcpy(der + 2, issuer, strlen(issuer));
        extend_raw(leaf, "1.3.6.1.4.1.57264.1.8", der, strlen(issuer) + 2);
}

static X509 *make_leaf(struct world *w, X509 *issuer, EVP_PKEY *issuer_key, uint64_t from, uint64_t to,
                       enum damage damage) {
        X509 *x;

        if (damage == LEAF_EXPIRED)
                from -= HOUR, to -= HOUR;
        if (damage == LEAF_NOT_YET)
                from += HOUR, to += HOUR;
        x = certificate("", w->leaf_key, issuer, from, to);
        extend(x, issuer, NID_key_usage, "critical,digitalSignature");
        if (damage == LEAF_IS_CA)
                extend(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
        if (damage != LEAF_NO_EKU)
                extend(x, issuer, NID_ext_key_usage, damage == LEAF_TLS ? "serverAuth" : "codeSigning");
        extend(x, issuer, NID_subject_alt_name,
               damage == LEAF_OTHER_IDENTITY     ? "critical,email:other@example.com"
               : damage == LEAF_TWO_NAMES        ? "critical,email:" WORLD_IDENTITY ",email:other@example.com"
               : damage == LEAF_DNS_NAME         ? "critical,DNS:example.com"
               : damage == LEAF_SAN_NOT_CRITICAL ? "email:" WORLD_IDENTITY
                                                 : "critical,email:" WORLD_IDENTITY);
        add_issuer(x, damage);
        if (damage == LEAF_OF_STRANGER)
                issuer_key = w->stranger;
        assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
        if (damage != SCT_MISSING)
                add_sct(w, x, damage);
        assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
        return x;
}

/* --- the log --- */

static struct sha256 leaf_hash(struct view body) {
        struct buf b = BUF_INIT(1 << 17);
        struct sha256 h;

        assert_int_equal(buf_append_char(&b, 0), 0);
        assert_int_equal(buf_append_view(&b, body), 0);
        assert_int_equal(sha256_of(buf_view(&b), &h), 0);
        buf_done(&b);
        return h;
}

static struct sha256 node_hash(struct sha256 l, struct sha256 r) {
        char both[65] = {1};
        struct sha256 h;

        memcpy(both + 1, l.b, 32);
        memcpy(both + 33, r.b, 32);
        assert_int_equal(sha256_of(view_make(both, 65), &h), 0);
        return h;
}

static size_t split_of(size_t n) {
        size_t k = 1;

        while (2 * k < n)
                k *= 2;
        return k;
}

/* RFC 6962, 2.1 */
static struct sha256 tree_hash(const struct sha256 *leaves, size_t n) {
        size_t k = split_of(n);

        return n == 1 ? leaves[0] : node_hash(tree_hash(leaves, k), tree_hash(leaves + k, n - k));
}

/* RFC 6962, 2.1.1: from the leaf upwards */
static size_t tree_path(const struct sha256 *leaves, size_t n, size_t m, struct sha256 *out) {
        size_t k = split_of(n), depth;

        if (n == 1)
                return 0;
        if (m < k) {
                depth = tree_path(leaves, k, m, out);
                out[depth] = tree_hash(leaves + k, n - k);
        } else {
                depth = tree_path(leaves + k, n - k, m - k, out);
                out[depth] = tree_hash(leaves, k);
        }
        return depth + 1;
}

static void note_key_id(EVP_PKEY *k, struct buf *out) {
        struct buf text = BUF_INIT(256);
        unsigned char raw[32];
        size_t n = sizeof raw;
        struct sha256 h = spki_hash(k);

        if (EVP_PKEY_is_a(k, "ED25519")) {
                assert_int_equal(EVP_PKEY_get_raw_public_key(k, raw, &n), 1);
                assert_int_equal(buf_append_str(&text, "log.example.com\n\1"), 0);
                assert_int_equal(buf_append(&text, raw, 32), 0);
                assert_int_equal(sha256_of(buf_view(&text), &h), 0);
        }
        assert_int_equal(buf_append(out, h.b, 4), 0);
        buf_done(&text);
}

static void put_line(struct buf *note, struct view text, EVP_PKEY *key, EVP_PKEY *id_of, bool broken) {
        struct buf raw = BUF_INIT(512);

        note_key_id(id_of, &raw);
        sign_with(key, text, &raw);
        if (broken)
                raw.p[raw.n - 1] ^= 1;
        assert_int_equal(buf_append_str(note, "\xe2\x80\x94 log.example.com "), 0);
        assert_int_equal(base64_encode(buf_view(&raw), note), 0);
        assert_int_equal(buf_append_char(note, '\n'), 0);
        buf_done(&raw);
}

static void make_checkpoint(struct world *w, EVP_PKEY *log, struct sha256 root, enum damage damage,
                            struct buf *note) {
        struct buf text = BUF_INIT(1024);

        if (damage == CHECKPOINT_ROOT)
                root.b[0] ^= 1;
        assert_int_equal(buf_printf(&text, "log.example.com - 1\n%s%d\n",
                                    damage == CHECKPOINT_ZERO_PADDED ? "0" : "",
                                    damage == CHECKPOINT_SIZE ? LEAVES + 1 : LEAVES),
                         0);
        assert_int_equal(base64_encode(view_make(root.b, 32), &text), 0);
        assert_int_equal(buf_append_char(&text, '\n'), 0);
        assert_int_equal(buf_append_view(note, buf_view(&text)), 0);
        assert_int_equal(buf_append_char(note, '\n'), 0);
        put_line(note, buf_view(&text), w->stranger, w->stranger, false); /* a witness that we don't know */
        if (damage != CHECKPOINT_UNSIGNED)
                put_line(note, buf_view(&text), damage == CHECKPOINT_BY_STRANGER ? w->stranger : log,
                         damage == CHECKPOINT_BY_STRANGER ? w->stranger : log,
                         damage == CHECKPOINT_BROKEN_SIGNATURE);
        buf_done(&text);
}

static void put_proof(struct world *w, struct json_writer *j, EVP_PKEY *log, struct view body,
                      enum damage damage) {
        struct sha256 leaves[LEAVES], path[8], root;
        struct buf note = BUF_INIT(4096);
        size_t n;

        for (size_t i = 0; i < LEAVES; i++)
                leaves[i] = leaf_hash(i == PLACE ? body : view_make(&i, sizeof i));
        root = tree_hash(leaves, LEAVES);
        n = tree_path(leaves, LEAVES, PLACE, path);
        if (damage == PATH_TOO_LONG)
                path[n++] = root;
        if (damage == PATH_TOO_SHORT)
                n--;
        if (damage == PATH_CHANGED)
                path[1].b[3] ^= 4;
        json_key(j, "inclusionProof");
        json_object_begin(j);
        json_member_string(j, "logIndex",
                           damage == INDEX_BEYOND_SIZE ? "11"
                           : damage == INDEX_OTHER     ? "4"
                                                       : "5");
        put64(j, "rootHash", view_make(root.b, 32));
        json_member_string(j, "treeSize", "11");
        json_key(j, "hashes");
        json_array_begin(j);
        for (size_t i = 0; i < n; i++) {
                struct buf text = BUF_INIT(128);

                assert_int_equal(base64_encode(view_make(path[i].b, 32), &text), 0);
                json_put_view(j, buf_view(&text));
                buf_done(&text);
        }
        json_array_end(j);
        make_checkpoint(w, log, root, damage, &note);
        if (damage != CHECKPOINT_MISSING) {
                json_key(j, "checkpoint");
                json_object_begin(j);
                json_member_view(j, "envelope", buf_view(&note));
                json_object_end(j);
        }
        json_object_end(j);
        buf_done(&note);
}

static void put_promise(struct world *w, struct json_writer *j, struct view body, enum damage damage) {
        struct buf text = BUF_INIT(1 << 17), raw = BUF_INIT(256);
        struct sha256 id = spki_hash(w->log_key);

        assert_int_equal(buf_append_str(&text, "{\"body\":\""), 0);
        assert_int_equal(base64_encode(damage == SET_OVER_OTHER_BODY ? VIEW("other") : body, &text), 0);
        assert_int_equal(
                buf_printf(&text, "\",\"integratedTime\":%llu,\"logID\":\"",
                           (unsigned long long)(damage == SET_OTHER_TIME ? WORLD_TIME - 1 : WORLD_TIME)),
                0);
        assert_int_equal(buf_append_hex(&text, id.b, 32), 0);
        assert_int_equal(buf_append_str(&text, "\",\"logIndex\":1005}"), 0);
        sign_with(damage == SET_BY_STRANGER ? w->stranger : w->log_key, buf_view(&text), &raw);
        json_key(j, "inclusionPromise");
        json_object_begin(j);
        put64(j, "signedEntryTimestamp", buf_view(&raw));
        json_object_end(j);
        buf_done(&text);
        buf_done(&raw);
}

/* --- the body --- */

static void pem_of(X509 *x, struct buf *out) {
        BIO *b = BIO_new(BIO_s_mem());
        char *p;
        long n;

        assert_int_equal(PEM_write_bio_X509(b, x), 1);
        n = BIO_get_mem_data(b, &p);
        assert_int_equal(buf_append(out, p, (size_t)n), 0);
        BIO_free(b);
}

static void put_hash(struct json_writer *j, const char *key, struct view of) {
        struct sha256 h;
        char hex[SHA256_HEX_SIZE];

        assert_int_equal(sha256_of(of, &h), 0);
        sha256_hex(&h, hex);
        json_key(j, key);
        json_object_begin(j);
        json_member_string(j, "algorithm", "sha256");
        json_member_string(j, "value", hex);
        json_object_end(j);
}

static void make_body(struct world *w, enum flavour flavour, enum damage damage, struct view of,
                      struct view signature, X509 *leaf, struct buf *out) {
        struct json_writer j = JSON_WRITER(out);
        struct buf pem = BUF_INIT(16384), der = BUF_INIT(16384), other = BUF_INIT(512);
        bool is_kind_lie = damage == KIND_LIES;

        pem_of(damage == BODY_OTHER_CERTIFICATE ? w->ca : leaf, &pem);
        der_of(damage == BODY_OTHER_CERTIFICATE ? w->ca : leaf, &der);
        if (damage == BODY_OTHER_HASH)
                of = VIEW("another");
        if (damage == BODY_OTHER_SIGNATURE) {
                assert_int_equal(buf_append_view(&other, signature), 0);
                other.p[8] ^= 1;
                signature = buf_view(&other);
        }
        json_object_begin(&j);
        json_member_string(&j, "apiVersion", flavour == MESSAGE_V2 ? "0.0.2" : "0.0.1");
        if (damage == BODY_DUPLICATE_KEY)
                json_member_string(&j, "kind", "x");
        json_member_string(&j, "kind",
                           is_kind_lie              ? "rekord"
                           : flavour == ENVELOPE_V1 ? "dsse"
                                                    : "hashedrekord");
        json_key(&j, "spec");
        json_object_begin(&j);
        if (flavour == ENVELOPE_V1) {
                put_hash(&j, "payloadHash", of);
                json_key(&j, "signatures");
                json_array_begin(&j);
                json_object_begin(&j);
                put64(&j, "signature", signature);
                put64(&j, "verifier", buf_view(&pem));
                json_object_end(&j);
                json_array_end(&j);
        } else if (flavour == MESSAGE_V1) {
                json_key(&j, "data");
                json_object_begin(&j);
                put_hash(&j, "hash", of);
                json_object_end(&j);
                json_key(&j, "signature");
                json_object_begin(&j);
                put64(&j, "content", signature);
                json_key(&j, "publicKey");
                json_object_begin(&j);
                put64(&j, "content", buf_view(&pem));
                json_object_end(&j);
                json_object_end(&j);
        } else {
                struct sha256 h;

                assert_int_equal(sha256_of(of, &h), 0);
                json_key(&j, "hashedRekordV002");
                json_object_begin(&j);
                json_key(&j, "data");
                json_object_begin(&j);
                json_member_string(&j, "algorithm", "SHA2_256");
                put64(&j, "digest", view_make(h.b, 32));
                json_object_end(&j);
                json_key(&j, "signature");
                json_object_begin(&j);
                put64(&j, "content", signature);
                json_key(&j, "verifier");
                json_object_begin(&j);
                json_key(&j, "x509Certificate");
                json_object_begin(&j);
                put64(&j, "rawBytes", buf_view(&der));
                json_object_end(&j);
                json_object_end(&j);
                json_object_end(&j);
                json_object_end(&j);
        }
        json_object_end(&j);
        json_object_end(&j);
        assert_int_equal(json_write_end(&j), 0);
        buf_done(&pem);
        buf_done(&der);
        buf_done(&other);
}

/* --- time stamps --- */

static ASN1_INTEGER *next_serial(TS_RESP_CTX *c, void *userdata) {
        ASN1_INTEGER *n = ASN1_INTEGER_new();

        ASN1_INTEGER_set(n, 7);
        return n;
}

static int stamp_time(TS_RESP_CTX *c, void *userdata, long *seconds, long *usec) {
        *seconds = (long)*(uint64_t *)userdata;
        *usec = 0;
        return 1;
}

static void make_stamp(struct world *w, struct view signature, enum damage damage, struct buf *out) {
        uint64_t at = damage == STAMP_OUT_OF_WINDOW ? WORLD_TIME - 300 * 24 * HOUR : WORLD_TIME;
        bool is_strange = damage == STAMP_BY_STRANGER;
        TS_RESP_CTX *c = TS_RESP_CTX_new();
        TS_REQ *request = TS_REQ_new();
        TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
        X509_ALGOR *algorithm = X509_ALGOR_new();
        ASN1_OBJECT *policy = OBJ_txt2obj("1.2.3.4", 1);
        struct buf raw = BUF_INIT(1 << 16);
        struct sha256 h;
        TS_RESP *response;
        unsigned char *der = NULL;
        BIO *b;
        int n;

        assert_int_equal(sha256_of(damage == STAMP_OVER_OTHER ? VIEW("other") : signature, &h), 0);
        X509_ALGOR_set_md(algorithm, EVP_sha256());
        assert_int_equal(TS_MSG_IMPRINT_set_algo(imprint, algorithm), 1);
        assert_int_equal(TS_MSG_IMPRINT_set_msg(imprint, h.b, 32), 1);
        assert_int_equal(TS_REQ_set_version(request, 1), 1);
        assert_int_equal(TS_REQ_set_msg_imprint(request, imprint), 1);
        assert_int_equal(TS_REQ_set_cert_req(request, 1), 1);
        n = i2d_TS_REQ(request, &der);
        b = BIO_new_mem_buf(der, n);
        assert_int_equal(TS_RESP_CTX_set_signer_cert(c, is_strange ? w->other_stamper : w->stamper), 1);
        assert_int_equal(TS_RESP_CTX_set_signer_key(c, is_strange ? w->stranger : w->stamp_key), 1);
        assert_int_equal(TS_RESP_CTX_set_signer_digest(c, EVP_sha256()), 1);
        assert_int_equal(TS_RESP_CTX_set_ess_cert_id_digest(c, EVP_sha256()), 1);
        assert_int_equal(TS_RESP_CTX_set_def_policy(c, policy), 1);
        assert_int_equal(TS_RESP_CTX_add_md(c, EVP_sha256()), 1);
        TS_RESP_CTX_set_serial_cb(c, next_serial, NULL);
        TS_RESP_CTX_set_time_cb(c, stamp_time, &at);
        response = TS_RESP_create_response(c, b);
        assert_non_null(response);
        OPENSSL_free(der);
        der = NULL;
        n = i2d_TS_RESP(response, &der);
        assert_true(n > 0);
        assert_int_equal(buf_append(out, der, (size_t)n), 0);
        OPENSSL_free(der);
        TS_RESP_free(response);
        BIO_free(b);
        TS_RESP_CTX_free(c);
        TS_REQ_free(request);
        TS_MSG_IMPRINT_free(imprint);
        X509_ALGOR_free(algorithm);
        ASN1_OBJECT_free(policy);
        buf_done(&raw);
}

/* --- bundles --- */

static void put_entry(struct world *w, struct json_writer *j, enum flavour flavour, enum damage damage,
                      struct view body) {
        EVP_PKEY *log = flavour == MESSAGE_V2 ? w->log2_key : w->log_key;
        struct sha256 id = spki_hash(damage == LOG_UNKNOWN ? w->stranger : log);

        json_object_begin(j);
        json_member_string(
                j, "logIndex",
                flavour == MESSAGE_V2 && damage != INDEX_OTHER && damage != INDEX_BEYOND_SIZE ? "5" : "1005");
        json_key(j, "logId");
        json_object_begin(j);
        put64(j, "keyId", view_make(id.b, 32));
        json_object_end(j);
        json_key(j, "kindVersion");
        json_object_begin(j);
        json_member_string(j, "kind",
                           damage == KIND_UNKNOWN   ? "intoto"
                           : flavour == ENVELOPE_V1 ? "dsse"
                                                    : "hashedrekord");
        json_member_string(j, "version", flavour == MESSAGE_V2 ? "0.0.2" : "0.0.1");
        json_object_end(j);
        if (flavour != MESSAGE_V2) {
                char text[32];

                (void)snprintf(text, sizeof text, "%llu", (unsigned long long)WORLD_TIME);
                json_member_string(j, "integratedTime", text);
        } else
                json_member_string(j, "integratedTime", "0");
        if (flavour != MESSAGE_V2 && damage != SET_MISSING)
                put_promise(w, j, body, damage);
        if (damage != PROOF_MISSING)
                put_proof(w, j, log, body, damage);
        put64(j, "canonicalizedBody", body);
        json_object_end(j);
}

static void make_payload(struct buf *out) {
        static const char *const none[] = {NULL};
        struct sig_file file = {.path = (char *)(uintptr_t) "."};

        assert_int_equal(sha256_of(VIEW(WORLD_FILE), &file.digest), 0);
        assert_int_equal(sig_statement_write("m", &file, 1, none, out), 0);
}

static void put_content(struct json_writer *j, bool is_envelope, enum damage damage, struct view payload,
                        struct view signature) {
        json_key(j, is_envelope ? "dsseEnvelope" : "messageSignature");
        json_object_begin(j);
        if (is_envelope) {
                put64(j, "payload", payload);
                json_member_string(j, "payloadType", SIG_DSSE_PAYLOAD_TYPE);
                json_key(j, "signatures");
                json_array_begin(j);
                json_object_begin(j);
                put64(j, "sig", signature);
                json_object_end(j);
                json_array_end(j);
        } else {
                struct sha256 h;

                assert_int_equal(sha256_of(damage == DIGEST_OTHER ? VIEW("other") : VIEW(WORLD_FILE), &h), 0);
                json_key(j, "messageDigest");
                json_object_begin(j);
                json_member_string(j, "algorithm", "SHA2_256");
                put64(j, "digest", view_make(h.b, 32));
                json_object_end(j);
                put64(j, "signature", signature);
        }
        json_object_end(j);
}

static void put_stamps(struct world *w, struct json_writer *j, struct view signature, enum damage damage) {
        struct buf stamp = BUF_INIT(1 << 16);

        make_stamp(w, signature, damage, &stamp);
        json_key(j, "timestampVerificationData");
        json_object_begin(j);
        json_key(j, "rfc3161Timestamps");
        json_array_begin(j);
        json_object_begin(j);
        put64(j, "signedTimestamp", buf_view(&stamp));
        json_object_end(j);
        json_array_end(j);
        json_object_end(j);
        buf_done(&stamp);
}

void world_bundle(struct world *w, enum flavour flavour, enum damage damage, struct buf *out) {
        struct json_writer j = JSON_WRITER(out);
        struct buf payload = BUF_INIT(4096), pae = BUF_INIT(8192), signature = BUF_INIT(256),
                   body = BUF_INIT(1 << 16), der = BUF_INIT(16384);
        X509 *leaf = make_leaf(w, w->ca, w->ca_key, WORLD_TIME - 60, WORLD_TIME + TEN, damage);
        bool is_envelope = flavour == ENVELOPE_V1;

        make_payload(&payload);
        assert_int_equal(sig_pae(buf_view(&payload), &pae), 0);
        sign_with(damage == SIGNATURE_OTHER ? w->stranger : w->leaf_key,
                  is_envelope ? buf_view(&pae) : VIEW(WORLD_FILE), &signature);
        make_body(w, flavour, damage, is_envelope ? buf_view(&payload) : VIEW(WORLD_FILE),
                  buf_view(&signature), leaf, &body);
        der_of(leaf, &der);
        json_object_begin(&j);
        json_member_string(&j, "mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json");
        json_key(&j, "verificationMaterial");
        json_object_begin(&j);
        json_key(&j, "certificate");
        json_object_begin(&j);
        put64(&j, "rawBytes", buf_view(&der));
        json_object_end(&j);
        json_key(&j, "tlogEntries");
        json_array_begin(&j);
        if (damage != NO_ENTRY)
                put_entry(w, &j, flavour, damage, buf_view(&body));
        json_array_end(&j);
        if ((flavour == MESSAGE_V2 && damage != STAMP_MISSING) || damage == STAMP_OVER_OTHER ||
            damage == STAMP_OUT_OF_WINDOW || damage == STAMP_BY_STRANGER)
                put_stamps(w, &j, buf_view(&signature), damage);
        json_object_end(&j);
        put_content(&j, is_envelope, damage, buf_view(&payload), buf_view(&signature));
        json_object_end(&j);
        assert_int_equal(json_write_end(&j), 0);
        X509_free(leaf);
        buf_done(&payload);
        buf_done(&pae);
        buf_done(&signature);
        buf_done(&body);
        buf_done(&der);
}

void world_chain_bundle(struct world *w, uint64_t from, uint64_t to, enum damage damage, struct buf *out) {
        struct json_writer j = JSON_WRITER(out);
        struct buf payload = BUF_INIT(4096), pae = BUF_INIT(8192), signature = BUF_INIT(256);
        X509 *leaf = make_leaf(w, w->ca, w->ca_key, from, to, damage), *chain[] = {leaf, w->ca};

        make_payload(&payload);
        assert_int_equal(sig_pae(buf_view(&payload), &pae), 0);
        sign_with(damage == SIGNATURE_OTHER ? w->stranger : w->leaf_key, buf_view(&pae), &signature);
        json_object_begin(&j);
        json_member_string(&j, "mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json");
        json_key(&j, "verificationMaterial");
        json_object_begin(&j);
        json_key(&j, "x509CertificateChain");
        json_object_begin(&j);
        json_key(&j, "certificates");
        json_array_begin(&j);
        for (size_t i = 0; i < ARRAY_SIZE(chain); i++) {
                struct buf der = BUF_INIT(16384);

                der_of(chain[i], &der);
                json_object_begin(&j);
                put64(&j, "rawBytes", buf_view(&der));
                json_object_end(&j);
                buf_done(&der);
        }
        json_array_end(&j);
        json_object_end(&j);
        if (damage == STAMP_SOUND || damage == STAMP_OVER_OTHER || damage == STAMP_BY_STRANGER)
                put_stamps(w, &j, buf_view(&signature), damage);
        json_object_end(&j);
        put_content(&j, true, damage, buf_view(&payload), buf_view(&signature));
        json_object_end(&j);
        assert_int_equal(json_write_end(&j), 0);
        X509_free(leaf);
        buf_done(&payload);
        buf_done(&pae);
        buf_done(&signature);
}
