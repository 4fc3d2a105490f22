/* chat_request: a chat request in OpenAI's form, checked member by member against a list of what is passed on, and
 * written anew for the worker from the checked values: what was checked is what is used. Pure. */
#pragma once

#include "base/fault.h"
#include "wire/json.h"

struct chat_request {
        struct view model; /* sha256 or name; empty: the loaded one. Points into the request */
        bool stream;
        uint32_t max_tokens; /* 0: as many as fit */
        const struct json *body;
};

/* 0 and *ret (borrows `body`), or -EBADMSG and *reterr: rule "CHAT-0NN", text for the caller. */
SAI_NODISCARD int chat_request_read(const struct json *body, struct chat_request *ret, struct fault *reterr);
/* Appends the worker's request: always a stream with usage at its end, at most `context` tokens.
 * -ENOMEM, -EFBIG (out's maximum). */
SAI_NODISCARD int chat_request_write(const struct chat_request *c, uint32_t context, struct buf *out);
