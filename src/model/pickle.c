#include "model/pickle.h"

#include "model/limits.h"

/* Shape of each opcode's argument (Lib/pickletools.py, protocols 0 to 5). */
enum shape {
        SHAPE_NONE, /* no such opcode */
        SHAPE_BARE,
        SHAPE_FIXED_1,
        SHAPE_FIXED_2,
        SHAPE_FIXED_4,
        SHAPE_FIXED_8,
        SHAPE_COUNTED_1,
        SHAPE_COUNTED_4,
        SHAPE_COUNTED_8, /* length, then that many bytes */
        SHAPE_TEXT_1,
        SHAPE_TEXT_4,
        SHAPE_TEXT_8, /* the same, and the bytes are a text */
        SHAPE_LINE,
        SHAPE_LINE_TEXT,
        SHAPE_LINES_2, /* to the next newline, once or twice */
        SHAPE_STOP,
        SHAPE_STACK_GLOBAL,
        SHAPE_EXTENSION
};

static const uint8_t shapes[256] = {
        ['('] = SHAPE_BARE,       [')'] = SHAPE_BARE,          [']'] = SHAPE_BARE,
        ['}'] = SHAPE_BARE,       ['0'] = SHAPE_BARE,          ['1'] = SHAPE_BARE,
        ['2'] = SHAPE_BARE,       ['N'] = SHAPE_BARE,          ['Q'] = SHAPE_BARE,
        ['R'] = SHAPE_BARE,       ['a'] = SHAPE_BARE,          ['b'] = SHAPE_BARE,
        ['d'] = SHAPE_BARE,       ['e'] = SHAPE_BARE,          ['l'] = SHAPE_BARE,
        ['o'] = SHAPE_BARE,       ['s'] = SHAPE_BARE,          ['t'] = SHAPE_BARE,
        ['u'] = SHAPE_BARE,       [0x81] = SHAPE_BARE,         [0x85] = SHAPE_BARE,
        [0x86] = SHAPE_BARE,      [0x87] = SHAPE_BARE,         [0x88] = SHAPE_BARE,
        [0x89] = SHAPE_BARE,      [0x8f] = SHAPE_BARE,         [0x90] = SHAPE_BARE,
        [0x91] = SHAPE_BARE,      [0x92] = SHAPE_BARE,         [0x94] = SHAPE_BARE,
        [0x97] = SHAPE_BARE,      [0x98] = SHAPE_BARE,         ['K'] = SHAPE_FIXED_1,
        ['h'] = SHAPE_FIXED_1,    ['q'] = SHAPE_FIXED_1,       [0x80] = SHAPE_FIXED_1,
        ['M'] = SHAPE_FIXED_2,    ['J'] = SHAPE_FIXED_4,       ['j'] = SHAPE_FIXED_4,
        ['r'] = SHAPE_FIXED_4,    ['G'] = SHAPE_FIXED_8,       [0x95] = SHAPE_FIXED_8,
        ['C'] = SHAPE_COUNTED_1,  [0x8a] = SHAPE_COUNTED_1,    ['B'] = SHAPE_COUNTED_4,
        [0x8b] = SHAPE_COUNTED_4, [0x8e] = SHAPE_COUNTED_8,    [0x96] = SHAPE_COUNTED_8,
        ['U'] = SHAPE_TEXT_1,     [0x8c] = SHAPE_TEXT_1,       ['T'] = SHAPE_TEXT_4,
        ['X'] = SHAPE_TEXT_4,     [0x8d] = SHAPE_TEXT_8,       ['F'] = SHAPE_LINE,
        ['I'] = SHAPE_LINE,       ['L'] = SHAPE_LINE,          ['P'] = SHAPE_LINE,
        ['g'] = SHAPE_LINE,       ['p'] = SHAPE_LINE,          ['S'] = SHAPE_LINE_TEXT,
        ['V'] = SHAPE_LINE_TEXT,  ['c'] = SHAPE_LINES_2,       ['i'] = SHAPE_LINES_2,
        ['.'] = SHAPE_STOP,       [0x93] = SHAPE_STACK_GLOBAL, [0x82] = SHAPE_EXTENSION,
        [0x83] = SHAPE_EXTENSION, [0x84] = SHAPE_EXTENSION,
};

enum { PHASE_OPCODE, PHASE_LENGTH, PHASE_BYTES, PHASE_LINE };

void pickle_init(struct pickle *p) {
        *p = (struct pickle){.state = PICKLE_WALKING};
}

static void begin_text(struct pickle *p) {
        memcpy(p->text[0], p->text[1], sizeof p->text[0]);
        p->text_n[0] = p->text_n[1];
        p->text_n[1] = 0;
        p->cut = false;
        p->keep = p->any_text = true;
}

static void keep(struct pickle *p, const char *s, size_t n) {
        size_t room = PICKLE_NAME_MAX - p->text_n[1], now = MIN_OF(n, room);

        memcpy(p->text[1] + p->text_n[1], s, now);
        p->text_n[1] = (uint8_t)(p->text_n[1] + now);
        p->cut |= now < n;
}

static void imports(struct pickle *p, bool named) {
        p->state = PICKLE_IMPORTS;
        if (named)
                (void)snprintf(p->name, sizeof p->name, "%.*s.%.*s", p->text_n[0], p->text[0], p->text_n[1],
                               p->text[1]);
}

static bool is_name(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if ((uint8_t)s[i] <= ' ' || s[i] == 0x7f || s[i] == '"' || s[i] == ',' || s[i] == '{')
                        return false;
        return n > 0;
}

static void want_length(struct pickle *p, uint8_t bytes) {
        p->phase = PHASE_LENGTH;
        p->length = p->length_n = 0;
        p->length_want = bytes;
}

static void pass_over(struct pickle *p, uint64_t n) {
        p->skip = n;
        p->phase = n > 0 ? PHASE_BYTES : PHASE_OPCODE;
}

static void want_lines(struct pickle *p, uint8_t lines) {
        p->phase = PHASE_LINE;
        p->lines = lines;
}

static void take_opcode(struct pickle *p, uint8_t c) {
        p->code = c;
        p->keep = false;
        if (++p->steps > PICKLE_STEPS_MAX) {
                imports(p, false);
                return;
        }
        switch ((enum shape)shapes[c]) {
        case SHAPE_NONE:
                p->state = PICKLE_BROKEN;
                break;
        case SHAPE_BARE:
                break;
        case SHAPE_FIXED_1:
                pass_over(p, 1);
                break;
        case SHAPE_FIXED_2:
                pass_over(p, 2);
                break;
        case SHAPE_FIXED_4:
                pass_over(p, 4);
                break;
        case SHAPE_FIXED_8:
                pass_over(p, 8);
                break;
        case SHAPE_TEXT_1:
                begin_text(p);
                want_length(p, 1);
                break;
        case SHAPE_TEXT_4:
                begin_text(p);
                want_length(p, 4);
                break;
        case SHAPE_TEXT_8:
                begin_text(p);
                want_length(p, 8);
                break;
        case SHAPE_COUNTED_1:
                want_length(p, 1);
                break;
        case SHAPE_COUNTED_4:
                want_length(p, 4);
                break;
        case SHAPE_COUNTED_8:
                want_length(p, 8);
                break;
        case SHAPE_LINE_TEXT:
                begin_text(p);
                want_lines(p, 1);
                break;
        case SHAPE_LINE:
                want_lines(p, 1);
                break;
        case SHAPE_LINES_2:
                begin_text(p);
                want_lines(p, 2);
                break;
        case SHAPE_STOP:
                p->state = PICKLE_STOPPED;
                break;
        case SHAPE_STACK_GLOBAL: /* takes both names from the stack; Python stops when there can be none */
                if (p->any_text)
                        imports(p, true);
                else
                        p->state = PICKLE_BROKEN;
                break;
        case SHAPE_EXTENSION:
                imports(p, false);
                break;
        }
}

static void take_length(struct pickle *p, uint8_t c) {
        p->length |= (uint64_t)c << 8 * p->length_n;
        if (++p->length_n == p->length_want)
                pass_over(p, p->length);
}

/* Ends a line; GLOBAL and INST take two, the module's and the object's name. */
static void end_line(struct pickle *p) {
        if (--p->lines > 0) {
                begin_text(p);
                return;
        }
        p->phase = PHASE_OPCODE;
        if (shapes[p->code] != SHAPE_LINES_2)
                return;
        /* What can't be a name can't be imported: Python stops there. */
        if (is_name(p->text[0], p->text_n[0]) && is_name(p->text[1], p->text_n[1]))
                imports(p, true);
        else
                p->state = PICKLE_BROKEN;
}

static size_t take_line(struct pickle *p, struct view v) {
        size_t end = view_find_char(v, '\n'), n = end == SIZE_MAX ? v.n : end;

        if (p->keep)
                keep(p, v.p, n);
        if (end == SIZE_MAX)
                return v.n;
        end_line(p);
        return n + 1;
}

static size_t take_bytes(struct pickle *p, struct view v) {
        size_t n = (size_t)MIN_OF(p->skip, (uint64_t)v.n);

        if (p->keep)
                keep(p, v.p, n);
        pass_over(p, p->skip - n);
        return n;
}

void pickle_feed(struct pickle *p, struct view bytes) {
        size_t i = 0;

        while (i < bytes.n && p->state == PICKLE_WALKING) {
                struct view rest = view_sub(bytes, i, SIZE_MAX);

                switch (p->phase) {
                case PHASE_OPCODE:
                        take_opcode(p, (uint8_t)rest.p[0]);
                        i++;
                        break;
                case PHASE_LENGTH:
                        take_length(p, (uint8_t)rest.p[0]);
                        i++;
                        break;
                case PHASE_LINE:
                        i += take_line(p, rest);
                        break;
                default:
                        i += take_bytes(p, rest);
                        break;
                }
        }
}
