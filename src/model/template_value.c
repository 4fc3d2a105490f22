#include "model/template_value.h"

#define ITEM_END '\x1f' /* between the items of a folded list */

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool value_names_internals(struct view v) {
        size_t i = 0;

        for (size_t k = 0; k + 2 < v.n; k++)
                if (v.p[k] == '_' && v.p[k + 1] == '_' && is_letter(v.p[k + 2]))
                        return true;
        while (i < v.n && v.p[i] == '_')
                i++;
        if (i == 0 || i == v.n)
                return false;
        while (i < v.n && (is_letter(v.p[i]) || v.p[i] == '_'))
                i++;
        return i == v.n;
}

void value_set(struct value *v, enum value_kind kind) {
        v->kind = kind;
        v->literal = v->content = v->is_variable = v->is_loop = false;
        v->name = -1;
        v->n = 0;
}

bool value_is_built(const struct value *v) {
        return v->kind == VALUE_BUILT || v->content ||
               (v->kind == VALUE_TEXT && (!v->literal || (v->n > 0 && v->text[0] == '_')));
}

/* The result of folding, or "built" when it doesn't fit. */
static void set_folded(struct value *v, struct view a, struct view b) {
        char text[FOLD_MAX];

        if (a.n + b.n > sizeof text) {
                value_set(v, VALUE_BUILT);
                return;
        }
        memcpy(text, a.p, a.n); /* `a` may lie in *v */
        memcpy(text + a.n, b.p, b.n);
        value_set(v, VALUE_TEXT);
        v->n = a.n + b.n;
        memcpy(v->text, text, v->n);
}

void value_concatenate(struct value *a, const struct value *b, bool plus) {
        if (value_is_text(a) && value_is_text(b))
                set_folded(a, value_text(a), value_text(b));
        else if (plus && (a->kind == VALUE_NUMBER || b->kind == VALUE_NUMBER) && !value_is_text(a) &&
                 !value_is_text(b))
                value_set(a, VALUE_NUMBER); /* a number can't be added to a text */
        else if (plus && a->kind == VALUE_LIST && b->kind == VALUE_LIST && a->n + b->n + 1 <= FOLD_MAX) {
                a->text[a->n++] = ITEM_END;
                memcpy(a->text + a->n, b->text, b->n);
                a->n += b->n;
        } else
                value_set(a, VALUE_BUILT);
}

void value_reverse(struct value *v) {
        char text[FOLD_MAX];
        size_t n = v->n;

        for (size_t i = 0; i < n; i++)
                text[i] = v->text[n - 1 - i];
        set_folded(v, (struct view){text, n}, VIEW(""));
}

/* [a, b]|join(separator) */
void value_join(struct value *list, struct view separator) {
        char text[FOLD_MAX];
        size_t n = 0;

        for (size_t i = 0; i < list->n; i++) {
                struct view piece = list->text[i] == ITEM_END ? separator : (struct view){&list->text[i], 1};

                if (n + piece.n > sizeof text) {
                        value_set(list, VALUE_BUILT);
                        return;
                }
                memcpy(text + n, piece.p, piece.n);
                n += piece.n;
        }
        set_folded(list, (struct view){text, n}, VIEW(""));
}

void value_replace(struct value *v, struct view from, struct view to) {
        char text[FOLD_MAX];
        size_t n = 0;

        for (size_t i = 0; i < v->n;) {
                bool hit = from.n > 0 && view_starts(view_sub(value_text(v), i, SIZE_MAX), from);
                struct view piece = hit ? to : (struct view){&v->text[i], 1};

                if (n + piece.n > sizeof text) {
                        value_set(v, VALUE_BUILT);
                        return;
                }
                memcpy(text + n, piece.p, piece.n);
                n += piece.n;
                i += hit ? from.n : 1;
        }
        set_folded(v, (struct view){text, n}, VIEW(""));
}

void value_add_item(struct value *list, const struct value *item, bool first) {
        if (list->kind == VALUE_BUILT || list->kind == VALUE_OTHER) {
                if (value_is_built(item))
                        list->kind = VALUE_BUILT;
                return;
        }
        if (value_is_text(item) && !value_is_built(item) && list->n + item->n + 1 <= FOLD_MAX &&
            !memchr(item->text, ITEM_END, item->n)) {
                if (!first)
                        list->text[list->n++] = ITEM_END;
                memcpy(list->text + list->n, item->text, item->n);
                list->n += item->n;
        } else
                value_set(list, value_is_built(item) || value_is_text(item) ? VALUE_BUILT : VALUE_OTHER);
}

void value_apply(struct value *v, enum template_result result, bool built) {
        bool content = v->content;
        enum value_kind kind = v->kind;
        int name = v->name;

        switch (result) {
        case RESULT_NUMBER:
                value_set(v, VALUE_NUMBER);
                return;
        case RESULT_BUILT:
                value_set(v, VALUE_BUILT);
                return;
        case RESULT_SAME:
        case RESULT_OTHER:
                break;
        }
        if (kind == VALUE_TEXT || kind == VALUE_LIST)
                kind = VALUE_BUILT;
        if (kind == VALUE_NUMBER)
                kind = VALUE_OTHER;
        value_set(v, built ? VALUE_BUILT : kind);
        v->content = content;
        v->name = name;
}

void value_either(struct value *a, const struct value *b) {
        bool content = a->content || b->content;

        if (a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER)
                return;
        if (value_is_built(a) || value_is_built(b))
                value_set(a, VALUE_BUILT);
        else
                value_set(a, VALUE_OTHER);
        a->content = content;
}
