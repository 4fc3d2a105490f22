/* json_walk against jansson with JSON_REJECT_DUPLICATES, and at once against in pieces. What ours takes, jansson takes, but for
 * numbers beyond its types; what jansson takes and is short enough for our limits, ours takes. */

/* Both have these names; jansson's are renamed while its header is used. */
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#include <jansson.h>
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "model/json_walk.h"
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WITHIN_LIMITS 60u /* bytes: too few to nest 64 levels deep or to write a number of 65 digits */

static int ignore(void *userdata, const struct json_walk *w, enum json_event e, struct view text,
                  uint64_t length) {
        (void)userdata;
        (void)e;
        (void)length;
        if (w->depth > JSON_WALK_DEPTH_MAX || text.n > JSON_STREAM_TEXT_MAX)
                abort();
        for (unsigned i = 0; i < w->depth; i++)
                if (json_walk_key(w, i).n > JSON_WALK_NAME_MAX)
                        abort();
        return 0;
}

static bool walk(struct view text, uint32_t seed, struct compare_result *ret) {
        static struct json_walk w;
        struct finding_sink sink = {compare_put, ret};
        struct model_report report = {.sink = &sink};
        bool strict;

        memset(ret, 0, sizeof *ret);
        if (json_walk_init(&w, &report, ignore, NULL) < 0)
                abort();
        for (size_t at = 0; at < text.n;) {
                struct view piece = view_sub(text, at, seed ? compare_piece(&seed) : SIZE_MAX);

                if (json_walk_feed(&w, piece) < 0)
                        abort();
                at += piece.n;
        }
        strict = json_walk_finish(&w);
        json_walk_done(&w);
        if (strict != (ret->n == 0))
                abort();
        return strict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;
        json_error_t error;
        json_t *theirs;
        bool ours;

        if (n == 0)
                return 0;
        ours = walk(view_make(data + 1, n - 1), 0, &whole);
        (void)walk(view_make(data + 1, n - 1), data[0] + 1u, &pieces);
        compare_check(&whole, &pieces);
        theirs = json_loadb((const char *)data + 1, n - 1, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        if (ours && !theirs && json_error_code(&error) != json_error_numeric_overflow)
                abort();
        if (theirs && !ours && n - 1 <= WITHIN_LIMITS && !memchr(data + 1, 0, n - 1))
                abort();
        json_decref(theirs);
        return 0;
}
