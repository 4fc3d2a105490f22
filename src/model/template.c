#include "model/template.h"

#include "base/text.h"
#include "model/limits.h"
#include "model/template_lexer.h"
#include "model/template_rules.h"

/* A recursive descent over Jinja's grammar (jinja2/parser.py). Nothing is evaluated but the putting together of
 * constant texts. Expressions yield what is known about their value; a text that was put together must not become the
 * name of a member, whatever way it takes through variables: assignments are remembered as edges between names (without
 * regard to order or scope) and followed at the end. */

#define NAMES_MAX   1024u
#define EDGES_MAX   4096u
#define TRACE_MAX   2048u
#define USES_MAX    1024u
#define FOLD_MAX    96u
#define ITEM_END    '\x1f' /* between the items of a folded list */
#define TELLING_MIN 16u    /* bytes of text that say something */

enum value_kind {
        VALUE_OTHER,  /* data: messages, tools and what is taken from them */
        VALUE_NUMBER, /* also truth values */
        VALUE_TEXT,   /* a constant text, in `text` */
        VALUE_LIST,   /* constant texts, joined by ITEM_END */
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

enum { NAME_DEFINED = 1, NAME_MACRO = 2, NAME_BUILT = 4, NAME_PARAMETER = 8 };

struct name {
        struct view text;
        uint8_t flags;
};

struct use {
        int name;
        size_t at;
};

struct uses {
        size_t n;
        struct use list[USES_MAX];
};

struct parser {
        struct model_report *report;
        const char *key;
        uint64_t at; /* of the template in the file */
        struct template_lexer lexer;
        struct template_token token;
        bool failed;
        unsigned depth;

        size_t names_n;
        struct name names[NAMES_MAX];
        size_t edges_n;
        struct {
                uint16_t to, from;
        } edges[EDGES_MAX];
        size_t trace_n; /* names seen in the statement being read */
        uint16_t trace[TRACE_MAX];
        int arguments;      /* pseudo name: whatever macros are called with */
        struct uses keys;   /* names used as the key of a member */
        struct uses fields; /* fields that are fine only when the template defines them */
        struct uses calls;  /* functions that must turn out to be macros */

        unsigned content_tests; /* so far: expressions that look for a text in what somebody wrote */
        unsigned conditional;   /* depth of blocks that depend on such a test */
};

struct arguments {
        unsigned positional;
        bool built;
        struct value first, second;
};

static void parse_expression(struct parser *p, struct value *ret);
static void parse_body(struct parser *p, const char *const *ends, size_t ends_n);

/* ---- faults ---- */

static void note(struct parser *p, enum model_rule rule, size_t at, const char *what, struct view text) {
        if (!p->failed)
                report_put(p->report, rule, p->at + at, VIEW_NULL, "In the chat template \"%s\": %s%s%s",
                           p->key, what, text.n > 0 ? ": " : "", text.n > 0 ? report_quote(text).text : "");
}

/* Like note, and ends the reading. */
static void fail(struct parser *p, enum model_rule rule, size_t at, const char *what, struct view text) {
        note(p, rule, at, what, text);
        p->failed = true;
        p->token = (struct template_token){.kind = TOKEN_END, .at = at};
}

static void limit(struct parser *p, const char *what) {
        fail(p, RULE_TEMPLATE_LIMIT, p->token.at, what, VIEW_NULL);
}

static void syntax(struct parser *p, const char *what) {
        fail(p, RULE_TEMPLATE_SYNTAX, p->token.at, what, p->token.text);
}

static bool enter(struct parser *p) {
        if (++p->depth > TEMPLATE_DEPTH_MAX)
                limit(p, "blocks and brackets are nested too deeply");
        return !p->failed;
}

static void leave(struct parser *p) {
        p->depth--;
}

/* ---- tokens ---- */

static void advance(struct parser *p) {
        if (p->failed)
                return;
        p->token = template_lexer_next(&p->lexer);
        if (p->token.kind == TOKEN_FAULT)
                fail(p, RULE_TEMPLATE_SYNTAX, p->token.at, p->token.text.p, VIEW_NULL);
}

static bool at_operator(const struct parser *p, const char *text) {
        return p->token.kind == TOKEN_OPERATOR && view_eq_str(p->token.text, text);
}

static bool at_word(const struct parser *p, const char *text) {
        return p->token.kind == TOKEN_NAME && view_eq_str(p->token.text, text);
}

static bool accept_operator(struct parser *p, const char *text) {
        if (!at_operator(p, text))
                return false;
        advance(p);
        return true;
}

static bool accept_word(struct parser *p, const char *text) {
        if (!at_word(p, text))
                return false;
        advance(p);
        return true;
}

static void expect_operator(struct parser *p, const char *text) {
        if (!accept_operator(p, text) && !p->failed)
                syntax(p, "something else was expected here");
}

static void expect_block_end(struct parser *p) {
        if (p->token.kind == TOKEN_BLOCK_END)
                advance(p);
        else if (!p->failed)
                syntax(p, "the statement should end here");
}

/* ---- names ---- */

/* Number of a name; 0 after a fault, which is harmless then. */
static int intern(struct parser *p, struct view text) {
        for (size_t i = 0; i < p->names_n; i++)
                if (view_eq(p->names[i].text, text))
                        return (int)i;
        if (p->names_n == NAMES_MAX) {
                limit(p, "it uses too many names");
                return 0;
        }
        p->names[p->names_n] = (struct name){.text = text};
        return (int)p->names_n++;
}

static void trace(struct parser *p, int name) {
        if (p->trace_n == TRACE_MAX)
                limit(p, "one statement uses too many names");
        else
                p->trace[p->trace_n++] = (uint16_t)name;
}

static void add_use(struct parser *p, struct uses *u, int name, size_t at) {
        for (size_t i = 0; i < u->n; i++)
                if (u->list[i].name == name)
                        return;
        if (u->n == USES_MAX)
                limit(p, "it uses too many names");
        else
                u->list[u->n++] = (struct use){name, at};
}

static void add_edge(struct parser *p, int to, int from) {
        if (to == from)
                return;
        if (p->edges_n == EDGES_MAX) {
                limit(p, "it has too many assignments");
                return;
        }
        p->edges[p->edges_n].to = (uint16_t)to;
        p->edges[p->edges_n++].from = (uint16_t)from;
}

/* Might be, or hold, a text that was put together, that somebody sent, or that begins like an internal name. */
static bool is_built(const struct value *v) {
        return v->kind == VALUE_BUILT || v->content ||
               (v->kind == VALUE_TEXT && (!v->literal || (v->n > 0 && v->text[0] == '_')));
}

/* `to` may now hold `v`, which was computed from the names traced since `mark`. */
static void assign(struct parser *p, int to, const struct value *v, size_t mark) {
        if (v->kind == VALUE_NUMBER)
                return;
        if (is_built(v))
                p->names[to].flags |= NAME_BUILT;
        for (size_t i = mark; i < p->trace_n; i++)
                add_edge(p, to, p->trace[i]);
}

/* The name of a variable that the template itself makes. */
static int take_target(struct parser *p) {
        struct view name = p->token.text;
        int number;

        if (p->token.kind != TOKEN_NAME) {
                syntax(p, "a name was expected");
                return 0;
        }
        if (name.p[0] == '_' && name.n > 1)
                note(p, RULE_TEMPLATE_UNDERSCORE, p->token.at, "a name begins with an underscore", name);
        if (view_eq_str(name, "loop") || template_global_is_forbidden(name))
                note(p, RULE_TEMPLATE_NAME, p->token.at, "a name that the template must not redefine", name);
        number = intern(p, name);
        advance(p);
        return number;
}

static void check_field(struct parser *p, struct view field, size_t at) {
        if (field.n > 0 && field.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a member's name begins with an underscore", field);
        else if (template_field_is_forbidden(field))
                note(p, RULE_TEMPLATE_NAME, at, "a member that leads into Python's insides", field);
        else if (!template_field_is_allowed(field))
                add_use(p, &p->fields, intern(p, field), at);
}

/* ---- constant texts ---- */

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* __x anywhere, or a whole word that begins with an underscore. */
static bool text_is_internal(struct view v) {
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

static void set_other(struct value *v, enum value_kind kind) {
        v->kind = kind;
        v->literal = v->content = v->is_variable = v->is_loop = false;
        v->name = -1;
        v->n = 0;
}

/* The result of folding, or "built" when it doesn't fit. */
static void set_folded(struct parser *p, struct value *v, struct view a, struct view b, size_t at) {
        char text[FOLD_MAX];

        if (a.n + b.n > sizeof text) {
                set_other(v, VALUE_BUILT);
                return;
        }
        memcpy(text, a.p, a.n); /* `a` may lie in *v */
        memcpy(text + a.n, b.p, b.n);
        set_other(v, VALUE_TEXT);
        v->n = a.n + b.n;
        memcpy(v->text, text, v->n);
        if (text_is_internal((struct view){v->text, v->n}))
                note(p, RULE_TEMPLATE_BUILT, at, "pieces are put together to an internal name",
                     (struct view){v->text, v->n});
}

static struct view text_of(const struct value *v) {
        return (struct view){v->text, v->n};
}

static bool is_text(const struct value *v) {
        return v->kind == VALUE_TEXT;
}

static void take_literal(struct parser *p, struct value *v) {
        size_t at = p->token.at;

        set_other(v, VALUE_TEXT);
        v->literal = true;
        if (p->conditional > 0 && p->token.text.n >= TELLING_MIN)
                note(p, RULE_TEMPLATE_CONDITIONAL, at, "this text depends on what a message says",
                     p->token.text);
        if (!template_text_decode(p->token.text, v->text, sizeof v->text, &v->n)) {
                set_other(v, VALUE_BUILT); /* too long for a name, or hidden */
                if (view_find(p->token.text, VIEW("\\N")) != SIZE_MAX)
                        note(p, RULE_TEMPLATE_BUILT, at, "a character is hidden in an escape", p->token.text);
        }
        if (text_is_internal(p->token.text) || text_is_internal(text_of(v)))
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a text is an internal name", p->token.text);
        advance(p);
        while (p->token.kind == TOKEN_TEXT) { /* neighbours are one text */
                struct value next;
                struct view piece = p->token.text;

                set_other(&next, VALUE_TEXT);
                if (is_text(v) && template_text_decode(piece, next.text, sizeof next.text, &next.n))
                        set_folded(p, v, text_of(v), text_of(&next), at);
                else
                        set_other(v, VALUE_BUILT);
                advance(p);
        }
}

/* a ~ b and a + b */
static void concatenate(struct parser *p, struct value *a, const struct value *b, bool plus, size_t at) {
        if (is_text(a) && is_text(b))
                set_folded(p, a, text_of(a), text_of(b), at);
        else if (plus && (a->kind == VALUE_NUMBER || b->kind == VALUE_NUMBER) && !is_text(a) && !is_text(b))
                set_other(a, VALUE_NUMBER); /* a number can't be added to a text */
        else if (plus && a->kind == VALUE_LIST && b->kind == VALUE_LIST && a->n + b->n + 1 <= FOLD_MAX) {
                a->text[a->n++] = ITEM_END;
                memcpy(a->text + a->n, b->text, b->n);
                a->n += b->n;
        } else
                set_other(a, VALUE_BUILT);
}

static void reverse_text(struct parser *p, struct value *v, size_t at) {
        char text[FOLD_MAX];
        size_t n = v->n;

        for (size_t i = 0; i < n; i++)
                text[i] = v->text[n - 1 - i];
        set_folded(p, v, (struct view){text, n}, VIEW(""), at);
}

/* [a, b]|join(separator) */
static void join_list(struct parser *p, struct value *list, struct view separator, size_t at) {
        char text[FOLD_MAX];
        size_t n = 0;

        for (size_t i = 0; i < list->n; i++) {
                struct view piece = list->text[i] == ITEM_END ? separator : (struct view){&list->text[i], 1};

                if (n + piece.n > sizeof text) {
                        set_other(list, VALUE_BUILT);
                        return;
                }
                memcpy(text + n, piece.p, piece.n);
                n += piece.n;
        }
        set_folded(p, list, (struct view){text, n}, VIEW(""), at);
}

static void replace_text(struct parser *p, struct value *v, struct view from, struct view to, size_t at) {
        char text[FOLD_MAX];
        size_t n = 0;

        for (size_t i = 0; i < v->n;) {
                bool hit = from.n > 0 && view_starts(view_sub(text_of(v), i, SIZE_MAX), from);
                struct view piece = hit ? to : (struct view){&v->text[i], 1};

                if (n + piece.n > sizeof text) {
                        set_other(v, VALUE_BUILT);
                        return;
                }
                memcpy(text + n, piece.p, piece.n);
                n += piece.n;
                i += hit ? from.n : 1;
        }
        set_folded(p, v, (struct view){text, n}, VIEW(""), at);
}

/* ---- expressions ---- */

/* Adds an item to a list that is being read. */
static void add_item(struct value *list, const struct value *item, bool first) {
        if (list->kind == VALUE_BUILT || list->kind == VALUE_OTHER) {
                if (is_built(item))
                        list->kind = VALUE_BUILT;
                return;
        }
        if (is_text(item) && !is_built(item) && list->n + item->n + 1 <= FOLD_MAX &&
            !memchr(item->text, ITEM_END, item->n)) {
                if (!first)
                        list->text[list->n++] = ITEM_END;
                memcpy(list->text + list->n, item->text, item->n);
                list->n += item->n;
        } else
                set_other(list, is_built(item) || is_text(item) ? VALUE_BUILT : VALUE_OTHER);
}

/* Items up to the closing bracket, which is consumed. One item in round brackets without a comma is itself. */
static void parse_items(struct parser *p, const char *close, struct value *ret) {
        struct value list, item;
        bool first = true, comma = false;

        set_other(&list, VALUE_LIST);
        set_other(&item, VALUE_OTHER);
        while (!p->failed && !at_operator(p, close)) {
                parse_expression(p, &item);
                add_item(&list, &item, first);
                first = false;
                comma = accept_operator(p, ",");
                if (!comma)
                        break;
        }
        expect_operator(p, close);
        *ret = strcmp(close, ")") == 0 && !first && !comma ? item : list;
}

static void parse_dict(struct parser *p, struct value *ret) {
        struct value key, value;
        bool built = false;

        advance(p);
        while (!p->failed && !at_operator(p, "}")) {
                size_t mark = p->trace_n;
                struct template_token token = p->token;

                parse_expression(p, &key);
                expect_operator(p, ":");
                parse_expression(p, &value);
                if (is_text(&key) && key.literal && token.kind == TOKEN_TEXT) {
                        int name = intern(p, token.text);

                        p->names[name].flags |= NAME_DEFINED;
                        assign(p, name, &value, mark);
                }
                built |= is_built(&value);
                if (!accept_operator(p, ","))
                        break;
        }
        expect_operator(p, "}");
        set_other(ret, built ? VALUE_BUILT : VALUE_OTHER);
}

static bool is_reserved(struct view word) {
        static const char *const list[] = {"and", "or", "not", "in", "is", "if", "else"};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (view_eq_str(word, list[i]))
                        return true;
        return false;
}

static bool is_constant(struct view word) {
        static const char *const list[] = {"true", "false", "none", "True", "False", "None"};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (view_eq_str(word, list[i]))
                        return true;
        return false;
}

static void parse_name(struct parser *p, struct value *ret) {
        struct view name = p->token.text;
        size_t at = p->token.at;

        set_other(ret, is_constant(name) ? VALUE_NUMBER : VALUE_OTHER);
        if (is_reserved(name)) {
                syntax(p, "a value was expected");
                return;
        }
        advance(p);
        if (ret->kind == VALUE_NUMBER)
                return;
        if (name.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a name begins with an underscore", name);
        if (template_global_is_forbidden(name))
                note(p, RULE_TEMPLATE_NAME, at, "an object that leads into the template engine", name);
        ret->name = intern(p, name);
        ret->is_variable = true;
        ret->is_loop = view_eq_str(name, "loop");
        trace(p, ret->name);
}

static void parse_primary(struct parser *p, struct value *ret) {
        set_other(ret, VALUE_NUMBER);
        switch (p->token.kind) {
        case TOKEN_TEXT:
                take_literal(p, ret);
                return;
        case TOKEN_INTEGER:
        case TOKEN_FLOAT:
                advance(p);
                return;
        case TOKEN_NAME:
                parse_name(p, ret);
                return;
        default:
                break;
        }
        if (accept_operator(p, "("))
                parse_items(p, ")", ret);
        else if (accept_operator(p, "["))
                parse_items(p, "]", ret);
        else if (at_operator(p, "{"))
                parse_dict(p, ret);
        else if (!p->failed)
                syntax(p, "a value was expected");
}

/* name=value in a call: also how namespace() and dict() make members. */
static bool parse_named_argument(struct parser *p, struct arguments *a) {
        struct template_lexer ahead = p->lexer;
        struct template_token next;
        struct value v;
        size_t mark = p->trace_n;
        int name;

        if (p->token.kind != TOKEN_NAME)
                return false;
        next = template_lexer_next(&ahead);
        if (next.kind != TOKEN_OPERATOR || !view_eq_str(next.text, "="))
                return false;
        if (p->token.text.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, p->token.at, "a name begins with an underscore",
                     p->token.text);
        if (view_eq_str(p->token.text, "attribute"))
                note(p, RULE_TEMPLATE_FILTER, p->token.at, "an argument that reaches any member",
                     p->token.text);
        name = intern(p, p->token.text);
        p->names[name].flags |= NAME_DEFINED;
        advance(p);
        advance(p);
        parse_expression(p, &v);
        assign(p, name, &v, mark);
        add_edge(p, name, p->arguments);
        a->built |= is_built(&v);
        return true;
}

/* Behind the opening bracket, which the caller consumed. */
static void parse_arguments(struct parser *p, struct arguments *ret) {
        struct value v;

        ret->positional = 0;
        ret->built = false;
        set_other(&ret->first, VALUE_OTHER);
        set_other(&ret->second, VALUE_OTHER);
        while (!p->failed && !at_operator(p, ")")) {
                if (!parse_named_argument(p, ret)) {
                        parse_expression(p, &v);
                        ret->built |= is_built(&v);
                        if (ret->positional == 0)
                                ret->first = v;
                        else if (ret->positional == 1)
                                ret->second = v;
                        ret->positional++;
                }
                if (!accept_operator(p, ","))
                        break;
        }
        expect_operator(p, ")");
}

/* name(…): a listed function, or a macro of this template. */
static void parse_call(struct parser *p, struct value *v, size_t at) {
        size_t mark = p->trace_n;
        struct arguments a;
        struct view name;

        advance(p);
        parse_arguments(p, &a);
        if (p->failed)
                return;
        if (!v->is_variable) {
                note(p, RULE_TEMPLATE_NAME, at, "something is called that is no function of the template",
                     VIEW_NULL);
                set_other(v, VALUE_BUILT);
                return;
        }
        name = p->names[v->name].text;
        if (template_function_is_allowed(name)) {
                bool text = view_eq_str(name, "strftime_now");

                set_other(v, text || a.built ? VALUE_BUILT : VALUE_OTHER);
                return;
        }
        add_use(p, &p->calls, v->name, at);
        if (a.built)
                p->names[p->arguments].flags |= NAME_BUILT;
        for (size_t i = mark; i < p->trace_n; i++)
                add_edge(p, p->arguments, p->trace[i]);
        set_other(v, VALUE_BUILT);
}

static void apply_result(struct value *v, enum template_result result, bool built) {
        bool content = v->content;
        enum value_kind kind = v->kind;
        int name = v->name;

        switch (result) {
        case RESULT_NUMBER:
                set_other(v, VALUE_NUMBER);
                return;
        case RESULT_BUILT:
                set_other(v, VALUE_BUILT);
                return;
        case RESULT_SAME:
        case RESULT_OTHER:
                break;
        }
        if (kind == VALUE_TEXT || kind == VALUE_LIST)
                kind = VALUE_BUILT;
        if (kind == VALUE_NUMBER)
                kind = VALUE_OTHER;
        set_other(v, built ? VALUE_BUILT : kind);
        v->content = content;
        v->name = name;
}

/* What putting texts together gives when all of them are constant; false when it is not known. */
static bool fold(struct parser *p, struct value *v, const char *what, const struct arguments *a, bool method,
                 size_t at) {
        if (strcmp(what, "join") == 0 && !method && v->kind == VALUE_LIST &&
            (a->positional == 0 || is_text(&a->first))) {
                join_list(p, v, a->positional == 0 ? VIEW("") : text_of(&a->first), at);
                return true;
        }
        if (strcmp(what, "join") == 0 && method && is_text(v) && a->first.kind == VALUE_LIST) {
                struct value list = a->first;

                join_list(p, &list, text_of(v), at);
                *v = list;
                return true;
        }
        if (strcmp(what, "replace") == 0 && is_text(v) && is_text(&a->first) && is_text(&a->second)) {
                replace_text(p, v, text_of(&a->first), text_of(&a->second), at);
                return true;
        }
        if (strcmp(what, "reverse") == 0 && is_text(v)) {
                reverse_text(p, v, at);
                return true;
        }
        return false;
}

/* Something that somebody wrote in a message, or a variable that is named like it. */
static bool is_said(const struct parser *p, const struct value *v) {
        return v->content || (v->name >= 0 && template_field_is_content(p->names[v->name].text));
}

static void parse_method(struct parser *p, struct value *v, struct view name, size_t at) {
        const struct template_filter *m = template_method_find(name);
        size_t mark = p->trace_n;
        int owner = v->name;
        struct arguments a;

        advance(p);
        parse_arguments(p, &a);
        if (p->failed)
                return;
        if (name.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a method's name begins with an underscore", name);
        else if (!m || a.positional > m->arguments)
                note(p, RULE_TEMPLATE_NAME, at, "a method that is not on the list", name);
        if (!m) {
                set_other(v, VALUE_BUILT);
                return;
        }
        p->content_tests += m->result == RESULT_NUMBER && is_said(p, v) && is_text(&a.first);
        if (view_eq_str(name, "append") && owner >= 0)
                assign(p, owner, a.built ? &(struct value){.kind = VALUE_BUILT} : &a.first, mark);
        if (!fold(p, v, m->name, &a, true, at))
                apply_result(v, m->result, a.built);
}

static void parse_field(struct parser *p, struct value *v) {
        struct view name = p->token.text;
        size_t at = p->token.at;
        bool number;

        if (p->token.kind == TOKEN_INTEGER) {
                advance(p);
                set_other(v, is_built(v) ? VALUE_BUILT : VALUE_OTHER);
                return;
        }
        if (p->token.kind != TOKEN_NAME) {
                syntax(p, "a member's name was expected");
                return;
        }
        advance(p);
        if (at_operator(p, "(")) {
                parse_method(p, v, name, at);
                return;
        }
        number = v->is_loop && template_field_is_number(name);
        check_field(p, name, at);
        set_other(v, number ? VALUE_NUMBER : is_built(v) ? VALUE_BUILT : VALUE_OTHER);
        v->content = template_field_is_content(name);
        v->name = intern(p, name);
        if (!number)
                trace(p, v->name);
}

/* x[key]: what may name a member. */
static void check_key(struct parser *p, const struct value *key, size_t mark, size_t at) {
        if (key->kind == VALUE_NUMBER)
                return;
        if (is_text(key) && key->literal)
                return; /* as a member's name, where it is read */
        if (is_built(key) || key->kind == VALUE_LIST) {
                note(p, RULE_TEMPLATE_BUILT, at, "a member's name is put together from pieces", text_of(key));
                return;
        }
        for (size_t i = mark; i < p->trace_n; i++)
                add_use(p, &p->keys, p->trace[i], at);
}

/* The parts of a slice behind its first colon. */
static void parse_slice(struct parser *p, struct value *v, size_t at) {
        struct value part;
        bool backward = false;

        while (accept_operator(p, ":"))
                if (!at_operator(p, ":") && !at_operator(p, "]")) {
                        backward = at_operator(p, "-");
                        parse_expression(p, &part);
                }
        expect_operator(p, "]");
        if (is_text(v) && backward)
                reverse_text(p, v, at);
        if (is_text(v) || v->kind == VALUE_LIST)
                set_other(v, VALUE_BUILT);
}

static void parse_subscript(struct parser *p, struct value *v) {
        size_t at = p->token.at, mark = p->trace_n;
        struct template_token token;
        struct value key;
        bool content = v->content;

        advance(p);
        token = p->token;
        if (!at_operator(p, ":")) {
                parse_expression(p, &key);
                if (!at_operator(p, ":")) {
                        expect_operator(p, "]");
                        check_key(p, &key, mark, at);
                        set_other(v, is_built(v) || is_text(v) ? VALUE_BUILT : VALUE_OTHER);
                        v->content = content;
                        if (is_text(&key) && key.literal && !p->failed) {
                                check_field(p, token.text, token.at);
                                v->content = template_field_is_content(token.text);
                                v->name = intern(p, token.text);
                                trace(p, v->name);
                        }
                        return;
                }
        }
        parse_slice(p, v, at);
}

static void parse_postfix(struct parser *p, struct value *v) {
        while (!p->failed) {
                if (accept_operator(p, "."))
                        parse_field(p, v);
                else if (at_operator(p, "["))
                        parse_subscript(p, v);
                else if (at_operator(p, "("))
                        parse_call(p, v, p->token.at);
                else
                        return;
        }
}

/* selectattr("function.name", …): every part is a member's name. */
static void check_path(struct parser *p, const struct value *v, size_t at) {
        struct view path = text_of(v), part;

        if (!is_text(v) || !v->literal) {
                note(p, RULE_TEMPLATE_BUILT, at, "a member's name is put together from pieces", VIEW_NULL);
                return;
        }
        while (view_split(&path, '.', &part))
                if (!template_field_is_allowed(part))
                        note(p, RULE_TEMPLATE_NAME, at, "a member that is not on the list", part);
        if (!template_field_is_allowed(path))
                note(p, RULE_TEMPLATE_NAME, at, "a member that is not on the list", path);
}

/* A filter or test that is named by an argument: map("trim"), select("string"), selectattr("role", "equalto", …). */
static void check_indirect(struct parser *p, struct view filter, const struct arguments *a, size_t at) {
        bool by_member = view_eq_str(filter, "selectattr") || view_eq_str(filter, "rejectattr");
        bool by_filter = view_eq_str(filter, "map");
        const struct value *name = by_member ? &a->second : &a->first;

        if (!by_member && !by_filter && !view_eq_str(filter, "select") && !view_eq_str(filter, "reject"))
                return;
        if (by_member)
                check_path(p, &a->first, at);
        if (a->positional < (by_member ? 2u : 1u)) /* plain truth, or named arguments, which were checked */
                return;
        if (!is_text(name) || !name->literal)
                note(p, RULE_TEMPLATE_BUILT, at, "a filter's name is put together from pieces", VIEW_NULL);
        else if (by_filter ? !template_filter_find(text_of(name)) || view_eq_str(text_of(name), "map")
                           : !template_test_is_allowed(text_of(name)))
                note(p, RULE_TEMPLATE_FILTER, at, "a filter or test that is not on the list", text_of(name));
}

static void parse_filter(struct parser *p, struct value *v) {
        struct view name = p->token.text;
        size_t at = p->token.at;
        const struct template_filter *f = template_filter_find(name);
        struct arguments a = {0};

        if (p->token.kind != TOKEN_NAME) {
                syntax(p, "a filter's name was expected");
                return;
        }
        advance(p);
        if (accept_operator(p, "("))
                parse_arguments(p, &a);
        if (p->failed)
                return;
        if (at_operator(p, ".") || !f || a.positional > f->arguments) {
                note(p, RULE_TEMPLATE_FILTER, at, "a filter that is not on the list", name);
                set_other(v, VALUE_BUILT);
                if (at_operator(p, "."))
                        syntax(p, "a filter's name has a dot");
                return;
        }
        check_indirect(p, name, &a, at);
        if (!fold(p, v, f->name, &a, false, at))
                apply_result(v, f->result, a.built);
}

/* An argument without brackets may follow: "is divisibleby 2". */
static bool test_argument_follows(const struct parser *p) {
        switch (p->token.kind) {
        case TOKEN_NAME:
                return !is_reserved(p->token.text);
        case TOKEN_TEXT:
        case TOKEN_INTEGER:
        case TOKEN_FLOAT:
                return true;
        default:
                return at_operator(p, "[") || at_operator(p, "{");
        }
}

static void parse_test(struct parser *p, struct value *v) {
        struct arguments a;
        struct value argument;

        (void)accept_word(p, "not");
        if (p->token.kind != TOKEN_NAME) {
                syntax(p, "a test's name was expected");
                return;
        }
        if (!template_test_is_allowed(p->token.text))
                note(p, RULE_TEMPLATE_FILTER, p->token.at, "a test that is not on the list", p->token.text);
        advance(p);
        if (accept_operator(p, "("))
                parse_arguments(p, &a);
        else if (test_argument_follows(p)) {
                parse_primary(p, &argument);
                parse_postfix(p, &argument);
        }
        set_other(v, VALUE_NUMBER);
}

static void parse_unary(struct parser *p, struct value *ret) {
        set_other(ret, VALUE_OTHER); /* also when the depth ends the reading here */
        if (!enter(p))
                return;
        if (accept_operator(p, "-") || accept_operator(p, "+")) {
                parse_unary(p, ret);
                set_other(ret, VALUE_NUMBER);
        } else {
                parse_primary(p, ret);
                parse_postfix(p, ret);
        }
        while (!p->failed) {
                if (accept_operator(p, "|"))
                        parse_filter(p, ret);
                else if (accept_word(p, "is"))
                        parse_test(p, ret);
                else if (at_operator(p, "(")) {
                        set_other(ret, VALUE_BUILT);
                        parse_call(p, ret, p->token.at);
                } else
                        break;
        }
        leave(p);
}

enum level {
        LEVEL_OR = 1,
        LEVEL_AND,
        LEVEL_NOT,
        LEVEL_COMPARE,
        LEVEL_SUM,
        LEVEL_CONCAT,
        LEVEL_PRODUCT,
        LEVEL_POWER,
        LEVEL_UNARY
};

/* How tightly the operator at hand binds; 0 when it is none. "not" counts as the start of "not in". */
static enum level level_of(const struct parser *p) {
        static const struct {
                const char *text;
                enum level level;
        } operators[] = {
                {"==", LEVEL_COMPARE}, {"!=", LEVEL_COMPARE}, {"<", LEVEL_COMPARE}, {">", LEVEL_COMPARE},
                {"<=", LEVEL_COMPARE}, {">=", LEVEL_COMPARE}, {"+", LEVEL_SUM},     {"-", LEVEL_SUM},
                {"~", LEVEL_CONCAT},   {"*", LEVEL_PRODUCT},  {"/", LEVEL_PRODUCT}, {"//", LEVEL_PRODUCT},
                {"%", LEVEL_PRODUCT},  {"**", LEVEL_POWER},
        };

        if (p->token.kind == TOKEN_NAME)
                return at_word(p, "or")                        ? LEVEL_OR
                       : at_word(p, "and")                     ? LEVEL_AND
                       : at_word(p, "in") || at_word(p, "not") ? LEVEL_COMPARE
                                                               : (enum level)0;
        if (p->token.kind == TOKEN_OPERATOR)
                for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
                        if (view_eq_str(p->token.text, operators[i].text))
                                return operators[i].level;
        return (enum level)0;
}

/* The value of "a or b", "a if c else b": either of them. */
static void either(struct value *a, const struct value *b) {
        bool content = a->content || b->content;

        if (a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER)
                return;
        if (is_built(a) || is_built(b))
                set_other(a, VALUE_BUILT);
        else
                set_other(a, VALUE_OTHER);
        a->content = content;
}

static void multiply(struct parser *p, struct value *a, const struct value *b, char op, size_t at) {
        bool numbers = a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER;

        if (op == '%' && (is_text(a) || a->kind == VALUE_BUILT))
                note(p, RULE_TEMPLATE_BUILT, at, "a text is formatted with %", VIEW_NULL);
        if (op == '*' || op == '%') /* these also repeat and format texts */
                set_other(a, numbers ? VALUE_NUMBER : VALUE_BUILT);
        else
                set_other(a, VALUE_NUMBER);
}

static void combine(struct parser *p, struct value *a, const struct value *b, char op, enum level level,
                    size_t at) {
        if (level == LEVEL_OR || level == LEVEL_AND)
                either(a, b);
        else if (op == '~' || op == '+')
                concatenate(p, a, b, op == '+', at);
        else if (level == LEVEL_PRODUCT)
                multiply(p, a, b, op, at);
        else {
                p->content_tests += (is_said(p, a) && is_text(b)) || (is_text(a) && is_said(p, b));
                set_other(a, VALUE_NUMBER);
        }
}

static void parse_binary(struct parser *p, enum level least, struct value *ret) {
        if (at_word(p, "not") && least <= LEVEL_NOT) {
                advance(p);
                if (enter(p))
                        parse_binary(p, LEVEL_NOT, ret);
                leave(p);
                set_other(ret, VALUE_NUMBER);
        } else
                parse_unary(p, ret);
        for (enum level level = level_of(p); !p->failed && level >= least && level > 0; level = level_of(p)) {
                char op = p->token.text.p[0];
                size_t at = p->token.at;
                struct value right;

                if (accept_word(p, "not") && !at_word(p, "in")) {
                        syntax(p, "\"in\" was expected");
                        return;
                }
                advance(p);
                parse_binary(p, level + 1, &right);
                combine(p, ret, &right, op, level, at);
        }
}

/* Everything but "a if b else c". */
static void parse_condition(struct parser *p, struct value *ret) {
        set_other(ret, VALUE_OTHER);
        if (enter(p))
                parse_binary(p, LEVEL_OR, ret);
        leave(p);
}

static void parse_expression(struct parser *p, struct value *ret) {
        struct value condition, other;

        parse_condition(p, ret);
        while (!p->failed && accept_word(p, "if")) {
                parse_condition(p, &condition);
                set_other(&other, VALUE_NUMBER);
                if (accept_word(p, "else")) {
                        if (enter(p))
                                parse_expression(p, &other);
                        leave(p);
                }
                either(ret, &other);
        }
}

/* a, b, c without brackets. */
static void parse_tuple(struct parser *p, struct value *ret) {
        struct value more;

        parse_expression(p, ret);
        while (accept_operator(p, ",") && p->token.kind != TOKEN_BLOCK_END &&
               p->token.kind != TOKEN_OUTPUT_END) {
                parse_expression(p, &more);
                set_other(ret, is_built(ret) || is_built(&more) ? VALUE_BUILT : VALUE_OTHER);
        }
}

/* ---- statements ---- */

/* The condition of an if, and whether it looks for certain words in what somebody wrote. */
static bool parse_test_on_content(struct parser *p) {
        unsigned before = p->content_tests;
        struct value v;

        parse_expression(p, &v);
        return p->content_tests > before;
}

static void parse_branch(struct parser *p, const char *const *ends, size_t ends_n, bool conditional) {
        p->conditional += conditional;
        parse_body(p, ends, ends_n);
        p->conditional -= conditional;
}

static void parse_if(struct parser *p) {
        static const char *const ends[] = {"elif", "else", "endif"};
        do {
                bool conditional = parse_test_on_content(p);

                expect_block_end(p);
                parse_branch(p, ends, ARRAY_SIZE(ends), conditional);
        } while (!p->failed && accept_word(p, "elif"));
        if (accept_word(p, "else")) {
                expect_block_end(p);
                parse_branch(p, ends + 2, 1, false);
        }
        if (!accept_word(p, "endif") && !p->failed)
                syntax(p, "endif was expected");
        expect_block_end(p);
}

static void parse_for(struct parser *p) {
        static const char *const ends[] = {"else", "endfor"};
        struct value v;
        int targets[8];
        size_t n = 0, mark;
        bool brackets = accept_operator(p, "(");

        do {
                if (n == ARRAY_SIZE(targets)) {
                        limit(p, "a loop has too many variables");
                        return;
                }
                targets[n++] = take_target(p);
        } while (!p->failed && accept_operator(p, ","));
        if (brackets)
                expect_operator(p, ")");
        if (!accept_word(p, "in") && !p->failed)
                syntax(p, "\"in\" was expected");
        mark = p->trace_n;
        parse_condition(p, &v);
        while (accept_operator(p, ",")) {
                struct value more;

                parse_condition(p, &more);
                either(&v, &more);
        }
        if (v.kind == VALUE_NUMBER)
                set_other(&v, VALUE_OTHER);
        for (size_t i = 0; i < n && !p->failed; i++)
                assign(p, targets[i], &v, mark);
        if (accept_word(p, "if"))
                (void)parse_test_on_content(p);
        if (at_word(p, "recursive"))
                note(p, RULE_TEMPLATE_STATEMENT, p->token.at, "a loop that calls itself", p->token.text);
        (void)accept_word(p, "recursive");
        expect_block_end(p);
        parse_body(p, ends, ARRAY_SIZE(ends));
        if (accept_word(p, "else")) {
                expect_block_end(p);
                parse_body(p, ends + 1, 1);
        }
        if (!accept_word(p, "endfor") && !p->failed)
                syntax(p, "endfor was expected");
        expect_block_end(p);
}

/* A target of set: name or name.member. */
static int take_set_target(struct parser *p) {
        int name = take_target(p);

        if (!accept_operator(p, "."))
                return name;
        if (p->token.kind == TOKEN_NAME && template_field_is_forbidden(p->token.text))
                note(p, RULE_TEMPLATE_NAME, p->token.at, "a member that leads into Python's insides",
                     p->token.text);
        name = take_target(p);
        p->names[name].flags |= NAME_DEFINED;
        return name;
}

static void parse_set(struct parser *p) {
        static const char *const ends[] = {"endset"};
        int targets[8];
        size_t n = 0, mark;
        struct value v;

        do {
                if (n == ARRAY_SIZE(targets)) {
                        limit(p, "a set has too many variables");
                        return;
                }
                targets[n++] = take_set_target(p);
        } while (!p->failed && accept_operator(p, ","));
        mark = p->trace_n;
        if (accept_operator(p, "=")) {
                parse_tuple(p, &v);
                expect_block_end(p);
        } else { /* {% set x %}…{% endset %} */
                set_other(&v, VALUE_BUILT);
                while (accept_operator(p, "|"))
                        parse_filter(p, &v);
                expect_block_end(p);
                parse_body(p, ends, 1);
                if (!accept_word(p, "endset") && !p->failed)
                        syntax(p, "endset was expected");
                expect_block_end(p);
                set_other(&v, VALUE_BUILT);
        }
        for (size_t i = 0; i < n && !p->failed; i++)
                assign(p, targets[i], &v, mark);
}

static void parse_parameters(struct parser *p) {
        while (!p->failed && !at_operator(p, ")")) {
                int name = take_target(p);
                size_t mark = p->trace_n;
                struct value v;

                add_edge(p, name, p->arguments);
                if (accept_operator(p, "=")) {
                        parse_expression(p, &v);
                        if (!p->failed)
                                assign(p, name, &v, mark);
                }
                if (!accept_operator(p, ","))
                        break;
        }
        expect_operator(p, ")");
}

static void parse_macro(struct parser *p) {
        static const char *const ends[] = {"endmacro"};
        int name = take_target(p);

        if (template_function_is_allowed(p->names[name].text))
                note(p, RULE_TEMPLATE_NAME, p->token.at, "a function that the template must not redefine",
                     p->names[name].text);
        p->names[name].flags |= NAME_MACRO;
        expect_operator(p, "(");
        parse_parameters(p);
        expect_block_end(p);
        parse_body(p, ends, 1);
        if (!accept_word(p, "endmacro") && !p->failed)
                syntax(p, "endmacro was expected");
        expect_block_end(p);
}

/* {% generation %}: marks what training learns (transformers). */
static void parse_generation(struct parser *p) {
        static const char *const ends[] = {"endgeneration"};

        expect_block_end(p);
        parse_body(p, ends, 1);
        if (!accept_word(p, "endgeneration") && !p->failed)
                syntax(p, "endgeneration was expected");
        expect_block_end(p);
}

/* Behind "{%"; the statement's name is at hand. */
static void parse_statement(struct parser *p) {
        p->trace_n = 0;
        if (!enter(p))
                return;
        if (accept_word(p, "if"))
                parse_if(p);
        else if (accept_word(p, "for"))
                parse_for(p);
        else if (accept_word(p, "set"))
                parse_set(p);
        else if (accept_word(p, "macro"))
                parse_macro(p);
        else if (accept_word(p, "generation"))
                parse_generation(p);
        else if (accept_word(p, "break") || accept_word(p, "continue"))
                expect_block_end(p);
        else if (p->token.kind == TOKEN_NAME && template_statement_is_known(p->token.text))
                fail(p, RULE_TEMPLATE_STATEMENT, p->token.at, "a statement that is not allowed",
                     p->token.text);
        else
                syntax(p, "an unknown statement");
        leave(p);
}

static void take_data(struct parser *p) {
        size_t telling = 0;

        for (size_t i = 0; i < p->token.text.n; i++)
                telling += (uint8_t)p->token.text.p[i] > ' ';
        if (p->conditional > 0 && telling >= TELLING_MIN)
                note(p, RULE_TEMPLATE_CONDITIONAL, p->token.at, "this text depends on what a message says",
                     p->token.text);
        advance(p);
}

/* Up to a statement in `ends`, whose name is then at hand, or the end of the template when there are none. */
static void parse_body(struct parser *p, const char *const *ends, size_t ends_n) {
        while (!p->failed) {
                if (p->token.kind == TOKEN_DATA)
                        take_data(p);
                else if (p->token.kind == TOKEN_OUTPUT) {
                        struct value v;

                        p->trace_n = 0;
                        advance(p);
                        parse_tuple(p, &v);
                        if (p->token.kind == TOKEN_OUTPUT_END)
                                advance(p);
                        else if (!p->failed)
                                syntax(p, "the expression should end here");
                } else if (p->token.kind == TOKEN_BLOCK) {
                        advance(p);
                        for (size_t i = 0; i < ends_n; i++)
                                if (at_word(p, ends[i]))
                                        return;
                        parse_statement(p);
                } else {
                        if (ends_n > 0)
                                syntax(p, "a block is not closed");
                        return;
                }
        }
}

/* ---- at the end ---- */

static void spread_built(struct parser *p) {
        bool changed = true;

        while (changed) { /* at most once a name */
                changed = false;
                for (size_t i = 0; i < p->edges_n; i++) {
                        struct name *to = &p->names[p->edges[i].to];

                        if ((p->names[p->edges[i].from].flags & NAME_BUILT) && !(to->flags & NAME_BUILT)) {
                                to->flags |= NAME_BUILT;
                                changed = true;
                        }
                }
        }
}

static void check_uses(struct parser *p) {
        for (size_t i = 0; i < p->keys.n; i++)
                if (p->names[p->keys.list[i].name].flags & NAME_BUILT)
                        note(p, RULE_TEMPLATE_BUILT, p->keys.list[i].at,
                             "a member's name comes from a text put together",
                             p->names[p->keys.list[i].name].text);
        for (size_t i = 0; i < p->fields.n; i++)
                if (!(p->names[p->fields.list[i].name].flags & NAME_DEFINED))
                        note(p, RULE_TEMPLATE_NAME, p->fields.list[i].at, "a member that is not on the list",
                             p->names[p->fields.list[i].name].text);
        for (size_t i = 0; i < p->calls.n; i++)
                if (!(p->names[p->calls.list[i].name].flags & NAME_MACRO))
                        note(p, RULE_TEMPLATE_NAME, p->calls.list[i].at, "a function that is not on the list",
                             p->names[p->calls.list[i].name].text);
}

static void run(struct parser *p, struct view text) {
        template_lexer_init(&p->lexer, text);
        p->arguments = intern(p, VIEW("(arguments)"));
        advance(p);
        parse_body(p, NULL, 0);
        if (p->failed)
                return;
        spread_built(p);
        check_uses(p);
}

void template_check(struct model_report *report, struct view text, const char *key, uint64_t at) {
        struct parser *p;

        if (text.n > TEMPLATE_MAX) {
                report_put(report, RULE_TEMPLATE_LIMIT, at, VIEW_NULL,
                           "The chat template \"%s\" has %zu bytes; at most %u are accepted.", key, text.n,
                           TEMPLATE_MAX);
                return;
        }
        if (utf8_first_fault(text) != SIZE_MAX || view_find_char(text, '\0') != SIZE_MAX) {
                report_put(report, RULE_TEMPLATE_SYNTAX, at, VIEW_NULL,
                           "The chat template \"%s\" is not clean UTF-8 text.", key);
                return;
        }
        p = calloc(1, sizeof *p);
        if (!p) { /* what can't be checked is refused */
                report_put(report, RULE_TEMPLATE_LIMIT, at, VIEW_NULL,
                           "There is no memory to check the chat template.");
                return;
        }
        p->report = report;
        p->key = key;
        p->at = at;
        run(p, text);
        free(p);
}
