#include "wire/json.h"

#include <inttypes.h>
#include <math.h>

#include "base/text.h"

static void note(struct json_writer *w, int r) {
        if (r < 0 && w->error == 0)
                w->error = r;
}

static void append(struct json_writer *w, const char *p, size_t n) {
        if (w->error == 0)
                note(w, buf_append(w->out, p, n));
}

static uint64_t level_bit(const struct json_writer *w) {
        return UINT64_C(1) << w->depth;
}

/* Before each value: the comma where one is due, and whether a value may stand here at all. */
static void begin_value(struct json_writer *w) {
        uint64_t bit = level_bit(w);

        if (w->after_key) {
                w->after_key = false;
                return;
        }
        if (w->is_object & bit || (w->depth == 0 && w->has_member & bit)) {
                note(w, -EINVAL); /* a member without name, or a second outermost value */
                return;
        }
        if (w->has_member & bit)
                append(w, ",", 1);
        w->has_member |= bit;
}

static void begin_container(struct json_writer *w, bool is_object) {
        begin_value(w);
        append(w, is_object ? "{" : "[", 1);
        if (w->depth >= JSON_DEPTH_MAX) {
                note(w, -EINVAL);
                return;
        }
        w->depth++;
        w->has_member &= ~level_bit(w);
        w->is_object = is_object ? w->is_object | level_bit(w) : w->is_object & ~level_bit(w);
}

static void end_container(struct json_writer *w, bool is_object) {
        if (w->depth == 0 || w->after_key || ((w->is_object & level_bit(w)) != 0) != is_object) {
                note(w, -EINVAL);
                return;
        }
        append(w, is_object ? "}" : "]", 1);
        w->depth--;
}

void json_object_begin(struct json_writer *w) {
        begin_container(w, true);
}

void json_object_end(struct json_writer *w) {
        end_container(w, true);
}

void json_array_begin(struct json_writer *w) {
        begin_container(w, false);
}

void json_array_end(struct json_writer *w) {
        end_container(w, false);
}

/* Bytes from `at` on that can stand in a string as they are. */
static size_t plain_run(struct view v, size_t at) {
        size_t i = at;

        while (i < v.n && (unsigned char)v.p[i] >= 0x20 && (unsigned char)v.p[i] < 0x80 && v.p[i] != '"' &&
               v.p[i] != '\\')
                i++;
        return i - at;
}

static void append_ascii_escape(struct json_writer *w, unsigned char c) {
        static const char plain[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
        const char *known = c ? strchr(plain, c) : NULL;
        char text[8];

        if (known) {
                text[0] = '\\';
                text[1] = names[known - plain];
                append(w, text, 2);
                return;
        }
        (void)snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
        append(w, text, 6);
}

static void append_string(struct json_writer *w, struct view v) {
        append(w, "\"", 1);
        for (size_t i = 0; i < v.n && w->error == 0;) {
                size_t n = plain_run(v, i);
                uint32_t code_point;

                if (n > 0) {
                        append(w, v.p + i, n);
                        i += n;
                        continue;
                }
                n = utf8_decode(view_sub(v, i, SIZE_MAX), &code_point);
                if (n == 0)
                        append(w, "\xef\xbf\xbd", 3); /* U+FFFD */
                else if (n == 1)
                        append_ascii_escape(w, (unsigned char)v.p[i]);
                else
                        append(w, v.p + i, n);
                i += MAX_OF(n, (size_t)1);
        }
        append(w, "\"", 1);
}

void json_key_view(struct json_writer *w, struct view key) {
        if (!(w->is_object & level_bit(w)) || w->depth == 0 || w->after_key) {
                note(w, -EINVAL);
                return;
        }
        if (w->has_member & level_bit(w))
                append(w, ",", 1);
        w->has_member |= level_bit(w);
        append_string(w, key);
        append(w, ":", 1);
        w->after_key = true;
}

void json_key(struct json_writer *w, const char *key) {
        json_key_view(w, view_of(key));
}

void json_put_view(struct json_writer *w, struct view v) {
        begin_value(w);
        append_string(w, v);
}

void json_put_string(struct json_writer *w, const char *s) {
        if (s)
                json_put_view(w, view_of(s));
        else
                json_put_null(w);
}

void json_put_u64(struct json_writer *w, uint64_t v) {
        char text[24];

        begin_value(w);
        append(w, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, v));
}

void json_put_i64(struct json_writer *w, int64_t v) {
        char text[24];

        begin_value(w);
        append(w, text, (size_t)snprintf(text, sizeof text, "%" PRId64, v));
}

void json_put_double(struct json_writer *w, double v) {
        char text[40];
        int n = 0;

        if (!isfinite(v)) {
                json_put_null(w);
                return;
        }
        for (int digits = 15; digits <= 17; digits++) {
                n = snprintf(text, sizeof text, "%.*g", digits, v);
                if (strtod(text, NULL) == v)
                        break;
        }
        begin_value(w);
        append(w, text, (size_t)n);
}

void json_put_bool(struct json_writer *w, bool v) {
        json_put_raw(w, v ? VIEW("true") : VIEW("false"));
}

void json_put_null(struct json_writer *w) {
        json_put_raw(w, VIEW("null"));
}

void json_put_raw(struct json_writer *w, struct view json_text) {
        begin_value(w);
        append(w, json_text.p, json_text.n);
}

static void put_children(struct json_writer *w, const struct json *v) {
        for (const struct json *m = v->child; m && w->error == 0; m = m->next) {
                if (v->type == JSON_OBJECT)
                        json_key_view(w, m->key);
                json_put_value(w, m);
        }
}

/* Recursion is bounded: begin_container fails at JSON_DEPTH_MAX, and nothing is walked after a failure. */
void json_put_value(struct json_writer *w, const struct json *v) {
        switch (v ? v->type : JSON_NULL) {
        case JSON_BOOL:
                json_put_bool(w, v->boolean);
                break;
        case JSON_NUMBER:
                json_put_raw(w, v->text);
                break;
        case JSON_STRING:
                json_put_view(w, v->text);
                break;
        case JSON_ARRAY:
        case JSON_OBJECT:
                begin_container(w, v->type == JSON_OBJECT);
                put_children(w, v);
                end_container(w, v->type == JSON_OBJECT);
                break;
        case JSON_NULL:
        case JSON_TYPE_MAX:
                json_put_null(w);
                break;
        }
}

void json_member_string(struct json_writer *w, const char *key, const char *s) {
        json_key(w, key);
        json_put_string(w, s);
}

void json_member_view(struct json_writer *w, const char *key, struct view v) {
        json_key(w, key);
        json_put_view(w, v);
}

void json_member_u64(struct json_writer *w, const char *key, uint64_t v) {
        json_key(w, key);
        json_put_u64(w, v);
}

void json_member_bool(struct json_writer *w, const char *key, bool v) {
        json_key(w, key);
        json_put_bool(w, v);
}

int json_write_end(struct json_writer *w) {
        if (w->error < 0)
                return w->error;
        return w->depth == 0 && !w->after_key && w->has_member & 1 ? 0 : -EINVAL;
}
