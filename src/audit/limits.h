/* limits: every number that bounds the audit service. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define AUDIT_BATCH_RECORDS   64u                  /* records that one fdatasync may carry */
#define AUDIT_ROTATE_BYTES    ((uint64_t)64 << 20) /* audit.log is set aside when it is this large */
#define AUDIT_CHECKPOINT_EACH ((uint64_t)1024)     /* records between signed checkpoints */
#define AUDIT_TAIL_MAX        ((uint64_t)4 << 20) /* behind the durable end at start; more is not a crash's */
#define AUDIT_CONNECTIONS     64u
#define AUDIT_BODY_MAX        ((size_t)16 << 10) /* of POST /v1/append */
#define AUDIT_RULE_MAX        ((size_t)64)
#define AUDIT_SUBJECT_MAX     ((size_t)512)     /* longer ones are cut and end in "…" */
#define AUDIT_DETAIL_TEXT_MAX ((size_t)512)     /* of each string in detail; longer ones are cut */
#define AUDIT_DETAIL_MAX      ((size_t)8 << 10) /* of detail as written; larger is refused */
#define AUDIT_DETAIL_DEPTH    8u
#define AUDIT_RECORDS_DEFAULT ((uint64_t)100) /* GET /v1/records without limit */
#define AUDIT_RECORDS_MAX     ((uint64_t)1000)
#define AUDIT_RECORDS_BYTES   ((size_t)4 << 20) /* of one answer; it ends early at whole records */
#define AUDIT_RESERVE_BYTES                                                                                  \
        ((uint64_t)1 << 20) /* kept free for records on a full disk: about 2,500 of them */
#define AUDIT_RESERVE_SPARE ((uint64_t)16 << 20) /* room that must be there before it is kept again */
#define AUDIT_MEMORY_MAX    ((uint64_t)256 << 20)
