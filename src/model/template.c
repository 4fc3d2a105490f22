#include "model/template.h"

#include "base/sha256.h"
#include "base/text.h"
#include "model/limits.h"
#include "model/template_lexer.h"
#include "model/template_value.h"

/* A recursive descent over Jinja's grammar (jinja2/parser.py). Nothing is evaluated but the putting together
 * of constant texts. Expressions yield what is known about their value; a text that was put together must not
 * become the name of a member, whatever way it takes through variables: assignments are remembered as edges
 * between names (without regard to order or scope) and followed at the end. */

#define NAMES_MAX   1024u
#define SLOTS       (4 * NAMES_MAX) /* of the table that finds names; a power of two */
#define EDGES_MAX   4096u
#define TRACE_MAX   2048u
#define USES_MAX    1024u
#define TELLING_MIN 16u /* bytes of text that say something */

enum {
        NAME_DEFINED = 1,
        NAME_MACRO = 2,
        NAME_BUILT = 4,
        NAME_FORBIDDEN = 8,    /* as a variable */
        NAME_FIELD_KNOWN = 16, /* the lists of members were asked, and said: */
        NAME_FIELD_FORBIDDEN = 32,
        NAME_FIELD_ALLOWED = 64
};

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
        bool has[NAMES_MAX];
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
        uint16_t slots[SLOTS]; /* number of a name plus one, at the hash of its text or behind */
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
        if (template_lexer_next(&p->lexer, &p->token) == TOKEN_FAULT)
                fail(p, RULE_TEMPLATE_SYNTAX, p->token.at, p->token.text.p, VIEW_NULL);
}

/* The first letter tells most apart. */
static inline bool is(struct view token, const char *text) {
        return token.n > 0 && token.p[0] == text[0] && view_eq_str(token, text);
}

static inline bool at_operator(const struct parser *p, const char *text) {
        return p->token.kind == TOKEN_OPERATOR && is(p->token.text, text);
}

static inline bool at_word(const struct parser *p, const char *text) {
        return p->token.kind == TOKEN_NAME && is(p->token.text, text);
}

static inline bool accept_operator(struct parser *p, const char *text) {
        if (!at_operator(p, text))
                return false;
        advance(p);
        return true;
}

static inline bool accept_word(struct parser *p, const char *text) {
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

/* FNV-1a. Who makes all names collide gets a walk over at most NAMES_MAX of them. */
static uint32_t slot_of(struct view text) {
        uint32_t h = 2166136261u;

        for (size_t i = 0; i < text.n; i++)
                h = (h ^ (uint8_t)text.p[i]) * 16777619u;
        return (h ^ h >> 16) % SLOTS;
}

/* Number of a name; 0 after a fault, which is harmless then. */
static int intern(struct parser *p, struct view text) {
        uint32_t at = slot_of(text);

        for (; p->slots[at] > 0; at = (at + 1) % SLOTS)
                if (view_eq(p->names[p->slots[at] - 1].text, text))
                        return p->slots[at] - 1;
        if (p->names_n == NAMES_MAX) {
                limit(p, "it uses too many names");
                return 0;
        }
        p->names[p->names_n] = (struct name){
                .text = text, .flags = template_global_is_forbidden(text) ? NAME_FORBIDDEN : 0};
        p->slots[at] = (uint16_t)++p->names_n;
        return (int)p->names_n - 1;
}

static void trace(struct parser *p, int name) {
        if (p->trace_n == TRACE_MAX)
                limit(p, "one statement uses too many names");
        else
                p->trace[p->trace_n++] = (uint16_t)name;
}

static void add_use(struct parser *p, struct uses *u, int name, size_t at) {
        if (u->has[name])
                return;
        if (u->n == USES_MAX) {
                limit(p, "it uses too many names");
                return;
        }
        u->has[name] = true;
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

/* `to` may now hold `v`, which was computed from the names traced since `mark`. */
static void assign(struct parser *p, int to, const struct value *v, size_t mark) {
        if (v->kind == VALUE_NUMBER)
                return;
        if (value_is_built(v))
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

/* What the lists say of it as a member; each name is looked up once. */
static unsigned field_flags(struct parser *p, int name) {
        struct name *n = &p->names[name];

        if (!(n->flags & NAME_FIELD_KNOWN)) {
                n->flags |= NAME_FIELD_KNOWN;
                if (template_field_is_forbidden(n->text))
                        n->flags |= NAME_FIELD_FORBIDDEN;
                if (template_field_is_allowed(n->text))
                        n->flags |= NAME_FIELD_ALLOWED;
        }
        return n->flags;
}

static void check_field(struct parser *p, struct view field, size_t at) {
        int name = intern(p, field);
        unsigned flags = field_flags(p, name);

        if (field.n > 0 && field.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a member's name begins with an underscore", field);
        else if (flags & NAME_FIELD_FORBIDDEN)
                note(p, RULE_TEMPLATE_NAME, at, "a member that leads into Python's insides", field);
        else if (!(flags & NAME_FIELD_ALLOWED))
                add_use(p, &p->fields, name, at);
}

/* ---- constant texts ---- */

/* After a text was put together: is it one that nobody writes in one piece? */
static void check_folded(struct parser *p, const struct value *v, size_t at) {
        if (value_is_text(v) && !v->literal && value_names_internals(value_text(v)))
                note(p, RULE_TEMPLATE_BUILT, at, "pieces are put together to an internal name",
                     value_text(v));
}

static void take_literal(struct parser *p, struct value *v) {
        size_t at = p->token.at;

        value_set(v, VALUE_TEXT);
        v->literal = true;
        if (p->conditional > 0 && p->token.text.n >= TELLING_MIN)
                note(p, RULE_TEMPLATE_CONDITIONAL, at, "this text depends on what a message says",
                     p->token.text);
        if (!template_text_decode(p->token.text, v->text, sizeof v->text, &v->n)) {
                value_set(v, VALUE_BUILT); /* too long for a name, or hidden */
                if (view_find(p->token.text, VIEW("\\N")) != SIZE_MAX)
                        note(p, RULE_TEMPLATE_BUILT, at, "a character is hidden in an escape", p->token.text);
        }
        if (value_names_internals(p->token.text) || value_names_internals(value_text(v)))
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a text is an internal name", p->token.text);
        advance(p);
        while (p->token.kind == TOKEN_TEXT) { /* neighbours are one text */
                struct value next;
                struct view piece = p->token.text;

                value_set(&next, VALUE_TEXT);
                if (value_is_text(v) && template_text_decode(piece, next.text, sizeof next.text, &next.n))
                        value_concatenate(v, &next, false);
                else
                        value_set(v, VALUE_BUILT);
                check_folded(p, v, at);
                advance(p);
        }
}

/* ---- expressions ---- */

/* Items up to the closing bracket, which is consumed. One item in round brackets without a comma is itself.
 * */
static void parse_items(struct parser *p, const char *close, struct value *ret) {
        struct value list, item;
        bool first = true, comma = false;

        value_set(&list, VALUE_LIST);
        value_set(&item, VALUE_OTHER);
        while (!p->failed && !at_operator(p, close)) {
                parse_expression(p, &item);
                value_add_item(&list, &item, first);
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
                if (value_is_text(&key) && key.literal && token.kind == TOKEN_TEXT) {
                        int name = intern(p, token.text);

                        p->names[name].flags |= NAME_DEFINED;
                        assign(p, name, &value, mark);
                }
                built |= value_is_built(&value);
                if (!accept_operator(p, ","))
                        break;
        }
        expect_operator(p, "}");
        value_set(ret, built ? VALUE_BUILT : VALUE_OTHER);
}

static bool is_reserved(struct view word) {
        static const char *const list[] = {"and", "or", "not", "in", "is", "if", "else"};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (is(word, list[i]))
                        return true;
        return false;
}

static bool is_constant(struct view word) {
        static const char *const list[] = {"true", "false", "none", "True", "False", "None"};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (is(word, list[i]))
                        return true;
        return false;
}

static void parse_name(struct parser *p, struct value *ret) {
        struct view name = p->token.text;
        size_t at = p->token.at;

        value_set(ret, is_constant(name) ? VALUE_NUMBER : VALUE_OTHER);
        if (is_reserved(name)) {
                syntax(p, "a value was expected");
                return;
        }
        advance(p);
        if (ret->kind == VALUE_NUMBER)
                return;
        if (name.p[0] == '_')
                note(p, RULE_TEMPLATE_UNDERSCORE, at, "a name begins with an underscore", name);
        ret->name = intern(p, name);
        if (p->names[ret->name].flags & NAME_FORBIDDEN)
                note(p, RULE_TEMPLATE_NAME, at, "an object that leads into the template engine", name);
        ret->is_variable = true;
        ret->is_loop = view_eq_str(name, "loop");
        trace(p, ret->name);
}

static void parse_primary(struct parser *p, struct value *ret) {
        value_set(ret, VALUE_NUMBER);
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
        if (template_lexer_next(&ahead, &next) != TOKEN_OPERATOR || !view_eq_str(next.text, "="))
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
        a->built |= value_is_built(&v);
        return true;
}

/* Behind the opening bracket, which the caller consumed. */
static void parse_arguments(struct parser *p, struct arguments *ret) {
        struct value v;

        ret->positional = 0;
        ret->built = false;
        value_set(&ret->first, VALUE_OTHER);
        value_set(&ret->second, VALUE_OTHER);
        while (!p->failed && !at_operator(p, ")")) {
                if (!parse_named_argument(p, ret)) {
                        parse_expression(p, &v);
                        ret->built |= value_is_built(&v);
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
                value_set(v, VALUE_BUILT);
                return;
        }
        name = p->names[v->name].text;
        if (template_function_is_allowed(name)) {
                bool text = view_eq_str(name, "strftime_now");

                value_set(v, text || a.built ? VALUE_BUILT : VALUE_OTHER);
                return;
        }
        add_use(p, &p->calls, v->name, at);
        if (a.built)
                p->names[p->arguments].flags |= NAME_BUILT;
        for (size_t i = mark; i < p->trace_n; i++)
                add_edge(p, p->arguments, p->trace[i]);
        value_set(v, VALUE_BUILT);
}

/* What putting texts together gives when all of them are constant; false when it is not known. */
static bool fold(struct value *v, const char *what, const struct arguments *a, bool method) {
        const struct value *first = &a->first, *second = &a->second;

        if (strcmp(what, "join") == 0 && method && value_is_text(v) && first->kind == VALUE_LIST) {
                struct value list = *first;

                value_join(&list, value_text(v));
                *v = list;
        } else if (strcmp(what, "join") == 0 && !method && v->kind == VALUE_LIST &&
                   (a->positional == 0 || value_is_text(first)))
                value_join(v, a->positional == 0 ? VIEW("") : value_text(first));
        else if (strcmp(what, "replace") == 0 && value_is_text(v) && value_is_text(first) &&
                 value_is_text(second))
                value_replace(v, value_text(first), value_text(second));
        else if (strcmp(what, "reverse") == 0 && value_is_text(v))
                value_reverse(v);
        else
                return false;
        return true;
}

static void apply(struct parser *p, struct value *v, const struct template_filter *f,
                  const struct arguments *a, bool method, size_t at) {
        if (fold(v, f->name, a, method))
                check_folded(p, v, at);
        else
                value_apply(v, f->result, a->built);
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
                value_set(v, VALUE_BUILT);
                return;
        }
        p->content_tests += m->result == RESULT_NUMBER && is_said(p, v) && value_is_text(&a.first);
        if (view_eq_str(name, "append") && owner >= 0) {
                if (a.built)
                        value_set(&a.first, VALUE_BUILT);
                assign(p, owner, &a.first, mark);
        }
        apply(p, v, m, &a, true, at);
}

static void parse_field(struct parser *p, struct value *v) {
        struct view name = p->token.text;
        size_t at = p->token.at;
        bool number;

        if (p->token.kind == TOKEN_INTEGER) {
                advance(p);
                value_set(v, value_is_built(v) ? VALUE_BUILT : VALUE_OTHER);
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
        value_set(v, number ? VALUE_NUMBER : value_is_built(v) ? VALUE_BUILT : VALUE_OTHER);
        v->content = template_field_is_content(name);
        v->name = intern(p, name);
        if (!number)
                trace(p, v->name);
}

/* x[key]: what may name a member. */
static void check_key(struct parser *p, const struct value *key, size_t mark, size_t at) {
        if (key->kind == VALUE_NUMBER)
                return;
        if (value_is_text(key) && key->literal)
                return; /* as a member's name, where it is read */
        if (value_is_built(key) || key->kind == VALUE_LIST) {
                note(p, RULE_TEMPLATE_BUILT, at, "a member's name is put together from pieces",
                     value_text(key));
                return;
        }
        for (size_t i = mark; i < p->trace_n; i++)
                add_use(p, &p->keys, p->trace[i], at);
}

/* The parts of a slice behind its start. A step may turn a text round, also one in a variable. */
static void parse_slice(struct parser *p, struct value *v, size_t at) {
        struct value part;
        unsigned colons = 0;
        bool turned = false;

        while (accept_operator(p, ":")) {
                colons++;
                if (at_operator(p, ":") || at_operator(p, "]"))
                        continue;
                turned = colons == 2 && p->token.kind != TOKEN_INTEGER;
                parse_expression(p, &part);
        }
        expect_operator(p, "]");
        if (value_is_text(v) && turned) {
                value_reverse(v);
                check_folded(p, v, at);
        }
        if (turned || value_is_text(v) || v->kind == VALUE_LIST)
                value_set(v, VALUE_BUILT);
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
                        value_set(v, value_is_built(v) || value_is_text(v) ? VALUE_BUILT : VALUE_OTHER);
                        v->content = content;
                        if (value_is_text(&key) && key.literal && !p->failed) {
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
        struct view path = value_text(v), part;

        if (!value_is_text(v) || !v->literal) {
                note(p, RULE_TEMPLATE_BUILT, at, "a member's name is put together from pieces", VIEW_NULL);
                return;
        }
        while (view_split(&path, '.', &part))
                if (!template_field_is_allowed(part))
                        note(p, RULE_TEMPLATE_NAME, at, "a member that is not on the list", part);
        if (!template_field_is_allowed(path))
                note(p, RULE_TEMPLATE_NAME, at, "a member that is not on the list", path);
}

/* A filter or test that is named by an argument: map("trim"), select("string"), selectattr("role", "equalto",
 * …). */
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
        if (!value_is_text(name) || !name->literal)
                note(p, RULE_TEMPLATE_BUILT, at, "a filter's name is put together from pieces", VIEW_NULL);
        else if (by_filter ? !template_filter_find(value_text(name)) || view_eq_str(value_text(name), "map")
                           : !template_test_is_allowed(value_text(name)))
                note(p, RULE_TEMPLATE_FILTER, at, "a filter or test that is not on the list",
                     value_text(name));
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
                value_set(v, VALUE_BUILT);
                if (at_operator(p, "."))
                        syntax(p, "a filter's name has a dot");
                return;
        }
        check_indirect(p, name, &a, at);
        apply(p, v, f, &a, false, at);
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
        value_set(v, VALUE_NUMBER);
}

static void parse_unary(struct parser *p, struct value *ret) {
        value_set(ret, VALUE_OTHER); /* also when the depth ends the reading here */
        if (!enter(p))
                return;
        if (accept_operator(p, "-") || accept_operator(p, "+")) {
                parse_unary(p, ret);
                value_set(ret, VALUE_NUMBER);
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
                        value_set(ret, VALUE_BUILT);
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

static enum level level_of_operator(struct view text) {
        switch (text.p[0]) {
        case '=': /* one alone assigns */
                return text.n == 2 ? LEVEL_COMPARE : (enum level)0;
        case '!':
        case '<':
        case '>':
                return LEVEL_COMPARE;
        case '+':
        case '-':
                return LEVEL_SUM;
        case '~':
                return LEVEL_CONCAT;
        case '*':
                return text.n == 2 ? LEVEL_POWER : LEVEL_PRODUCT;
        case '/':
        case '%':
                return LEVEL_PRODUCT;
        default:
                return (enum level)0;
        }
}

/* How tightly the operator at hand binds; 0 when it is none. "not" counts as the start of "not in". */
static enum level level_of(const struct parser *p) {
        if (p->token.kind == TOKEN_NAME)
                return at_word(p, "or")                        ? LEVEL_OR
                       : at_word(p, "and")                     ? LEVEL_AND
                       : at_word(p, "in") || at_word(p, "not") ? LEVEL_COMPARE
                                                               : (enum level)0;
        return p->token.kind == TOKEN_OPERATOR ? level_of_operator(p->token.text) : (enum level)0;
}

static void multiply(struct parser *p, struct value *a, const struct value *b, char op, size_t at) {
        bool numbers = a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER;

        if (op == '%' && (value_is_text(a) || a->kind == VALUE_BUILT))
                note(p, RULE_TEMPLATE_BUILT, at, "a text is formatted with %", VIEW_NULL);
        if (op == '*' || op == '%') /* these also repeat and format texts */
                value_set(a, numbers ? VALUE_NUMBER : VALUE_BUILT);
        else
                value_set(a, VALUE_NUMBER);
}

static void combine(struct parser *p, struct value *a, const struct value *b, char op, enum level level,
                    size_t at) {
        if (level == LEVEL_OR || level == LEVEL_AND)
                value_either(a, b);
        else if (op == '~' || op == '+') {
                value_concatenate(a, b, op == '+');
                check_folded(p, a, at);
        } else if (level == LEVEL_PRODUCT)
                multiply(p, a, b, op, at);
        else {
                p->content_tests += (is_said(p, a) && value_is_text(b)) ||
                                    (value_is_text(a) && is_said(p, b));
                value_set(a, VALUE_NUMBER);
        }
}

static void parse_binary(struct parser *p, enum level least, struct value *ret) {
        if (at_word(p, "not") && least <= LEVEL_NOT) {
                advance(p);
                if (enter(p))
                        parse_binary(p, LEVEL_NOT, ret);
                leave(p);
                value_set(ret, VALUE_NUMBER);
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
        value_set(ret, VALUE_OTHER);
        if (enter(p))
                parse_binary(p, LEVEL_OR, ret);
        leave(p);
}

static void parse_expression(struct parser *p, struct value *ret) {
        struct value condition, other;

        parse_condition(p, ret);
        while (!p->failed && accept_word(p, "if")) {
                parse_condition(p, &condition);
                value_set(&other, VALUE_NUMBER);
                if (accept_word(p, "else")) {
                        if (enter(p))
                                parse_expression(p, &other);
                        leave(p);
                }
                value_either(ret, &other);
        }
}

/* a, b, c without brackets. */
static void parse_tuple(struct parser *p, struct value *ret) {
        struct value more;

        parse_expression(p, ret);
        while (accept_operator(p, ",") && p->token.kind != TOKEN_BLOCK_END &&
               p->token.kind != TOKEN_OUTPUT_END) {
                parse_expression(p, &more);
                value_set(ret, value_is_built(ret) || value_is_built(&more) ? VALUE_BUILT : VALUE_OTHER);
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
                value_either(&v, &more);
        }
        if (v.kind == VALUE_NUMBER)
                value_set(&v, VALUE_OTHER);
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
                value_set(&v, VALUE_BUILT);
                while (accept_operator(p, "|"))
                        parse_filter(p, &v);
                expect_block_end(p);
                parse_body(p, ends, 1);
                if (!accept_word(p, "endset") && !p->failed)
                        syntax(p, "endset was expected");
                expect_block_end(p);
                value_set(&v, VALUE_BUILT);
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

void template_join(struct model_summary *summary, const uint8_t digest[32]) {
        uint8_t both[2][SHA256_BYTES];
        bool first = memcmp(summary->template_sha256, digest, SHA256_BYTES) < 0;

        memcpy(both[!first], summary->template_sha256, SHA256_BYTES);
        memcpy(both[first], digest, SHA256_BYTES);
        if (summary->has_chat_template)
                sha256_message(view_make(both, sizeof both), summary->template_sha256);
        else
                memcpy(summary->template_sha256, digest, SHA256_BYTES);
        summary->has_chat_template = true;
}

void template_note(struct model_summary *summary, struct view text) {
        uint8_t digest[SHA256_BYTES];

        sha256_message(text, digest);
        template_join(summary, digest);
}
