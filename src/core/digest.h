/* digest: SHA-256 and HMAC on OpenSSL 3. */
#pragma once

#include "base/view.h"

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65 /* with NUL */

struct sha256 {
        uint8_t b[SHA256_SIZE];
};

struct digest; /* opaque running hash */
SAI_NODISCARD int digest_new(struct digest **ret);
SAI_NODISCARD int digest_update(struct digest *d, struct view v);
SAI_NODISCARD int digest_final(struct digest *d, struct sha256 *ret); /* the state is reset for reuse */
struct digest *digest_free(struct digest *d);
static inline void digest_freep(struct digest **d) {
        *d = digest_free(*d);
}

SAI_NODISCARD int sha256_of(struct view v, struct sha256 *ret);
/* Reads a descriptor with pread from 0 to `size`, without moving its position; 1 MiB buffer.
 * -EIO when the file is shorter or longer than `size`. */
SAI_NODISCARD int sha256_of_fd(int fd, uint64_t size, struct sha256 *ret);
SAI_NODISCARD int hmac_sha256(struct view key, struct view v, struct sha256 *ret);
void sha256_hex(const struct sha256 *d, char out[SHA256_HEX_SIZE]);
SAI_NODISCARD int sha256_from_hex(struct view v, struct sha256 *ret); /* 64 lower-case digits */
