#include "core/sig_key.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define PEM_BYTES_MAX ((size_t)16 << 10)

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

static int no_passphrase(char *out, int size, int rwflag, void *userdata) {
        return -1;
}

/* The digest that belongs to the curve; NULL for Ed25519. -EPROTONOSUPPORT for any other key. */
static int digest_of(EVP_PKEY *key, const EVP_MD **ret) {
        char group[32] = "";
        size_t n = 0;

        *ret = NULL;
        if (EVP_PKEY_is_a(key, "ED25519"))
                return 0;
        if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1)
                return -EPROTONOSUPPORT;
        *ret = strcmp(group, "prime256v1") == 0  ? EVP_sha256()
               : strcmp(group, "secp384r1") == 0 ? EVP_sha384()
               : strcmp(group, "secp521r1") == 0 ? EVP_sha512()
                                                 : NULL;
        return *ret ? 0 : -EPROTONOSUPPORT;
}

static int hash_hex(const void *p, long n, char out[SHA256_HEX_SIZE]) {
        struct sha256 digest;
        int r = n <= 0 ? -EIO : sha256_of(view_make(p, (size_t)n), &digest);

        if (r >= 0)
                sha256_hex(&digest, out);
        return r;
}

static int name_key(struct sig_key *k) {
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());
        unsigned char *der = NULL;
        char *pem = NULL;
        int n, r;

        if (!b || PEM_write_bio_PUBKEY(b, k->key) != 1)
                return -ENOMEM;
        n = (int)BIO_get_mem_data(b, &pem);
        r = hash_hex(pem, n, k->hint);
        if (r < 0)
                return r;
        n = i2d_PUBKEY(k->key, &der);
        r = hash_hex(der, n, k->id);
        OPENSSL_free(der);
        return r;
}

int sig_key_from(EVP_PKEY *key, const char *name, struct sig_key *ret) {
        struct sig_key k = {.key = key};
        const EVP_MD *md;
        int r = digest_of(key, &md);

        if (r < 0)
                return r;
        (void)snprintf(k.name, sizeof k.name, "%s", name);
        r = name_key(&k);
        if (r < 0)
                return r;
        if (EVP_PKEY_up_ref(key) != 1)
                return -ENOMEM;
        *ret = k;
        return 0;
}

int sig_key_from_pem(struct view pem, const char *name, struct sig_key *ret, struct fault *reterr) {
        _cleanup_(bio_freep) BIO *b = NULL;
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        int r;

        if (pem.n == 0 || pem.n > PEM_BYTES_MAX)
                return fault_set(reterr, -EBADMSG, "KEY-001", 0, "public key: expected 1 to %zu bytes of PEM",
                                 PEM_BYTES_MAX);
        b = BIO_new_mem_buf(pem.p, (int)pem.n);
        key = b ? PEM_read_bio_PUBKEY(b, NULL, no_passphrase, NULL) : NULL;
        if (!key)
                return fault_set(reterr, -EBADMSG, "KEY-001", 0,
                                 "public key: not a PEM block 'BEGIN PUBLIC KEY' (SubjectPublicKeyInfo)");
        r = sig_key_from(key, name, ret);
        if (r < 0)
                return fault_set(reterr, r, "KEY-002", 0,
                                 "public key: expected Ed25519 or ECDSA on P-256, P-384 or P-521");
        return 0;
}

void sig_key_done(struct sig_key *k) {
        EVP_PKEY_free(k->key);
        *k = (struct sig_key){0};
}

/* OpenSSL answers 0 for a wrong signature and a negative number for one that it cannot even read: both are "no". */
int sig_key_verify(const struct sig_key *k, struct view message, struct view signature) {
        _cleanup_(md_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        const EVP_MD *md;
        int r = digest_of(k->key, &md);

        if (r < 0)
                return r;
        if (!c)
                return -ENOMEM;
        if (signature.n == 0)
                return 0;
        if (EVP_DigestVerifyInit(c, NULL, md, NULL, k->key) != 1)
                return -EIO;
        return EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
                                (const unsigned char *)(message.n ? message.p : ""), message.n) == 1;
}

bool sig_key_is_p256(const struct sig_key *k) {
        const EVP_MD *md;

        return digest_of(k->key, &md) == 0 && md == EVP_sha256();
}

int sig_key_verify_sha256(const struct sig_key *k, const struct sha256 *digest, struct view signature) {
        _cleanup_(pkey_context_freep) EVP_PKEY_CTX *c = NULL;

        if (!sig_key_is_p256(k))
                return -EOPNOTSUPP;
        if (signature.n == 0)
                return 0;
        c = EVP_PKEY_CTX_new(k->key, NULL);
        if (!c)
                return -ENOMEM;
        if (EVP_PKEY_verify_init(c) != 1 || EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1)
                return -EIO;
        return EVP_PKEY_verify(c, (const unsigned char *)signature.p, signature.n, digest->b, SHA256_SIZE) ==
               1;
}
