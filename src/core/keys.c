#include "core/keys.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/secret.h"
#include "core/digest.h"

#define PEM_MAX            ((size_t)16 << 10)
#define ED25519_SIGNATURE  ((size_t)64)
#define ECDSA_P256_DER_MAX ((size_t)72)

struct signing_key {
        EVP_PKEY *key;
};

struct public_key {
        EVP_PKEY *key;
        bool is_ed25519;
        char id[SHA256_HEX_SIZE];
};

static void bio_freep(BIO **b) {
        BIO_free(*b);
}
static void pkey_freep(EVP_PKEY **k) {
        EVP_PKEY_free(*k);
}
static void md_freep(EVP_MD_CTX **c) {
        EVP_MD_CTX_free(*c);
}
static void pkey_context_freep(EVP_PKEY_CTX **c) {
        EVP_PKEY_CTX_free(*c);
}

/* An encrypted key must not make a service ask a terminal for a passphrase. */
static int no_passphrase(char *out, int size, int rwflag, void *userdata) {
        return -1;
}

static int append_bio(BIO *b, struct buf *out) {
        char *p = NULL;
        long n = BIO_get_mem_data(b, &p);

        return n < 0 ? -EIO : buf_append(out, p, (size_t)n);
}

static int parse_private(struct view pem, struct signing_key **ret) {
        _cleanup_(bio_freep) BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        struct signing_key *k;

        if (!b)
                return -ENOMEM;
        key = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL);
        if (!key)
                return -EBADMSG;
        if (!EVP_PKEY_is_a(key, "ED25519"))
                return -EPROTONOSUPPORT;
        k = calloc(1, sizeof *k);
        if (!k)
                return -ENOMEM;
        k->key = TAKE_PTR(key);
        *ret = k;
        return 0;
}

static int make_private(int dir_fd, const char *name) {
        _cleanup_(pkey_freep) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_secmem());
        char *p = NULL;
        long n;

        if (!key || !b)
                return -ENOMEM;
        if (PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1)
                return -EIO;
        n = BIO_get_mem_data(b, &p);
        return n <= 0 ? -EIO : replace_file(dir_fd, name, view_make(p, (size_t)n), 0600);
}

static int load_private(int dir_fd, const char *name, struct signing_key **ret) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(PEM_MAX);
        int r = read_file_beneath(dir_fd, name, PEM_MAX, &pem);

        if (r < 0)
                return r;
        r = parse_private(buf_view(&pem), ret);
        wipe(pem.p, pem.n);
        return r;
}

int signing_key_load(int dir_fd, const char *name, bool create, struct signing_key **ret) {
        int r = load_private(dir_fd, name, ret);

        if (r != -ENOENT || !create)
                return r;
        r = make_private(dir_fd, name);
        return r < 0 ? r : load_private(dir_fd, name, ret);
}

struct signing_key *signing_key_free(struct signing_key *k) {
        if (k)
                EVP_PKEY_free(k->key); /* OpenSSL cleanses private key memory as it frees it */
        free(k);
        return NULL;
}

int signing_key_sign(const struct signing_key *k, struct view message, struct buf *out) {
        _cleanup_(md_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        unsigned char signature[ED25519_SIGNATURE];
        size_t n = sizeof signature;

        if (!c)
                return -ENOMEM;
        if (EVP_DigestSignInit_ex(c, NULL, NULL, NULL, NULL, k->key, NULL) != 1 ||
            EVP_DigestSign(c, signature, &n, (const unsigned char *)(message.n ? message.p : ""),
                           message.n) != 1 ||
            n != sizeof signature)
                return -EIO;
        return buf_append(out, signature, n);
}

int signing_key_public_pem(const struct signing_key *k, struct buf *out) {
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());

        if (!b)
                return -ENOMEM;
        return PEM_write_bio_PUBKEY(b, k->key) != 1 ? -EIO : append_bio(b, out);
}

static bool is_p256(EVP_PKEY *key) {
        char group[32];
        size_t n = 0;

        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 &&
               view_eq_str(view_make(group, n), "prime256v1");
}

static int key_id(EVP_PKEY *key, char out[SHA256_HEX_SIZE]) {
        struct sha256 digest;
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(key, &der), r;

        if (n <= 0)
                return -EIO;
        r = sha256_of(view_make(der, (size_t)n), &digest);
        OPENSSL_free(der);
        if (r < 0)
                return r;
        sha256_hex(&digest, out);
        return 0;
}

static int read_public(struct view pem, EVP_PKEY **ret, struct fault *reterr) {
        _cleanup_(bio_freep) BIO *b = NULL;
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;

        if (pem.n == 0 || pem.n > PEM_MAX)
                return fault_set(reterr, -EBADMSG, "KEY-001", 0, "public key: expected 1 to %zu bytes of PEM",
                                 PEM_MAX);
        b = BIO_new_mem_buf(pem.p, (int)pem.n);
        if (!b)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        key = PEM_read_bio_PUBKEY(b, NULL, no_passphrase, NULL);
        if (!key)
                return fault_set(reterr, -EBADMSG, "KEY-001", 0,
                                 "public key: not a PEM block 'BEGIN PUBLIC KEY' (SubjectPublicKeyInfo)");
        *ret = TAKE_PTR(key);
        return 0;
}

int public_key_from_pem(struct view pem, struct public_key **ret, struct fault *reterr) {
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(public_key_freep) struct public_key *k = NULL;
        int r = read_public(pem, &key, reterr);

        if (r < 0)
                return r;
        k = calloc(1, sizeof *k);
        if (!k)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        k->is_ed25519 = EVP_PKEY_is_a(key, "ED25519");
        if (!k->is_ed25519 && !is_p256(key))
                /* cppcheck-suppress memleak ; it does not know the cleanup attribute */
                return fault_set(reterr, -EPROTONOSUPPORT, "KEY-002", 0,
                                 "public key: expected Ed25519 or ECDSA on P-256");
        r = key_id(key, k->id);
        if (r < 0)
                /* cppcheck-suppress memleak ; as above */
                return fault_set(reterr, r, NULL, 0, "public key: its name could not be computed");
        k->key = TAKE_PTR(key);
        *ret = TAKE_PTR(k);
        return 0;
}

struct public_key *public_key_free(struct public_key *k) {
        if (k)
                EVP_PKEY_free(k->key);
        free(k);
        return NULL;
}

/* OpenSSL answers 0 for a wrong signature and a negative number for one that it cannot even read: both are "no". */
static int verify_ed25519(EVP_PKEY *key, struct view message, struct view signature) {
        _cleanup_(md_freep) EVP_MD_CTX *c = NULL;

        if (signature.n != ED25519_SIGNATURE)
                return 0;
        c = EVP_MD_CTX_new();
        if (!c)
                return -ENOMEM;
        if (EVP_DigestVerifyInit_ex(c, NULL, NULL, NULL, NULL, key, NULL) != 1)
                return -EIO;
        return EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
                                (const unsigned char *)(message.n ? message.p : ""), message.n) == 1;
}

static int verify_p256(EVP_PKEY *key, const uint8_t digest[32], struct view signature) {
        _cleanup_(pkey_context_freep) EVP_PKEY_CTX *c = NULL;

        if (signature.n == 0 || signature.n > ECDSA_P256_DER_MAX)
                return 0;
        c = EVP_PKEY_CTX_new(key, NULL);
        if (!c)
                return -ENOMEM;
        if (EVP_PKEY_verify_init(c) != 1 || EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1)
                return -EIO;
        return EVP_PKEY_verify(c, (const unsigned char *)signature.p, signature.n, digest, SHA256_SIZE) == 1;
}

int public_key_verify(const struct public_key *k, struct view message, struct view signature) {
        struct sha256 digest;
        int r;

        if (k->is_ed25519)
                return verify_ed25519(k->key, message, signature);
        r = sha256_of(message, &digest);
        return r < 0 ? r : verify_p256(k->key, digest.b, signature);
}

int public_key_verify_digest(const struct public_key *k, const uint8_t sha256[32], struct view signature) {
        return k->is_ed25519 ? -EOPNOTSUPP : verify_p256(k->key, sha256, signature);
}

void public_key_id(const struct public_key *k, char out[65]) {
        memcpy(out, k->id, sizeof k->id);
}
