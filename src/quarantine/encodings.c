#include "quarantine/encodings.h"

#include "base/text.h"

typedef int encode_char(char c, struct buf *out);

static int put_rot13(char c, struct buf *out) {
        if (c >= 'a' && c <= 'z')
                c = (char)('a' + (c - 'a' + 13) % 26);
        else if (c >= 'A' && c <= 'Z')
                c = (char)('A' + (c - 'A' + 13) % 26);
        return buf_append_char(out, c);
}

static int put_atbash(char c, struct buf *out) {
        if (c >= 'a' && c <= 'z')
                c = (char)('z' - (c - 'a'));
        else if (c >= 'A' && c <= 'Z')
                c = (char)('Z' - (c - 'A'));
        return buf_append_char(out, c);
}

static int put_leet(char c, struct buf *out) {
        static const char from[] = "aeiostAEIOST", to[] = "431057431057";
        const char *at = c ? strchr(from, c) : NULL;

        return buf_append_char(out, at ? to[at - from] : c);
}

static int put_mixed(char c, struct buf *out) {
        if (out->n % 2 && c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
        return buf_append_char(out, c);
}

static int put_spaced(char c, struct buf *out) {
        int r = buf_append_char(out, c);

        return r < 0 ? r : buf_append_char(out, ' ');
}

static int put_dotted(char c, struct buf *out) {
        int r = buf_append_char(out, c);

        return r < 0 || c == ' ' ? r : buf_append_char(out, '.');
}

static int put_percent(char c, struct buf *out) {
        return buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
}

/* U+200B between letters: a reader sees nothing of it. */
static int put_zero_width(char c, struct buf *out) {
        int r = buf_append_char(out, c);

        return r < 0 ? r : buf_append_str(out, "\xe2\x80\x8b");
}

/* Cyrillic letters that look like Latin ones. */
static int put_look_alike(char c, struct buf *out) {
        static const struct {
                char c;
                const char *text;
        } pairs[] = {{'a', "\xd0\xb0"}, {'c', "\xd1\x81"}, {'e', "\xd0\xb5"}, {'i', "\xd1\x96"},
                     {'j', "\xd1\x98"}, {'o', "\xd0\xbe"}, {'p', "\xd1\x80"}, {'s', "\xd1\x95"},
                     {'x', "\xd1\x85"}, {'y', "\xd1\x83"}};

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                if (pairs[i].c == c)
                        return buf_append_str(out, pairs[i].text);
        return buf_append_char(out, c);
}

/* U+FF01..U+FF5E: the ASCII characters of CJK typography. */
static int put_full_width(char c, struct buf *out) {
        unsigned v = (unsigned)(unsigned char)c - 0x20U + 0xff00U;

        if (c <= ' ' || c > '~')
                return buf_append_char(out, c);
        return buf_printf(out, "%c%c%c", (int)(0xe0 | (v >> 12)), (int)(0x80 | ((v >> 6) & 0x3f)),
                          (int)(0x80 | (v & 0x3f)));
}

static int put_morse(char c, struct buf *out) {
        static const char *const letters[] = {".-",   "-...", "-.-.", "-..",  ".",    "..-.", "--.",
                                              "....", "..",   ".---", "-.-",  ".-..", "--",   "-.",
                                              "---",  ".--.", "--.-", ".-.",  "...",  "-",    "..-",
                                              "...-", ".--",  "-..-", "-.--", "--.."};

        if (c >= 'A' && c <= 'Z')
                c = (char)(c - 'A' + 'a');
        if (c == ' ')
                return buf_append_str(out, "/ ");
        return c < 'a' || c > 'z' ? 0 : buf_printf(out, "%s ", letters[c - 'a']);
}

static int each(struct view text, encode_char *put, struct buf *out) {
        int r = 0;

        for (size_t i = 0; i < text.n && r >= 0; i++)
                r = put(text.p[i], out);
        return r;
}

static int backwards(struct view text, struct buf *out) {
        int r = 0;

        for (size_t i = text.n; i > 0 && r >= 0; i--)
                r = buf_append_char(out, text.p[i - 1]);
        return r;
}

/* The words in reverse order. */
static int words_backwards(struct view text, struct buf *out) {
        size_t end = text.n;
        int r = 0;

        for (size_t i = text.n; i > 0 && r >= 0; i--)
                if (text.p[i - 1] == ' ') {
                        r = buf_append_view(out, view_sub(text, i, end - i));
                        if (r >= 0)
                                r = buf_append_char(out, ' ');
                        end = i - 1;
                }
        return r < 0 ? r : buf_append_view(out, view_sub(text, 0, end));
}

static const char *const names[] = {
        "base64", "hex",    "backwards", "words-backwards", "rot13",      "atbash",     "leet",  "mixed-case",
        "spaced", "dotted", "percent",   "zero-width",      "look-alike", "full-width", "morse", NULL};
static encode_char *const puts_char[ARRAY_SIZE(names)] = {
        [4] = put_rot13,       [5] = put_atbash,      [6] = put_leet,     [7] = put_mixed,
        [8] = put_spaced,      [9] = put_dotted,      [10] = put_percent, [11] = put_zero_width,
        [12] = put_look_alike, [13] = put_full_width, [14] = put_morse};

const char *const *encoding_names(void) {
        return names;
}

const char *encoding_find(struct view name) {
        for (size_t i = 0; names[i]; i++)
                if (view_eq_str(name, names[i]))
                        return names[i];
        return NULL;
}

int encoding_write(const char *name, struct view text, struct buf *out) {
        size_t i = 0;

        while (names[i] && strcmp(names[i], name) != 0)
                i++;
        switch (i) {
        case 0:
                return base64_encode(text, out);
        case 1:
                return buf_append_hex(out, text.p, text.n);
        case 2:
                return backwards(text, out);
        case 3:
                return words_backwards(text, out);
        default:
                return names[i] ? each(text, puts_char[i], out) : -ENOENT;
        }
}
