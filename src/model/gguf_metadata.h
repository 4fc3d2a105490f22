/* gguf_metadata: what the key/value pairs of a GGUF file mean, beyond their framing: which keys must have
 * which type, alignment, vocabulary, templates, split sets. Used by gguf only. Pure; two bits a vocabulary
 * entry. */
#pragma once

#include "base/buf.h"
#include "base/hash_set.h"
#include "model/report.h"
#include "model/scan.h"
#include "model/utf8_stream.h"

enum gguf_type {
        GGUF_U8,
        GGUF_I8,
        GGUF_U16,
        GGUF_I16,
        GGUF_U32,
        GGUF_I32,
        GGUF_F32,
        GGUF_BOOL,
        GGUF_STRING,
        GGUF_ARRAY,
        GGUF_U64,
        GGUF_I64,
        GGUF_F64,
        GGUF_TYPE_MAX
};
const char *gguf_type_name(uint32_t type);
/* Bytes of a fixed-size value; the least bytes that a string takes (8); 0 for an array or an unknown type. */
size_t gguf_type_size(uint32_t type);

enum gguf_role {
        ROLE_OTHER,
        ROLE_ARCHITECTURE,
        ROLE_NAME,
        ROLE_LICENSE,
        ROLE_ALIGNMENT,
        ROLE_CONTEXT,
        ROLE_TEMPLATE,
        ROLE_TOKENS,
        ROLE_SCORES,
        ROLE_TOKEN_TYPES,
        ROLE_MERGES,
        ROLE_TOKEN_ID,
        ROLE_SPLIT_COUNT,
        ROLE_SPLIT_NUMBER,
        ROLE_SPLIT_TENSORS
};

/* One text, piece by piece: a value of its own or an element of a list. */
struct gguf_text {
        uint64_t at; /* file offset of its first byte */
        uint64_t length;
        uint64_t seen;
        struct utf8_stream utf8;
        bool not_utf8;
        bool has_nul;
        bool bad;       /* already reported */
        bool separated; /* merges: a space with something before it */
        char head[8];   /* first bytes: enough to recognise a byte token */
};

struct gguf_vocabulary {
        bool has_tokens, has_scores, has_types;
        uint64_t tokens, scores, types;
        uint64_t tokens_at;
        uint8_t *byte_shaped; /* bit i: token i reads <0xNN> */
        uint8_t *byte_typed;  /* bit i: token i has the type of a byte token */
        bool has_id;
        uint32_t worst_id; /* the highest special token number */
        uint64_t worst_id_at;
        struct quote worst_id_key;
};

struct gguf_metadata {
        struct model_report *report;
        struct model_summary *summary;
        struct hash_set *keys;
        uint32_t alignment;
        enum gguf_role role; /* of the pair being read */
        struct quote key;    /* its key, for messages */
        uint64_t index;      /* element being read */
        struct gguf_text text;
        struct buf kept;    /* template, architecture or name */
        uint8_t element[8]; /* a list element cut by the border between two pieces */
        size_t element_n;
        struct gguf_vocabulary vocabulary;
};

SAI_NODISCARD int gguf_metadata_init(struct gguf_metadata *m, struct model_report *report,
                                     struct model_summary *summary);
void gguf_metadata_done(struct gguf_metadata *m);
/* The next pair's key; reports what is wrong with it. -ENOMEM. */
SAI_NODISCARD int gguf_metadata_key(struct gguf_metadata *m, struct view key, uint64_t at);
/* Its type, known to be in range; `element_type` counts for lists. Reports a wrong one; false when the value
 * can't be read as what its key promises (its content is then only framed). */
bool gguf_metadata_type(struct gguf_metadata *m, uint32_t type, uint32_t element_type, uint64_t at);
void gguf_metadata_scalar(struct gguf_metadata *m, uint32_t type, const uint8_t *p, uint64_t at);
/* A list begins. -ENOMEM. */
SAI_NODISCARD int gguf_metadata_list(struct gguf_metadata *m, uint64_t count, uint64_t at);
/* Bytes of a list of fixed-size elements. */
void gguf_metadata_elements(struct gguf_metadata *m, uint32_t element_type, struct view bytes, uint64_t at);
/* A text of `length` bytes, its own value or the next element of a list; all its bytes; its end. -ENOMEM. */
void gguf_metadata_text_begin(struct gguf_metadata *m, uint64_t length, uint64_t at);
SAI_NODISCARD int gguf_metadata_text(struct gguf_metadata *m, struct view bytes);
void gguf_metadata_text_end(struct gguf_metadata *m);
/* After the last pair: what must agree across pairs. */
void gguf_metadata_finish(struct gguf_metadata *m);
