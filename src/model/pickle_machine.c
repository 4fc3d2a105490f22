#include "model/pickle_machine.h"

#include "base/num.h"
#include "base/text.h"
#include "model/limits.h"
#include "model/pickle_arrays.h"

/* How an opcode's argument is laid out (Lib/pickletools.py). */
enum argument {
        ARGUMENT_NO_OPCODE,
        ARGUMENT_NONE,
        ARGUMENT_1, /* a number of 1, 2, 4, 8 bytes */
        ARGUMENT_2,
        ARGUMENT_4,
        ARGUMENT_8,
        ARGUMENT_COUNTED_1, /* a length of 1, 4, 8 bytes, then that many bytes */
        ARGUMENT_COUNTED_4,
        ARGUMENT_COUNTED_8,
        ARGUMENT_LINE, /* up to a newline, once or twice */
        ARGUMENT_LINES_2
};

enum opcode {
        MARK = '(',
        STOP = '.',
        POP = '0',
        POP_MARK = '1',
        DUP = '2',
        FLOAT = 'F',
        INT = 'I',
        BININT = 'J',
        BININT1 = 'K',
        LONG = 'L',
        BININT2 = 'M',
        NONE = 'N',
        PERSID = 'P',
        BINPERSID = 'Q',
        REDUCE = 'R',
        STRING = 'S',
        BINSTRING = 'T',
        SHORT_BINSTRING = 'U',
        UNICODE = 'V',
        BINUNICODE = 'X',
        APPEND = 'a',
        BUILD = 'b',
        GLOBAL = 'c',
        DICT = 'd',
        EMPTY_DICT = '}',
        APPENDS = 'e',
        GET = 'g',
        BINGET = 'h',
        INST = 'i',
        LONG_BINGET = 'j',
        LIST = 'l',
        EMPTY_LIST = ']',
        OBJ = 'o',
        PUT = 'p',
        BINPUT = 'q',
        LONG_BINPUT = 'r',
        SETITEM = 's',
        TUPLE = 't',
        EMPTY_TUPLE = ')',
        SETITEMS = 'u',
        BINFLOAT = 'G',
        PROTO = 0x80,
        NEWOBJ = 0x81,
        EXT1 = 0x82,
        EXT2 = 0x83,
        EXT4 = 0x84,
        TUPLE1 = 0x85,
        TUPLE2 = 0x86,
        TUPLE3 = 0x87,
        NEWTRUE = 0x88,
        NEWFALSE = 0x89,
        LONG1 = 0x8a,
        LONG4 = 0x8b,
        BINBYTES = 'B',
        SHORT_BINBYTES = 'C',
        SHORT_BINUNICODE = 0x8c,
        BINUNICODE8 = 0x8d,
        BINBYTES8 = 0x8e,
        EMPTY_SET = 0x8f,
        ADDITEMS = 0x90,
        FROZENSET = 0x91,
        NEWOBJ_EX = 0x92,
        STACK_GLOBAL = 0x93,
        MEMOIZE = 0x94,
        FRAME = 0x95,
        BYTEARRAY8 = 0x96,
        NEXT_BUFFER = 0x97,
        READONLY_BUFFER = 0x98
};

#define OPCODE(op, argument) [op] = {#op, argument}
static const struct {
        const char *name;
        enum argument argument;
} opcodes[256] = {
        OPCODE(MARK, ARGUMENT_NONE),
        OPCODE(STOP, ARGUMENT_NONE),
        OPCODE(POP, ARGUMENT_NONE),
        OPCODE(POP_MARK, ARGUMENT_NONE),
        OPCODE(DUP, ARGUMENT_NONE),
        OPCODE(FLOAT, ARGUMENT_LINE),
        OPCODE(INT, ARGUMENT_LINE),
        OPCODE(BININT, ARGUMENT_4),
        OPCODE(BININT1, ARGUMENT_1),
        OPCODE(LONG, ARGUMENT_LINE),
        OPCODE(BININT2, ARGUMENT_2),
        OPCODE(NONE, ARGUMENT_NONE),
        OPCODE(PERSID, ARGUMENT_LINE),
        OPCODE(BINPERSID, ARGUMENT_NONE),
        OPCODE(REDUCE, ARGUMENT_NONE),
        OPCODE(STRING, ARGUMENT_LINE),
        OPCODE(BINSTRING, ARGUMENT_COUNTED_4),
        OPCODE(SHORT_BINSTRING, ARGUMENT_COUNTED_1),
        OPCODE(UNICODE, ARGUMENT_LINE),
        OPCODE(BINUNICODE, ARGUMENT_COUNTED_4),
        OPCODE(APPEND, ARGUMENT_NONE),
        OPCODE(BUILD, ARGUMENT_NONE),
        OPCODE(GLOBAL, ARGUMENT_LINES_2),
        OPCODE(DICT, ARGUMENT_NONE),
        OPCODE(EMPTY_DICT, ARGUMENT_NONE),
        OPCODE(APPENDS, ARGUMENT_NONE),
        OPCODE(GET, ARGUMENT_LINE),
        OPCODE(BINGET, ARGUMENT_1),
        OPCODE(INST, ARGUMENT_LINES_2),
        OPCODE(LONG_BINGET, ARGUMENT_4),
        OPCODE(LIST, ARGUMENT_NONE),
        OPCODE(EMPTY_LIST, ARGUMENT_NONE),
        OPCODE(OBJ, ARGUMENT_NONE),
        OPCODE(PUT, ARGUMENT_LINE),
        OPCODE(BINPUT, ARGUMENT_1),
        OPCODE(LONG_BINPUT, ARGUMENT_4),
        OPCODE(SETITEM, ARGUMENT_NONE),
        OPCODE(TUPLE, ARGUMENT_NONE),
        OPCODE(EMPTY_TUPLE, ARGUMENT_NONE),
        OPCODE(SETITEMS, ARGUMENT_NONE),
        OPCODE(BINFLOAT, ARGUMENT_8),
        OPCODE(PROTO, ARGUMENT_1),
        OPCODE(NEWOBJ, ARGUMENT_NONE),
        OPCODE(EXT1, ARGUMENT_1),
        OPCODE(EXT2, ARGUMENT_2),
        OPCODE(EXT4, ARGUMENT_4),
        OPCODE(TUPLE1, ARGUMENT_NONE),
        OPCODE(TUPLE2, ARGUMENT_NONE),
        OPCODE(TUPLE3, ARGUMENT_NONE),
        OPCODE(NEWTRUE, ARGUMENT_NONE),
        OPCODE(NEWFALSE, ARGUMENT_NONE),
        OPCODE(LONG1, ARGUMENT_COUNTED_1),
        OPCODE(LONG4, ARGUMENT_COUNTED_4),
        OPCODE(BINBYTES, ARGUMENT_COUNTED_4),
        OPCODE(SHORT_BINBYTES, ARGUMENT_COUNTED_1),
        OPCODE(SHORT_BINUNICODE, ARGUMENT_COUNTED_1),
        OPCODE(BINUNICODE8, ARGUMENT_COUNTED_8),
        OPCODE(BINBYTES8, ARGUMENT_COUNTED_8),
        OPCODE(EMPTY_SET, ARGUMENT_NONE),
        OPCODE(ADDITEMS, ARGUMENT_NONE),
        OPCODE(FROZENSET, ARGUMENT_NONE),
        OPCODE(NEWOBJ_EX, ARGUMENT_NONE),
        OPCODE(STACK_GLOBAL, ARGUMENT_NONE),
        OPCODE(MEMOIZE, ARGUMENT_NONE),
        OPCODE(FRAME, ARGUMENT_8),
        OPCODE(BYTEARRAY8, ARGUMENT_COUNTED_8),
        OPCODE(NEXT_BUFFER, ARGUMENT_NONE),
        OPCODE(READONLY_BUFFER, ARGUMENT_NONE),
};

static const uint8_t widths[] = {
        [ARGUMENT_1] = 1,         [ARGUMENT_2] = 2,         [ARGUMENT_4] = 4,         [ARGUMENT_8] = 8,
        [ARGUMENT_COUNTED_1] = 1, [ARGUMENT_COUNTED_4] = 4, [ARGUMENT_COUNTED_8] = 8, [ARGUMENT_LINES_2] = 0,
};

enum phase {
        PHASE_OPCODE,
        PHASE_NUMBER,
        PHASE_BYTES,
        PHASE_LINE,
        PHASE_PADDING, /* in front of joblib's array: how many bytes of it */
        PHASE_ARRAY,   /* joblib's array, plain bytes */
        PHASE_INNER    /* joblib's array, a pickle of its own */
};

#define LEGACY_PICKLES 5u /* of PyTorch's old form: magic, version, system, objects, storages' names */

/* One line more than a name may be, so that a longer one shows. */
#define LINE_MAX (4 * PICKLE_TEXT_MAX)

struct pickle_machine {
        struct model_report *report;
        uint64_t base, size;
        uint64_t at;        /* bytes taken */
        uint64_t op_at;     /* where the opcode stands, from `base` */
        uint64_t frame_end; /* 0: no frame is open */
        uint64_t outside;   /* objects that the loading program hands over */
        uint64_t number;    /* the opcode's number or length */
        uint64_t left;      /* bytes of its text still to come */
        uint32_t pickles;   /* begun */
        uint8_t opcode, phase, number_n, line;
        bool over;      /* nothing further is followed */
        bool is_inner;  /* an array's own pickle: ends at its STOP */
        bool is_legacy; /* PyTorch's old form */
        bool stopped;   /* at STOP, and nothing came after it yet */
        bool memo_lost; /* an index was not remembered, so a missing one means nothing */
        bool memo_void; /* any index may have been written: nothing in the memo is known */
        uint16_t text_n[2];
        uint64_t line_n;           /* bytes of the line so far, kept or not */
        struct pickle_array array; /* that joblib announces */
        struct pickle_machine *inner;
        struct pickle_values values;
        char text[2][LINE_MAX];
};

int pickle_machine_new(struct model_report *report, uint64_t base, uint64_t size,
                       struct pickle_machine **ret) {
        struct pickle_machine *m = calloc(1, sizeof *m);

        if (!m)
                return -ENOMEM;
        m->report = report;
        m->base = base;
        m->size = size;
        m->pickles = 1;
        pickle_values_init(&m->values);
        *ret = m;
        return 0;
}

struct pickle_machine *pickle_machine_free(struct pickle_machine *m) {
        if (m) {
                if (m->inner) /* which has no further one */
                        pickle_values_done(&m->inner->values);
                free(m->inner);
                pickle_values_done(&m->values);
                free(m);
        }
        return NULL;
}

static const char *opcode_name(uint8_t c) {
        return opcodes[c].name ? opcodes[c].name : "this byte";
}

/* Past the cap of a rule the words are not even put together: a hostile pickle has one for every few bytes. */
#define put(m, rule, ...)                                                                                    \
        do {                                                                                                 \
                if ((m)->report->counts[rule] < FINDINGS_PER_RULE_MAX)                                       \
                        report_put((m)->report, (rule), (m)->base + (m)->op_at, VIEW_NULL, __VA_ARGS__);     \
        } while (0)

/* The rest can't be followed. */
static void give_up(struct pickle_machine *m, const char *why) {
        m->over = true;
        if (m->size == PICKLE_SIZE_UNKNOWN)
                put(m, RULE_PICKLE_BROKEN, "%s at %s; what follows is not decoded.", why,
                    opcode_name(m->opcode));
        else
                put(m, RULE_PICKLE_BROKEN, "%s at %s; %llu bytes from here on are not decoded.", why,
                    opcode_name(m->opcode), (unsigned long long)(m->size - m->op_at));
}

/* Turns -E2BIG into a finding. */
static int limit(struct pickle_machine *m, int r, const char *what) {
        if (r != -E2BIG)
                return r;
        m->over = true;
        put(m, RULE_PICKLE_LIMIT, "The pickle needs more than %s; from here on it is not followed.", what);
        return 0;
}

static int push(struct pickle_machine *m, struct pickle_value v) {
        int r = pickle_push(&m->values, v);

        return r >= 0 ? 0 : limit(m, r, "a million values at once");
}

static int push_type(struct pickle_machine *m, enum pickle_type type) {
        return push(m, (struct pickle_value){.type = (uint8_t)type});
}

/* Whether `n` values stand above the last mark; the machine is over when not. */
static bool has(struct pickle_machine *m, uint32_t n) {
        if (m->values.stack_n - m->values.floor >= n)
                return true;
        give_up(m, "Too few values on the stack");
        return false;
}

static struct pickle_value pop(struct pickle_machine *m) {
        return m->values.stack[--m->values.stack_n];
}

static struct pickle_value *top(struct pickle_machine *m) {
        return &m->values.stack[m->values.stack_n - 1];
}

/* Closes the last mark: the values above it become `ret`. */
static bool pop_mark(struct pickle_machine *m, const struct pickle_value **ret, uint32_t *ret_n) {
        struct pickle_values *v = &m->values;
        uint32_t height;

        if (v->marks_n == 0) {
                give_up(m, "No MARK is open");
                return false;
        }
        height = v->marks[--v->marks_n];
        v->floor = v->marks_n > 0 ? v->marks[v->marks_n - 1] : 0;
        *ret = v->stack + height; /* stays readable until the next push */
        *ret_n = v->stack_n - height;
        v->stack_n = height;
        return true;
}

static int push_number(struct pickle_machine *m, uint64_t n) {
        return n > PICKLE_NUMBER_MAX ? push_type(m, PICKLE_PLAIN)
                                     : push(m, pickle_number_make(PICKLE_INT, n));
}

#define SHAPE_RANK_MAX 32u /* of NumPy before version 2; more is no shape */

/* A tuple of numbers: their product, as an array's shape needs it. */
static bool make_shape(const struct pickle_value *items, uint32_t n, struct pickle_value *ret) {
        uint64_t product = 1;

        if (n == 0 || n > SHAPE_RANK_MAX)
                return false;
        for (uint32_t i = 0; i < n; i++)
                if (items[i].type != PICKLE_INT || u64_mul(product, pickle_number(items[i]), &product) < 0)
                        return false;
        if (product > PICKLE_NUMBER_MAX)
                return false;
        *ret = pickle_number_make(PICKLE_SHAPE, product);
        ret->count = (uint8_t)MIN_OF(n, 4u);
        return true;
}

static bool is_tuple(struct pickle_value v) {
        return v.type == PICKLE_TUPLE || v.type == PICKLE_SHAPE;
}

static struct pickle_value make_tuple(const struct pickle_value *items, uint32_t n) {
        struct pickle_value v = {.type = PICKLE_TUPLE, .count = (uint8_t)MIN_OF(n, 4u)};

        if (make_shape(items, n, &v))
                return v;
        if (n > 0 && items[n - 1].type == PICKLE_TEXT) {
                v.n = items[n - 1].n;
                v.ref = items[n - 1].ref;
        } else if (n > 0 && items[0].type == PICKLE_TEXT) {
                v.n = items[0].n;
                v.ref = items[0].ref;
                v.count |= PICKLE_FIRST;
        } else
                v.ref = PICKLE_REF_NONE;
        return v;
}

static int do_tuple(struct pickle_machine *m, uint32_t n) {
        struct pickle_value v;

        if (!has(m, n))
                return 0;
        m->values.stack_n -= n;
        v = make_tuple(m->values.stack + m->values.stack_n, n);
        return push(m, v);
}

static int do_collect(struct pickle_machine *m, enum pickle_type type) {
        const struct pickle_value *items;
        uint32_t n;

        if (!pop_mark(m, &items, &n))
                return 0;
        return push(m, type == PICKLE_TUPLE ? make_tuple(items, n)
                                            : (struct pickle_value){.type = (uint8_t)type});
}

/* "posix.system" for people. */
static struct quote global_quote(const struct pickle_global *g) {
        char both[2 * PICKLE_TEXT_MAX + 1];

        memcpy(both, g->text, g->module_n);
        both[g->module_n] = '.';
        memcpy(both + g->module_n + 1, g->text + g->module_n, g->name_n);
        return report_quote(view_make(both, (size_t)g->module_n + 1 + g->name_n));
}

static struct pickle_global *global_of(struct pickle_machine *m, struct pickle_value v) {
        bool named = v.type == PICKLE_GLOBAL || v.type == PICKLE_RESULT;

        return named && v.ref != PICKLE_REF_NONE ? &m->values.globals[v.ref] : NULL;
}

/* What stands where a name or a function should: words for people. */
static const char *type_words(enum pickle_type type) {
        static const char *const words[] = {
                [PICKLE_UNKNOWN] = "a value that is not known before loading",
                [PICKLE_PLAIN] = "a number or None",
                [PICKLE_INT] = "a number or None",
                [PICKLE_BYTES] = "bytes",
                [PICKLE_TEXT] = "a text",
                [PICKLE_LONG_TEXT] = "a text too long for a name",
                [PICKLE_LOST_TEXT] = "one text too many to be followed",
                [PICKLE_LIST] = "a collection",
                [PICKLE_TUPLE] = "a tuple",
                [PICKLE_SHAPE] = "a tuple",
                [PICKLE_GLOBAL] = "an imported object",
                [PICKLE_RESULT] = "the result of a call",
                [PICKLE_PERSISTENT] = "an object of the loading program",
        };
        return words[type];
}

static int do_import(struct pickle_machine *m, struct view module, struct view name, uint32_t *ret) {
        int r = pickle_global_intern(&m->values, module, name, m->base + m->op_at, m->opcode, ret);

        if (r == -E2BIG) {
                struct quote q = report_quote(name), p = report_quote(module);

                put(m, RULE_PICKLE_LIMIT,
                    "More than %u different names are imported; \"%.60s.%.60s\" is not followed.",
                    PICKLE_GLOBALS_MAX, p.text, q.text);
                *ret = PICKLE_REF_NONE;
                return 0;
        }
        return r;
}

static int push_global(struct pickle_machine *m, struct view module, struct view name) {
        uint32_t ref;
        int r = do_import(m, module, name, &ref);

        if (r < 0)
                return r;
        return push(m, (struct pickle_value){.type = ref == PICKLE_REF_NONE ? PICKLE_UNKNOWN : PICKLE_GLOBAL,
                                             .ref = ref});
}

static void put_unnamed(struct pickle_machine *m, const char *which, struct pickle_value v) {
        const struct pickle_global *g = global_of(m, v);

        if (g && v.type == PICKLE_RESULT)
                put(m, RULE_PICKLE_UNNAMED,
                    "%s imports something whose %s is what \"%s\" returns while loading.",
                    opcode_name(m->opcode), which, global_quote(g).text);
        else
                put(m, RULE_PICKLE_UNNAMED, "%s imports something whose %s is %s, not a constant text.",
                    opcode_name(m->opcode), which, type_words((enum pickle_type)v.type));
}

static int do_stack_global(struct pickle_machine *m) {
        struct pickle_value name, module;

        if (!has(m, 2))
                return 0;
        name = pop(m);
        module = pop(m);
        if (module.type == PICKLE_TEXT && name.type == PICKLE_TEXT)
                return push_global(m, pickle_text(&m->values, module), pickle_text(&m->values, name));
        put_unnamed(m, module.type == PICKLE_TEXT ? "name" : "module",
                    module.type == PICKLE_TEXT ? name : module);
        return push_type(m, PICKLE_UNKNOWN);
}

/* Both lines of GLOBAL and INST as names. False: said why not. */
static bool line_names(struct pickle_machine *m, struct view *ret_module, struct view *ret_name) {
        struct view module = view_make(m->text[0], m->text_n[0]), name = view_make(m->text[1], m->text_n[1]);

        if (module.n > PICKLE_TEXT_MAX || name.n > PICKLE_TEXT_MAX) {
                put_unnamed(m, "name", (struct pickle_value){.type = PICKLE_LONG_TEXT});
                return false;
        }
        if (utf8_first_fault(module) != SIZE_MAX || utf8_first_fault(name) != SIZE_MAX) {
                give_up(m, "A name that is not UTF-8");
                return false;
        }
        *ret_module = module;
        *ret_name = name;
        return true;
}

static int do_global(struct pickle_machine *m) {
        struct view module, name;

        if (line_names(m, &module, &name))
                return push_global(m, module, name);
        return m->over ? 0 : push_type(m, PICKLE_UNKNOWN);
}

static void note_call(struct pickle_machine *m, struct pickle_global *g) {
        if (g->calls == 0) {
                g->called_at = m->base + m->op_at;
                g->called_by = m->opcode;
        }
        if (g->calls < UINT32_MAX)
                g->calls++;
}

/* The second of two arguments is the text latin1. */
static bool is_latin1(struct pickle_machine *m, struct pickle_value arguments) {
        return arguments.type == PICKLE_TUPLE && arguments.count == 2 && arguments.ref != PICKLE_REF_NONE &&
               view_eq_str(pickle_text(&m->values, arguments), "latin1");
}

/* Calls of harmless names in other ways than tensors need. */
static void check_use(struct pickle_machine *m, const struct pickle_global *g,
                      const struct pickle_value *arguments) {
        if (!arguments || !is_tuple(*arguments))
                put(m, RULE_PICKLE_CALL, "%s calls \"%s\" in a way that tensors never need.",
                    opcode_name(m->opcode), global_quote(g).text);
        else if (g->role == PICKLE_ROLE_CODEC && !is_latin1(m, *arguments))
                put(m, RULE_PICKLE_CALL, "%s calls \"%s\" with another codec than latin1.",
                    opcode_name(m->opcode), global_quote(g).text);
}

/* What is known about the result of a call besides its name. */
static struct pickle_value result_of(struct pickle_machine *m, uint32_t ref,
                                     const struct pickle_value *arguments) {
        struct pickle_value v = {.type = PICKLE_RESULT, .ref = ref};
        enum pickle_role role = m->values.globals[ref].role;

        if (role == PICKLE_ROLE_WRAPPER)
                m->array = (struct pickle_array){0};
        if (role == PICKLE_ROLE_DTYPE && arguments && arguments->type == PICKLE_TUPLE &&
            arguments->ref != PICKLE_REF_NONE && (arguments->count & PICKLE_FIRST || arguments->count == 1))
                v.n = pickle_element_size(pickle_text(&m->values, *arguments));
        return v;
}

/* `callee` is called with `arguments` (NULL: by an opcode that harmless pickles don't use). */
static int do_call(struct pickle_machine *m, struct pickle_value callee,
                   const struct pickle_value *arguments) {
        struct pickle_global *g = global_of(m, callee);
        const char *by = opcode_name(m->opcode);

        if (callee.type != PICKLE_GLOBAL) {
                if (g)
                        put(m, RULE_PICKLE_CALL, "%s calls what \"%s\" returned.", by, global_quote(g).text);
                else
                        put(m, RULE_PICKLE_CALL, "%s calls %s.", by,
                            type_words((enum pickle_type)callee.type));
                return push(m, (struct pickle_value){.type = PICKLE_RESULT, .ref = PICKLE_REF_NONE});
        }
        note_call(m, g);
        if (g->verdict == PICKLE_NAME_HARMLESS)
                check_use(m, g, arguments);
        return push(m, result_of(m, callee.ref, arguments));
}

/* REDUCE and NEWOBJ: callable, arguments. */
static int do_reduce(struct pickle_machine *m) {
        struct pickle_value arguments, callee;

        if (!has(m, 2))
                return 0;
        arguments = pop(m);
        callee = pop(m);
        return do_call(m, callee, &arguments);
}

static int do_newobj_ex(struct pickle_machine *m) {
        if (!has(m, 3))
                return 0;
        m->values.stack_n -= 2;
        return do_call(m, pop(m), NULL);
}

static int do_obj(struct pickle_machine *m) {
        const struct pickle_value *items;
        uint32_t n;

        if (!pop_mark(m, &items, &n))
                return 0;
        if (n == 0) {
                give_up(m, "No class on the stack");
                return 0;
        }
        return do_call(m, items[0], NULL);
}

static int do_inst(struct pickle_machine *m) {
        const struct pickle_value *items;
        struct view module, name;
        uint32_t n, ref;
        int r;

        if (!pop_mark(m, &items, &n))
                return 0;
        if (!line_names(m, &module, &name))
                return m->over ? 0 : push_type(m, PICKLE_UNKNOWN);
        r = do_import(m, module, name, &ref);
        if (r < 0)
                return r;
        if (ref == PICKLE_REF_NONE)
                return push_type(m, PICKLE_UNKNOWN);
        return do_call(m, (struct pickle_value){.type = PICKLE_GLOBAL, .ref = ref}, NULL);
}

/* copyreg's registry of the loading program gives the number a name. */
static int do_extension(struct pickle_machine *m) {
        char number[24];
        uint32_t ref;
        int r;

        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)m->number);
        r = do_import(m, VIEW("copyreg extension"), view_of(number), &ref);
        if (r < 0)
                return r;
        if (ref == PICKLE_REF_NONE)
                return push_type(m, PICKLE_UNKNOWN);
        m->values.globals[ref].verdict = PICKLE_NAME_EXTENSION;
        return push(m, (struct pickle_value){.type = PICKLE_GLOBAL, .ref = ref});
}

/* joblib's array stands behind the opcode that completes its wrapper. */
static int begin_array(struct pickle_machine *m) {
        int r = pickle_array_size(&m->array, &m->left);

        if (r == -EISDIR && !m->is_inner) {
                r = pickle_machine_new(m->report, m->base + m->at, PICKLE_SIZE_UNKNOWN, &m->inner);
                if (r < 0)
                        return r;
                m->inner->is_inner = true;
                m->phase = PHASE_INNER;
        } else if (r < 0)
                give_up(m, "An array of unknown length");
        else if (m->size != PICKLE_SIZE_UNKNOWN && m->left > m->size - m->at)
                give_up(m, "An array that reaches over the end of the file");
        else if (m->array.is_padded)
                m->phase = PHASE_PADDING;
        else if (m->left > 0)
                m->phase = PHASE_ARRAY;
        return 0;
}

/* Sets the state of an object: calls its __setstate__, or writes its attributes. */
static int do_build(struct pickle_machine *m) {
        struct pickle_global *g;

        if (!has(m, 2))
                return 0;
        m->values.stack_n--;
        g = global_of(m, *top(m));
        if (top(m)->type == PICKLE_RESULT && g && g->verdict == PICKLE_NAME_HARMLESS)
                return g->role == PICKLE_ROLE_WRAPPER ? begin_array(m) : 0;
        if (top(m)->type == PICKLE_GLOBAL) {
                note_call(m, g);
                put(m, RULE_PICKLE_CALL,
                    "BUILD writes attributes into \"%s\" itself, for everyone who uses it.",
                    global_quote(g).text);
        } else if (g)
                put(m, RULE_PICKLE_CALL,
                    "BUILD sets the state of what \"%s\" returned: its __setstate__ runs.",
                    global_quote(g).text);
        else
                put(m, RULE_PICKLE_CALL, "BUILD sets the state of %s.",
                    type_words((enum pickle_type)top(m)->type));
        return 0;
}

/* APPEND, SETITEM and their like call methods of what they fill. */
static void check_filled(struct pickle_machine *m) {
        const struct pickle_global *g = global_of(m, *top(m));

        if (top(m)->type == PICKLE_LIST)
                return;
        if (top(m)->type == PICKLE_RESULT && g && g->verdict == PICKLE_NAME_HARMLESS)
                return;
        if (g)
                put(m, RULE_PICKLE_CALL, "%s calls a method of \"%s\" or of what it returned.",
                    opcode_name(m->opcode), global_quote(g).text);
        else
                put(m, RULE_PICKLE_CALL, "%s fills %s.", opcode_name(m->opcode),
                    type_words((enum pickle_type)top(m)->type));
}

/* Pairs for a dictionary, which may be the state of joblib's wrapper. */
static void take_pairs(struct pickle_machine *m, const struct pickle_value *items, uint32_t n) {
        if (m->values.has_wrapper && top(m)->type == PICKLE_LIST)
                for (uint32_t i = 0; i + 1 < n; i += 2)
                        pickle_array_take(&m->array, &m->values, items[i], items[i + 1]);
}

static void do_fill(struct pickle_machine *m, uint32_t items) {
        if (!has(m, items + 1))
                return;
        m->values.stack_n -= items;
        check_filled(m);
        take_pairs(m, m->values.stack + m->values.stack_n, items);
}

static void do_fill_mark(struct pickle_machine *m) {
        const struct pickle_value *items;
        uint32_t n;

        if (pop_mark(m, &items, &n) && has(m, 1)) {
                check_filled(m);
                take_pairs(m, items, n);
        }
}

static void do_pop(struct pickle_machine *m) {
        const struct pickle_value *items;
        uint32_t n;

        if (m->values.marks_n > 0 && m->values.floor == m->values.stack_n)
                (void)pop_mark(m, &items, &n);
        else if (has(m, 1))
                m->values.stack_n--;
}

static int do_put(struct pickle_machine *m, uint64_t index) {
        int r;

        if (!has(m, 1))
                return 0;
        r = pickle_memo_set(&m->values, index, *top(m));
        if (r != -E2BIG)
                return r;
        m->memo_lost = true;
        put(m, RULE_PICKLE_LIMIT, "Memo entry %llu is beyond %u and is not remembered.",
            (unsigned long long)index, PICKLE_MEMO_MAX);
        return 0;
}

static int do_get(struct pickle_machine *m, uint64_t index) {
        const struct pickle_value *v = pickle_memo_get(&m->values, index);

        if (v && !m->memo_void)
                return push(m, *v);
        if (m->memo_lost)
                return push_type(m, PICKLE_UNKNOWN);
        if (m->pickles > 1) { /* one unpickler may read several pickles with one memo */
                put(m, RULE_PICKLE_UNNAMED,
                    "Memo entry %llu is not from this pickle; it may be from one before it.",
                    (unsigned long long)index);
                return push_type(m, PICKLE_UNKNOWN);
        }
        give_up(m, "A memo entry that was never stored");
        return 0;
}

/* Python reads more spellings of a number ("1_0", " 10"); its own writer uses one. */
static int do_memo_line(struct pickle_machine *m) {
        uint64_t index;

        if (u64_parse(view_make(m->text[0], m->text_n[0]), UINT64_MAX, &index) >= 0)
                return m->opcode == GET ? do_get(m, index) : do_put(m, index);
        put(m, RULE_PICKLE_BROKEN,
            "%s names its memo entry in an unusual spelling; the memo is not followed.",
            opcode_name(m->opcode));
        if (m->opcode == GET)
                return push_type(m, PICKLE_UNKNOWN);
        m->memo_lost = m->memo_void = true;
        (void)has(m, 1);
        return 0;
}

/* The index is the number of entries; how many there are is not known any more once one was lost. */
static int do_memoize(struct pickle_machine *m) {
        m->memo_void |= m->memo_lost && m->values.memo_n < PICKLE_MEMO_MAX;
        return do_put(m, m->values.memo_n);
}

static int push_text(struct pickle_machine *m, struct view kept, uint64_t n) {
        struct pickle_value v;
        int r = pickle_text_make(&m->values, kept, n, &v);

        return r < 0 ? r : push(m, v);
}

static unsigned digit_of(char c) {
        if (c >= '0' && c <= '9')
                return (unsigned)(c - '0');
        if (c >= 'a' && c <= 'f')
                return (unsigned)(c - 'a') + 10;
        return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 99;
}

/* Up to `most` digits of a base at `*i`. */
static uint32_t take_digits(struct view v, size_t *i, unsigned base, unsigned most) {
        uint32_t value = 0;

        for (unsigned k = 0; k < most && *i < v.n && digit_of(v.p[*i]) < base; k++)
                value = value * base + digit_of(v.p[(*i)++]);
        return value;
}

/* Appends a code point as UTF-8; nothing when it is none. */
static size_t put_utf8(char *out, uint32_t c) {
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (char)(0xc0 | c >> 6);
                out[1] = (char)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (char)(0xe0 | c >> 12);
                out[1] = (char)(0x80 | (c >> 6 & 0x3f));
                out[2] = (char)(0x80 | (c & 0x3f));
                return 3;
        }
        if (c > 0x10ffff)
                return 0;
        out[0] = (char)(0xf0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 0x3f));
        out[2] = (char)(0x80 | (c >> 6 & 0x3f));
        out[3] = (char)(0x80 | (c & 0x3f));
        return 4;
}

/* A backslash of STRING: what Python's codecs.escape_decode makes of it. `i` stands behind the backslash. */
static uint32_t take_escape(struct view v, size_t *i) {
        static const char from[] = "abtnvfr", to[] = "\a\b\t\n\v\f\r";
        char c = v.p[(*i)++];
        const char *found = c ? strchr(from, c) : NULL;

        if (found)
                return (uint8_t)to[found - from];
        if (c == 'x')
                return take_digits(v, i, 16, 2);
        if (c >= '0' && c <= '7') {
                (*i)--;
                return take_digits(v, i, 8, 3) & 0xff;
        }
        return (uint8_t)c;
}

/* The text of STRING (in quotes, with backslashes) or UNICODE (\u and \U only). Never longer than the line: each
 * escape is at least as long as what it stands for. */
static size_t unescape(struct view line, bool quoted, char *out) {
        size_t n = 0, i = 0;

        while (i < line.n) {
                char c = line.p[i++];

                if (c != '\\' || i == line.n) {
                        out[n++] = c;
                } else if (quoted) {
                        n += put_utf8(out + n, take_escape(line, &i));
                } else if (line.p[i] == 'u' || line.p[i] == 'U') {
                        unsigned digits = line.p[i++] == 'u' ? 4 : 8;

                        n += put_utf8(out + n, take_digits(line, &i, 16, digits));
                } else
                        out[n++] = c;
        }
        return n;
}

static struct view strip_quotes(struct view v) {
        while (v.n > 0 && strchr(" \t\r\f\v", v.p[v.n - 1]))
                v.n--;
        if (v.n >= 2 && (v.p[0] == '\'' || v.p[0] == '"') && v.p[v.n - 1] == v.p[0])
                return view_sub(v, 1, v.n - 2);
        return v;
}

static int do_text_line(struct pickle_machine *m, bool quoted) {
        struct view line = view_make(m->text[0], m->text_n[0]);
        char text[LINE_MAX + 4];
        size_t n;

        if (m->line_n > LINE_MAX)
                return push_type(m, PICKLE_LONG_TEXT);
        n = unescape(quoted ? strip_quotes(line) : line, quoted, text);
        return push_text(m, view_make(text, n), n);
}

/* "12" or "12L"; "00" and "01" are False and True, and for an index as good. */
static int do_number_line(struct pickle_machine *m) {
        struct view line = view_make(m->text[0], m->text_n[0]);
        uint64_t n;

        if (m->opcode == LONG && view_ends(line, VIEW("L")))
                line.n--;
        return u64_parse(line, PICKLE_NUMBER_MAX, &n) < 0 ? push_type(m, PICKLE_PLAIN) : push_number(m, n);
}

/* Two's complement, little-endian. The number that torch.save wrote in front of everything says which form follows. */
static int do_long(struct pickle_machine *m, struct view bytes) {
        static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
        char wide[8] = {0};

        if (m->op_at == 2 && m->pickles == 1 && view_eq(bytes, view_make(magic, sizeof magic - 1)))
                m->is_legacy = true;
        if (m->number > 6 || (bytes.n > 0 && bytes.p[bytes.n - 1] & 0x80))
                return push_type(m, PICKLE_PLAIN);
        if (bytes.n > 0)
                memcpy(wide, bytes.p, bytes.n);
        return push_number(m, load_le64(wide));
}

static void do_frame(struct pickle_machine *m) {
        if (m->frame_end > m->op_at)
                put(m, RULE_PICKLE_BROKEN, "A FRAME begins inside another one, which Python never writes.");
        if (m->size != PICKLE_SIZE_UNKNOWN && m->number > m->size - m->at)
                put(m, RULE_PICKLE_BROKEN, "A FRAME announces %llu bytes, but only %llu follow.",
                    (unsigned long long)m->number, (unsigned long long)(m->size - m->at));
        m->frame_end = m->number <= UINT64_MAX - m->at ? m->at + m->number : 0;
}

static void do_stop(struct pickle_machine *m) {
        if (!has(m, 1))
                return;
        m->stopped = true;
        if (m->values.marks_n > 0 || m->values.stack_n > 1)
                put(m, RULE_PICKLE_BROKEN,
                    "STOP leaves values on the stack, which Python's own writer never does.");
}

static void do_protocol(struct pickle_machine *m) {
        if (m->number > 5)
                give_up(m, "A protocol that doesn't exist");
}

/* All of an opcode is there: its number in `number`, its text in `text` (the first bytes of `number` bytes). */
static int execute(struct pickle_machine *m, uint8_t opcode, struct view text) {
        switch ((enum opcode)opcode) {
        case MARK:
                return limit(m, pickle_mark_push(&m->values), "65,536 open MARKs");
        case STOP:
                do_stop(m);
                return 0;
        case POP:
                do_pop(m);
                return 0;
        case POP_MARK: {
                const struct pickle_value *items;
                uint32_t n;

                (void)pop_mark(m, &items, &n);
                return 0;
        }
        case DUP:
                return has(m, 1) ? push(m, *top(m)) : 0;
        case FLOAT:
        case NONE:
        case BINFLOAT:
        case NEWTRUE:
        case NEWFALSE:
        case LONG4:
                return push_type(m, PICKLE_PLAIN);
        case BININT1:
        case BININT2:
                return push_number(m, m->number);
        case BININT:
                return m->number > INT32_MAX ? push_type(m, PICKLE_PLAIN) : push_number(m, m->number);
        case INT:
        case LONG:
                return do_number_line(m);
        case LONG1:
                return do_long(m, text);
        case BINPERSID:
                if (!has(m, 1))
                        return 0;
                m->values.stack_n--;
                m->outside++;
                return push_type(m, PICKLE_PERSISTENT);
        case PERSID:
        case NEXT_BUFFER:
                m->outside++;
                return push_type(m, PICKLE_PERSISTENT);
        case READONLY_BUFFER:
                (void)has(m, 1);
                return 0;
        case REDUCE:
        case NEWOBJ:
                return do_reduce(m);
        case NEWOBJ_EX:
                return do_newobj_ex(m);
        case OBJ:
                return do_obj(m);
        case INST:
                return do_inst(m);
        case BUILD:
                return do_build(m);
        case GLOBAL:
                return do_global(m);
        case STACK_GLOBAL:
                return do_stack_global(m);
        case EXT1:
        case EXT2:
        case EXT4:
                return do_extension(m);
        case STRING:
        case UNICODE:
                return do_text_line(m, opcode == STRING);
        case BINSTRING:
        case SHORT_BINSTRING:
        case BINUNICODE:
        case SHORT_BINUNICODE:
        case BINUNICODE8:
                return push_text(m, text, m->number);
        case BINBYTES:
        case SHORT_BINBYTES:
        case BINBYTES8:
        case BYTEARRAY8:
                return push_type(m, PICKLE_BYTES);
        case EMPTY_DICT:
        case EMPTY_LIST:
        case EMPTY_SET:
                return push_type(m, PICKLE_LIST);
        case EMPTY_TUPLE:
                return do_tuple(m, 0);
        case TUPLE1:
                return do_tuple(m, 1);
        case TUPLE2:
                return do_tuple(m, 2);
        case TUPLE3:
                return do_tuple(m, 3);
        case TUPLE:
                return do_collect(m, PICKLE_TUPLE);
        case LIST:
        case DICT:
        case FROZENSET:
                return do_collect(m, PICKLE_LIST);
        case APPEND:
                do_fill(m, 1);
                return 0;
        case SETITEM:
                do_fill(m, 2);
                return 0;
        case APPENDS:
        case SETITEMS:
        case ADDITEMS:
                do_fill_mark(m);
                return 0;
        case GET:
        case PUT:
                return do_memo_line(m);
        case BINGET:
        case LONG_BINGET:
                return do_get(m, m->number);
        case BINPUT:
        case LONG_BINPUT:
                return do_put(m, m->number);
        case MEMOIZE:
                return do_memoize(m);
        case PROTO:
                do_protocol(m);
                return 0;
        case FRAME:
                do_frame(m);
                return 0;
        default:
                give_up(m, "No such opcode");
                return 0;
        }
}

/* Another pickle may follow the one that ended. */
static void restart(struct pickle_machine *m) {
        m->op_at = m->at;
        m->stopped = m->memo_lost = m->memo_void = false;
        m->frame_end = 0;
        if (m->is_legacy && m->pickles == LEGACY_PICKLES) {
                m->over = true;
                put(m, RULE_PICKLE_STORAGES,
                    "The five pickles of PyTorch's old form end here; raw numbers of tensors follow.");
                return;
        }
        if (m->pickles == 1 && !m->is_legacy)
                put(m, RULE_PICKLE_AFTER_STOP, "The pickle ends here, but the file goes on.");
        pickle_values_restart(&m->values);
        if (++m->pickles > PICKLE_COUNT_MAX)
                (void)limit(m, -E2BIG, "a million pickles in a row");
}

/* A complete opcode of which `at` already counts every byte. */
static int complete(struct pickle_machine *m, struct view text) {
        m->phase = PHASE_OPCODE;
        if (m->frame_end > 0 && m->at > m->frame_end) {
                if (m->op_at < m->frame_end)
                        put(m, RULE_PICKLE_BROKEN,
                            "%s reaches over the end of its FRAME, which Python never writes.",
                            opcode_name(m->opcode));
                m->frame_end = 0;
        }
        return execute(m, m->opcode, text);
}

static bool is_counted(enum argument a) {
        return a >= ARGUMENT_COUNTED_1 && a <= ARGUMENT_COUNTED_8;
}

static uint64_t load(const char *p, unsigned width) {
        switch (width) {
        case 1:
                return (uint8_t)*p;
        case 2:
                return load_le16(p);
        case 4:
                return load_le32(p);
        case 8:
                return load_le64(p);
        default:
                return 0;
        }
}

/* The length of a text or bytes is known: false when that many can't follow. */
static bool check_length(struct pickle_machine *m) {
        if (m->opcode == BINSTRING && m->number > INT32_MAX) {
                give_up(m, "A negative length");
                return false;
        }
        if (m->number > m->size - m->at) { /* also of an unknown size: no file is that long */
                give_up(m, "A length beyond the end of the file");
                return false;
        }
        return true;
}

/* An opcode that lies in `v` as a whole: bytes it takes, 0 when it does not. */
static size_t take_whole(struct pickle_machine *m, struct view v, int *ret_r) {
        uint8_t c = (uint8_t)v.p[0];
        enum argument a = opcodes[c].argument;
        size_t n = 1;
        struct view text = VIEW_NULL;

        if (a >= ARGUMENT_LINE)
                return 0;
        n += widths[a];
        if (n > v.n)
                return 0;
        if (a > ARGUMENT_NONE)
                m->number = load(v.p + 1, widths[a]);
        if (a >= ARGUMENT_COUNTED_1) {
                if (m->number > v.n - n)
                        return 0;
                text = view_sub(v, n, (size_t)MIN_OF(m->number, (uint64_t)PICKLE_TEXT_MAX));
                n += (size_t)m->number;
                if (c == BINSTRING && m->number > INT32_MAX)
                        return 0;
        }
        m->opcode = c;
        m->op_at = m->at;
        m->at += n;
        *ret_r = complete(m, text);
        return n;
}

static int begin_opcode(struct pickle_machine *m, uint8_t c) {
        enum argument a = opcodes[c].argument;

        m->op_at = m->at++;
        m->opcode = c;
        m->number = m->number_n = 0;
        m->text_n[0] = m->text_n[1] = 0;
        m->line = 0;
        m->line_n = 0;
        if (a <= ARGUMENT_NONE)
                return complete(m, VIEW_NULL);
        m->phase = a >= ARGUMENT_LINE ? PHASE_LINE : PHASE_NUMBER;
        return 0;
}

static int take_number(struct pickle_machine *m, uint8_t c) {
        enum argument a = opcodes[m->opcode].argument;

        m->at++;
        m->number |= (uint64_t)c << 8 * m->number_n;
        if (++m->number_n < widths[a])
                return 0;
        if (!is_counted(a))
                return complete(m, VIEW_NULL);
        if (!check_length(m))
                return 0;
        m->left = m->number;
        m->phase = PHASE_BYTES;
        return m->left > 0 ? 0 : complete(m, VIEW(""));
}

static void keep(struct pickle_machine *m, struct view v, size_t most) {
        size_t have = m->text_n[m->line], n = MIN_OF(v.n, most - have);

        memcpy(m->text[m->line] + have, v.p, n);
        m->text_n[m->line] = (uint16_t)(have + n);
}

static int take_bytes(struct pickle_machine *m, struct view v, size_t *ret_n) {
        size_t n = (size_t)MIN_OF(m->left, (uint64_t)v.n);

        keep(m, view_sub(v, 0, n), PICKLE_TEXT_MAX);
        m->at += n;
        m->left -= n;
        *ret_n = n;
        return m->left > 0 ? 0 : complete(m, view_make(m->text[0], m->text_n[0]));
}

static int take_line(struct pickle_machine *m, struct view v, size_t *ret_n) {
        size_t end = view_find_char(v, '\n'), n = MIN_OF(end, v.n);

        keep(m, view_sub(v, 0, n), LINE_MAX);
        m->line_n += n;
        *ret_n = n + (end != SIZE_MAX);
        m->at += *ret_n;
        if (end == SIZE_MAX)
                return 0;
        if (opcodes[m->opcode].argument == ARGUMENT_LINES_2 && m->line == 0) {
                m->line = 1;
                return 0;
        }
        return complete(m, VIEW_NULL);
}

static void take_padding(struct pickle_machine *m, uint8_t n) {
        m->at++;
        m->left += n; /* of 2^64 at most a file's size is left, see begin_array */
        m->phase = m->left > 0 ? PHASE_ARRAY : PHASE_OPCODE;
}

static void take_array(struct pickle_machine *m, struct view v, size_t *ret_n) {
        *ret_n = (size_t)MIN_OF(m->left, (uint64_t)v.n);
        m->at += *ret_n;
        m->left -= *ret_n;
        if (m->left == 0)
                m->phase = PHASE_OPCODE;
}

static int feed_until_stop(struct pickle_machine *m, struct view *bytes);

static int take_inner(struct pickle_machine *m, struct view v, size_t *ret_n) {
        struct view rest = v;
        int r = feed_until_stop(m->inner, &rest);

        *ret_n = m->inner->over ? v.n : v.n - rest.n;
        m->at += *ret_n;
        if (r < 0 || (!m->inner->over && !m->inner->stopped))
                return r;
        m->over = m->inner->over; /* without its end there is no telling where this one goes on */
        pickle_machine_finish(m->inner);
        m->inner = pickle_machine_free(m->inner);
        m->phase = PHASE_OPCODE;
        return 0;
}

static int take_part(struct pickle_machine *m, struct view v, size_t *ret_n) {
        *ret_n = 1;
        switch ((enum phase)m->phase) {
        case PHASE_NUMBER:
                return take_number(m, (uint8_t)v.p[0]);
        case PHASE_BYTES:
                return take_bytes(m, v, ret_n);
        case PHASE_LINE:
                return take_line(m, v, ret_n);
        case PHASE_PADDING:
                take_padding(m, (uint8_t)v.p[0]);
                return 0;
        case PHASE_ARRAY:
                take_array(m, v, ret_n);
                return 0;
        case PHASE_INNER:
                return take_inner(m, v, ret_n);
        default:
                return begin_opcode(m, (uint8_t)v.p[0]);
        }
}

/* Takes from `bytes` what it needs; an array's own pickle leaves what stands behind its STOP. */
static int feed_until_stop(struct pickle_machine *m, struct view *bytes) {
        int r = 0;

        while (bytes->n > 0 && !m->over && r >= 0) {
                size_t n = 0;

                if (m->stopped && m->is_inner)
                        break;
                if (m->stopped)
                        restart(m);
                if (m->over)
                        break;
                if (m->phase == PHASE_OPCODE)
                        n = take_whole(m, *bytes, &r);
                if (n == 0)
                        r = take_part(m, *bytes, &n);
                bytes->p += n;
                bytes->n -= n;
        }
        return r;
}

int pickle_machine_feed(struct pickle_machine *m, struct view bytes) {
        return feed_until_stop(m, &bytes);
}

/* "Imports "os.system" (GLOBAL) and calls it (REDUCE at 17): it runs programs." */
static void put_global(struct pickle_machine *m, const struct pickle_global *g, enum model_rule rule) {
        char use[64] = ", never calls it";

        if (g->calls > 0)
                (void)snprintf(use, sizeof use, " and calls it (%s at %llu)", opcode_name(g->called_by),
                               (unsigned long long)g->called_at);
        report_put(m->report, rule, g->at, VIEW_NULL, "Imports \"%.80s\" (%s)%s: it %s.",
                   global_quote(g).text, opcode_name(g->imported_by), use, g->why);
}

static uint32_t count_of(const struct pickle_machine *m, enum pickle_verdict verdict) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < m->values.globals_n; i++)
                n += m->values.globals[i].verdict == verdict;
        return n;
}

/* All names of a verdict, in their order; the last place of a rule says how many were left out. */
static void put_globals(struct pickle_machine *m, enum pickle_verdict verdict, enum model_rule rule) {
        uint32_t n = count_of(m, verdict), shown = 0;

        for (uint32_t i = 0; i < m->values.globals_n; i++) {
                const struct pickle_global *g = &m->values.globals[i];

                if (g->verdict != verdict)
                        continue;
                if (n > FINDINGS_PER_RULE_MAX && shown == FINDINGS_PER_RULE_MAX - 1) {
                        report_put(m->report, rule, g->at, VIEW_NULL,
                                   "Imports \"%s\" and %u further such names.", global_quote(g).text,
                                   n - shown - 1);
                        return;
                }
                put_global(m, g, rule);
                shown++;
        }
}

static void put_harmless(struct pickle_machine *m) {
        uint32_t n = count_of(m, PICKLE_NAME_HARMLESS), i = 0;

        if (n == 0)
                return;
        while (m->values.globals[i].verdict != PICKLE_NAME_HARMLESS)
                i++;
        report_put(m->report, RULE_PICKLE_HARMLESS, m->values.globals[i].at, VIEW_NULL,
                   "%u of the imported names are known and harmless, \"%s\" first.", n,
                   global_quote(&m->values.globals[i]).text);
}

void pickle_machine_finish(struct pickle_machine *m) {
        if (m->inner)
                pickle_machine_finish(m->inner);
        if (!m->over && !m->stopped) {
                if (m->phase == PHASE_OPCODE)
                        m->op_at = m->at;
                put(m, RULE_PICKLE_BROKEN, "The pickle breaks off here, before its STOP.");
        }
        for (uint32_t i = 0; i < m->values.globals_n; i++)
                if (m->values.globals[i].verdict == PICKLE_NAME_EXTENSION)
                        m->values.globals[i].why = "stands for whatever the loading program registered";
        put_globals(m, PICKLE_NAME_DANGEROUS, RULE_PICKLE_DANGEROUS);
        put_globals(m, PICKLE_NAME_UNLISTED, RULE_PICKLE_UNLISTED);
        put_globals(m, PICKLE_NAME_EXTENSION, RULE_PICKLE_UNNAMED);
        put_harmless(m);
        if (m->outside > 0)
                report_put(m->report, RULE_PICKLE_OUTSIDE, m->base, VIEW_NULL,
                           "Objects that the loading program hands over, which are not in the pickle: %llu.",
                           (unsigned long long)m->outside);
}
