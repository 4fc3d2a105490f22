/* Whatever arrives, in whatever pieces: events come out the same, and writing them again gives the same events. */
#include "wire/http_client.h"
#include "wire/http_server.h"

#define EVENT_MAX ((size_t)1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct buf *data) {
        struct sse_reader again = {.pending = BUF_INIT(4 * EVENT_MAX)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(EVENT_MAX), text = BUF_INIT(EVENT_MAX);

        if (sse_append(&again.pending, "e", buf_view(data)) == 0) {
                if (sse_next(&again, &event, &text) != 1 || !view_eq(buf_view(&text), buf_view(data)))
                        abort();
                if (!view_eq_str(buf_view(&event), "e") || again.pending.n != 0)
                        abort();
        }
        buf_done(&again.pending);
}

/* Feeds `n` bytes in pieces of `step`; returns a hash over all events. */
static uint64_t read_events(const uint8_t *data, size_t n, size_t step) {
        struct sse_reader s = {.pending = BUF_INIT(EVENT_MAX)};
        _cleanup_(buf_donep) struct buf event = BUF_INIT(EVENT_MAX), text = BUF_INIT(EVENT_MAX);
        uint64_t hash = 14695981039346656037U;

        for (size_t at = 0; at < n; at += step) {
                int r = buf_append(&s.pending, data + at, MIN_OF(step, n - at));

                if (r < 0)
                        break;
                while ((r = sse_next(&s, &event, &text)) == 1) {
                        for (size_t i = 0; i < text.n; i++)
                                hash = (hash ^ (uint8_t)text.p[i]) * 1099511628211U;
                        hash = (hash ^ event.n) * 1099511628211U;
                        check_round_trip(&text);
                }
                if (r < 0)
                        break;
        }
        buf_done(&s.pending);
        return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        if (n > EVENT_MAX / 2)
                return 0;
        if (read_events(data, n, n > 0 ? n : 1) != read_events(data, n, 7))
                abort();
        return 0;
}
