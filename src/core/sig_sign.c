#include "core/sig_sign.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/sig_bundle.h"
#include "core/sig_key.h"

#define PEM_BYTES_MAX ((size_t)16 << 10)
#define FILE_NAME_MAX (SIG_KEY_NAME_MAX + 8)

struct sig_signer {
        struct sig_key key; /* with the private half */
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

static int no_passphrase(char *out, int size, int rwflag, void *userdata) {
        return -1;
}

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool sig_signer_name_is_good(const char *name) {
        size_t n = strlen(name);

        if (n == 0 || n > SIG_KEY_NAME_MAX || !is_word(name[0]))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_word(name[i]) && !strchr("._-", name[i]))
                        return false;
        return true;
}

static int file_name(const char *name, const char *ending, char out[FILE_NAME_MAX]) {
        if (!sig_signer_name_is_good(name))
                return -EINVAL;
        (void)snprintf(out, FILE_NAME_MAX, "%s%s", name, ending);
        return 0;
}

static int public_pem(EVP_PKEY *key, struct buf *out) {
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_mem());
        char *p = NULL;
        long n;

        if (!b || PEM_write_bio_PUBKEY(b, key) != 1)
                return -ENOMEM;
        n = BIO_get_mem_data(b, &p);
        return n <= 0 ? -EIO : buf_append(out, p, (size_t)n);
}

static int write_private(int dir_fd, const char *file, EVP_PKEY *key) {
        _cleanup_(bio_freep) BIO *b = BIO_new(BIO_s_secmem());
        char *p = NULL;
        long n;

        if (!b || PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1)
                return -ENOMEM;
        n = BIO_get_mem_data(b, &p);
        return n <= 0 ? -EIO : replace_file(dir_fd, file, view_make(p, (size_t)n), 0600);
}

int sig_signer_make(int dir_fd, const char *name, bool p256) {
        _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(PEM_BYTES_MAX);
        char private[FILE_NAME_MAX], public[FILE_NAME_MAX];
        struct stat st;
        int r = file_name(name, ".pem", private);

        if (r >= 0)
                r = file_name(name, ".pub", public);
        if (r < 0)
                return r;
        if (fstatat(dir_fd, private, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return -EEXIST;
        key = p256 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        if (!key)
                return -ENOMEM;
        r = public_pem(key, &pem);
        if (r >= 0)
                r = replace_file(dir_fd, public, buf_view(&pem), 0644);
        return r < 0 ? r : write_private(dir_fd, private, key); /* last: with it the pair is complete */
}

/* -EPERM: a key that others can read, or that is not ours, is no longer only the owner's. */
static int check_mode(int dir_fd, const char *file) {
        struct stat st;

        if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return negative_errno();
        return (st.st_mode & 077) != 0 || st.st_uid != geteuid() ? -EPERM : 0;
}

static int parse(struct view pem, struct sig_signer *s) {
        _cleanup_(bio_freep) BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
        _cleanup_(pkey_freep) EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL)
                                                : NULL;

        return key ? sig_key_from(key, "", &s->key) : -EBADMSG;
}

int sig_signer_load(int dir_fd, const char *name, struct sig_signer **ret) {
        _cleanup_(sig_signer_freep) struct sig_signer *s = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(PEM_BYTES_MAX);
        char file[FILE_NAME_MAX];
        int r = file_name(name, ".pem", file);

        if (r >= 0)
                r = check_mode(dir_fd, file);
        if (r >= 0)
                r = read_file_beneath(dir_fd, file, PEM_BYTES_MAX, &pem);
        if (r < 0)
                return r;
        s = calloc(1, sizeof *s);
        r = s ? parse(buf_view(&pem), s) : -ENOMEM;
        wipe(pem.p, pem.n);
        if (r < 0)
                return r;
        (void)snprintf(s->key.name, sizeof s->key.name, "%s", name);
        *ret = TAKE_PTR(s);
        return 0;
}

struct sig_signer *sig_signer_free(struct sig_signer *s) {
        if (s)
                sig_key_done(&s->key); /* OpenSSL cleanses private key memory as it frees it */
        free(s);
        return NULL;
}

const struct sig_key *sig_signer_key(const struct sig_signer *s) {
        return &s->key;
}

int sig_signer_public_pem(const struct sig_signer *s, struct buf *out) {
        return public_pem(s->key.key, out);
}

static int sign(const struct sig_signer *s, struct view message, struct buf *out) {
        _cleanup_(md_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
        const EVP_MD *md = EVP_PKEY_is_a(s->key.key, "ED25519") ? NULL : EVP_sha256();
        unsigned char signature[SIG_SIGNATURE_MAX];
        size_t n = sizeof signature;

        if (md && !sig_key_is_p256(&s->key))
                return -EPROTONOSUPPORT;
        if (!c)
                return -ENOMEM;
        if (EVP_DigestSignInit(c, NULL, md, NULL, s->key.key) != 1 ||
            EVP_DigestSign(c, signature, &n, (const unsigned char *)message.p, message.n) != 1)
                return -EIO;
        return base64_encode(view_make(signature, n), out);
}

static int write_bundle(const struct sig_signer *s, struct view payload64, struct view signature64,
                        struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json");
        json_key(&w, "verificationMaterial");
        json_object_begin(&w);
        json_key(&w, "publicKey");
        json_object_begin(&w);
        json_member_string(&w, "hint", s->key.hint);
        json_object_end(&w);
        json_key(&w, "tlogEntries");
        json_array_begin(&w);
        json_array_end(&w);
        json_object_end(&w);
        json_key(&w, "dsseEnvelope");
        json_object_begin(&w);
        json_member_view(&w, "payload", payload64);
        json_member_string(&w, "payloadType", SIG_DSSE_PAYLOAD_TYPE);
        json_key(&w, "signatures");
        json_array_begin(&w);
        json_object_begin(&w);
        json_member_view(&w, "sig", signature64);
        json_member_string(&w, "keyid", "");
        json_object_end(&w);
        json_array_end(&w);
        json_object_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}

int sig_signer_bundle(const struct sig_signer *s, struct view payload, struct buf *out) {
        _cleanup_(buf_donep) struct buf pae = BUF_INIT(SIG_BUNDLE_BYTES_MAX), signature = BUF_INIT(1024),
                                        payload64 = BUF_INIT(SIG_BUNDLE_BYTES_MAX);
        int r = sig_pae(payload, &pae);

        if (r >= 0)
                r = sign(s, buf_view(&pae), &signature);
        if (r >= 0)
                r = base64_encode(payload, &payload64);
        return r < 0 ? r : write_bundle(s, buf_view(&payload64), buf_view(&signature), out);
}
