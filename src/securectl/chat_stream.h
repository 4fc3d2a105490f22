/* chat_stream: one streamed answer of the chat API (OpenAI's form): request text and reading of events. Pure. */
#pragma once

#include "base/buf.h"
#include "wire/json.h"

struct chat_request {
        const char *model;                           /* NULL: the loaded one */
        const char *system;                          /* NULL: none */
        const char *temperature, *max_tokens, *seed; /* JSON numbers as text, or NULL */
        struct view messages; /* JSON objects with commas between them: what chat_add_message makes */
        bool stream;
};

/* The body of POST /v1/chat/completions. */
SAI_NODISCARD int chat_write_request(const struct chat_request *q, struct buf *out);
/* Appends a message to the history; -EFBIG when it does not fit any more (the history is as before). */
SAI_NODISCARD int chat_add_message(struct buf *history, const char *role, struct view content);

struct chat_delta {
        struct json_document *doc; /* owns the text */
        struct view content;       /* may be empty */
        struct view error;         /* message of an error event, VIEW_NULL: none */
        bool is_end;               /* [DONE] */
};
/* Reads the data of one event. *ret is released with chat_delta_done. -EBADMSG. */
SAI_NODISCARD int chat_read_event(struct view data, struct chat_delta *ret);
void chat_delta_done(struct chat_delta *d);
static inline void chat_delta_donep(struct chat_delta *d) {
        chat_delta_done(d);
}
