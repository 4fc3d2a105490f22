/* limits: every number that bounds the ui service. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UI_CONNECTIONS 64u
#define UI_MEMORY_MAX  ((uint64_t)640 << 20)
#define UI_FILES_MAX   512u

/* Passphrase and sessions */
#define UI_PASSPHRASE_BYTES_MAX 1024u
#define UI_SCRYPT_N             ((uint64_t)1 << 16) /* 64 MiB, about a fifth of a second */
#define UI_SCRYPT_N_MAX         ((uint64_t)1 << 20)
#define UI_SCRYPT_R             8u
#define UI_SCRYPT_P             1u
#define UI_CODE_CHARS           12u /* of 32: 60 bits */
#define UI_SESSIONS_MAX         16u /* the oldest gives way */
#define UI_SEEN_EACH_S          15u /* the last use of a session is written this often */
#define UI_LOCK_MAX_S           ((uint64_t)24 * 3600)
#define UI_AUTH_BODY_MAX        ((size_t)8 << 10)

/* Conversations */
#define UI_CONVERSATIONS_MAX  5000u
#define UI_CONVERSATION_BYTES ((size_t)4 << 20)
#define UI_MESSAGES_MAX       2000u
#define UI_MESSAGE_BYTES_MAX  ((size_t)512 << 10)
#define UI_TITLE_BYTES_MAX    ((size_t)400)
#define UI_SYSTEM_BYTES_MAX   ((size_t)32 << 10)
#define UI_SEARCH_BYTES_MAX   ((size_t)200)
#define UI_LISTED_MAX         500u

/* Other services */
#define UI_RULES_BYTES_MAX   ((size_t)1 << 20)          /* the whole catalogue as JSON */
#define UI_ANSWER_MAX        ((size_t)32 << 20)         /* a model with all its files is the largest */
#define UI_QUICK_USEC        ((uint64_t)10 * 1000000)   /* reads and small acts */
#define UI_PROBE_USEC        ((uint64_t)2 * 1000000)    /* is somebody there? */
#define UI_LOAD_USEC         ((uint64_t)3630 * 1000000) /* longest load_timeout_seconds and a little */
#define UI_CHAT_BODY_MAX     ((size_t)4 << 20)
#define UI_STREAM_SLICE_USEC ((uint64_t)1 * 1000000)
#define UI_WAIT_SLICE_USEC   ((uint64_t)250 * 1000) /* between looks whether the browser has gone */
#define UI_KEEP_ALIVE_USEC   ((uint64_t)10 * 1000000)
#define UI_CHANNEL_USEC      ((uint64_t)10 * 1000000)
#define UI_COMMIT_USEC                                                                                       \
        ((uint64_t)1800 * 1000000) /* a large file's last bytes reach a slow disk, or it is copied */

/* Uploads */
#define UI_UPLOADS_MAX      4u
#define UI_UPLOAD_NAME_MAX  ((size_t)200)
#define UI_UPLOAD_USEC      ((uint64_t)24 * 3600 * 1000000)
#define UI_UPLOAD_BYTES_MAX ((uint64_t)1 << 42)
