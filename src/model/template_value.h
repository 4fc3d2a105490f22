/* template_value: what is known about the value of an expression in a chat template. Nothing is evaluated but
 * the putting together of constant texts, so that a name made from pieces is seen. Used by template only.
 * Pure. */
#pragma once

#include "model/template_rules.h"

#define FOLD_MAX 96u /* bytes of a constant text that are followed; a longer one counts as built */

enum value_kind {
        VALUE_OTHER,  /* data: messages, tools and what is taken from them */
        VALUE_NUMBER, /* also truth values */
        VALUE_TEXT,   /* a constant text, in `text` */
        VALUE_LIST,   /* constant texts, joined by a separator that no text holds */
        VALUE_BUILT   /* a text put together from pieces, or something that holds one */
};

struct value {
        enum value_kind kind;
        bool literal;     /* VALUE_TEXT as it is written */
        bool content;     /* comes from what somebody wrote in a message */
        bool is_variable; /* a bare name: what a call may call */
        bool is_loop;     /* the variable `loop` */
        int name;         /* last name of a chain such as ns.index, or -1 */
        size_t n;
        char text[FOLD_MAX];
};

void value_set(struct value *v, enum value_kind kind); /* nothing else is known about it */
static inline bool value_is_text(const struct value *v) {
        return v->kind == VALUE_TEXT;
}
static inline struct view value_text(const struct value *v) {
        return (struct view){v->text, v->n};
}
/* Might be, or hold, a text that was put together, that somebody sent, or that begins like an internal name.
 * */
bool value_is_built(const struct value *v);
/* __x anywhere, or a whole word that begins with an underscore. */
bool value_names_internals(struct view text);

/* All change their first argument into the result: a constant text where all is known, else VALUE_BUILT. */
void value_concatenate(struct value *a, const struct value *b, bool plus); /* a ~ b, a + b */
void value_reverse(struct value *v);                                       /* of VALUE_TEXT */
void value_join(struct value *list, struct view separator);                /* of VALUE_LIST */
void value_replace(struct value *v, struct view from, struct view to);     /* of VALUE_TEXT */
void value_add_item(struct value *list, const struct value *item, bool first);
void value_either(struct value *a, const struct value *b); /* a or b; a if c else b */
/* What a filter or method makes of it; `built`: one of the arguments was. */
void value_apply(struct value *v, enum template_result result, bool built);
