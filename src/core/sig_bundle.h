/* sig_bundle: reads a Sigstore bundle (v0.1 to v0.3, JSON), which holds either a signature over a file's digest (cosign
 * sign-blob) or a DSSE envelope (OpenSSF Model Signing, in-toto). Pure, bounded, verifies nothing.
 * Stricter than the references: duplicate and unknown members, base64 that is not canonical, more than one signature
 * and two sorts of key material are refused. */
#pragma once

#include "base/fault.h"
#include "wire/json.h"

#define SIG_BUNDLE_BYTES_MAX   ((size_t)16 << 20) /* a directory of many files has a long statement */
#define SIG_ENVELOPE_BYTES_MAX ((size_t)64 << 20)
#define SIG_CHAIN_MAX          8
#define SIG_LOG_ENTRIES_MAX    4
#define SIG_STAMPS_MAX         32
#define SIG_PATH_MAX           63 /* hashes: a log of 2^63 entries */
#define SIG_SIGNATURE_MAX      512
#define SIG_CERTIFICATE_MAX    ((size_t)16 << 10)
#define SIG_LOG_BODY_MAX       ((size_t)64 << 10)
#define SIG_CHECKPOINT_MAX     ((size_t)16 << 10)
#define SIG_STAMP_MAX          ((size_t)16 << 10)
#define SIG_DSSE_PAYLOAD_TYPE  "application/vnd.in-toto+json"

enum sig_content { SIG_MESSAGE, SIG_ENVELOPE };
enum sig_material { SIG_PUBLIC_KEY, SIG_CHAIN, SIG_CERTIFICATE };

struct sig_log_entry {
        struct view kind, version;
        struct view log_id;    /* 32 bytes */
        struct view body_text; /* canonicalizedBody as given, base64 */
        struct view body;      /* decoded */
        struct view set;       /* signed entry timestamp, decoded; n = 0 without one */
        uint64_t log_index, integrated_time;
        bool has_proof;
        uint64_t proof_index, tree_size;
        struct view root;  /* 32 bytes */
        struct view *path; /* n_path times 32 bytes */
        size_t n_path;
        struct view checkpoint; /* signed note, text */
};

/* All views live as long as the bundle. */
struct sig_bundle {
        enum sig_content content;
        enum sig_material material;
        unsigned minor;                          /* of the version: 1, 2, 3 */
        struct view hint;                        /* SIG_PUBLIC_KEY: may be empty */
        struct view raw_key;                     /* SIG_PUBLIC_KEY of old bundles: the key itself, or empty */
        struct view certificates[SIG_CHAIN_MAX]; /* DER, leaf first */
        size_t n_certificates;
        struct view signature; /* decoded */
        struct view digest;    /* SIG_MESSAGE: 32 bytes or empty */
        struct view payload;   /* SIG_ENVELOPE: decoded */
        struct sig_log_entry entries[SIG_LOG_ENTRIES_MAX];
        size_t n_entries;
        struct view stamps[SIG_STAMPS_MAX];
        size_t n_stamps;
        struct json_document *document;
        struct arena *arena;
};

/* Whether `text` looks like a bundle (JSON object) rather than a bare signature. */
bool sig_bundle_is_likely(struct view text);
/* `text` is borrowed during the call. 0 and *ret (caller owns), or -EBADMSG / -E2BIG / -EPROTONOSUPPORT / -ENOMEM and
 * *reterr with rules PROVENANCE-010 to -016. */
SAI_NODISCARD int sig_bundle_read(struct view text, struct sig_bundle **ret, struct fault *reterr);
/* The same for a bare DSSE envelope, the form of quarantine's own statements: the key is named by `keyid`, which becomes the hint. At most
 * SIG_ENVELOPE_BYTES_MAX. */
SAI_NODISCARD int sig_envelope_read(struct view text, struct sig_bundle **ret, struct fault *reterr);
struct sig_bundle *sig_bundle_free(struct sig_bundle *b); /* NULL is fine; returns NULL */
static inline void sig_bundle_freep(struct sig_bundle **b) {
        *b = sig_bundle_free(*b);
}
/* What a DSSE signature is made over: "DSSEv1 28 application/vnd.in-toto+json <n> <payload>". */
SAI_NODISCARD int sig_pae(struct view payload, struct buf *out);
