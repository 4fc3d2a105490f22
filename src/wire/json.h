/* json: a strict reader and writer (RFC 8259, stricter: see below) for messages between programs and from outside.
 * Pure, no I/O. A document is an immutable tree in one arena; views into it live as long as the document.
 *
 * Refused, each with the byte offset of the fault: duplicate keys (compared after unescaping), bad UTF-8, lone
 * surrogates, control characters in strings, depth above the limit, anything but white space behind the value, a
 * byte-order mark, numbers such as 01, +1, .5, 1. and 1e999, empty input. Numbers keep their exact text.
 * The YAML reader (wire/yaml.h) builds the same tree, with line numbers in `at`. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#define JSON_DEPTH_MAX 32

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_TYPE_MAX };

/* One value. Read through the functions below; the layout is public so that walking it costs nothing. */
struct json {
        enum json_type type;
        bool boolean;
        bool is_integer; /* JSON_NUMBER: no fraction, no exponent, fits int64 or uint64 */
        bool is_negative;
        uint64_t integer; /* magnitude when is_integer */
        struct view text; /* JSON_STRING: unescaped. JSON_NUMBER: as written */
        struct view key;  /* unescaped name when this is a member of an object */
        uint64_t at;      /* byte offset of the value (JSON) or line, 1-based (YAML) */
        uint32_t count;   /* of children */
        struct json *child;
        struct json *next; /* in the parent, in order of the input */
};

struct json_limits {
        unsigned depth; /* at most and by default (0) JSON_DEPTH_MAX */
        size_t memory;  /* cap of the arena in bytes; 0 = 16 times the input + 64 KiB */
};

struct json_document; /* opaque; free with json_document_free */

/* Reads all of `text` (borrowed during the call only). `limits` may be NULL.
 * 0 and *ret (caller owns), or -EBADMSG / -E2BIG (depth, memory cap) / -ENOMEM and *reterr (may be NULL) filled:
 * rule "JSON-0NN", at = byte offset. */
SAI_NODISCARD int json_parse(struct view text, const struct json_limits *limits, struct json_document **ret,
                             struct fault *reterr);
/* As json_parse, reusing a document's memory: for hot paths. *doc may be NULL at first. After a failure *doc, if it is
 * there, holds no tree (json_root gives NULL); the caller still frees it. */
SAI_NODISCARD int json_parse_reuse(struct view text, const struct json_limits *limits,
                                   struct json_document **doc, struct fault *reterr);
const struct json *json_root(const struct json_document *d);
struct json_document *json_document_free(struct json_document *d); /* NULL is fine; returns NULL */
static inline void json_document_freep(struct json_document **d) {
        *d = json_document_free(*d);
}

/* Member of an object by name; NULL when `o` is NULL, not an object or has no such member. */
const struct json *json_get(const struct json *o, const char *key);
/* Member of the given type, or NULL. */
const struct json *json_get_typed(const struct json *o, const char *key, enum json_type type);
/* String member, or `otherwise`. */
struct view json_get_view(const struct json *o, const char *key, struct view otherwise);
/* 0 and *ret; -ENOENT when missing, -EBADMSG when of another type or out of range. */
SAI_NODISCARD int json_get_u64(const struct json *o, const char *key, uint64_t *ret);
SAI_NODISCARD int json_get_bool(const struct json *o, const char *key, bool *ret);
SAI_NODISCARD int json_get_double(const struct json *o, const char *key, double *ret);
/* For "unknown keys are refused": NULL when every member's name is among `names` (NULL-terminated list), else the
 * first member that is not. */
const struct json *json_unknown_member(const struct json *o, const char *const *names);
const char *json_type_name(enum json_type t);

/* Writing. Text is appended to a buf; the writer keeps track of commas and nesting (at most JSON_DEPTH_MAX) and of
 * the first error, so that callers check once, at json_write_end. Strings that are not UTF-8 are written with
 * U+FFFD in place of each bad byte. */
struct json_writer {
        struct buf *out;
        int error;
        unsigned depth;
        uint64_t is_object, has_member; /* one bit a level */
        bool after_key;
};
#define JSON_WRITER(b) ((struct json_writer){.out = (b)})

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_view(struct json_writer *w, struct view key);
void json_put_view(struct json_writer *w, struct view v);
void json_put_string(struct json_writer *w, const char *s); /* NULL is written as null */
void json_put_u64(struct json_writer *w, uint64_t v);
void json_put_i64(struct json_writer *w, int64_t v);
void json_put_double(struct json_writer *w,
                     double v); /* not finite: null; shortest text that reads back equal */
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct view json_text); /* trusted: already JSON */
void json_put_value(struct json_writer *w, const struct json *v);
/* key + value in one */
void json_member_string(struct json_writer *w, const char *key, const char *s);
void json_member_view(struct json_writer *w, const char *key, struct view v);
void json_member_u64(struct json_writer *w, const char *key, uint64_t v);
void json_member_bool(struct json_writer *w, const char *key, bool v);
/* 0, or the first error: -ENOMEM, -EFBIG, or -EINVAL for unbalanced calls. */
SAI_NODISCARD int json_write_end(struct json_writer *w);
