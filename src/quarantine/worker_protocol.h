/* worker_protocol: what quarantine and its scan-worker say to each other, over a SOCK_SEQPACKET pair. One fixed
 * structure a packet, host byte order (both are built from this file). Orders are trusted; replies are hostile and
 * are checked field by field in worker_link.c.
 *
 *   quarantine                              scan-worker
 *   PREPARE (+ descriptor of the rules) →   (compiles them and locks itself in)
 *                                      ←    PREPARED, or FAILED with a text (then it ends)
 *   BEGIN                              →    (at once, or when there is something to read: a spare waits here)
 *                                      ←    READY, or FAILED
 *   SLOT  slot, n bytes                →    (reads them from the ring)
 *                                      ←    TAKEN count of slots that may be overwritten (one for each slot)
 *                                      ←    TENSOR what was seen of a tensor (when its last byte was read)
 *                                      ←    EARLY the first finding that rejects, as soon as it is found (at most one; FINDING
 *                                           must say it again)
 *   END                                →
 *                                      ←    FINDING …, SUMMARY, end of file
 *
 * A set (an artifact that is a folder) is read by one worker a lane, file by file; the lane 0 worker also judges the whole:
 *
 *   BEGIN (+ names of all members)     →
 *                                      ←    READY
 *   FILE  member                       →    … SLOT, TAKEN as above, slots counted anew for each file
 *   FILE_END                           →
 *                                      ←    MEMBER what the file is
 *   FACT  member, what the other lane's worker learnt (lane 0 only) →
 *   END                                →    (as above; findings name their member)
 */
#pragma once

#include "model/scan.h"
#include "quarantine/limits.h"

#define WORKER_CONTROL_FD 3
#define WORKER_RING_FD    4
#define WORKER_TEXT_MAX   400

enum worker_order_type {
        WORKER_BEGIN = 0x51,
        WORKER_SLOT,
        WORKER_END,
        WORKER_FILE,
        WORKER_FILE_END,
        WORKER_FACT,
        WORKER_PREPARE,
};

struct worker_order {
        uint32_t type;
        uint32_t slot;
        uint64_t
                n; /* BEGIN: size of the artifact; SLOT: bytes in the slot (all but the last are full); FILE: its size */
        uint32_t members;              /* BEGIN: of a set; 0: a single file */
        uint32_t lane;                 /* BEGIN of a set */
        uint32_t member;               /* FILE: 1 + position in the listing */
        struct weights_limits weights; /* BEGIN: of policy */
        uint32_t name_n;
        char name[ARTIFACT_NAME_MAX + 1]; /* BEGIN */
};

/* The other order of a size of its own. */
struct worker_fact {
        uint32_t type; /* WORKER_FACT */
        uint32_t member;
        struct model_summary facts; /* as a worker said it: clean in form, hostile in content */
};
union worker_any_order {
        uint32_t type;
        struct worker_order order;
        struct worker_fact fact;
};

enum worker_reply_type {
        WORKER_READY = 0xa1,
        WORKER_FAILED,
        WORKER_TAKEN,
        WORKER_FINDING,
        WORKER_SUMMARY,
        WORKER_MEMBER,
        WORKER_TENSOR,
        WORKER_PREPARED,
        WORKER_EARLY,
};

struct worker_reply_head {
        uint32_t type;
        uint32_t reserved;
};
struct worker_ready { /* PREPARED, READY */
        struct worker_reply_head head;
        uint64_t rules;
};
struct worker_failed {
        struct worker_reply_head head;
        char text[WORKER_TEXT_MAX];
};
struct worker_taken {
        struct worker_reply_head head;
        uint64_t slots; /* running total */
};
struct worker_finding { /* FINDING, EARLY */
        struct worker_reply_head head;
        struct finding finding;
};
struct worker_summary {
        struct worker_reply_head head;
        uint64_t dropped; /* findings past FINDINGS_MAX */
        uint64_t windows; /* looked at by YARA */
        struct model_summary summary;
};
struct worker_member {
        struct worker_reply_head head;
        uint32_t member;
        uint32_t reserved;
        struct model_summary facts;
};
struct worker_tensor {
        struct worker_reply_head head;
        uint32_t member;
        uint32_t reserved;
        struct tensor_record record;
};
union worker_reply {
        struct worker_reply_head head;
        struct worker_ready ready;
        struct worker_failed failed;
        struct worker_taken taken;
        struct worker_finding finding;
        struct worker_summary summary;
        struct worker_member member;
        struct worker_tensor tensor;
};
