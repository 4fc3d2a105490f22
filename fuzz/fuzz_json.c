/* json: our reader against jansson with JSON_REJECT_DUPLICATES. Both must accept or refuse, and read the same values.
 * Intended differences, left out of the comparison:
 *   - \u0000 in a string: jansson refuses it unless told otherwise, so it is told (JSON_ALLOW_NUL); in a name it
 *     refuses it in any case;
 *   - integers beyond int64: jansson refuses them, we keep their text;
 *   - a NUL byte ends the text for jansson (its end-of-file token is 0); we refuse it everywhere;
 *   - depth above 32 and memory above the limit: ours. */

/* Both libraries have these names; jansson's are renamed while its header and the macros in it are used. */
#define json_type   jansson_type
#define JSON_NULL   JANSSON_NULL
#define JSON_STRING JANSSON_STRING
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_OBJECT JANSSON_OBJECT
#include <jansson.h>

enum kind { KIND_NULL, KIND_BOOLEAN, KIND_INTEGER, KIND_REAL, KIND_STRING, KIND_ARRAY, KIND_OBJECT };

static enum kind kind_of(const json_t *t) {
        return json_is_object(t)    ? KIND_OBJECT
               : json_is_array(t)   ? KIND_ARRAY
               : json_is_string(t)  ? KIND_STRING
               : json_is_integer(t) ? KIND_INTEGER
               : json_is_real(t)    ? KIND_REAL
               : json_is_null(t)    ? KIND_NULL
                                    : KIND_BOOLEAN;
}
#undef json_type
#undef JSON_NULL
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT

#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void compare(const struct json *ours, json_t *theirs);

static void expect(bool same) {
        if (!same)
                abort();
}

static void compare_number(const struct json *ours, json_t *theirs) {
        double value = strtod(ours->text.p, NULL);

        if (kind_of(theirs) != KIND_INTEGER) {
                expect(kind_of(theirs) == KIND_REAL && !ours->is_integer);
                expect(json_real_value(theirs) == value);
                return;
        }
        expect(ours->is_integer);
        if (ours->is_negative)
                expect((uint64_t)json_integer_value(theirs) == ~ours->integer + 1);
        else
                expect((uint64_t)json_integer_value(theirs) == ours->integer);
}

static void compare_object(const struct json *ours, json_t *theirs) {
        expect(kind_of(theirs) == KIND_OBJECT && json_object_size(theirs) == ours->count);
        for (const struct json *m = ours->child; m; m = m->next) {
                char *name = view_dup(m->key);
                json_t *found = name ? json_object_get(theirs, name) : NULL;

                expect(found != NULL);
                compare(m, found);
                free(name);
        }
}

static void compare_array(const struct json *ours, json_t *theirs) {
        size_t i = 0;

        expect(kind_of(theirs) == KIND_ARRAY && json_array_size(theirs) == ours->count);
        for (const struct json *m = ours->child; m; m = m->next)
                compare(m, json_array_get(theirs, i++));
}

static void compare(const struct json *ours, json_t *theirs) {
        switch (ours->type) {
        case JSON_NULL:
                expect(kind_of(theirs) == KIND_NULL);
                break;
        case JSON_BOOL:
                expect(kind_of(theirs) == KIND_BOOLEAN && json_is_true(theirs) == ours->boolean);
                break;
        case JSON_NUMBER:
                compare_number(ours, theirs);
                break;
        case JSON_STRING:
                expect(kind_of(theirs) == KIND_STRING);
                expect(view_eq(ours->text, view_make(json_string_value(theirs), json_string_length(theirs))));
                break;
        case JSON_ARRAY:
                compare_array(ours, theirs);
                break;
        case JSON_OBJECT:
                compare_object(ours, theirs);
                break;
        case JSON_TYPE_MAX:
                abort();
        }
}

static bool integer_is_too_big(const struct json *v) {
        bool has_point;

        if (v->type != JSON_NUMBER) /* its text may be NULL */
                return false;
        has_point = memchr(v->text.p, '.', v->text.n) || memchr(v->text.p, 'e', v->text.n) ||
                    memchr(v->text.p, 'E', v->text.n);

        return !has_point && (!v->is_integer || (!v->is_negative && v->integer > (uint64_t)INT64_MAX));
}

/* True when the document holds what jansson refuses on purpose. */
static bool is_beyond_jansson(const struct json *v) {
        if (integer_is_too_big(v) || (v->key.n && memchr(v->key.p, '\0', v->key.n)))
                return true;
        for (const struct json *m = v->child; m; m = m->next)
                if (is_beyond_jansson(m))
                        return true;
        return false;
}

/* Writing and reading again gives the same text. */
static void check_round_trip(const struct json *root) {
        _cleanup_(buf_donep) struct buf once = BUF_INIT((size_t)1 << 24), twice = BUF_INIT((size_t)1 << 24);
        _cleanup_(json_document_freep) struct json_document *again = NULL;
        struct json_writer w = JSON_WRITER(&once), w2 = JSON_WRITER(&twice);

        json_put_value(&w, root);
        expect(json_write_end(&w) == 0);
        expect(json_parse(buf_view(&once), &(struct json_limits){.memory = (size_t)1 << 28}, &again, NULL) ==
               0);
        json_put_value(&w2, json_root(again));
        expect(json_write_end(&w2) == 0 && view_eq(buf_view(&once), buf_view(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct json_document *reused;
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct json_limits limits = {.memory = (size_t)1 << 28};
        struct fault fault = FAULT_NONE;
        json_error_t error;
        json_t *theirs;
        int r = json_parse(view_make(data, n), &limits, &doc, &fault);

        expect(json_parse_reuse(view_make(data, n), &limits, &reused, NULL) == r);
        expect(r <= 0 && (r == 0 || (fault.rule && fault.at <= n)));
        if (memchr(data, '\0', n)) {
                expect(r < 0);
                return 0;
        }
        theirs = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                            &error);
        if (r == 0) {
                check_round_trip(json_root(doc));
                if (theirs)
                        compare(json_root(doc), theirs);
                else
                        expect(is_beyond_jansson(json_root(doc)));
        } else if (theirs)
                expect(r == -E2BIG);
        json_decref(theirs);
        return 0;
}
