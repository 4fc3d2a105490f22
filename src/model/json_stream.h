/* json_stream: strict JSON (RFC 8259) read in pieces, for headers that are too large to keep. It reports
 * events and keeps no more than one text of JSON_STREAM_TEXT_MAX bytes. Stricter than the standard: no NUL,
 * no lone surrogate, at most `depth_max` levels, a byte order mark is a fault. Duplicate keys are
 * the caller's business: they come unescaped. Pure. */
#pragma once

#include "base/buf.h"
#include "model/limits.h"
#include "model/utf8_stream.h"

enum json_event {
        JSON_OBJECT_BEGIN,
        JSON_OBJECT_END,
        JSON_ARRAY_BEGIN,
        JSON_ARRAY_END,
        JSON_KEY,
        JSON_STRING,
        JSON_NUMBER,
        JSON_TRUE,
        JSON_FALSE,
        JSON_NULL
};

/* `text`: a key's or string's first bytes, unescaped, or a number as it is written; `length`: of the whole
 * text, which may be more than was kept. A negative return ends the reading and is handed through. */
typedef int (*json_event_fn)(void *userdata, enum json_event e, struct view text, uint64_t length);

struct json_stream {
        json_event_fn put;
        void *userdata;
        uint8_t state;
        uint8_t depth;
        uint8_t depth_max; /* JSON_STREAM_DEPTH_MAX, or what the caller writes here; at most JSON_WALK_DEPTH_MAX */
        bool is_object[JSON_WALK_DEPTH_MAX];
        struct buf *whole; /* not NULL: texts are appended here, too, whole; the caller sets and empties it */
        int whole_fault;   /* of an append */
        bool is_key;
        uint8_t digits; /* of a \u escape, or of a literal, read so far */
        uint32_t code_unit;
        uint32_t high_surrogate; /* waiting for its partner, or 0 */
        const char *literal;
        struct utf8_stream utf8;
        uint64_t at; /* offset of the byte being looked at: where an event or a fault is */
        size_t text_n;
        uint64_t length;
        const char *why; /* what was wrong, after -EBADMSG; static */
        char text[JSON_STREAM_TEXT_MAX];
};

void json_stream_init(struct json_stream *j, json_event_fn put, void *userdata);
/* Reads on; stops behind the outermost value. 0 and *ret_used bytes taken (all of them unless the value
 * ended), or -EBADMSG with `why` and `at` set, or what the event function returned. */
SAI_NODISCARD int json_stream_feed(struct json_stream *j, struct view bytes, size_t *ret_used);
bool json_stream_is_complete(const struct json_stream *j);
