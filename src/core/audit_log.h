/* audit_log: the lines of the tamper-evident log and the chain that binds them. Shared by the writer (the audit
 * service) and by the verifier (securectl audit verify). Pure: no files.
 *
 * One record is one line of JSON, members always in this order:
 *   {"sequence":1,"time":"…Z","boot":"…","caller":"registry","event":"model_promoted","decision":"allow",
 *    "rule":"…"|null,"subject":"…","detail":{…},"prev":"<hash of the record before>","hash":"<this record's hash>"}
 * hash = HMAC-SHA-256(key of this sequence, the line's bytes before `,"hash":"`). The first record's prev is 64 zeros.
 *
 * Keys only move forward: key(n + 1) = SHA-256("secai.audit-key/1\n" || key(n)), and key(n) is wiped as soon as record n
 * is on disk. Who takes over the writer later holds a key that says nothing about earlier ones, so it can't
 * rewrite the past; key(1), the verification key, is kept where the writer can't read it. */
#pragma once

#include "base/buf.h"
#include "core/digest.h"

#define AUDIT_LINE_MAX   ((size_t)16384) /* with its newline */
#define AUDIT_KEY_SIZE   32
#define AUDIT_FILE_NAME  "audit.log"  /* rotated ones: audit.log.000001, … */
#define AUDIT_HEAD_NAME  "audit.head" /* the newest signed checkpoint, beside the log */
#define AUDIT_OWN_CALLER "audit"      /* caller of the records that the log makes about itself */

#define AUDIT_EVENT_CHECKPOINT "checkpoint"
#define AUDIT_EVENT_RECOVERED  "log_recovered"
#define AUDIT_EVENT_OPENED     "log_opened"

struct audit_chain {
        uint64_t next_sequence; /* of the record to come; 1 in an empty log */
        uint8_t key[AUDIT_KEY_SIZE];
        struct sha256 last; /* hash of the record before; zeros in an empty log */
};

/* What one record says. `rule` may be VIEW_NULL; `detail` is the text of a JSON object or VIEW_NULL. */
struct audit_entry {
        struct view caller, event, decision, rule, subject, detail;
};

/* Appends the line of the next record, newline included, to `out` and moves the chain on. On failure both are as
 * before: -EFBIG (line above AUDIT_LINE_MAX or no room in `out`), -ENOMEM. */
SAI_NODISCARD int audit_line_append(struct audit_chain *c, const struct audit_entry *e, uint64_t real_usec,
                                    const char *boot_id, struct buf *out);

/* A line as it stands in a file, taken apart without believing it. */
struct audit_line {
        uint64_t sequence;
        struct view time;
        struct view body; /* the bytes that the hash covers */
        struct sha256 prev, hash;
};
/* `line` without newline. 0, or -EBADMSG when it has not the form of a record. */
SAI_NODISCARD int audit_line_parse(struct view line, struct audit_line *ret);

/* Checks that `line` is the next record of the chain and moves the chain on. -ESTALE: its sequence is not the next one;
 * -EXDEV: it does not follow the record before (prev); -EKEYREJECTED: changed, or written without the key. The chain
 * moves on success only. */
SAI_NODISCARD int audit_chain_check(struct audit_chain *c, const struct audit_line *line);
/* One key forward; for those who start at key(1). */
SAI_NODISCARD int audit_chain_forward(struct audit_chain *c);

/* True for 1..64 bytes of lower-case letters, digits and '_', beginning with a letter. */
bool audit_event_is_valid(struct view event);
/* True for "allow", "deny", "ask", "info" and "error". */
bool audit_decision_is_valid(struct view decision);
