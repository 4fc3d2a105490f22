/* Parses one chat request of about 1 KB with our reader and with jansson, in turns, and prints the best round of
 * each: nanoseconds a message, and the ratio. Both refuse duplicate names. */
#define json_type   jansson_type /* both libraries have these names */
#define JSON_NULL   JANSSON_NULL
#define JSON_STRING JANSSON_STRING
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_OBJECT JANSSON_OBJECT
#include <jansson.h>
#undef json_type
#undef JSON_NULL
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT

#include "base/clock.h"
#include "wire/json.h"

#define ROUNDS       30
#define OURS_TIMES   20000
#define THEIRS_TIMES 2000

static struct buf make_message(void) {
        struct buf text = BUF_INIT(4096);
        int r = buf_append_str(&text,
                               "{\"model\":\"pebble\",\"stream\":true,\"temperature\":0.75,\"top_p\":0.9,"
                               "\"max_tokens\":512,\"seed\":42,\"messages\":[");

        for (int i = 0; r >= 0 && i < 7; i++)
                r = buf_printf(&text,
                               "%s{\"role\":\"%s\",\"content\":\"Question %d: why does the sea look "
                               "blue?\\nThe light "
                               "\\u00e9 and more words follow here.\",\"tokens\":%d}",
                               i ? "," : "", i % 2 ? "assistant" : "user", i, i * 17);
        if (r >= 0)
                r = buf_append_str(&text, "]}");
        if (r < 0)
                abort();
        return text;
}

static uint64_t time_ours(struct view text) {
        static struct json_document *doc;
        uint64_t start = clock_monotonic_usec();

        for (int i = 0; i < OURS_TIMES; i++)
                if (json_parse_reuse(text, NULL, &doc, NULL) < 0)
                        abort();
        return clock_monotonic_usec() - start;
}

static uint64_t time_jansson(struct view text) {
        uint64_t start = clock_monotonic_usec();

        for (int i = 0; i < THEIRS_TIMES; i++) {
                json_error_t error;
                json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);

                if (!root)
                        abort();
                json_decref(root);
        }
        return clock_monotonic_usec() - start;
}

int main(void) {
        _cleanup_(buf_donep) struct buf text = make_message();
        uint64_t ours = UINT64_MAX, theirs = UINT64_MAX;
        double ours_ns, theirs_ns;

        for (int i = 0; i < ROUNDS; i++) {
                ours = MIN_OF(ours, time_ours(buf_view(&text)));
                theirs = MIN_OF(theirs, time_jansson(buf_view(&text)));
        }
        ours_ns = (double)ours * 1000 / OURS_TIMES;
        theirs_ns = (double)theirs * 1000 / THEIRS_TIMES;
        printf("json: a %zu byte message takes %.0f ns, with jansson %.0f ns: %.3f of its time (target: "
               "under 2000 ns "
               "a KB)\n",
               text.n, ours_ns, theirs_ns, ours_ns / theirs_ns);
        return ours_ns * 1024 / (double)text.n < 2000 ? 0 : 1;
}
