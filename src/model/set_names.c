#include "model/set_names.h"

#include <strings.h>

#include "base/text.h"
#include "model/limits.h"

struct view set_name_base(struct view path) {
        size_t n = path.n;

        while (n > 0 && path.p[n - 1] != '/')
                n--;
        return view_sub(path, n, SIZE_MAX);
}

struct view set_name_folder(struct view path) {
        size_t base = set_name_base(path).n;

        return view_sub(path, 0, path.n > base ? path.n - base - 1 : 0);
}

enum script { SCRIPT_NONE, SCRIPT_LATIN, SCRIPT_GREEK, SCRIPT_CYRILLIC, SCRIPT_EAST, SCRIPT_REFUSED };

/* Letters outside of ASCII that are allowed; each is its own composed form and never combines (Unicode
 * NFC_Quick_Check=Yes). Left out within the ranges: signs, letters whose small form depends on the language. */
static const struct {
        uint32_t first, last;
        enum script script;
} letters[] = {
        {0x00c0, 0x00d6, SCRIPT_LATIN},    {0x00d8, 0x00f6, SCRIPT_LATIN}, {0x00f8, 0x012f, SCRIPT_LATIN},
        {0x0132, 0x0137, SCRIPT_LATIN},    {0x0139, 0x0148, SCRIPT_LATIN}, {0x014a, 0x017e, SCRIPT_LATIN},
        {0x0386, 0x0386, SCRIPT_GREEK},    {0x0388, 0x038a, SCRIPT_GREEK}, {0x038c, 0x038c, SCRIPT_GREEK},
        {0x038e, 0x03a1, SCRIPT_GREEK},    {0x03a3, 0x03ce, SCRIPT_GREEK}, {0x0400, 0x045f, SCRIPT_CYRILLIC},
        {0x0490, 0x0491, SCRIPT_CYRILLIC}, {0x3041, 0x3096, SCRIPT_EAST},  {0x30a1, 0x30fa, SCRIPT_EAST},
        {0x30fc, 0x30fc, SCRIPT_EAST},     {0x3400, 0x4dbf, SCRIPT_EAST},  {0x4e00, 0x9fff, SCRIPT_EAST},
        {0xac00, 0xd7a3, SCRIPT_EAST},
};

static enum script script_of(uint32_t c) {
        if (c < 0x80) {
                if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
                        return SCRIPT_LATIN;
                return c < ' ' || c == 0x7f || strchr("<>:\"|?*\\", (int)c) ? SCRIPT_REFUSED : SCRIPT_NONE;
        }
        for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
                if (c >= letters[i].first && c <= letters[i].last)
                        return letters[i].script;
        return SCRIPT_REFUSED;
}

/* The name without its ending, which is Latin in every alphabet. */
static size_t stem_length(struct view name) {
        size_t n = name.n;

        while (n > 1 && name.p[n - 1] != '.')
                n--;
        return n > 1 ? n - 1 : name.n;
}

/* Latin letters among Greek or Cyrillic ones that look the same make one name pass for another. */
static const char *characters_fault(struct view name) {
        size_t ending = name.n - stem_length(name);
        unsigned seen = 0;
        uint32_t c;
        size_t n;

        for (; name.n > 0; name = view_sub(name, n, SIZE_MAX)) {
                enum script s;

                n = utf8_decode(name, &c);
                if (n == 0)
                        return "is not UTF-8";
                s = script_of(c);
                if (s == SCRIPT_REFUSED)
                        return "has a character that is invisible, special, or not in composed form";
                if (name.n > ending)
                        seen |= 1u << s;
        }
        if (seen & 1u << SCRIPT_CYRILLIC ? seen & (1u << SCRIPT_LATIN | 1u << SCRIPT_GREEK)
                                         : (seen & 1u << SCRIPT_GREEK) && (seen & 1u << SCRIPT_LATIN))
                return "mixes alphabets whose letters look alike";
        return NULL;
}

/* Names that are devices on Windows, with any ending. */
static bool is_device(struct view name) {
        static const char *const devices[] = {"con", "prn", "aux", "nul", "conin$", "conout$"};
        size_t dot = view_find_char(name, '.');
        struct view stem = view_sub(name, 0, dot);

        while (stem.n > 0 && stem.p[stem.n - 1] == ' ')
                stem.n--;
        for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
                if (stem.n == strlen(devices[i]) && strncasecmp(stem.p, devices[i], stem.n) == 0)
                        return true;
        return stem.n == 4 && (strncasecmp(stem.p, "com", 3) == 0 || strncasecmp(stem.p, "lpt", 3) == 0) &&
               stem.p[3] >= '0' && stem.p[3] <= '9';
}

static const char *component_fault(struct view name) {
        if (name.n == 0 || name.n > MODEL_SET_NAME_MAX)
                return "has an empty or too long part";
        if (name.p[0] == '.')
                return "is hidden (begins with a dot)";
        if (name.p[0] == ' ' || name.p[0] == '-' || name.p[0] == '~')
                return "begins with a space, a dash or a tilde";
        if (name.p[name.n - 1] == '.' || name.p[name.n - 1] == ' ')
                return "ends in a dot or a space, which some systems leave out";
        if (is_device(name))
                return "is the name of a device on Windows";
        return characters_fault(name);
}

const char *set_name_fault(struct view path) {
        struct view part;
        unsigned depth = 1;
        const char *why;

        if (path.n == 0 || path.n > MODEL_SET_PATH_MAX)
                return "is empty or too long";
        while (view_split(&path, '/', &part)) {
                why = component_fault(part);
                if (why)
                        return why;
                if (++depth > MODEL_SET_DEPTH_MAX)
                        return "lies too deep";
        }
        return component_fault(path);
}

enum set_file set_name_file(struct view path) {
        static const struct {
                const char *ending;
                enum set_file file;
        } endings[] = {
                {".safetensors", SET_FILE_SAFETENSORS},
                {".gguf", SET_FILE_GGUF},
                {".json", SET_FILE_JSON},
                {".txt", SET_FILE_TEXT},
                {".md", SET_FILE_TEXT},
                {".merges", SET_FILE_TEXT},
                {".vocab", SET_FILE_TEXT},
                {".jinja", SET_FILE_TEMPLATE},
                {".model", SET_FILE_PIECES},
                {".png", SET_FILE_PICTURE},
        };
        static const char *const texts[] = {"LICENSE", "LICENCE", "NOTICE", "README", "COPYING", "AUTHORS"};
        struct view base = set_name_base(path);

        for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
                if (base.n > strlen(endings[i].ending) && view_ends(base, view_of(endings[i].ending)))
                        return endings[i].file;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (view_eq_str(base, texts[i]))
                        return SET_FILE_TEXT;
        if (base.n == path.n && base.n > 4 &&
            (view_ends(base, VIEW(".bin")) || view_ends(base, VIEW(".f32"))))
                return SET_FILE_NUMBERS;
        return SET_FILE_REFUSED;
}

/* Simple case folding of the letters that names may have (Unicode CaseFolding.txt, status C). */
static uint32_t fold(uint32_t c) {
        if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde) || (c >= 0x391 && c <= 0x3ab) ||
            (c >= 0x410 && c <= 0x42f))
                return c + 32;
        if (c >= 0x400 && c <= 0x40f)
                return c + 80;
        if (c == 0x178)
                return 0xff;
        if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
                return c + (c & 1);
        if ((c >= 0x100 && c <= 0x177) || c == 0x490)
                return c | 1;
        if (c == 0x386)
                return 0x3ac;
        if (c >= 0x388 && c <= 0x38a)
                return c + 37;
        if (c == 0x38c)
                return 0x3cc;
        if (c == 0x38e || c == 0x38f)
                return c + 63;
        return c == 0x3c2 ? 0x3c3 : c;
}

static int append_code_point(struct buf *out, uint32_t c) {
        char text[3];

        if (c < 0x80)
                return buf_append_char(out, (char)c);
        if (c < 0x800) {
                text[0] = (char)(0xc0 | c >> 6);
                text[1] = (char)(0x80 | (c & 0x3f));
                return buf_append(out, text, 2);
        }
        text[0] = (char)(0xe0 | c >> 12);
        text[1] = (char)(0x80 | (c >> 6 & 0x3f));
        text[2] = (char)(0x80 | (c & 0x3f));
        return buf_append(out, text, 3);
}

int set_name_fold(struct view path, struct buf *out) {
        uint32_t c;
        int r = 0;

        for (size_t n; path.n > 0 && r >= 0; path = view_sub(path, n, SIZE_MAX)) {
                n = utf8_decode(path, &c);
                if (n == 0 || c > 0xffff) { /* no allowed name: taken as it is */
                        n = n ? n : 1;
                        r = buf_append(out, path.p, n);
                } else if (c == 0xdf) {
                        r = buf_append_str(out, "ss");
                } else {
                        r = append_code_point(out, fold(c));
                }
        }
        return r;
}
