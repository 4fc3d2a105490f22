/* A hostile worker's stream: whatever it sends, what goes out to the client is strict JSON in whole events, in the
 * form that docs/interfaces.md promises. */
#include "inference/relay.h"
#include "wire/http_client.h"

#define INPUT_MAX ((size_t)1 << 17)
#define SHA       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_object(struct view text, const char *object) {
        struct json_document *d = NULL;

        if (json_parse(text, NULL, &d, NULL) < 0)
                abort();
        if (!view_eq_str(json_get_view(json_root(d), "object", VIEW_NULL), object) ||
            !view_eq_str(json_get_view(json_root(d), "model", VIEW_NULL), SHA) ||
            !json_get_typed(json_root(d), "choices", JSON_ARRAY))
                abort();
        json_document_free(d);
}

/* What was written for the client, read as a client would. */
static void check_events(const struct buf *out) {
        struct sse_reader s = {.pending = BUF_INIT(out->n + 1)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(out->n + 1), text = BUF_INIT(out->n + 1);

        if (buf_append_view(&s.pending, buf_view(out)) < 0)
                abort();
        while (sse_next(&s, &event, &text) == 1)
                if (!view_eq_str(buf_view(&text), "[DONE]"))
                        check_object(buf_view(&text), "chat.completion.chunk");
        if (s.pending.n != 0)
                abort();
        buf_done(&s.pending);
}

static void feed(const uint8_t *data, size_t n, bool stream) {
        struct sse_reader s = {.pending = BUF_INIT(INPUT_MAX)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(INPUT_MAX), text = BUF_INIT(INPUT_MAX),
                                        out = BUF_INIT(8 * INPUT_MAX);
        struct relay relay;
        int r = relay_init(&relay, stream, VIEW(SHA));

        if (r < 0 || buf_append(&s.pending, data, n) < 0)
                abort();
        for (r = 1; r > 0;) {
                if (sse_next(&s, &event, &text) != 1)
                        break;
                r = relay_event(&relay, buf_view(&text), &out, NULL);
        }
        if (stream) {
                check_events(&out);
        } else if (r == 0) {
                if (relay_write(&relay, &out) < 0)
                        abort();
                check_object(buf_view(&out), "chat.completion");
        }
        relay_done(&relay);
        buf_done(&s.pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        if (n > INPUT_MAX / 2)
                return 0;
        feed(data, n, true);
        feed(data, n, false);
        return 0;
}
