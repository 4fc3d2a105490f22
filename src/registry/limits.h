/* limits: every number that bounds the registry. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define REGISTRY_MODELS_MAX      ((uint64_t)10000)
#define REGISTRY_MEMBERS_MAX     ((uint64_t)200000)   /* files of all sets together */
#define REGISTRY_DOCUMENT_MAX    ((uint64_t)64 << 20) /* bytes of one document */
#define REGISTRY_DOCUMENT_PIECE  ((size_t)128 << 10)  /* sent at a time */
#define REGISTRY_ADMIT_THREADS   2u                   /* that hash the files of a set, a connection */
#define REGISTRY_ADMIT_QUEUE     8u                   /* files that wait for them; then the sender waits */
#define REGISTRY_ADMIT_STACK     ((size_t)1 << 20)
#define REGISTRY_CONNECTIONS     32u
#define REGISTRY_CHANNELS        32u                 /* fd channels: quarantine and inference */
#define REGISTRY_LEASES_MAX      64u                 /* models that one channel may hold open */
#define REGISTRY_EVIDENCE_MAX    ((size_t)190 << 10) /* its base64 must fit into a channel's message */
#define REGISTRY_EVIDENCE_MEMORY ((size_t)8 << 20)   /* of its tree while it is checked */
#define REGISTRY_NAME_MAX        ((size_t)200)       /* display name; longer ones are cut */
#define REGISTRY_WANTED_NAME_MAX ((size_t)2048)      /* name as it is asked for, escapes included */
#define REGISTRY_NAME_TRIES      1000u               /* "name (2)" … "name (1000)" */
#define REGISTRY_ID_MAX          ((size_t)64)        /* job ids */
#define REGISTRY_TEXT_MAX        ((size_t)256)       /* scanner, architecture, … */
#define REGISTRY_COPY_BUFFER     ((size_t)1 << 20)
#define REGISTRY_LIST_BYTES      ((size_t)32 << 20) /* of GET /v1/models and of one model with all its files */
#define REGISTRY_MEMORY_MAX      ((uint64_t)512 << 20)
#define REGISTRY_VERIFY_SLICE    ((size_t)1 << 20)       /* read at a time by the background check */
#define REGISTRY_RETRY_USEC      (UINT64_C(5) * 1000000) /* background work that failed for a passing reason */
#define REGISTRY_ANCHOR_PAGE     200u /* audit records asked for at once; the answer always holds them */
#define REGISTRY_ACCEPT_STEP     ((uint64_t)1000) /* versions that an owner's acceptance jumps over */
#define REGISTRY_ANSWER_USEC     (UINT64_C(10) * 1000000)
#define REGISTRY_VERIFY_SPEED    ((uint64_t)100 << 20) /* bytes a second, when appliance.yaml doesn't say */
#define REGISTRY_VERIFY_HOURS    ((uint64_t)168)       /* between checks of a model, likewise */
#define REGISTRY_SENTENCES_MAX   64                    /* of what was not tested */
#define REGISTRY_SENTENCE_MAX    1024
