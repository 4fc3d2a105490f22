/* Every limit of quarantine and its scan-worker. Policy can only make them tighter. */
#pragma once

#include <stdint.h>
#include <stddef.h>

/* The ring between the reading side and the worker. */
#define RING_SLOTS          16
#define RING_SLOT_BYTES     ((size_t)256 << 10)
#define SCAN_WINDOW_REACH   ((size_t)64 << 10) /* bytes on each side of a literal hit that YARA gets to see */
#define SCAN_WINDOW_MAX     ((size_t)512 << 10) /* two slots: what lies contiguous in the worker's mapping */
#define SCAN_EMBEDDED_REACH ((size_t)4 << 10)   /* bytes after a magic number that its check wants to see */
#define SCAN_PENDING_MAX    4096 /* magic numbers near a slot's end that wait for the next slot */
#define SCAN_REPORTS_A_RULE 4    /* places told for one rule; further ones are only counted */

/* Archives, all levels together where nothing else is said. */
#define ARCHIVE_DEPTH_MAX    4u /* archives within each other */
#define ARCHIVE_MEMBERS_MAX  65536u
#define ARCHIVE_INFLATED_MAX ((uint64_t)4 << 30)  /* bytes that come out */
#define ARCHIVE_RATIO_MAX    200u                 /* times what went in … */
#define ARCHIVE_RATIO_FLOOR  ((uint64_t)64 << 20) /* … once so much came out */
#define ARCHIVE_HELD_MAX     ((size_t)16 << 20)   /* of 7-Zip archives, which are kept as a whole */
#define ARCHIVE_STACK_BYTES  ((size_t)256 << 10)  /* for libarchive, one level */
#define ARCHIVE_BLOCK        ((size_t)64 << 10)

/* Signature rules. */
#define RULES_TEXT_MAX     ((size_t)4 << 20)
#define RULES_FILES_MAX    256
#define RULES_COUNT_MAX    2048
#define RULES_LITERALS_MAX 16384
#define RULES_REGIONS_MAX                                                                                    \
        2048 /* of one slot, where strings of rules can be; with more of them all of it is searched */
#define RULES_LITERAL_LEAST 4 /* shorter strings would hit by chance all over the weights */
#define RULES_LITERAL_MOST  1024

/* The worker's leash. */
#define WORKER_START_USEC    (UINT64_C(60) * 1000000) /* until it says ready */
#define WORKER_STALL_USEC    (UINT64_C(60) * 1000000) /* without one finished slot */
#define WORKER_MEMORY_BYTES  ((uint64_t)512 << 20)
#define WORKER_CPU_LEAST_SEC 120 /* plus a second for each WORKER_CPU_BYTES */
#define WORKER_CPU_BYTES     ((uint64_t)8 << 20)
#define WORKER_SPARE_BYTES   ((uint64_t)4 << 30) /* the most that a worker which was started ahead reads */

/* Artifacts and jobs. */
#define ARTIFACT_BYTES_MAX  ((uint64_t)1 << 41)
#define ARTIFACT_NAME_MAX   255
#define JOBS_LISTED_MAX     500
#define JOBS_KEPT_MAX       10000 /* finished ones; the oldest are forgotten */
#define CONCURRENCY_MAX     8
#define FINDINGS_STORED_MAX 320
#define JOB_TEXT_MAX        ((size_t)512 << 10)  /* JSON of one job */
#define TENSORS_TEXT_MAX    ((uint64_t)60 << 20) /* of the document `tensors`: 100,000 of them and more */
#define TENSORS_TOLD_MAX    (1 << 20)            /* tensors of one artifact that a worker may tell of */
#define DOCUMENT_BYTES_MAX  ((uint64_t)64 << 20) /* one document of a job */
#define REJECTED_BYTES_MAX  ((uint64_t)1 << 40)
#define INBOX_ENTRIES_MAX   65536 /* looked at in one rescan */
#define INBOX_RESCAN_USEC   (UINT64_C(2) * 1000000)
#define INBOX_SETTLE_USEC   (UINT64_C(1) * 1000000)  /* unchanged for so long when nobody has it open */
#define INBOX_STABLE_USEC   (UINT64_C(10) * 1000000) /* the same where leases are impossible */
#define INBOX_SET_SETTLE_USEC                                                                                \
        (UINT64_C(3) * 1000000)               /* of folders: between two files of a copy there are pauses */
#define DISK_SPARE_BYTES ((uint64_t)64 << 20) /* never fill the last of the disk with copies */
#define INTERRUPTED_MAX  100                  /* times that quarantine may die over one file */
#define RETRY_LEAST_USEC (UINT64_C(1) * 1000000)
#define RETRY_MOST_USEC  (UINT64_C(60) * 1000000)

/* Stage 4. */
#define SIGNATURE_BYTES_MAX (64 << 10) /* a bare one */
#define BUNDLE_BYTES_MAX                                                                                     \
        ((size_t)4 << 20) /* certificates, proofs and, of a folder, the digests of all files */
#define TRUSTED_KEYS_MAX  64
#define KEY_FILE_MAX      ((size_t)64 << 10)
#define ED25519_BYTES_MAX ((uint64_t)256 << 20) /* Ed25519 needs the whole message in one piece */

/* Stage 6. */
#define PROMPTS_MAX            512
#define PROMPT_BYTES_MAX       4096
#define PROMPT_GOAL_MAX        256
#define PROMPT_SUITES_MAX      16
#define PROMPT_CATEGORIES_MAX  64
#define PROMPT_SLOTS_MAX       512
#define PROMPT_VARIANTS_MAX    256 /* of one slot */
#define PROMPT_FILE_MAX        ((size_t)1 << 20)
#define ANSWER_BYTES_MAX       ((size_t)64 << 10)
#define ANSWER_TOKENS_MAX      256
#define ANSWER_TOKENS_THINKING 1024 /* for models that think before they answer */
#define ANSWER_SHOWN_BYTES     400  /* of each answer, kept for review */
#define BEHAVIOUR_JOURNAL_MAX  ((size_t)8 << 20)
#define BEHAVIOUR_REPORT_MAX   ((size_t)16 << 20)
#define BEHAVIOUR_CONTEXT      2048
#define BEHAVIOUR_START_USEC                                                                                 \
        (UINT64_C(600) * 1000000) /* loading; a model that is read at 100 MB/s gets more */
#define BEHAVIOUR_QUIET_USEC   (UINT64_C(120) * 1000000) /* without one token */
#define BEHAVIOUR_TOTAL_USEC   (UINT64_C(7200) * 1000000)
#define BEHAVIOUR_MEMORY_SPARE ((uint64_t)1 << 30)

/* Service. */
#define API_CLIENTS_MAX      16
#define EVENT_GAP_USEC       (UINT64_C(100) * 1000)     /* at most ten events a second a job */
#define PROMOTE_TIMEOUT_USEC (UINT64_C(3600) * 1000000) /* the registry hashes the file itself */
#define PROMOTE_STEP_USEC    (UINT64_C(500) * 1000)
