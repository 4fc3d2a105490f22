/* sentencepiece: the structure of a SentencePiece vocabulary (tokenizer.model), a protocol buffer of pieces and of how text
 * is prepared for them: only its own fields, canonical numbers, no groups, every length inside its message, texts
 * in UTF-8, finite scores. Read in pieces; keeps one message at a time. Pure.
 * Source: sentencepiece_model.proto (ModelProto). */
#pragma once

#include "base/buf.h"
#include "model/report.h"

struct sentencepiece {
        struct model_report *report;
        uint64_t at;     /* offset of the next byte */
        uint64_t size;   /* of the file */
        uint64_t left;   /* of the message being collected */
        uint64_t number; /* tag or length being read */
        unsigned digits; /* bytes of it */
        unsigned field;
        unsigned seen; /* bit i: field i occurred */
        bool in_length, in_message, refused;
        uint64_t pieces;
        struct buf message;
};

/* Whether the first bytes look like one. */
bool sentencepiece_looks_like(struct view head);
void sentencepiece_init(struct sentencepiece *p, uint64_t size, struct model_report *report);
void sentencepiece_done(struct sentencepiece *p);
/* -ENOMEM. */
SAI_NODISCARD int sentencepiece_feed(struct sentencepiece *p, struct view bytes);
void sentencepiece_finish(struct sentencepiece *p);
