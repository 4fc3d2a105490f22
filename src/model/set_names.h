/* set_names: what the path of a member may be, so that every system and person reads it in the same way. Pure.
 *
 * Outside of ASCII only the letters of a short list are allowed: Latin, Greek, Cyrillic, kana, Chinese and
 * Korean syllables, all of them composed. None of them combines with another, so such a name is always in Unicode's form
 * NFC, and no list of combining marks is needed. Marks, invisible characters and scripts that run from right to left
 * are not on the list. */
#pragma once

#include "base/buf.h"

enum set_file {
        SET_FILE_REFUSED, /* an ending that no model needs */
        SET_FILE_SAFETENSORS,
        SET_FILE_GGUF,
        SET_FILE_JSON,
        SET_FILE_TEXT,     /* .txt .md .merges .vocab, LICENSE and the like */
        SET_FILE_TEMPLATE, /* .jinja */
        SET_FILE_PIECES,   /* .model: a SentencePiece vocabulary, or text */
        SET_FILE_PICTURE,  /* .png */
        SET_FILE_NUMBERS   /* .bin .f32 at the top: reference data beside an image model */
};

/* NULL, or in plain words why `path` can't be a member's. */
const char *set_name_fault(struct view path);
/* What a member's ending promises. */
enum set_file set_name_file(struct view path);
/* Appends the path as systems see it that don't tell capitals from small letters. -ENOMEM, -EFBIG. */
SAI_NODISCARD int set_name_fold(struct view path, struct buf *out);
/* The folder that a path lies in ("" for the top), and its last component. */
struct view set_name_folder(struct view path);
struct view set_name_base(struct view path);
