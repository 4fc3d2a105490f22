#include "audit/records.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"

#define WINDOW (4 * AUDIT_LINE_MAX) /* bytes read at a time: several lines always fit */

struct reader {
        int log_dir;
        const struct log_end *end;
        struct buf window;
        int fd;
        uint64_t size; /* durable bytes of the open file */
};

/* The file that was number rotated + 1 (audit.log) when *end was taken may have got its number since. */
static int open_number(const struct reader *r, uint64_t number) {
        char name[LOG_FILE_NAME_SIZE];
        _cleanup_(closep) int active = -EBADF;
        int fd;

        log_file_name(number, name);
        if (number == r->end->rotated + 1)
                active = open_beneath(r->log_dir, AUDIT_FILE_NAME, O_RDONLY | O_NONBLOCK, 0);
        fd = open_beneath(r->log_dir, name, O_RDONLY | O_NONBLOCK, 0);
        return fd == -ENOENT && active >= 0 ? TAKE_FD(active) : fd;
}

static int reader_open(struct reader *r, uint64_t number) {
        struct stat st;

        r->fd = close_fd(r->fd);
        r->fd = open_number(r, number);
        if (r->fd < 0)
                return r->fd;
        if (fstat(r->fd, &st) < 0)
                return negative_errno();
        r->size = number == r->end->rotated + 1 ? r->end->offset : (uint64_t)st.st_size;
        return 0;
}

/* Fills the window with what stands at `at`. */
static int load(struct reader *r, uint64_t at) {
        size_t n = (size_t)MIN_OF(r->size - at, (uint64_t)WINDOW);
        int e;

        buf_clear(&r->window);
        e = buf_reserve(&r->window, WINDOW);
        if (e >= 0)
                e = pread_all(r->fd, r->window.p, n, at);
        if (e >= 0)
                r->window.n = n;
        return e;
}

/* Sequence of the first line that begins at or behind `at` within the window: 1, or 0 when there is none.
 * *ret_skipped: bytes before it. A line begins at `at` itself only when that is the start of the file. */
static int first_line(struct reader *r, uint64_t at, uint64_t *ret_sequence, uint64_t *ret_skipped) {
        struct view rest, head, text;
        struct audit_line line;
        int e = load(r, at);

        if (e < 0)
                return e;
        rest = buf_view(&r->window);
        if (at > 0 && !view_split(&rest, '\n', &head))
                return 0;
        *ret_skipped = r->window.n - rest.n;
        if (!view_split(&rest, '\n', &text))
                return 0;
        if (audit_line_parse(text, &line) < 0)
                return -EUCLEAN;
        *ret_sequence = line.sequence;
        return 1;
}

/* Last file whose first record is not behind `wanted`. */
static int find_file(struct reader *r, uint64_t wanted, uint64_t *ret_number) {
        uint64_t low = 1, high = r->end->rotated + 1, sequence, skipped;
        int e;

        while (low < high) {
                uint64_t middle = low + (high - low + 1) / 2;

                e = reader_open(r, middle);
                if (e >= 0)
                        e = first_line(r, 0, &sequence, &skipped);
                if (e < 0)
                        return e;
                if (e == 1 && sequence <= wanted)
                        low = middle;
                else
                        high = middle - 1;
        }
        *ret_number = low;
        return reader_open(r, low);
}

/* Offset of some line not behind `wanted` and at most a few windows before it. */
static int find_offset(struct reader *r, uint64_t wanted, uint64_t *ret_at) {
        uint64_t low = 0, high = r->size, sequence, skipped;
        int e;

        while (high - low > WINDOW) {
                uint64_t middle = low + (high - low) / 2;

                e = first_line(r, middle, &sequence, &skipped);
                if (e < 0)
                        return e;
                if (e == 1 && sequence <= wanted && middle + skipped < high)
                        low = middle + skipped;
                else
                        high = middle;
        }
        *ret_at = low;
        return 0;
}

struct copying {
        uint64_t after, left;
        struct buf *out;
        bool full;
};

static int copy_line(struct copying *c, struct view text) {
        struct audit_line line;
        int e;

        if (audit_line_parse(text, &line) < 0)
                return -EUCLEAN;
        if (line.sequence <= c->after)
                return 0;
        if (c->left == 0 || c->out->max - c->out->n < text.n + 2) {
                c->full = true;
                return 0;
        }
        e = c->out->n ? buf_append_char(c->out, ',') : 0;
        if (e >= 0)
                e = buf_append_view(c->out, text);
        c->left--;
        return e;
}

static int copy_file(struct reader *r, uint64_t at, struct copying *c) {
        struct view rest, text;
        int e;

        while (at < r->size && !c->full) {
                e = load(r, at);
                if (e < 0)
                        return e;
                rest = buf_view(&r->window);
                while (!c->full && view_split(&rest, '\n', &text)) {
                        e = copy_line(c, text);
                        if (e < 0)
                                return e;
                }
                if (rest.n == r->window.n)
                        return -EUCLEAN; /* no line end in a whole window */
                at += r->window.n - rest.n;
        }
        return 0;
}

static int read_from(struct reader *r, struct copying *c) {
        uint64_t number, at;
        int e = find_file(r, c->after + 1, &number);

        if (e >= 0)
                e = find_offset(r, c->after + 1, &at);
        if (e >= 0)
                e = copy_file(r, at, c);
        for (number++; e >= 0 && !c->full && number <= r->end->rotated + 1; number++) {
                e = reader_open(r, number);
                if (e >= 0)
                        e = copy_file(r, 0, c);
        }
        return e;
}

int records_read(int log_dir, const struct log_end *end, uint64_t after, uint64_t limit, struct buf *out) {
        struct reader r = {.log_dir = log_dir, .end = end, .fd = -EBADF, .window = BUF_INIT(WINDOW)};
        _cleanup_(buf_donep) struct buf list = BUF_INIT(out->max - out->n);
        struct copying c = {.after = after, .left = limit, .out = &list};
        int e = 0;

        if (after < end->sequence && limit > 0)
                e = read_from(&r, &c);
        buf_done(&r.window);
        close_fd(r.fd);
        return e < 0 ? e : buf_append_view(out, buf_view(&list));
}
