#include "model/json_stream.h"

enum state {
        STATE_VALUE,
        STATE_FIRST_ITEM, /* a value, or the end of an empty array */
        STATE_FIRST_KEY,  /* a key, or the end of an empty object */
        STATE_KEY,
        STATE_COLON,
        STATE_AFTER, /* a comma or the end of the object or array */
        STATE_TEXT,
        STATE_ESCAPE,
        STATE_UNICODE,
        STATE_LITERAL,
        STATE_NUMBER,
        STATE_COMPLETE
};

#define NUMBER_MAX 64u /* characters; longer ones mean nothing that fits into a file's header */

void json_stream_init(struct json_stream *j, json_event_fn put, void *userdata) {
        *j = (struct json_stream){
                .put = put, .userdata = userdata, .state = STATE_VALUE, .depth_max = JSON_STREAM_DEPTH_MAX};
}

bool json_stream_is_complete(const struct json_stream *j) {
        return j->state == STATE_COMPLETE;
}

static int fault(struct json_stream *j, const char *why) {
        j->why = why;
        return -EBADMSG;
}

static int put(struct json_stream *j, enum json_event e) {
        return j->put(j->userdata, e, (struct view){j->text, j->text_n}, j->length);
}

/* A value has ended: what may come next depends on what it stands in. */
static void after_value(struct json_stream *j) {
        j->state = j->depth == 0 ? STATE_COMPLETE : STATE_AFTER;
}

static int open_level(struct json_stream *j, bool object) {
        if (j->depth == j->depth_max)
                return fault(j, "it is nested too deeply");
        j->is_object[j->depth++] = object;
        j->state = object ? STATE_FIRST_KEY : STATE_FIRST_ITEM;
        return put(j, object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN);
}

static int close_level(struct json_stream *j, bool object) {
        if (j->depth == 0 || j->is_object[j->depth - 1] != object)
                return fault(j, "brackets don't match");
        j->depth--;
        after_value(j);
        return put(j, object ? JSON_OBJECT_END : JSON_ARRAY_END);
}

static void begin_text(struct json_stream *j, bool is_key) {
        j->state = STATE_TEXT;
        j->is_key = is_key;
        j->text_n = 0;
        j->length = 0;
        j->high_surrogate = 0;
        j->utf8 = (struct utf8_stream){0};
}

static void keep(struct json_stream *j, const char *p, size_t n) {
        size_t now = MIN_OF(n, sizeof j->text - j->text_n);

        memcpy(j->text + j->text_n, p, now);
        j->text_n += now;
        j->length += n;
        if (j->whole && j->state != STATE_NUMBER && !j->is_key && j->whole_fault == 0)
                j->whole_fault = buf_append(j->whole, p, n);
}

static void keep_code_point(struct json_stream *j, uint32_t c) {
        char out[4];
        size_t n;

        if (c < 0x80) {
                out[0] = (char)c;
                n = 1;
        } else if (c < 0x800) {
                out[0] = (char)(0xc0 | c >> 6);
                out[1] = (char)(0x80 | (c & 0x3f));
                n = 2;
        } else if (c < 0x10000) {
                out[0] = (char)(0xe0 | c >> 12);
                out[1] = (char)(0x80 | (c >> 6 & 0x3f));
                out[2] = (char)(0x80 | (c & 0x3f));
                n = 3;
        } else {
                out[0] = (char)(0xf0 | c >> 18);
                out[1] = (char)(0x80 | (c >> 12 & 0x3f));
                out[2] = (char)(0x80 | (c >> 6 & 0x3f));
                out[3] = (char)(0x80 | (c & 0x3f));
                n = 4;
        }
        keep(j, out, n);
}

static int begin_literal(struct json_stream *j, const char *literal) {
        j->literal = literal;
        j->digits = 1;
        j->state = STATE_LITERAL;
        return 0;
}

static int begin_value(struct json_stream *j, char c) {
        switch (c) {
        case '{':
                return open_level(j, true);
        case '[':
                return open_level(j, false);
        case '"':
                begin_text(j, false);
                return 0;
        case 't':
                return begin_literal(j, "true");
        case 'f':
                return begin_literal(j, "false");
        case 'n':
                return begin_literal(j, "null");
        default:
                break;
        }
        if (c != '-' && (c < '0' || c > '9'))
                return fault(j, "a value was expected");
        j->state = STATE_NUMBER;
        j->text_n = 0;
        j->length = 0;
        keep(j, &c, 1);
        return 0;
}

static int take_structure(struct json_stream *j, char c) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
                return 0;
        switch (j->state) {
        case STATE_FIRST_KEY:
                if (c == '}')
                        return close_level(j, true);
                __attribute__((fallthrough));
        case STATE_KEY:
                if (c != '"')
                        return fault(j, "a key was expected");
                begin_text(j, true);
                return 0;
        case STATE_COLON:
                if (c != ':')
                        return fault(j, "a colon was expected");
                j->state = STATE_VALUE;
                return 0;
        case STATE_AFTER:
                if (c == '}' || c == ']')
                        return close_level(j, c == '}');
                if (c != ',')
                        return fault(j, "a comma or a closing bracket was expected");
                j->state = j->is_object[j->depth - 1] ? STATE_KEY : STATE_VALUE;
                return 0;
        case STATE_FIRST_ITEM:
                if (c == ']')
                        return close_level(j, false);
                return begin_value(j, c);
        default:
                return begin_value(j, c);
        }
}

static int end_text(struct json_stream *j) {
        if (j->high_surrogate || !utf8_stream_complete(&j->utf8))
                return fault(j,
                             j->high_surrogate ? "a text has half a surrogate pair" : "a text is not UTF-8");
        if (j->is_key)
                j->state = STATE_COLON;
        else
                after_value(j);
        if (j->whole_fault == -EFBIG)
                return fault(j, "a text is too long");
        if (j->whole_fault < 0)
                return j->whole_fault;
        return put(j, j->is_key ? JSON_KEY : JSON_STRING);
}

/* Keeps a run of plain characters. */
static int take_run(struct json_stream *j, struct view run) {
        size_t bad;

        if (j->high_surrogate)
                return fault(j, "a text has half a surrogate pair");
        bad = utf8_stream_feed(&j->utf8, run);
        if (bad != SIZE_MAX) {
                j->at += bad;
                return fault(j, "a text is not UTF-8");
        }
        keep(j, run.p, run.n);
        j->at += run.n;
        return 0;
}

/* Plain characters of a text up to a quote, a backslash or the end of the piece. */
static int take_text(struct json_stream *j, struct view v, size_t *used) {
        size_t n = 0;
        int r;

        while (n < v.n && v.p[n] != '"' && v.p[n] != '\\' && (uint8_t)v.p[n] >= ' ')
                n++;
        if (n > 0) {
                r = take_run(j, view_sub(v, 0, n));
                if (r < 0)
                        return r;
        }
        *used = n;
        if (n == v.n)
                return 0;
        *used = n + 1;
        if (v.p[n] == '"')
                return end_text(j);
        if (v.p[n] != '\\')
                return fault(j, "a text has a bare control character");
        if (!utf8_stream_complete(&j->utf8))
                return fault(j, "a text is not UTF-8");
        j->state = STATE_ESCAPE;
        return 0;
}

static int take_escape(struct json_stream *j, char c) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *found = c ? strchr(from, c) : NULL;

        if (c == 'u') {
                j->digits = 0;
                j->code_unit = 0;
                j->state = STATE_UNICODE;
                return 0;
        }
        if (!found)
                return fault(j, "an unknown escape");
        if (j->high_surrogate)
                return fault(j, "a text has half a surrogate pair");
        keep(j, to + (found - from), 1);
        j->state = STATE_TEXT;
        return 0;
}

static int end_unicode(struct json_stream *j) {
        uint32_t c = j->code_unit;

        j->state = STATE_TEXT;
        if (c == 0)
                return fault(j, "a text has a NUL character");
        if (c >= 0xdc00 && c <= 0xdfff) {
                if (!j->high_surrogate)
                        return fault(j, "a text has half a surrogate pair");
                keep_code_point(j, 0x10000 + ((j->high_surrogate & 0x3ff) << 10) + (c & 0x3ff));
                j->high_surrogate = 0;
                return 0;
        }
        if (j->high_surrogate)
                return fault(j, "a text has half a surrogate pair");
        if (c >= 0xd800 && c <= 0xdbff)
                j->high_surrogate = c;
        else
                keep_code_point(j, c);
        return 0;
}

static int take_unicode(struct json_stream *j, char c) {
        uint32_t digit;

        if (c >= '0' && c <= '9')
                digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                digit = (uint32_t)((c | 0x20) - 'a' + 10);
        else
                return fault(j, "a bad \\u escape");
        j->code_unit = j->code_unit << 4 | digit;
        return ++j->digits == 4 ? end_unicode(j) : 0;
}

static int take_literal(struct json_stream *j, char c) {
        if (c != j->literal[j->digits])
                return fault(j, "a value was expected");
        if (j->literal[++j->digits])
                return 0;
        after_value(j);
        return put(j, *j->literal == 't' ? JSON_TRUE : *j->literal == 'f' ? JSON_FALSE : JSON_NULL);
}

static size_t digits_at(struct view v, size_t i) {
        size_t n = 0;

        while (i + n < v.n && v.p[i + n] >= '0' && v.p[i + n] <= '9')
                n++;
        return n;
}

/* number = [ minus ] int [ frac ] [ exp ] */
static bool number_is_well_formed(struct view v) {
        size_t i = v.n > 0 && v.p[0] == '-' ? 1 : 0, n = digits_at(v, i);

        if (n == 0 || (n > 1 && v.p[i] == '0'))
                return false;
        i += n;
        if (i < v.n && v.p[i] == '.') {
                n = digits_at(v, i + 1);
                if (n == 0)
                        return false;
                i += 1 + n;
        }
        if (i < v.n && (v.p[i] | 0x20) == 'e') {
                i++;
                if (i < v.n && (v.p[i] == '+' || v.p[i] == '-'))
                        i++;
                n = digits_at(v, i);
                if (n == 0)
                        return false;
                i += n;
        }
        return i == v.n;
}

/* A number ends where something else begins, which is then looked at again. */
static int take_number(struct json_stream *j, char c, size_t *used) {
        if ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E') {
                if (j->length == NUMBER_MAX)
                        return fault(j, "a number is too long");
                keep(j, &c, 1);
                return 0;
        }
        *used = 0;
        if (!number_is_well_formed((struct view){j->text, j->text_n}))
                return fault(j, "a number is malformed");
        after_value(j);
        return put(j, JSON_NUMBER);
}

static int step(struct json_stream *j, struct view rest, size_t *used) {
        char c = rest.p[0];

        *used = 1;
        switch (j->state) {
        case STATE_TEXT:
                return take_text(j, rest, used);
        case STATE_ESCAPE:
                return take_escape(j, c);
        case STATE_UNICODE:
                return take_unicode(j, c);
        case STATE_LITERAL:
                return take_literal(j, c);
        case STATE_NUMBER:
                return take_number(j, c, used);
        default:
                return take_structure(j, c);
        }
}

int json_stream_feed(struct json_stream *j, struct view bytes, size_t *ret_used) {
        uint64_t start = j->at;
        size_t i = 0, used;
        int r = 0;

        while (i < bytes.n && j->state != STATE_COMPLETE) {
                r = step(j, view_sub(bytes, i, SIZE_MAX), &used);
                if (r < 0)
                        break;
                i += used;
                j->at = start + i;
        }
        *ret_used = i;
        return r;
}
