/* Server-sent events (WHATWG HTML, section 9.2), both ways. */
#include "wire/http_client.h"
#include "wire/http_server.h"

/* Takes a line off the front. It ends with LF, CR LF or CR. False when the end is not there yet; a CR at the very end may be half of CR LF. */
static bool next_line(struct view *rest, struct view *ret_line) {
        for (size_t i = 0; i < rest->n; i++) {
                size_t end = 1;

                if (rest->p[i] != '\n' && rest->p[i] != '\r')
                        continue;
                if (rest->p[i] == '\r') {
                        if (i + 1 == rest->n)
                                return false;
                        end = rest->p[i + 1] == '\n' ? 2 : 1;
                }
                *ret_line = view_sub(*rest, 0, i);
                *rest = view_sub(*rest, i + end, SIZE_MAX);
                return true;
        }
        return false;
}

static int append_line(struct buf *out, struct view line) {
        int r = buf_append_str(out, "data: ");

        if (r == 0)
                r = buf_append_view(out, line);
        return r == 0 ? buf_append_char(out, '\n') : r;
}

static int append_event(struct buf *out, const char *event, struct view data) {
        struct view line;
        int r = event ? buf_printf(out, "event: %s\n", event) : 0;

        while (r == 0 && next_line(&data, &line))
                r = append_line(out, line);
        if (r == 0 && data.n > 0 &&
            data.p[data.n - 1] == '\r') { /* a CR at the very end is a line end, too */
                r = append_line(out, view_sub(data, 0, data.n - 1));
                data = VIEW_NULL;
        }
        if (r == 0)
                r = append_line(out, data);
        return r == 0 ? buf_append_char(out, '\n') : r;
}

int sse_append(struct buf *out, const char *event, struct view data) {
        size_t before = out->n;
        int r = append_event(out, event, data);

        if (r < 0 && out->p) {
                out->n = before; /* half an event would be read as a whole one */
                out->p[before] = '\0';
        }
        return r;
}

static int take_field(struct view line, struct buf *event, struct buf *data, bool *has_data) {
        struct view value = line, name;
        int r;

        if (!view_split(&value, ':', &name)) {
                name = line;
                value = view_sub(line, line.n, 0);
        }
        if (value.n > 0 && value.p[0] == ' ')
                value = view_sub(value, 1, SIZE_MAX);
        if (view_eq_str(name, "event")) {
                buf_clear(event);
                return buf_append_view(event, value);
        }
        if (!view_eq_str(name, "data"))
                return 0; /* comments (empty name), id, retry, unknown: not used here */
        r = *has_data ? buf_append_char(data, '\n') : 0;
        *has_data = true;
        return r < 0 ? r : buf_append_view(data, value);
}

static void drop_front(struct buf *b, size_t n) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
        b->p[b->n] = '\0';
}

int sse_next(struct sse_reader *s, struct buf *ret_event, struct buf *ret_data) {
        struct view rest = buf_view(&s->pending), line;
        bool has_data = false;

        buf_clear(ret_event);
        buf_clear(ret_data);
        while (next_line(&rest, &line)) {
                int r;

                if (line.n > 0) {
                        r = take_field(line, ret_event, ret_data, &has_data);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (has_data) {
                        drop_front(&s->pending, s->pending.n - rest.n);
                        return 1;
                }
                buf_clear(ret_event); /* an event without data is none */
                drop_front(&s->pending, s->pending.n - rest.n);
                rest = buf_view(&s->pending);
        }
        return s->pending.n == s->pending.max ? -EFBIG : 0;
}
