#include "model/gguf_metadata.h"

#include "base/num.h"
#include "base/text.h"
#include "model/limits.h"
#include "model/template.h"

#define TOKEN_TYPE_BYTE 6u /* llama.h: LLAMA_TOKEN_TYPE_BYTE */

static const struct {
        const char *name;
        size_t size;
} type_table[GGUF_TYPE_MAX] = {
        [GGUF_U8] = {"u8", 1},      [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
        [GGUF_I16] = {"i16", 2},    [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
        [GGUF_F32] = {"f32", 4},    [GGUF_BOOL] = {"bool", 1}, [GGUF_U64] = {"u64", 8},
        [GGUF_I64] = {"i64", 8},    [GGUF_F64] = {"f64", 8},   [GGUF_STRING] = {"text", 8},
        [GGUF_ARRAY] = {"list", 0},
};

const char *gguf_type_name(uint32_t type) {
        return type < GGUF_TYPE_MAX ? type_table[type].name : "unknown";
}

size_t gguf_type_size(uint32_t type) {
        return type < GGUF_TYPE_MAX ? type_table[type].size : 0;
}

static const struct {
        struct view key;
        enum gguf_role role;
} exact_keys[] = {
        {VIEW_INIT("general.architecture"), ROLE_ARCHITECTURE},
        {VIEW_INIT("general.name"), ROLE_NAME},
        {VIEW_INIT("general.license"), ROLE_LICENSE},
        {VIEW_INIT("general.alignment"), ROLE_ALIGNMENT},
        {VIEW_INIT("tokenizer.ggml.tokens"), ROLE_TOKENS},
        {VIEW_INIT("tokenizer.ggml.scores"), ROLE_SCORES},
        {VIEW_INIT("tokenizer.ggml.token_type"), ROLE_TOKEN_TYPES},
        {VIEW_INIT("tokenizer.ggml.merges"), ROLE_MERGES},
        {VIEW_INIT("split.count"), ROLE_SPLIT_COUNT},
        {VIEW_INIT("split.no"), ROLE_SPLIT_NUMBER},
        {VIEW_INIT("split.tensors.count"), ROLE_SPLIT_TENSORS},
        {VIEW_INIT("tokenizer.chat_templates"),
         ROLE_OTHER}, /* the names of further templates, not their text */
};

static enum gguf_role role_of(struct view key) {
        for (size_t i = 0; i < ARRAY_SIZE(exact_keys); i++)
                if (view_eq(key, exact_keys[i].key))
                        return exact_keys[i].role;
        if (view_find(key, VIEW("chat_template")) != SIZE_MAX)
                return ROLE_TEMPLATE;
        if (view_starts(key, VIEW("tokenizer.")) && view_ends(key, VIEW("_token_id")))
                return ROLE_TOKEN_ID;
        if (view_ends(key, VIEW(".context_length")))
                return ROLE_CONTEXT;
        return ROLE_OTHER;
}

int gguf_metadata_init(struct gguf_metadata *m, struct model_report *report, struct model_summary *summary) {
        *m = (struct gguf_metadata){
                .report = report, .summary = summary, .alignment = 32, .kept = BUF_INIT(TEMPLATE_MAX)};
        return hash_set_new(GGUF_PAIRS_MAX, &m->keys);
}

void gguf_metadata_done(struct gguf_metadata *m) {
        m->keys = hash_set_free(m->keys);
        buf_done(&m->kept);
        free(m->vocabulary.byte_shaped);
        free(m->vocabulary.byte_typed);
        m->vocabulary.byte_shaped = m->vocabulary.byte_typed = NULL;
}

static bool key_is_well_formed(struct view key) {
        for (size_t i = 0; i < key.n; i++) {
                char c = key.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
                        return false;
        }
        return key.n > 0;
}

int gguf_metadata_key(struct gguf_metadata *m, struct view key, uint64_t at) {
        int r = hash_set_add(m->keys, key);

        if (r < 0)
                return r;
        m->key = report_quote(key);
        m->role = role_of(key);
        m->index = 0;
        m->element_n = 0;
        if (r == 0)
                report_put(m->report, RULE_GGUF_KEY, at, VIEW_NULL, "The key \"%s\" is given twice.",
                           m->key.text);
        if (!key_is_well_formed(key))
                report_put(m->report, RULE_GGUF_KEY, at, VIEW_NULL,
                           "The key \"%s\" has characters outside of a-z 0-9 _ . -", m->key.text);
        return 0;
}

/* Types that a key may have: for lists those of the elements. */
static bool role_accepts(enum gguf_role role, uint32_t type, uint32_t element_type) {
        switch (role) {
        case ROLE_ARCHITECTURE:
        case ROLE_NAME:
        case ROLE_TEMPLATE:
                return type == GGUF_STRING;
        case ROLE_ALIGNMENT:
        case ROLE_TOKEN_ID:
                return type == GGUF_U32;
        case ROLE_TOKENS:
        case ROLE_MERGES:
                return type == GGUF_ARRAY && element_type == GGUF_STRING;
        case ROLE_SCORES:
                return type == GGUF_ARRAY && element_type == GGUF_F32;
        case ROLE_TOKEN_TYPES: /* readers take the bytes as 32-bit numbers whatever the type says */
                return type == GGUF_ARRAY && (element_type == GGUF_I32 || element_type == GGUF_U32);
        case ROLE_SPLIT_COUNT:
        case ROLE_SPLIT_NUMBER:
                return type == GGUF_U16;
        case ROLE_SPLIT_TENSORS: /* gguf-split writes a signed number */
                return type == GGUF_I32;
        case ROLE_CONTEXT:
        case ROLE_LICENSE:
        case ROLE_OTHER:
                break;
        }
        return true;
}

static enum model_rule role_rule(enum gguf_role role) {
        switch (role) {
        case ROLE_TEMPLATE:
                return RULE_GGUF_TEMPLATE;
        case ROLE_ALIGNMENT:
                return RULE_GGUF_ALIGNMENT;
        case ROLE_TOKENS:
        case ROLE_MERGES:
        case ROLE_SCORES:
        case ROLE_TOKEN_TYPES:
        case ROLE_TOKEN_ID:
                return RULE_GGUF_VOCABULARY;
        case ROLE_SPLIT_COUNT:
        case ROLE_SPLIT_NUMBER:
        case ROLE_SPLIT_TENSORS:
                return RULE_GGUF_SPLIT;
        default:
                return RULE_GGUF_TYPE;
        }
}

bool gguf_metadata_type(struct gguf_metadata *m, uint32_t type, uint32_t element_type, uint64_t at) {
        if (m->role == ROLE_LICENSE && type != GGUF_STRING)
                m->role = ROLE_OTHER; /* nobody reads it to run the model */
        if (role_accepts(m->role, type, element_type))
                return true;
        report_put(m->report, role_rule(m->role), at, VIEW_NULL,
                   "\"%s\" has the type %s%s, which it must not have.", m->key.text,
                   type == GGUF_ARRAY ? "list of " : "",
                   gguf_type_name(type == GGUF_ARRAY ? element_type : type));
        m->role = ROLE_OTHER;
        return false;
}

static void check_alignment(struct gguf_metadata *m, uint32_t value, uint64_t at) {
        if (value < GGUF_ALIGNMENT_MIN || value > GGUF_ALIGNMENT_MAX || (value & (value - 1)) != 0) {
                report_put(m->report, RULE_GGUF_ALIGNMENT, at, VIEW_NULL,
                           "general.alignment is %u; it must be a power of two from %u to %u.", value,
                           GGUF_ALIGNMENT_MIN, GGUF_ALIGNMENT_MAX);
                return;
        }
        m->alignment = value;
}

static void check_split(struct gguf_metadata *m, uint32_t value, uint64_t at) {
        if (m->role == ROLE_SPLIT_COUNT)
                m->summary->split_count = value;
        else
                m->summary->split_no = value;
        if (m->report->member == 0 && (m->role == ROLE_SPLIT_COUNT ? value > 1 : value > 0))
                report_put(m->report, RULE_GGUF_SPLIT, at, VIEW_NULL,
                           "%s is %u: this is one part of a model in several files. Put all parts into one "
                           "folder and import that.",
                           m->key.text, value);
}

static void check_split_tensors(struct gguf_metadata *m, uint32_t value, uint64_t at) {
        m->summary->split_tensors = value;
        if (value > INT32_MAX)
                report_put(m->report, RULE_GGUF_SPLIT, at, VIEW_NULL, "\"%s\" is negative.", m->key.text);
}

static void note_token_id(struct gguf_metadata *m, uint32_t value, uint64_t at) {
        struct gguf_vocabulary *v = &m->vocabulary;

        if (v->has_id && value <= v->worst_id)
                return;
        v->has_id = true;
        v->worst_id = value;
        v->worst_id_at = at;
        v->worst_id_key = m->key;
}

void gguf_metadata_scalar(struct gguf_metadata *m, uint32_t type, const uint8_t *p, uint64_t at) {
        if (type == GGUF_BOOL && *p > 1)
                report_put(m->report, RULE_GGUF_TYPE, at, VIEW_NULL,
                           "\"%s\" is a truth value of %u; only 0 and 1 exist.", m->key.text, *p);
        switch (m->role) {
        case ROLE_ALIGNMENT:
                check_alignment(m, load_le32(p), at);
                break;
        case ROLE_SPLIT_COUNT:
        case ROLE_SPLIT_NUMBER:
                check_split(m, load_le16(p), at);
                break;
        case ROLE_SPLIT_TENSORS:
                check_split_tensors(m, load_le32(p), at);
                break;
        case ROLE_TOKEN_ID:
                note_token_id(m, load_le32(p), at);
                break;
        case ROLE_CONTEXT:
                if (m->summary->context_length == 0 && type == GGUF_U32)
                        m->summary->context_length = load_le32(p);
                else if (m->summary->context_length == 0 && type == GGUF_U64)
                        m->summary->context_length = load_le64(p);
                break;
        default:
                break;
        }
}

static int bits_new(uint64_t count, uint8_t **ret) {
        uint8_t *bits = calloc((size_t)(count / 8 + 1), 1);

        if (!bits)
                return -ENOMEM;
        free(*ret);
        *ret = bits;
        return 0;
}

static void bit_set(uint8_t *bits, uint64_t i) {
        bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

int gguf_metadata_list(struct gguf_metadata *m, uint64_t count, uint64_t at) {
        struct gguf_vocabulary *v = &m->vocabulary;
        bool vocabulary = m->role == ROLE_TOKENS || m->role == ROLE_SCORES || m->role == ROLE_TOKEN_TYPES;

        if (vocabulary && count > GGUF_VOCABULARY_MAX) {
                report_put(m->report, RULE_GGUF_VOCABULARY, at, VIEW_NULL,
                           "\"%s\" has %llu entries; at most %llu are accepted.", m->key.text,
                           (unsigned long long)count, (unsigned long long)GGUF_VOCABULARY_MAX);
                m->role = ROLE_OTHER;
                return 0;
        }
        switch (m->role) {
        case ROLE_TOKENS:
                v->has_tokens = true;
                v->tokens = count;
                v->tokens_at = at;
                return bits_new(count, &v->byte_shaped);
        case ROLE_SCORES:
                v->has_scores = true;
                v->scores = count;
                return 0;
        case ROLE_TOKEN_TYPES:
                v->has_types = true;
                v->types = count;
                return bits_new(count, &v->byte_typed);
        default:
                return 0;
        }
}

static void take_element(struct gguf_metadata *m, uint32_t type, const uint8_t *p, uint64_t at) {
        if (type == GGUF_BOOL && *p > 1)
                report_put(m->report, RULE_GGUF_TYPE, at, VIEW_NULL,
                           "\"%s\" holds a truth value of %u; only 0 and 1 exist.", m->key.text, *p);
        if (m->role == ROLE_TOKEN_TYPES && load_le32(p) == TOKEN_TYPE_BYTE)
                bit_set(m->vocabulary.byte_typed, m->index);
        m->index++;
}

void gguf_metadata_elements(struct gguf_metadata *m, uint32_t element_type, struct view bytes, uint64_t at) {
        size_t size = gguf_type_size(element_type), used = 0;

        if (element_type != GGUF_BOOL && m->role != ROLE_TOKEN_TYPES)
                return;
        while (used < bytes.n) {
                size_t take = MIN_OF(size - m->element_n, bytes.n - used);

                memcpy(m->element + m->element_n, bytes.p + used, take);
                m->element_n += take;
                used += take;
                if (m->element_n == size) {
                        take_element(m, element_type, m->element, at + used - size);
                        m->element_n = 0;
                }
        }
}

static void text_fault(struct gguf_metadata *m, enum model_rule rule, const char *what) {
        if (!m->text.bad)
                report_put(m->report, rule, m->text.at, VIEW_NULL, "\"%s\" %s", m->key.text, what);
        m->text.bad = true;
}

void gguf_metadata_text_begin(struct gguf_metadata *m, uint64_t length, uint64_t at) {
        m->text = (struct gguf_text){.at = at, .length = length};
        buf_clear(&m->kept);
        if (m->role == ROLE_TEMPLATE && length > TEMPLATE_MAX) {
                m->text.bad = true;
                report_put(m->report, RULE_TEMPLATE_LIMIT, at, VIEW_NULL,
                           "The chat template \"%s\" has %llu bytes; at most %u are accepted.", m->key.text,
                           (unsigned long long)length, TEMPLATE_MAX);
        }
        if (m->role == ROLE_TOKENS && length > GGUF_TOKEN_MAX)
                text_fault(m, RULE_GGUF_VOCABULARY, "holds a token of more than 65535 bytes.");
}

/* Bytes of this text that are kept until its end. */
static size_t kept_limit(const struct gguf_metadata *m) {
        switch (m->role) {
        case ROLE_TEMPLATE:
                return m->text.bad ? 0 : TEMPLATE_MAX;
        case ROLE_ARCHITECTURE:
        case ROLE_NAME:
        case ROLE_LICENSE:
                return MODEL_NAME_MAX;
        default:
                return 0;
        }
}

static void check_merge(struct gguf_text *t, struct view bytes) {
        size_t from = t->seen == 0 ? 1 : 0, space;

        if (t->separated || bytes.n <= from)
                return;
        space = view_find_char(view_sub(bytes, from, SIZE_MAX), ' ');
        if (space == SIZE_MAX)
                return;
        /* Something must follow it. */
        t->separated = t->seen + from + space + 1 < t->length;
}

int gguf_metadata_text(struct gguf_metadata *m, struct view bytes) {
        struct gguf_text *t = &m->text;
        size_t limit = kept_limit(m);

        if (t->seen < sizeof t->head) {
                size_t n = MIN_OF(sizeof t->head - (size_t)t->seen, bytes.n);

                memcpy(t->head + t->seen, bytes.p, n);
        }
        if (m->role == ROLE_MERGES)
                check_merge(t, bytes);
        t->not_utf8 |= !t->not_utf8 && utf8_stream_feed(&t->utf8, bytes) != SIZE_MAX;
        t->has_nul |= view_find_char(bytes, '\0') != SIZE_MAX;
        t->seen += bytes.n;
        if (m->kept.n < limit)
                return buf_append_view(&m->kept, view_sub(bytes, 0, limit - m->kept.n));
        return 0;
}

static bool is_byte_token(const struct gguf_text *t) {
        static const char digits[] = "0123456789ABCDEF";

        return t->length == 6 && memcmp(t->head, "<0x", 3) == 0 && t->head[5] == '>' && t->head[3] &&
               t->head[4] && strchr(digits, t->head[3]) && strchr(digits, t->head[4]);
}

static void end_template(struct gguf_metadata *m) {
        template_note(m->summary,
                      buf_view(&m->kept)); /* of one that is too long: not its text, but refused anyway */
        if (!m->text.bad)
                template_check(m->report, buf_view(&m->kept), m->key.text, m->text.at);
}

/* Said at the end, so that the order of faults doesn't depend on the pieces. */
static void check_text(struct gguf_metadata *m) {
        enum model_rule rule = m->role == ROLE_TEMPLATE ? RULE_GGUF_TEMPLATE : RULE_GGUF_STRING;

        if (m->role != ROLE_TOKENS && /* a token may be part of a code point */
            (m->text.not_utf8 || !utf8_stream_complete(&m->text.utf8)))
                text_fault(m, rule, "is not UTF-8.");
        if (m->text.has_nul) /* llama.cpp takes texts as C strings, others whole */
                text_fault(m, rule, "has a NUL character inside.");
}

void gguf_metadata_text_end(struct gguf_metadata *m) {
        struct gguf_text *t = &m->text;

        check_text(m);
        switch (m->role) {
        case ROLE_TEMPLATE:
                end_template(m);
                break;
        case ROLE_ARCHITECTURE:
                report_escape(m->summary->architecture, sizeof m->summary->architecture, buf_view(&m->kept));
                break;
        case ROLE_NAME:
                report_escape(m->summary->name, sizeof m->summary->name, buf_view(&m->kept));
                break;
        case ROLE_LICENSE:
                report_escape(m->summary->license, sizeof m->summary->license, buf_view(&m->kept));
                break;
        case ROLE_TOKENS:
                if (is_byte_token(t))
                        bit_set(m->vocabulary.byte_shaped, m->index);
                break;
        case ROLE_MERGES:
                if (!t->separated)
                        text_fault(m, RULE_GGUF_VOCABULARY,
                                   "holds a merge that is not two pieces with a space between them.");
                break;
        default:
                break;
        }
        m->index++;
}

static void check_counts(struct gguf_metadata *m) {
        struct gguf_vocabulary *v = &m->vocabulary;

        if (v->has_scores && v->scores != v->tokens)
                report_put(m->report, RULE_GGUF_VOCABULARY, REPORT_WHOLE, VIEW_NULL,
                           "There are %llu tokens but %llu scores.", (unsigned long long)v->tokens,
                           (unsigned long long)v->scores);
        if (v->has_types && v->types != v->tokens)
                report_put(m->report, RULE_GGUF_VOCABULARY, REPORT_WHOLE, VIEW_NULL,
                           "There are %llu tokens but %llu token types.", (unsigned long long)v->tokens,
                           (unsigned long long)v->types);
        if (v->has_id && v->has_tokens && v->worst_id >= v->tokens)
                report_put(m->report, RULE_GGUF_VOCABULARY, v->worst_id_at, VIEW_NULL,
                           "\"%s\" is %u, but there are only %llu tokens.", v->worst_id_key.text, v->worst_id,
                           (unsigned long long)v->tokens);
}

static void check_byte_tokens(struct gguf_metadata *m) {
        struct gguf_vocabulary *v = &m->vocabulary;

        if (!v->has_types || !v->has_tokens)
                return;
        for (uint64_t i = 0; i < MIN_OF(v->tokens, v->types); i++)
                if ((v->byte_typed[i / 8] & ~v->byte_shaped[i / 8]) >> (i % 8) & 1) {
                        report_put(m->report, RULE_GGUF_VOCABULARY, v->tokens_at, VIEW_NULL,
                                   "Token %llu is marked as a byte but is not written <0x00> to <0xFF>.",
                                   (unsigned long long)i);
                        return;
                }
}

void gguf_metadata_finish(struct gguf_metadata *m) {
        check_counts(m);
        check_byte_tokens(m);
        m->keys = hash_set_free(m->keys);
        buf_done(&m->kept);
}
