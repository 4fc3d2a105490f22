#include "ui/first_run.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/secret.h"
#include "ui/limits.h"

#define FILE_NAME   "first-run-code"
#define GROUP_CHARS 4
#define TYPED_MAX   ((size_t)64)

/* Crockford's base 32: nothing that looks like something else. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static char canonical(char c) {
        if (c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
        if (c == 'O')
                return '0';
        return c == 'I' || c == 'L' ? '1' : c;
}

/* Without dashes and white space, in capitals; padded with NUL so that comparing takes the same time always. */
static void fold(struct view v, char out[TYPED_MAX]) {
        size_t n = 0;

        memset(out, 0, TYPED_MAX);
        for (size_t i = 0; i < v.n && n < TYPED_MAX; i++)
                if (v.p[i] != '-' && v.p[i] != ' ' && v.p[i] != '\n' && v.p[i] != '\t')
                        out[n++] = canonical(v.p[i]);
}

static int read_code(int state_dir, char out[TYPED_MAX]) {
        _cleanup_(buf_donep) struct buf text = {0};
        int r = read_file_beneath(state_dir, FILE_NAME, TYPED_MAX, &text);

        if (r < 0)
                return r;
        fold(buf_view(&text), out);
        return strnlen(out, TYPED_MAX) == UI_CODE_CHARS ? 0 : -EUCLEAN;
}

static int write_code(int state_dir) {
        uint8_t random[UI_CODE_CHARS];
        char text[UI_CODE_CHARS + UI_CODE_CHARS / GROUP_CHARS + 1];
        size_t n = 0;
        int r = random_bytes(random, sizeof(random));

        if (r < 0)
                return r;
        for (size_t i = 0; i < UI_CODE_CHARS; i++) {
                if (i > 0 && i % GROUP_CHARS == 0)
                        text[n++] = '-';
                text[n++] = alphabet[random[i] % 32];
        }
        text[n++] = '\n';
        return replace_file(state_dir, FILE_NAME, (struct view){text, n}, 0600);
}

int first_run_begin(int state_dir) {
        char code[TYPED_MAX];
        int r = read_code(state_dir, code);

        return r == -ENOENT || r == -EUCLEAN || r == -EFBIG ? write_code(state_dir) : r;
}

int first_run_check(int state_dir, struct view typed) {
        char right[TYPED_MAX], given[TYPED_MAX];
        int r = read_code(state_dir, right);

        if (r < 0)
                return r;
        fold(typed, given);
        return view_eq_constant_time(view_make(right, sizeof(right)), view_make(given, sizeof(given)));
}

int first_run_end(int state_dir) {
        if (unlinkat(state_dir, FILE_NAME, 0) < 0 && errno != ENOENT)
                return negative_errno();
        return fsync_dir(state_dir);
}
