/* Limits of the command line. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PATH_TEXT_MAX      ((size_t)1024)     /* of folders; sockets are shorter still */
#define TOKENS_FILE_MAX    ((size_t)64 << 10) /* tokens.json */
#define ANSWER_MAX         ((size_t)16 << 20) /* one answer of a service */
#define SHOWN_TEXT_MAX     ((size_t)4096)     /* of one text from outside, before it is cut */
#define OUTPUT_LINE_MAX    ((size_t)64 << 10)
#define SIGNATURE_FILE_MAX ((size_t)64 << 10)
#define CHAT_PROMPT_MAX    ((size_t)256 << 10) /* one message */
#define CHAT_HISTORY_MAX   ((size_t)1 << 20)   /* a conversation */
#define CHAT_ANSWER_MAX    ((size_t)1 << 20)
#define CHAT_EVENT_MAX     ((size_t)1 << 20)
#define FINDINGS_SHOWN     8 /* of one stage, at the end of an import */

#define CALL_TIMEOUT_USEC   UINT64_C(15000000)  /* ordinary requests */
#define ANSWER_TIMEOUT_USEC UINT64_C(900000000) /* a model may have to be loaded first */
#define POLL_USEC           UINT64_C(250000)    /* between two looks at a job */
#define SILENCE_USEC        UINT64_C(300000000) /* a model that says nothing for so long has failed */
#define MODEL_DIGITS_MIN    6                   /* of a SHA-256 that stands for a model */
#define PATIENCE_TRIES      20 /* of a GET whose service may just start again, POLL_USEC apart */
