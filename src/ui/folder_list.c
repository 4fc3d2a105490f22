#include "ui/folder_list.h"

#include "base/num.h"
#include "base/text.h"

#define HEAD "secai.folder/1\n"

void folder_list_done(struct folder_list *l) {
        buf_done(&l->text);
        free(l->files);
        *l = FOLDER_LIST_INIT;
}

static size_t count_lines(struct view text) {
        size_t n = 0;

        for (size_t i = 0; i < text.n; i++)
                n += text.p[i] == '\n';
        return n;
}

/* "<size> <path>" */
static int read_line(struct view line, struct folder_file *ret) {
        size_t space = view_find_char(line, ' ');

        if (space == SIZE_MAX || u64_parse(view_sub(line, 0, space), SET_BYTES_MAX, &ret->size) < 0)
                return -EBADMSG;
        ret->path = view_sub(line, space + 1, SIZE_MAX);
        return set_path_is_valid(ret->path) ? 0 : -EBADMSG;
}

static int read_list(struct folder_list *l) {
        struct view text = buf_view(&l->text);
        size_t lines;

        if (!view_starts(text, VIEW(HEAD)))
                return -EBADMSG;
        text = view_sub(text, strlen(HEAD), SIZE_MAX);
        lines = count_lines(text) - 1; /* the last one is empty */
        if (lines == 0)
                return -EBADMSG;
        if (lines > SET_MEMBERS_MAX)
                return -E2BIG;
        l->files = calloc(lines, sizeof *l->files);
        if (!l->files)
                return -ENOMEM;
        for (; l->n < lines; l->n++) {
                size_t end = view_find_char(text, '\n');
                int r = read_line(view_sub(text, 0, end), &l->files[l->n]);

                if (r < 0)
                        return r;
                if (u64_add(l->size, l->files[l->n].size, &l->size) < 0 || l->size > SET_BYTES_MAX)
                        return -E2BIG;
                text = view_sub(text, end + 1, SIZE_MAX);
        }
        return 0;
}

/* Bytes of `piece` up to and with the newline that ends the list, or SIZE_MAX. */
static size_t find_end(struct view before, struct view piece) {
        bool after_newline = before.n > 0 && before.p[before.n - 1] == '\n';

        for (size_t i = 0; i < piece.n; i++) {
                if (piece.p[i] == '\n' && after_newline)
                        return i + 1;
                after_newline = piece.p[i] == '\n';
        }
        return SIZE_MAX;
}

int folder_list_feed(struct folder_list *l, struct view *piece) {
        size_t end = find_end(buf_view(&l->text), *piece);
        int r = buf_append_view(&l->text, view_sub(*piece, 0, end));

        if (r < 0)
                return r;
        *piece = end == SIZE_MAX ? VIEW_NULL : view_sub(*piece, end, SIZE_MAX);
        if (end == SIZE_MAX)
                return 0;
        r = read_list(l);
        l->complete = r >= 0;
        return r < 0 ? r : 1;
}
