/* audit_state: where the writer stands, durable beside the log: the current key, the sequence that it belongs to, the
 * edge of the tree and the place in the files.
 *
 * The file holds two slots of one page. A batch of records is first on disk in the log, then the new state goes into the
 * slot that is not in use, and when that is on disk the old slot is overwritten. So the log is never behind the
 * state, and ahead of it by one batch at most; what is ahead carries valid hashes under the stored key and is taken
 * over at start. The state can't be turned back by who holds only a later key: it is the log's unforgeable end. */
#pragma once

#include "core/audit_log.h"
#include "core/audit_tree.h"

#define AUDIT_STATE_NAME      "state" /* in the writer's folder */
#define AUDIT_STATE_SLOT_SIZE ((size_t)4096)

struct audit_state {
        uint64_t generation; /* counts stores; the higher of two valid slots is the state */
        struct audit_chain chain;
        struct audit_tree tree;
        uint64_t rotated; /* files audit.log.000001 … that exist */
        uint64_t offset;  /* bytes of audit.log that belong to the records before chain.next_sequence */
        uint64_t last_checkpoint; /* sequence of the newest checkpoint record, 0: none */
};

/* `fd` is the open state file. -EUCLEAN: no valid slot. */
SAI_NODISCARD int audit_state_read(int fd, struct audit_state *ret);
/* Durable on 0, and the slot before is overwritten; the generation counts up. On failure *s is as before. */
SAI_NODISCARD int audit_state_store(int fd, struct audit_state *s);
void audit_state_wipe(struct audit_state *s);
