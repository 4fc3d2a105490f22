/* The reader copies the text once and works in that copy: strings without escapes are views into it, strings with
 * escapes are unescaped in place (they only get shorter). Zero bytes behind the copy end every scan, so the inner
 * loops need no bounds checks: NUL is not allowed anywhere in JSON text. */
#include "wire/json_tree.h"

#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/text.h"

#define PAD_BYTES     ((size_t)32) /* a scan may load one whole vector that starts at the last byte */
#define TEXT_MAX      ((size_t)UINT32_MAX / 2)
#define MEMORY_FACTOR ((size_t)16)
#define MEMORY_EXTRA  ((size_t)64 << 10)
#define EXPONENT_MAX  INT64_C(100000000000) /* beyond what digits within TEXT_MAX could balance */

struct reader {
        struct json_document *doc;
        char *start, *p, *end;
        unsigned depth, depth_max;
        struct json *open[JSON_DEPTH_MAX];  /* containers around the current place */
        struct json **slot[JSON_DEPTH_MAX]; /* where the next child of each goes */
        struct fault *fault;
};

static int fault_at(struct reader *k, const char *rule, const char *at, const char *text) {
        if (at >= k->end)
                return fault_set(k->fault, -EBADMSG, "JSON-002", (uint64_t)(k->end - k->start),
                                 "the text ends too early");
        return fault_set(k->fault, -EBADMSG, rule, (uint64_t)(at - k->start), "%s", text);
}

static int fault_memory(struct reader *k, int code) {
        if (code == -E2BIG)
                return fault_set(k->fault, code, "JSON-018", (uint64_t)(k->p - k->start),
                                 "the message needs more memory than its limit");
        return fault_set(k->fault, code, "JSON-019", (uint64_t)(k->p - k->start), "out of memory");
}

static inline bool is_digit(char c) {
        return (unsigned char)(c - '0') < 10;
}

static inline void skip_space(struct reader *k) {
        while (*k->p == ' ' || *k->p == '\n' || *k->p == '\r' || *k->p == '\t')
                k->p++;
}

/* First byte from p on that is '"', '\' or a control character; the zero padding guarantees one. */
#ifdef __SSE2__
static inline char *skip_plain(char *p) {
        const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'),
                      control = _mm_set1_epi8(0x1f);

        for (;; p += 16) {
                __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
                __m128i hit = _mm_or_si128(
                        _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                        _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
                unsigned mask = (unsigned)_mm_movemask_epi8(hit);

                if (mask)
                        return p + __builtin_ctz(mask);
        }
}
#else
#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)
static inline char *skip_plain(char *p) {
        for (;; p += 8) {
                uint64_t w, quote, backslash;

                memcpy(&w, p, sizeof w);
                quote = w ^ (ONES * '"');
                backslash = w ^ (ONES * '\\');
                if ((((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash) |
                     ((w - ONES * 0x20) & ~w)) &
                    HIGHS)
                        break;
        }
        while (*p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
                p++;
        return p;
}
#endif

static int hex4(const char *p, uint32_t *ret) {
        uint32_t value = 0;

        for (int i = 0; i < 4; i++) {
                char c = p[i];

                if (is_digit(c))
                        value = value << 4 | (uint32_t)(c - '0');
                else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                        value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
                else
                        return -EBADMSG;
        }
        *ret = value;
        return 0;
}

static char *put_utf8(char *out, uint32_t c) {
        if (c < 0x80) {
                *out++ = (char)c;
                return out;
        }
        if (c < 0x800)
                *out++ = (char)(0xc0 | c >> 6);
        else {
                if (c < 0x10000)
                        *out++ = (char)(0xe0 | c >> 12);
                else {
                        *out++ = (char)(0xf0 | c >> 18);
                        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
                }
                *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        }
        *out++ = (char)(0x80 | (c & 0x3f));
        return out;
}

/* p is behind "\u". */
static int read_unicode_escape(struct reader *k, char **p, uint32_t *ret) {
        uint32_t high, low;

        if (hex4(*p, &high) < 0)
                return fault_at(k, "JSON-010", *p, "\\u needs four hexadecimal digits");
        *p += 4;
        if (high < 0xd800 || high > 0xdfff) {
                *ret = high;
                return 0;
        }
        if (high > 0xdbff || (*p)[0] != '\\' || (*p)[1] != 'u' || hex4(*p + 2, &low) < 0 || low < 0xdc00 ||
            low > 0xdfff)
                return fault_at(k, "JSON-011", *p - 6, "half of a surrogate pair");
        *p += 6;
        *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return 0;
}

/* p is behind the backslash; *out is where the result goes, both move on. */
static int read_escape(struct reader *k, char **p, char **out) {
        static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
        const char *known = **p ? strchr(plain, **p) : NULL;
        uint32_t c = 0;
        int r;

        if (known) {
                *(*out)++ = meaning[known - plain];
                (*p)++;
                return 0;
        }
        if (**p != 'u')
                return fault_at(k, "JSON-010", *p, "unknown escape in a string");
        (*p)++;
        r = read_unicode_escape(k, p, &c);
        if (r < 0)
                return r;
        *out = put_utf8(*out, c);
        return 0;
}

/* k->p is at the first backslash of the string that starts at `start`. */
static int read_escaped_rest(struct reader *k, char *start, struct view *ret) {
        char *p = k->p, *out = k->p;

        while (*p == '\\') {
                char *run;
                int r;

                p++;
                r = read_escape(k, &p, &out);
                if (r < 0)
                        return r;
                run = p;
                p = skip_plain(p);
                memmove(out, run, (size_t)(p - run));
                out += p - run;
        }
        k->p = p;
        *ret = (struct view){start, (size_t)(out - start)};
        return 0;
}

/* k->p is at the opening quote. */
static int read_string(struct reader *k, struct view *ret) {
        char *start = k->p + 1;
        struct view text;

        k->p = skip_plain(start);
        text = (struct view){start, (size_t)(k->p - start)};
        if (*k->p == '\\') {
                int r = read_escaped_rest(k, start, &text);

                if (r < 0)
                        return r;
        }
        if (*k->p != '"')
                return fault_at(k, "JSON-009", k->p, "control character in a string; write it as an escape");
        k->p++;
        *ret = text;
        return 0;
}

/* Decimal exponent of the first digit that is not zero; INT64_MIN when there is none. */
static int64_t leading_exponent(const char *integer, const char *integer_end, const char *fraction,
                                const char *fraction_end) {
        if (*integer != '0')
                return integer_end - integer - 1;
        for (const char *p = fraction; p < fraction_end; p++)
                if (*p != '0')
                        return -(p - fraction) - 1;
        return INT64_MIN;
}

static const char *scan_digits(const char *p) {
        while (is_digit(*p))
                p++;
        return p;
}

/* p is behind 'e'; the form has been checked. */
static int64_t read_exponent(const char *p) {
        bool negative = *p == '-';
        int64_t value = 0;

        for (p += *p == '-' || *p == '+'; is_digit(*p); p++)
                if (value < EXPONENT_MAX)
                        value = value * 10 + (*p - '0');
        return negative ? -value : value;
}

static void fill_integer(struct json *node, const char *digits, const char *end) {
        uint64_t value = 0;

        for (const char *p = digits; p < end; p++)
                if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return;
        if (node->is_negative && value > (uint64_t)INT64_MAX + 1)
                return;
        node->is_integer = true;
        node->integer = value;
}

static bool is_finite(const char *text, int64_t leading, int64_t exponent) {
        if (leading == INT64_MIN || leading + exponent < 308)
                return true;
        return leading + exponent == 308 &&
               isfinite(strtod(text, NULL)); /* the largest double is 1.797…e308 */
}

/* Digits that must be there. */
static int scan_some_digits(const char *p, const char **ret_end) {
        *ret_end = scan_digits(p);
        return *ret_end == p ? -EBADMSG : 0;
}

int json_scan_number(const char *p, struct json *node, const char **ret_end) {
        const char *integer = p + (*p == '-'), *integer_end, *fraction, *fraction_end, *exponent_digits;
        int64_t exponent = 0;

        *ret_end = integer;
        if (!is_digit(*integer))
                return -EBADMSG;
        *ret_end = integer + 1;
        if (*integer == '0' && is_digit(integer[1]))
                return -EBADMSG;
        integer_end = fraction = fraction_end = *ret_end = scan_digits(integer);
        if (*integer_end == '.') {
                fraction = integer_end + 1;
                if (scan_some_digits(fraction, ret_end) < 0)
                        return -EBADMSG;
                fraction_end = *ret_end;
        }
        if (*fraction_end == 'e' || *fraction_end == 'E') {
                exponent_digits = fraction_end + 1 + (fraction_end[1] == '-' || fraction_end[1] == '+');
                if (scan_some_digits(exponent_digits, ret_end) < 0)
                        return -EBADMSG;
                exponent = read_exponent(fraction_end + 1);
        }
        node->type = JSON_NUMBER;
        node->is_negative = integer != p;
        node->text = (struct view){p, (size_t)(*ret_end - p)};
        if (*ret_end == integer_end && integer_end - integer <= 20)
                fill_integer(node, integer, integer_end);
        if (node->is_integer)
                return 0;
        return is_finite(p, leading_exponent(integer, integer_end, fraction, fraction_end), exponent)
                       ? 0
                       : -ERANGE;
}

static int read_number(struct reader *k, struct json *node) {
        const char *end;
        int r = json_scan_number(k->p, node, &end);

        if (r == -ERANGE)
                return fault_at(k, "JSON-013", k->p, "the number is too large for a double");
        if (r < 0)
                return fault_at(k, "JSON-012", end,
                                "not a number: digits are needed here, and no leading zero");
        k->p += end - k->p;
        return 0;
}

static int read_literal(struct reader *k, struct json *node) {
        size_t n;

        if (memcmp(k->p, "true", 4) == 0) {
                node->type = JSON_BOOL;
                node->boolean = true;
                n = 4;
        } else if (memcmp(k->p, "false", 5) == 0) {
                node->type = JSON_BOOL;
                n = 5;
        } else if (memcmp(k->p, "null", 4) == 0) {
                node->type = JSON_NULL;
                n = 4;
        } else
                return fault_at(k, "JSON-005", k->p, "a value is expected here");
        k->p += n;
        return 0;
}

static int open_container(struct reader *k, struct json *node) {
        if (k->depth >= k->depth_max)
                return fault_set(k->fault, -E2BIG, "JSON-017", (uint64_t)(k->p - k->start),
                                 "nested deeper than %u levels", k->depth_max);
        node->type = *k->p == '{' ? JSON_OBJECT : JSON_ARRAY;
        k->open[k->depth] = node;
        k->slot[k->depth] = &node->child;
        k->depth++;
        k->p++;
        return 0;
}

static int close_container(struct reader *k) {
        const struct json *node = k->open[--k->depth], *second = NULL;
        char name[JSON_NAME_SHOWN];
        int r;

        k->p++;
        if (node->type != JSON_OBJECT)
                return 0;
        r = json_find_duplicate(k->doc, node, &second);
        if (r < 0)
                return fault_memory(k, r);
        if (r == 0)
                return 0;
        json_show_name(second->key, name);
        return fault_set(k->fault, -EBADMSG, "JSON-008", (uint64_t)(second->key.p - 1 - k->start),
                         "the name %s stands twice in one object", name);
}

/* The name of a member and the colon behind it. */
static int read_name(struct reader *k, struct view *ret) {
        int r;

        if (*k->p != '"')
                return fault_at(k, "JSON-006", k->p, "a name in double quotes is expected here");
        r = read_string(k, ret);
        if (r < 0)
                return r;
        skip_space(k);
        if (*k->p != ':')
                return fault_at(k, "JSON-007", k->p, "':' is expected behind a name");
        k->p++;
        skip_space(k);
        return 0;
}

static void attach(struct reader *k, struct json *node) {
        if (k->depth == 0) {
                k->doc->root = node;
                return;
        }
        *k->slot[k->depth - 1] = node;
        k->slot[k->depth - 1] = &node->next;
        k->open[k->depth - 1]->count++;
}

/* One value with the name before it when inside an object; of a container only the opening. */
static int read_item(struct reader *k) {
        struct json *node;
        int r;

        r = json_document_node(k->doc, &node);
        if (r < 0)
                return fault_memory(k, r);
        if (k->depth > 0 && k->open[k->depth - 1]->type == JSON_OBJECT) {
                r = read_name(k, &node->key);
                if (r < 0)
                        return r;
        }
        attach(k, node);
        node->at = (uint64_t)(k->p - k->start);
        switch (*k->p) {
        case '{':
        case '[':
                return open_container(k, node);
        case '"':
                node->type = JSON_STRING;
                return read_string(k, &node->text);
        case '-':
        case '0' ... '9':
                return read_number(k, node);
        default:
                return read_literal(k, node);
        }
}

/* What follows an item: 1 when another item is due, 0 when the outermost value is complete. */
static int read_separator(struct reader *k) {
        bool just_opened = k->depth > 0 && !k->open[k->depth - 1]->child;

        skip_space(k);
        while (k->depth > 0) {
                char closer = k->open[k->depth - 1]->type == JSON_OBJECT ? '}' : ']';
                int r;

                if (*k->p != closer) {
                        if (just_opened)
                                return 1;
                        if (*k->p != ',')
                                return fault_at(k, "JSON-014", k->p,
                                                closer == '}' ? "',' or '}' is expected here"
                                                              : "',' or ']' is expected here");
                        k->p++;
                        skip_space(k);
                        return 1;
                }
                r = close_container(k);
                if (r < 0)
                        return r;
                just_opened = false;
                skip_space(k);
        }
        return 0;
}

static int read_tree(struct reader *k) {
        int r;

        do {
                r = read_item(k);
                if (r >= 0)
                        r = read_separator(k);
        } while (r > 0);
        if (r < 0)
                return r;
        if (k->p < k->end)
                return fault_at(k, "JSON-015", k->p, "only white space may follow the value");
        return 0;
}

/* What can be said about the text as a whole. */
static int check_text(struct view text, struct fault *fault) {
        size_t at;

        if (text.n == 0)
                return fault_set(fault, -EBADMSG, "JSON-001", 0, "the text is empty");
        if (text.n > TEXT_MAX)
                return fault_set(fault, -E2BIG, "JSON-016", TEXT_MAX, "the text is longer than %zu bytes",
                                 TEXT_MAX);
        if (view_starts(text, VIEW("\xef\xbb\xbf")))
                return fault_set(fault, -EBADMSG, "JSON-003", 0, "the text starts with a byte-order mark");
        at = utf8_first_fault(text);
        if (at != SIZE_MAX)
                return fault_set(fault, -EBADMSG, "JSON-004", at, "the text is not UTF-8");
        return 0;
}

static size_t memory_limit(size_t text_bytes, const struct json_limits *limits) {
        return limits && limits->memory ? limits->memory : MEMORY_FACTOR * text_bytes + MEMORY_EXTRA;
}

static int take_text(struct reader *k, struct view text) {
        int r = json_document_bytes(k->doc, text.n + PAD_BYTES, &k->start);

        if (r < 0)
                return fault_memory(k, r);
        memcpy(k->start, text.p, text.n);
        memset(k->start + text.n, 0, PAD_BYTES);
        k->p = k->start;
        k->end = k->start + text.n;
        return 0;
}

static int parse_into(struct json_document *doc, struct view text, const struct json_limits *limits,
                      struct fault *fault) {
        struct reader k = {.doc = doc, .depth_max = JSON_DEPTH_MAX, .fault = fault};
        int r;

        json_document_reset(doc, memory_limit(text.n, limits));
        if (limits && limits->depth)
                k.depth_max = MIN_OF(limits->depth, (unsigned)JSON_DEPTH_MAX);
        r = take_text(&k, text);
        if (r < 0)
                return r;
        skip_space(&k);
        r = read_tree(&k);
        if (r < 0)
                doc->root = NULL;
        return r;
}

int json_parse_reuse(struct view text, const struct json_limits *limits, struct json_document **doc,
                     struct fault *reterr) {
        int r;

        if (*doc)
                (*doc)->root = NULL;
        r = check_text(text, reterr);
        if (r < 0)
                return r;
        if (!*doc) {
                r = json_document_new(doc);
                if (r < 0)
                        return fault_set(reterr, r, "JSON-019", 0, "out of memory");
        }
        return parse_into(*doc, text, limits, reterr);
}

int json_parse(struct view text, const struct json_limits *limits, struct json_document **ret,
               struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = json_parse_reuse(text, limits, &doc, reterr);

        if (r < 0)
                return r;
        *ret = TAKE_PTR(doc);
        return 0;
}
