/* template_lexer: cuts a Jinja template into tokens, in the way that Jinja's own lexer does. Pure; borrows
 * the text. */
#pragma once

#include "base/view.h"

enum template_token_kind {
        TOKEN_END,        /* of the template */
        TOKEN_DATA,       /* text outside of braces */
        TOKEN_OUTPUT,     /* {{ */
        TOKEN_OUTPUT_END, /* }} */
        TOKEN_BLOCK,      /* {% */
        TOKEN_BLOCK_END,  /* %} */
        TOKEN_NAME,
        TOKEN_TEXT, /* a string literal: `text` is what stands between the quotes */
        TOKEN_INTEGER,
        TOKEN_FLOAT,
        TOKEN_OPERATOR, /* `text`: one to two characters */
        TOKEN_FAULT     /* `text`: what is wrong, static */
};

struct template_token {
        enum template_token_kind kind;
        struct view text;
        size_t at;
};

#define LEXER_BRACKETS_MAX 128u

struct template_lexer {
        struct view text;
        size_t at;
        bool inside; /* of {{ }} or {% %} */
        bool is_output;
        uint8_t brackets; /* open ones: }} and %} count as ends only outside of them */
};

void template_lexer_init(struct template_lexer *l, struct view text);
/* The next token goes into *ret; its kind. */
enum template_token_kind template_lexer_next(struct template_lexer *l, struct template_token *ret);

/* Decodes a string literal's escapes into `out`; false when it doesn't fit or has an escape that hides its
 * meaning. */
bool template_text_decode(struct view literal, char *out, size_t size, size_t *ret_n);
