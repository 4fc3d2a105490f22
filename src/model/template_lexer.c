#include "model/template_lexer.h"

#include "base/text.h"

void template_lexer_init(struct template_lexer *l, struct view text) {
        *l = (struct template_lexer){.text = text};
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_start(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct view rest(const struct template_lexer *l) {
        return view_sub(l->text, l->at, SIZE_MAX);
}

static char at(const struct template_lexer *l, size_t ahead) {
        return l->at + ahead < l->text.n ? l->text.p[l->at + ahead] : '\0';
}

/* Field by field into what the caller keeps: a copy of all at once would wait for the fields each time. */
static enum template_token_kind token(struct template_lexer *l, enum template_token_kind kind, size_t n,
                                      struct template_token *ret) {
        ret->kind = kind;
        ret->text.p = l->text.p ? l->text.p + l->at : NULL;
        ret->text.n = n;
        ret->at = l->at;
        l->at += n;
        return kind;
}

static enum template_token_kind fault(struct template_lexer *l, const char *why, struct template_token *ret) {
        ret->kind = TOKEN_FAULT;
        ret->text = view_of(why);
        ret->at = l->at;
        l->at = l->text.n;
        return TOKEN_FAULT;
}

/* Offset of the next "{{", "{%" or "{#", or the text's end. */
static size_t find_opening(struct view v) {
        size_t i = 0;

        for (;;) {
                size_t brace = view_find_char(view_sub(v, i, SIZE_MAX), '{');

                if (brace == SIZE_MAX || i + brace + 1 >= v.n)
                        return v.n;
                i += brace;
                if (v.p[i + 1] == '{' || v.p[i + 1] == '%' || v.p[i + 1] == '#')
                        return i;
                i++;
        }
}

static enum template_token_kind next_outside(struct template_lexer *l, struct template_token *ret) {
        for (;;) {
                size_t n = find_opening(rest(l)), end;

                if (n > 0)
                        return token(l, TOKEN_DATA, n, ret);
                if (l->at == l->text.n)
                        return token(l, TOKEN_END, 0, ret);
                if (at(l, 1) != '#') {
                        l->is_output = at(l, 1) == '{';
                        l->inside = true;
                        l->brackets = 0;
                        (void)token(l, l->is_output ? TOKEN_OUTPUT : TOKEN_BLOCK, 2, ret);
                        if (at(l, 0) == '-' || at(l, 0) == '+')
                                l->at++;
                        return ret->kind;
                }
                end = view_find(rest(l), VIEW("#}"));
                if (end == SIZE_MAX)
                        return fault(l, "a comment is not closed", ret);
                l->at += end + 2;
        }
}

static enum template_token_kind take_text(struct template_lexer *l, struct template_token *ret) {
        char quote = at(l, 0);
        size_t start = l->at, i = start + 1;

        while (i < l->text.n && l->text.p[i] != quote)
                i += l->text.p[i] == '\\' ? 2 : 1;
        if (i >= l->text.n)
                return fault(l, "a text is not closed", ret);
        ret->kind = TOKEN_TEXT;
        ret->text = view_sub(l->text, start + 1, i - start - 1);
        ret->at = start;
        l->at = i + 1;
        return TOKEN_TEXT;
}

static size_t digits(const struct template_lexer *l, size_t from) {
        size_t n = 0;

        while (is_digit(at(l, from + n)))
                n++;
        return n;
}

static enum template_token_kind take_number(struct template_lexer *l, struct template_token *ret) {
        size_t n = digits(l, 0), more;
        enum template_token_kind kind = TOKEN_INTEGER;

        if (at(l, n) == '.' && is_digit(at(l, n + 1))) {
                kind = TOKEN_FLOAT;
                n += 1 + digits(l, n + 1);
        }
        if (at(l, n) == 'e' || at(l, n) == 'E') {
                more = at(l, n + 1) == '+' || at(l, n + 1) == '-' ? 2 : 1;
                if (digits(l, n + more) > 0) {
                        kind = TOKEN_FLOAT;
                        n += more + digits(l, n + more);
                }
        }
        if (is_name_start(at(l, n)))
                return fault(l, "a number is malformed", ret);
        return token(l, kind, n, ret);
}

static enum template_token_kind take_name(struct template_lexer *l, struct template_token *ret) {
        size_t n = 0;

        while (is_name_start(at(l, n)) || is_digit(at(l, n)))
                n++;
        return token(l, TOKEN_NAME, n, ret);
}

/* == != <= >= // ** */
static bool is_two(char a, char b) {
        return b == '=' ? a == '=' || a == '!' || a == '<' || a == '>' : a == b && (a == '/' || a == '*');
}

static bool is_one(char c) {
        switch (c) {
        case '+':
        case '-':
        case '*':
        case '/':
        case '%':
        case '~':
        case '(':
        case ')':
        case '[':
        case ']':
        case '{':
        case '}':
        case '<':
        case '>':
        case '=':
        case '.':
        case ',':
        case ':':
        case '|':
                return true;
        default:
                return false;
        }
}

static enum template_token_kind take_operator(struct template_lexer *l, struct template_token *ret) {
        char c = at(l, 0);

        if (is_two(c, at(l, 1)))
                return token(l, TOKEN_OPERATOR, 2, ret);
        if (!is_one(c))
                return fault(l, "an unexpected character", ret);
        if (c == '(' || c == '[' || c == '{') {
                if (l->brackets == LEXER_BRACKETS_MAX)
                        return fault(l, "brackets are nested too deeply", ret);
                l->brackets++;
        } else if (c == ')' || c == ']' || c == '}') {
                if (l->brackets == 0)
                        return fault(l, "brackets don't match", ret);
                l->brackets--;
        }
        return token(l, TOKEN_OPERATOR, 1, ret);
}

/* Length of the closing mark here, with its whitespace sign, or 0. */
static size_t closing(const struct template_lexer *l) {
        char end = l->is_output ? '}' : '%';
        size_t sign = at(l, 0) == '-' || at(l, 0) == '+' ? 1 : 0;

        if (l->brackets > 0)
                return 0;
        return at(l, sign) == end && at(l, sign + 1) == '}' ? sign + 2 : 0;
}

enum template_token_kind template_lexer_next(struct template_lexer *l, struct template_token *ret) {
        size_t n;
        char c;

        if (!l->inside)
                return next_outside(l, ret);
        while (is_space(at(l, 0)))
                l->at++;
        if (l->at >= l->text.n)
                return fault(l, "a brace is not closed", ret);
        n = closing(l);
        if (n > 0) {
                l->inside = false;
                return token(l, l->is_output ? TOKEN_OUTPUT_END : TOKEN_BLOCK_END, n, ret);
        }
        c = at(l, 0);
        if (c == '\'' || c == '"')
                return take_text(l, ret);
        if (is_digit(c))
                return take_number(l, ret);
        if (is_name_start(c))
                return take_name(l, ret);
        return take_operator(l, ret);
}

static bool hex_value(struct view v, uint32_t *ret) {
        uint32_t value = 0;

        for (size_t i = 0; i < v.n; i++) {
                char c = v.p[i];

                if (is_digit(c))
                        value = value << 4 | (uint32_t)(c - '0');
                else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                        value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
                else
                        return false;
        }
        *ret = value;
        return true;
}

/* One escape behind the backslash; its length in the source, or 0 when its meaning is hidden or it is
 * malformed. Only ASCII results matter here: names that are looked for are ASCII. */
static size_t take_escape(struct view v, char *ret_c) {
        static const char from[] = "ntrbfav0", to[] = "\n\t\r\b\f\a\v";
        const char *found;
        size_t width;
        uint32_t value;

        if (v.n == 0)
                return 0;
        width = v.p[0] == 'x' ? 2 : v.p[0] == 'u' ? 4 : v.p[0] == 'U' ? 8 : 0;
        if (width > 0) {
                if (v.n < 1 + width || !hex_value(view_sub(v, 1, width), &value))
                        return 0;
                *ret_c = value < 0x80 ? (char)value : '?';
                return 1 + width;
        }
        if (v.p[0] == 'N' || is_digit(v.p[0])) /* \N{LOW LINE}, \137: nobody writes text like that */
                return 0;
        found = strchr(from, v.p[0]);
        *ret_c = found && found < from + 7 ? to[found - from] : v.p[0];
        return 1;
}

bool template_text_decode(struct view literal, char *out, size_t size, size_t *ret_n) {
        size_t n = 0;

        for (size_t i = 0; i < literal.n; n++) {
                if (n == size)
                        return false;
                if (literal.p[i] == '\\') {
                        size_t used = take_escape(view_sub(literal, i + 1, SIZE_MAX), &out[n]);

                        if (used == 0)
                                return false;
                        i += 1 + used;
                } else
                        out[n] = literal.p[i++];
        }
        *ret_n = n;
        return true;
}
