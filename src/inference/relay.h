/* relay: the worker's answer, event by event, checked and written anew. llama-server is hostile once it has read a
 * model: nothing of what it sends is passed on as it is; unknown members are dropped, known ones must have their type, and
 * texts, numbers of events and sizes are bounded. Pure. Not thread-safe. */
#pragma once

#include "base/fault.h"
#include "wire/json.h"

struct relay {
        bool stream; /* events for the client; false: one object at the end */
        char id[32]; /* ours, not the worker's */
        char model[65];
        uint64_t created;
        struct json_document *document; /* memory that is used again */
        struct buf text, reasoning;     /* of the whole answer, when it is not a stream */
        struct buf usage, timings;      /* JSON objects as they will go out, or empty */
        uint64_t text_bytes;
        uint64_t events;
        bool ended; /* finish_reason was seen */
        const char *finish_reason;
};

/* `model`: SHA-256 in hex. */
SAI_NODISCARD int relay_init(struct relay *r, bool stream, struct view model);
void relay_done(struct relay *r);
/* One event's data. 1: more to come, 0: the answer is complete ("[DONE]" after a finish reason); or negative and *reterr: -EBADMSG
 * (not what a worker says; rule "ANSWER-0NN"), -EREMOTEIO (it says that it failed), -EFBIG, -ENOMEM. */
SAI_NODISCARD int relay_event(struct relay *r, struct view data, struct buf *out, struct fault *reterr);
/* Not a stream, complete: appends the chat.completion object. */
SAI_NODISCARD int relay_write(const struct relay *r, struct buf *out);
