#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/schema.h"

#include <pcre2.h>

#include "base/text.h"

#define TEXT_MAX ((size_t)4096)

/* Where in the value tree a check stands, for messages. */
struct place {
        const struct place *up;
        struct view key;
        uint32_t index; /* in a list, when key is empty */
        bool is_item;
};

struct check {
        const struct json *root; /* of the schema, for $ref */
        const char *name;
        struct fault *fault;
};

static int check_value(const struct check *k, const struct json *schema, const struct json *value,
                       const struct place *place);

static int append_place(struct buf *b, const struct place *place) {
        int r;

        if (!place->up)
                return 0;
        r = append_place(b, place->up);
        if (r < 0)
                return r;
        if (place->is_item)
                return buf_printf(b, "[%u]", (unsigned)place->index);
        if (b->n > 0 && b->p[b->n - 1] != ' ')
                r = buf_append_char(b, '.');
        return r < 0 ? r : buf_append_escaped(b, place->key, 64);
}

/* "name:line: place MESSAGE". */
static int refuse(const struct check *k, const char *rule, uint64_t at, const struct place *place,
                  const char *format, ...) SAI_PRINTF(5, 6);
static int refuse(const struct check *k, const char *rule, uint64_t at, const struct place *place,
                  const char *format, ...) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX);
        size_t before;
        va_list ap;
        int r;

        r = buf_printf(&text, "%s:%llu: ", k->name, (unsigned long long)at);
        before = text.n;
        if (r >= 0)
                r = append_place(&text, place);
        if (r >= 0 && text.n == before)
                r = buf_append_str(&text, "the file");
        if (r >= 0)
                r = buf_append_char(&text, ' ');
        if (r >= 0) {
                va_start(ap, format);
                r = buf_vprintf(&text, format, ap);
                va_end(ap);
        }
        if (r == -ENOMEM)
                return fault_set(k->fault, -ENOMEM, "CONF-019", at, "%s: out of memory", k->name);
        return fault_set(k->fault, -EBADMSG, rule, at, "%s", buf_str(&text));
}

/* A short form of a scalar for messages. */
static const char *show(const struct json *v, struct buf *b) {
        int r = 0;

        buf_clear(b);
        if (v->type == JSON_STRING) {
                r = buf_append_char(b, '"');
                if (r >= 0)
                        r = buf_append_escaped(b, v->text, 40);
                if (r >= 0)
                        r = buf_append_char(b, '"');
        } else if (v->type == JSON_NUMBER)
                r = buf_append_escaped(b, v->text, 40);
        else if (v->type == JSON_BOOL)
                r = buf_append_str(b, v->boolean ? "true" : "false");
        else
                r = buf_append_str(b, json_type_name(v->type));
        return r < 0 ? "it" : buf_str(b);
}

static const struct json *resolve(const struct json *root, const struct json *schema) {
        struct view ref = json_get_view(schema, "$ref", VIEW_NULL);
        const struct json *defs = json_get(root, "$defs");

        if (ref.n == 0)
                return schema;
        ref = view_sub(ref, strlen("#/$defs/"), SIZE_MAX);
        for (const struct json *d = defs ? defs->child : NULL; d; d = d->next)
                if (view_eq(d->key, ref))
                        return d;
        return NULL;
}

static bool has_type(const struct json *v, struct view type) {
        if (view_eq(type, VIEW("integer")))
                return v->type == JSON_NUMBER && v->is_integer;
        return view_eq_str(type, json_type_name(v->type));
}

static int check_type(const struct check *k, const struct json *schema, const struct json *v,
                      const struct place *place) {
        struct view type = json_get_view(schema, "type", VIEW_NULL);
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(TEXT_MAX);

        if (type.n == 0 || has_type(v, type))
                return 0;
        return refuse(k, "CONF-002", v->at, place, "is %s; expected %s %.*s", show(v, &shown),
                      strchr("aeiou", type.p[0]) ? "an" : "a", VIEW_ARG(type));
}

static bool scalars_equal(const struct json *a, const struct json *b) {
        if (a->type != b->type)
                return false;
        if (a->type == JSON_STRING)
                return view_eq(a->text, b->text);
        if (a->type == JSON_BOOL)
                return a->boolean == b->boolean;
        if (a->type == JSON_NUMBER && a->is_integer && b->is_integer)
                return a->integer == b->integer && (a->is_negative == b->is_negative || a->integer == 0);
        return a->type == JSON_NULL;
}

static int append_choices(struct buf *b, const struct json *choices) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(TEXT_MAX);

        for (const struct json *c = choices->child; c; c = c->next) {
                int r = buf_printf(b, "%s%s", c == choices->child ? "" : ", ", show(c, &shown));

                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_choices(const struct check *k, const struct json *schema, const struct json *v,
                         const struct place *place) {
        const struct json *only = json_get(schema, "const"), *choices = json_get(schema, "enum");
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(TEXT_MAX), listed = BUF_INIT(TEXT_MAX);

        if (only && !scalars_equal(v, only)) {
                int r = buf_append_str(&listed, show(only, &shown));

                return r < 0 ? r
                             : refuse(k, "CONF-005", v->at, place, "is %s; expected %s", show(v, &shown),
                                      listed.p);
        }
        if (!choices)
                return 0;
        for (const struct json *c = choices->child; c; c = c->next)
                if (scalars_equal(v, c))
                        return 0;
        if (append_choices(&listed, choices) < 0)
                buf_clear(&listed);
        return refuse(k, "CONF-005", v->at, place, "is %s; expected one of %s", show(v, &shown),
                      buf_str(&listed));
}

/* <0, 0, >0; exact for integers of any sign, as doubles for others. */
static int compare_numbers(const struct json *a, const struct json *b) {
        if (a->is_integer && b->is_integer) {
                bool a_below = a->is_negative && a->integer > 0, b_below = b->is_negative && b->integer > 0;

                if (a_below != b_below)
                        return a_below ? -1 : 1;
                if (a->integer == b->integer)
                        return 0;
                return (a->integer < b->integer) != a_below ? -1 : 1;
        }
        double x = strtod(a->text.p, NULL), y = strtod(b->text.p, NULL);

        return x < y ? -1 : x > y;
}

static int check_number(const struct check *k, const struct json *schema, const struct json *v,
                        const struct place *place) {
        const struct json *low = json_get(schema, "minimum"), *high = json_get(schema, "maximum");
        bool too_low = low && compare_numbers(v, low) < 0, too_high = high && compare_numbers(v, high) > 0;

        if (!too_low && !too_high)
                return 0;
        if (low && high && compare_numbers(low, high) < 0)
                return refuse(k, "CONF-006", v->at, place, "is %.*s; expected %.*s to %.*s",
                              VIEW_ARG(v->text), VIEW_ARG(low->text), VIEW_ARG(high->text));
        if (low && high)
                return refuse(k, "CONF-006", v->at, place, "is %.*s; expected %.*s", VIEW_ARG(v->text),
                              VIEW_ARG(low->text));
        if (too_low)
                return refuse(k, "CONF-006", v->at, place, "is %.*s; expected at least %.*s",
                              VIEW_ARG(v->text), VIEW_ARG(low->text));
        return refuse(k, "CONF-006", v->at, place, "is %.*s; expected at most %.*s", VIEW_ARG(v->text),
                      VIEW_ARG(high->text));
}

static uint64_t count_code_points(struct view text) {
        uint64_t n = 0;

        for (size_t i = 0; i < text.n; i++)
                n += ((unsigned char)text.p[i] & 0xc0U) != 0x80;
        return n;
}

/* 1 when it matches, 0 when not, negative when the pattern can't be compiled or run. */
static int match_pattern(struct view pattern, struct view text) {
        PCRE2_SIZE at;
        int code, r;
        pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
                                             PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                                             &code, &at, NULL);
        pcre2_match_data *data = compiled ? pcre2_match_data_create_from_pattern(compiled, NULL) : NULL;

        if (!data) {
                pcre2_code_free(compiled);
                return !compiled && code != PCRE2_ERROR_NOMEMORY ? -EINVAL : -ENOMEM;
        }
        r = pcre2_match(compiled, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, data, NULL);
        pcre2_match_data_free(data);
        pcre2_code_free(compiled);
        return r >= 0 ? 1 : r == PCRE2_ERROR_NOMATCH ? 0 : -EBADMSG;
}

static int check_count(const struct check *k, const struct json *schema, const char *least_word,
                       const char *most_word, uint64_t n, const char *unit, const struct json *v,
                       const struct place *place) {
        uint64_t least = 0, most = UINT64_MAX;

        (void)!json_get_u64(schema, least_word,
                            &least); /* absent: no limit; schema_verify has checked the type */
        (void)!json_get_u64(schema, most_word, &most);
        if (n < least)
                return refuse(k, "CONF-007", v->at, place, "has %llu %s; expected at least %llu",
                              (unsigned long long)n, unit, (unsigned long long)least);
        if (n > most)
                return refuse(k, "CONF-007", v->at, place, "has %llu %s; expected at most %llu",
                              (unsigned long long)n, unit, (unsigned long long)most);
        return 0;
}

static int check_string(const struct check *k, const struct json *schema, const struct json *v,
                        const struct place *place) {
        struct view pattern = json_get_view(schema, "pattern", VIEW_NULL);
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(TEXT_MAX);
        int r;

        r = check_count(k, schema, "minLength", "maxLength", count_code_points(v->text), "characters", v,
                        place);
        if (r < 0 || pattern.n == 0)
                return r;
        r = match_pattern(pattern, v->text);
        if (r == -ENOMEM)
                return fault_set(k->fault, r, "CONF-019", v->at, "%s: out of memory", k->name);
        if (r <= 0)
                return refuse(k, "CONF-008", v->at, place, "is %s; expected text of the form %.*s",
                              show(v, &shown), VIEW_ARG(pattern));
        return 0;
}

static int check_array(const struct check *k, const struct json *schema, const struct json *v,
                       const struct place *place) {
        const struct json *items = json_get(schema, "items");
        struct place inner = {.up = place, .is_item = true};
        int r = check_count(k, schema, "minItems", "maxItems", v->count, "entries", v, place);

        for (const struct json *m = v->child; r >= 0 && items && m; m = m->next, inner.index++)
                r = check_value(k, items, m, &inner);
        return r;
}

static const struct json *find_member(const struct json *o, struct view key) {
        for (const struct json *m = o ? o->child : NULL; m; m = m->next)
                if (view_eq(m->key, key))
                        return m;
        return NULL;
}

static int refuse_unknown(const struct check *k, const struct json *properties, const struct json *member,
                          const struct place *place) {
        _cleanup_(buf_donep) struct buf name = BUF_INIT(TEXT_MAX), known = BUF_INIT(TEXT_MAX);
        int r = buf_append_escaped(&name, member->key, 64);

        for (const struct json *p = properties ? properties->child : NULL; r >= 0 && p; p = p->next)
                r = buf_printf(&known, "%s%.*s", known.n ? ", " : "", VIEW_ARG(p->key));
        if (r < 0)
                buf_clear(&known);
        return refuse(k, "CONF-003", member->at, place, "has an unknown name \"%s\"; expected %s%s",
                      buf_str(&name), known.n ? "one of " : "none", buf_str(&known));
}

static int check_required(const struct check *k, const struct json *schema, const struct json *v,
                          const struct place *place) {
        const struct json *required = json_get(schema, "required");

        for (const struct json *m = required ? required->child : NULL; m; m = m->next)
                if (!find_member(v, m->text))
                        return refuse(k, "CONF-004", v->at, place, "lacks \"%.*s\"; add it",
                                      VIEW_ARG(m->text));
        return 0;
}

static int check_object(const struct check *k, const struct json *schema, const struct json *v,
                        const struct place *place) {
        const struct json *properties = json_get(schema, "properties");
        const struct json *others = json_get_typed(schema, "additionalProperties", JSON_OBJECT);

        for (const struct json *m = v->child; m; m = m->next) {
                const struct json *inner_schema = find_member(properties, m->key);
                struct place inner = {.up = place, .key = m->key};
                int r;

                if (!inner_schema)
                        inner_schema = others;
                r = inner_schema ? check_value(k, inner_schema, m, &inner)
                                 : refuse_unknown(k, properties, m, place);
                if (r < 0)
                        return r;
        }
        return check_required(k, schema, v, place);
}

/* Recursion follows the value, which is at most JSON_DEPTH_MAX deep. */
static int check_value(const struct check *k, const struct json *schema, const struct json *value,
                       const struct place *place) {
        int r;

        schema = resolve(k->root, schema);
        if (!schema)
                return fault_set(k->fault, -EINVAL, "CONF-010", 0, "a schema refers to nothing");
        r = check_type(k, schema, value, place);
        if (r >= 0)
                r = check_choices(k, schema, value, place);
        if (r < 0)
                return r;
        switch (value->type) {
        case JSON_NUMBER:
                return check_number(k, schema, value, place);
        case JSON_STRING:
                return check_string(k, schema, value, place);
        case JSON_ARRAY:
                return check_array(k, schema, value, place);
        case JSON_OBJECT:
                return check_object(k, schema, value, place);
        case JSON_NULL:
        case JSON_BOOL:
        case JSON_TYPE_MAX:
                break;
        }
        return 0;
}

int schema_check_tree(const struct json *schema, const struct json *value, const char *name,
                      struct fault *reterr) {
        struct check k = {.root = schema, .name = name, .fault = reterr};
        struct place top = {0};

        return check_value(&k, schema, value, &top);
}

/* Verification of schemas themselves. */

enum word_kind {
        WORD_TEXT,
        WORD_ANY,
        WORD_COUNT,
        WORD_NUMBER,
        WORD_SCHEMA,
        WORD_SCHEMAS,
        WORD_STRINGS,
        WORD_VALUES,
        WORD_TYPE,
        WORD_PATTERN,
        WORD_OTHERS,
        WORD_REF
};

static const struct word {
        const char *name;
        enum word_kind kind;
} words[] = {
        {"$schema", WORD_TEXT},    {"title", WORD_TEXT},         {"description", WORD_TEXT},
        {"default", WORD_ANY},     {"const", WORD_ANY},          {"enum", WORD_VALUES},
        {"type", WORD_TYPE},       {"properties", WORD_SCHEMAS}, {"required", WORD_STRINGS},
        {"items", WORD_SCHEMA},    {"minimum", WORD_NUMBER},     {"maximum", WORD_NUMBER},
        {"minLength", WORD_COUNT}, {"maxLength", WORD_COUNT},    {"pattern", WORD_PATTERN},
        {"minItems", WORD_COUNT},  {"maxItems", WORD_COUNT},     {"additionalProperties", WORD_OTHERS},
        {"$ref", WORD_REF},        {"$defs", WORD_SCHEMAS},
};

struct verify {
        const struct json *root;
        struct fault *fault;
};

static int verify_schema(const struct verify *k, const struct json *schema);

static int bad_word(const struct verify *k, const struct json *word, const char *expected) {
        return fault_set(k->fault, -EINVAL, "CONF-010", word->at, "schema word \"%.*s\": expected %s",
                         VIEW_ARG(word->key), expected);
}

static int verify_type(const struct verify *k, const struct json *word) {
        static const char *const types[] = {"null",  "boolean", "number", "string",
                                            "array", "object",  "integer"};

        for (size_t i = 0; word->type == JSON_STRING && i < ARRAY_SIZE(types); i++)
                if (view_eq_str(word->text, types[i]))
                        return 0;
        return bad_word(k, word, "the name of one type");
}

static int verify_list(const struct verify *k, const struct json *word, bool of_strings) {
        if (word->type != JSON_ARRAY || word->count == 0)
                return bad_word(k, word, "a list");
        for (const struct json *m = word->child; m; m = m->next)
                if (m->type == JSON_ARRAY || m->type == JSON_OBJECT || (of_strings && m->type != JSON_STRING))
                        return bad_word(k, word, of_strings ? "a list of names" : "a list of plain values");
        return 0;
}

static int verify_members(const struct verify *k, const struct json *word) {
        if (word->type != JSON_OBJECT)
                return bad_word(k, word, "an object of schemas");
        for (const struct json *m = word->child; m; m = m->next) {
                int r = verify_schema(k, m);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* References go to a definition that is not itself a reference, so that following one always ends. */
static int verify_ref(const struct verify *k, const struct json *schema, const struct json *word) {
        const struct json *target;

        if (word->type != JSON_STRING || !view_starts(word->text, VIEW("#/$defs/")))
                return bad_word(k, word, "#/$defs/NAME");
        target = resolve(k->root, schema);
        return target && !json_get(target, "$ref") ? 0 : bad_word(k, word, "an existing definition");
}

static int verify_word(const struct verify *k, const struct json *schema, const struct json *word,
                       enum word_kind kind) {
        switch (kind) {
        case WORD_TEXT:
                return word->type == JSON_STRING ? 0 : bad_word(k, word, "text");
        case WORD_COUNT:
                return word->type == JSON_NUMBER && word->is_integer && !word->is_negative
                               ? 0
                               : bad_word(k, word, "a number from 0");
        case WORD_NUMBER:
                return word->type == JSON_NUMBER ? 0 : bad_word(k, word, "a number");
        case WORD_PATTERN:
                return word->type == JSON_STRING && match_pattern(word->text, VIEW("")) >= 0
                               ? 0
                               : bad_word(k, word, "a regular expression");
        case WORD_TYPE:
                return verify_type(k, word);
        case WORD_VALUES:
        case WORD_STRINGS:
                return verify_list(k, word, kind == WORD_STRINGS);
        case WORD_SCHEMAS:
                return verify_members(k, word);
        case WORD_SCHEMA:
                return verify_schema(k, word);
        case WORD_OTHERS:
                return word->type == JSON_BOOL && !word->boolean ? 0 : verify_schema(k, word);
        case WORD_REF:
                return verify_ref(k, schema, word);
        case WORD_ANY:
                break;
        }
        return 0;
}

/* Recursion is bounded by the schema text's depth (JSON_DEPTH_MAX). */
static int verify_schema(const struct verify *k, const struct json *schema) {
        if (schema->type != JSON_OBJECT)
                return fault_set(k->fault, -EINVAL, "CONF-010", schema->at, "a schema is an object");
        for (const struct json *m = schema->child; m; m = m->next) {
                const struct word *word = NULL;
                int r;

                for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                        if (view_eq_str(m->key, words[i].name))
                                word = &words[i];
                if (!word)
                        return bad_word(k, m, "a word that this program knows");
                r = verify_word(k, schema, m, word->kind);
                if (r < 0)
                        return r;
        }
        return 0;
}

int schema_verify(const struct json *schema, struct fault *reterr) {
        struct verify k = {.root = schema, .fault = reterr};

        return verify_schema(&k, schema);
}
