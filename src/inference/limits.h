/* Every limit of the inference service. */
#pragma once

#include "base/macros.h"

/* A chat request. */
#define CHAT_BODY_MAX     ((size_t)4 << 20)
#define CHAT_MESSAGES_MAX 1024u
#define CHAT_STOPS_MAX    16u
#define CHAT_STOP_MAX     ((size_t)256)
#define CHAT_SCHEMA_MAX   ((size_t)64 << 10) /* text of a response_format's JSON Schema */
#define CHAT_TOKENS_MAX   1048576u
#define CHATS_AT_ONCE_MAX 32u /* answers under way or waiting for the worker */
#define CONTROL_BODY_MAX  ((size_t)4 << 10)

/* The worker's answer, which is hostile. */
#define ANSWER_EVENT_MAX                                                                                     \
        ((size_t)64 << 10) /* one event of the stream; far below what one write to the client holds */
#define ANSWER_TEXT_MAX     ((size_t)16 << 20) /* all text of one answer */
#define ANSWER_EVENTS_MAX   (2u * CHAT_TOKENS_MAX)
#define ANSWER_BYTES_MAX    ((uint64_t)256 << 20) /* all that it sends for one answer */
#define ANSWER_WRITE_MAX    ((size_t)128 << 10)   /* handed to the client's connection at once */
#define ANSWER_ERROR_MAX    ((size_t)64 << 10)    /* body of an answer that is not 200 */
#define ANSWER_START_USEC   (2 * USEC_PER_SEC)    /* wait for a status before the client gets its headers */
#define ANSWER_BEAT_USEC    (2 * USEC_PER_SEC)    /* silence after which the client hears a comment */
#define ANSWER_FIRST_USEC   (900 * USEC_PER_SEC)  /* reading a long prompt on a slow machine */
#define ANSWER_SILENCE_USEC (120 * USEC_PER_SEC)  /* between two tokens */
#define ANSWER_TOTAL_USEC   (3600 * USEC_PER_SEC)
#define WORKER_END_USEC     USEC_PER_SEC /* from a refused connection to the worker's end being noticed */

/* The worker. */
#define WORKER_THREADS_MAX     256u
#define WORKER_SLOTS           1u /* answers are computed one after the other: all memory and cores for each */
#define CONTEXT_LEAST          256u
#define CONTEXT_MOST           131072u
#define CONTEXT_CAP            32768u              /* when the owner leaves it to the model */
#define LOAD_WAIT_USEC         (20 * USEC_PER_SEC) /* a chat waits so long for its model, then 503 model_loading */
#define LOAD_CONTROL_WAIT_USEC (300 * USEC_PER_SEC) /* POST /v1/load */
#define BUSY_WAIT_USEC                                                                                       \
        (10 * USEC_PER_SEC) /* a switch waits so long for running answers, then 409 model_busy */
#define HEALTH_CALL_USEC     (5 * USEC_PER_SEC)
#define HEALTH_ANSWER_MAX    ((size_t)4 << 10)
#define RESTART_FIRST_USEC   (USEC_PER_SEC) /* doubles with each death in a row; the first restart is at once */
#define RESTART_MOST_USEC    (60 * USEC_PER_SEC)
#define RESTART_DEATHS_MAX   5u                  /* in a row; then it stays down until somebody asks for it */
#define RESTART_HEALTHY_USEC (60 * USEC_PER_SEC) /* alive so long: the count starts anew */
#define LEASE_RETRY_USEC     (5 * USEC_PER_SEC)

/* This program. RLIMIT_DATA counts thread stacks in full (8 MiB each where libmicrohttpd makes them). */
#define INFERENCE_MEMORY_MAX ((uint64_t)2 << 30)

/* The registry. */
#define REGISTRY_CALL_USEC (10 * USEC_PER_SEC)
#define MODELS_MAX         4096u
#define MODEL_NAME_MAX     ((size_t)255)

/* A model's header, read for its dimensions only (the registry has verified the file). */
#define SHAPE_PAIRS_MAX  65536u
#define SHAPE_KEY_MAX    ((size_t)256)
#define SHAPE_ARRAY_MAX  ((uint64_t)1 << 24)
#define SHAPE_HEADER_MAX ((uint64_t)256 << 20)
