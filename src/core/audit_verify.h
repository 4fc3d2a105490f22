/* audit_verify: checks the whole log against the verification key, the writer's state, the signed checkpoints, and
 * what an earlier verification saw. Reads only; works beside a running writer. Not for the audit service itself: it
 * needs the key that the writer must not be able to read. */
#pragma once

#include "core/audit_log.h"

#define AUDIT_VERIFY_KEY_NAME    "verify.key" /* these in the state folder, beside writer/ */
#define AUDIT_CHECKPOINT_PUBLIC  "checkpoint.pub"
#define AUDIT_REMEMBERED_NAME    "verified.json"
#define AUDIT_WRITER_DIR_NAME    "writer"
#define AUDIT_CHECKPOINT_PRIVATE "checkpoint.key" /* in writer/ */

struct audit_report {
        bool ok;
        const char *code; /* "ok" or what is broken, stable: see audit_verify.c */
        char file[64];    /* the place, when broken: file, line (1-based, 0: the file as a whole), sequence */
        uint64_t line;
        uint64_t sequence; /* that is missing or wrong there; 0: none */
        char text[240];    /* for people */

        uint64_t records, files, checkpoints;
        uint64_t recoveries; /* records that say that a torn tail was cut off after a crash */
        uint64_t
                torn_bytes; /* unfinished line at the very end: a record under way, or a crash not yet recovered */
        char first_time[32], last_time[32];
        struct sha256 head; /* hash of the last record */
        /* The part that the writer had on disk before this verification began: what came later may still be taken back. */
        uint64_t known_sequence;
        struct sha256 known_hash;
};

/* `log_dir`: folder with audit.log; `state_dir`: the audit service's state folder. 0 and *ret when the question could be
 * decided, broken logs included; negative when it could not (no permission, I/O error). */
SAI_NODISCARD int audit_verify(int log_dir, int state_dir, struct audit_report *ret);
/* Keeps the end of a log found ok in <state_dir>/verified.json, so that the next verification notices when everything
 * (log, state and head) was put back to an older copy. */
SAI_NODISCARD int audit_verify_remember(int state_dir, const struct audit_report *report);
