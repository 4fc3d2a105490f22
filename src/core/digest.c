#include "core/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/file.h"
#include "base/text.h"

#define READ_SIZE ((size_t)1 << 20)

struct digest {
        EVP_MD_CTX *context;
};

int digest_new(struct digest **ret) {
        struct digest *d = calloc(1, sizeof *d);

        if (!d)
                return -ENOMEM;
        d->context = EVP_MD_CTX_new();
        if (!d->context || EVP_DigestInit_ex2(d->context, EVP_sha256(), NULL) != 1) {
                digest_free(d);
                return -ENOMEM;
        }
        *ret = d;
        return 0;
}

int digest_update(struct digest *d, struct view v) {
        return v.n == 0 || EVP_DigestUpdate(d->context, v.p, v.n) == 1 ? 0 : -EIO;
}

int digest_final(struct digest *d, struct sha256 *ret) {
        struct sha256 out;

        if (EVP_DigestFinal_ex(d->context, out.b, NULL) != 1)
                return -EIO;
        if (EVP_DigestInit_ex2(d->context, EVP_sha256(), NULL) != 1)
                return -EIO;
        *ret = out;
        return 0;
}

struct digest *digest_free(struct digest *d) {
        if (d)
                EVP_MD_CTX_free(d->context);
        free(d);
        return NULL;
}

int sha256_of(struct view v, struct sha256 *ret) {
        struct sha256 out;

        if (EVP_Digest(v.n ? v.p : "", v.n, out.b, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        *ret = out;
        return 0;
}

static int update_from_fd(struct digest *d, int fd, uint64_t size, char *chunk) {
        for (uint64_t at = 0; at < size;) {
                size_t n = (size_t)MIN_OF((uint64_t)READ_SIZE, size - at);
                int r = pread_all(fd, chunk, n, at);

                if (r >= 0)
                        r = digest_update(d, view_make(chunk, n));
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}

/* A file that grew behind our back is not the file that was measured. */
static int check_ends_at(int fd, uint64_t size) {
        char one;
        ssize_t got;

        if (size > INT64_MAX)
                return -EOVERFLOW;
        do
                got = pread(fd, &one, 1, (off_t)size);
        while (got < 0 && errno == EINTR);
        return got < 0 ? negative_errno() : got > 0 ? -EIO : 0;
}

int sha256_of_fd(int fd, uint64_t size, struct sha256 *ret) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        _cleanup_(freep) char *chunk = malloc(READ_SIZE);
        int r;

        if (!chunk)
                return -ENOMEM;
        r = digest_new(&d);
        if (r >= 0)
                r = update_from_fd(d, fd, size, chunk);
        if (r >= 0)
                r = check_ends_at(fd, size);
        return r < 0 ? r : digest_final(d, ret);
}

int hmac_sha256(struct view key, struct view v, struct sha256 *ret) {
        struct sha256 out;
        unsigned n = sizeof out.b;

        if (key.n > INT32_MAX)
                return -E2BIG;
        /* a NULL key means "reuse the last one" to OpenSSL, so an empty key needs an address */
        if (!HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, (const unsigned char *)(v.n ? v.p : ""), v.n,
                  out.b, &n))
                return -EIO;
        *ret = out;
        return 0;
}

void sha256_hex(const struct sha256 *d, char out[SHA256_HEX_SIZE]) {
        hex_encode(d->b, sizeof d->b, out);
        out[SHA256_HEX_SIZE - 1] = '\0';
}

int sha256_from_hex(struct view v, struct sha256 *ret) {
        return hex_decode(v, ret->b, sizeof ret->b);
}
