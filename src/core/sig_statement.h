/* sig_statement: the statement inside a Model Signing v1.0 envelope: which files a model consists of, with their digests.
 * Read only after the signature over it is known to be right. Pure. */
#pragma once

#include "base/fault.h"
#include "core/digest.h"
#include "wire/json.h"

#define SIG_RESOURCES_MAX  65536
#define SIG_PATH_BYTES_MAX 4096
#define SIG_IGNORED_MAX    64
#define SIG_SHARD_BYTES    UINT64_C(1000000000)
#define SIG_DIGEST_MAX     64

enum sig_hash { SIG_SHA256, SIG_BLAKE2B };

struct sig_resource {
        struct view path;    /* relative, POSIX; "." = the one file itself */
        uint64_t start, end; /* of a shard */
        uint8_t digest[SIG_DIGEST_MAX];
};

struct sig_statement {
        struct view name; /* of the model, as signed */
        enum sig_hash hash;
        bool is_sharded;
        uint64_t shard_bytes;
        struct sig_resource *resources;
        size_t n_resources;
        struct view ignored[SIG_IGNORED_MAX];
        size_t n_ignored;
        struct sha256 root;
        struct json_document *document;
};

size_t sig_hash_size(enum sig_hash h); /* bytes */
/* 0 and *ret (caller owns), or PROVENANCE-020 to -024 in *reterr. The root digest has been recomputed. */
SAI_NODISCARD int sig_statement_read(struct view payload, struct sig_statement **ret, struct fault *reterr);
struct sig_statement *sig_statement_free(struct sig_statement *s); /* NULL is fine; returns NULL */
static inline void sig_statement_freep(struct sig_statement **s) {
        *s = sig_statement_free(*s);
}
/* For one file of which the SHA-256 is known: the statement must list exactly this one. 0, or PROVENANCE-031, -034. */
SAI_NODISCARD int sig_statement_check_file(const struct sig_statement *s, const struct sha256 *digest,
                                           struct fault *reterr);
/* True for a relative path of safe components: no "..", no ".", no empty one, no NUL, no backslash. */
bool sig_path_is_safe(struct view path);
/* Writes a statement over whole files (SHA-256), sorted by path already. */
struct sig_file {
        char *path;
        struct sha256 digest;
};
SAI_NODISCARD int sig_statement_write(const char *name, const struct sig_file *files, size_t n,
                                      const char *const *ignored, struct buf *out);
