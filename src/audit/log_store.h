/* log_store: the log's files: opens and repairs them, appends batches durably, rotates, signs checkpoints.
 * Not thread-safe (writer.h puts a queue in front). One writer a log: a lock on writer/lock.
 *
 * A batch is written to audit.log, made durable, then the state (core/audit_state.h) is. A failure before that takes the
 * file back to where it was; a failure while the state is stored leaves the records there (they are valid) and no
 * further batch is taken until the state could be stored. */
#pragma once

#include "base/fault.h"
#include "core/audit_log.h"

struct log_store; /* opaque */

struct log_store_config {
        int log_dir;    /* audit.log, audit.log.000001 …, audit.head; borrowed, like writer_dir */
        int writer_dir; /* state, lock, checkpoint.key */
        uint64_t rotate_bytes;
        uint64_t checkpoint_each; /* records */
};

/* Takes the lock, reads the state, finishes an interrupted rotation, adopts whole records of a batch that crashed before
 * its state was stored, cuts off a torn tail (and writes a log_recovered record with the digest of what was cut), and
 * writes log_opened. 0 and *ret; -EBUSY another writer has the lock; -EUCLEAN the log or the state was tampered with
 * or damaged and *reterr says where (an owner decides: README.md); other negative errno. */
SAI_NODISCARD int log_store_open(const struct log_store_config *config, struct log_store **ret,
                                 struct fault *reterr);
/* Writes a last checkpoint when records came since the newest one; unlocks. NULL is fine; returns NULL. */
struct log_store *log_store_close(struct log_store *s);
static inline void log_store_closep(struct log_store **s) {
        *s = log_store_close(*s);
}

struct log_item {
        const struct audit_entry *entry;
        uint64_t sequence; /* set when result is 0 */
        int result;        /* 0: on disk. -EFBIG: this record alone is too large. Others: the batch failed */
};
/* At most AUDIT_BATCH_RECORDS items; each gets its result. */
void log_store_commit(struct log_store *s, struct log_item *items, size_t n);

/* Where the durable log ends. */
struct log_end {
        uint64_t sequence; /* of the last record */
        struct sha256 hash;
        uint64_t rotated;   /* rotated files */
        uint64_t offset;    /* bytes of audit.log that are durable */
        uint64_t real_usec; /* when the last batch was written; 0 before the first one of this run */
};
struct log_end log_store_end(const struct log_store *s);

#define LOG_FILE_NAME_SIZE 40
/* Name of rotated file `number` (1…) into `out`. */
void log_file_name(uint64_t number, char out[LOG_FILE_NAME_SIZE]);
