/* sig_root: a Sigstore trusted_root.json that the owner has pinned: certificate authorities, transparency logs,
 * certificate logs and time stamp authorities, each with its window of validity. Immutable after reading. */
#pragma once

#include <openssl/types.h>

#include "core/sig_key.h"

#define SIG_ROOT_LOGS_MAX        16
#define SIG_ROOT_AUTHORITIES_MAX 16
#define SIG_ROOT_CHAIN_MAX       8

struct sig_window {
        uint64_t start, end; /* seconds since 1970, both inclusive; end = UINT64_MAX while open */
};

struct sig_log_key {
        struct sig_key key;
        uint8_t id[32];        /* as the trusted root names the log, else id_of_key */
        uint8_t id_of_key[32]; /* SHA-256 of the DER SubjectPublicKeyInfo */
        uint8_t raw[32];       /* Ed25519: the key itself, for the ids of notes */
        bool is_ed25519;
        struct sig_window window;
};

struct sig_authority {
        X509 *chain[SIG_ROOT_CHAIN_MAX]; /* leaf or intermediate first, root last */
        size_t n;
        struct sig_window window;
};

struct sig_root {
        struct sig_log_key logs[SIG_ROOT_LOGS_MAX], ct_logs[SIG_ROOT_LOGS_MAX];
        size_t n_logs, n_ct_logs;
        struct sig_authority authorities[SIG_ROOT_AUTHORITIES_MAX], stampers[SIG_ROOT_AUTHORITIES_MAX];
        size_t n_authorities, n_stampers;
};

/* PROVENANCE-050 in *reterr. Members that are unknown are skipped: the file is the owner's. */
SAI_NODISCARD int sig_root_read(struct view text, struct sig_root **ret, struct fault *reterr);
struct sig_root *sig_root_free(struct sig_root *r); /* NULL is fine; returns NULL */
static inline void sig_root_freep(struct sig_root **r) {
        *r = sig_root_free(*r);
}
/* "2021-01-12T11:53:27.000Z"; a fraction is cut off. -EBADMSG. */
SAI_NODISCARD int sig_time_read(struct view text, uint64_t *ret_seconds);
static inline bool sig_window_holds(const struct sig_window *w, uint64_t at) {
        return w->start <= at && at <= w->end;
}
