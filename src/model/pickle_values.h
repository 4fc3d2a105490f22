/* pickle_values: the abstract memory of the pickle machine: typed values on a stack with marks, a memo, the texts that
 * may become names and the names imported so far. Bounded by the PICKLE_ limits; what does not fit is refused with
 * -E2BIG, never dropped silently. */
#pragma once

#include "base/buf.h"
#include "model/limits.h"
#include "model/pickle_names.h"

enum pickle_type {
        PICKLE_UNKNOWN,   /* anything: said where it arose */
        PICKLE_PLAIN,     /* None, a truth value or a number */
        PICKLE_INT,       /* pickle_number: a whole number that is not negative */
        PICKLE_BYTES,     /* bytes, never a name */
        PICKLE_TEXT,      /* `ref`, `n`: its bytes */
        PICKLE_LONG_TEXT, /* a text of more than PICKLE_TEXT_MAX bytes */
        PICKLE_LOST_TEXT, /* a text that no longer fitted */
        PICKLE_LIST,      /* list, dictionary or set */
        PICKLE_TUPLE, /* `count` elements; `ref`, `n`: the last one when it is a text, or the first (PICKLE_FIRST) */
        PICKLE_SHAPE,  /* a tuple of such numbers; pickle_number: their product */
        PICKLE_GLOBAL, /* `ref`: an imported name */
        PICKLE_RESULT, /* of calling `ref`; `n`: of numpy.dtype, the size of an element (pickle_arrays.h) */
        PICKLE_PERSISTENT, /* handed over by the loading program */
};

#define PICKLE_FIRST      0x80u              /* in `count`: the text is the first element's */
#define PICKLE_NUMBER_MAX (UINT64_MAX >> 16) /* larger ones are PICKLE_PLAIN */

struct pickle_value {
        uint8_t type;
        uint8_t count; /* of a tuple: 0 to 3, 4 for more */
        uint16_t n;
        uint32_t ref;
};

#define PICKLE_REF_NONE UINT32_MAX /* the result of calling something that has no name */

static inline uint64_t pickle_number(struct pickle_value v) {
        return (uint64_t)v.n << 32 | v.ref;
}
static inline struct pickle_value pickle_number_make(enum pickle_type type, uint64_t number) {
        return (struct pickle_value){
                .type = (uint8_t)type, .n = (uint16_t)(number >> 32), .ref = (uint32_t)number};
}

/* Names whose calls are looked at more closely. */
enum pickle_role { PICKLE_ROLE_NONE, PICKLE_ROLE_CODEC, PICKLE_ROLE_DTYPE, PICKLE_ROLE_WRAPPER };

struct pickle_global {
        enum pickle_verdict verdict;
        enum pickle_role role;
        const char *why;
        uint64_t at;        /* first import */
        uint64_t called_at; /* first call */
        uint32_t imports, calls;
        uint8_t imported_by, called_by; /* opcodes */
        uint16_t module_n, name_n;
        char text[2 * 255]; /* module, then name */
};

struct pickle_memo_entry {
        struct pickle_value value;
        uint32_t generation;
};

struct pickle_values {
        struct pickle_value *stack;
        uint32_t *marks; /* stack heights */
        struct pickle_memo_entry *memo;
        struct pickle_global *globals;
        struct buf texts;
        uint16_t slots[4 * PICKLE_GLOBALS_MAX]; /* by hash: index in globals plus one, 0: free */
        uint32_t stack_n, stack_room, floor;    /* floor: the height at the last mark */
        uint32_t marks_n, marks_room;
        uint32_t memo_room, memo_n; /* memo_n: entries in use, as Python's len(memo) */
        uint32_t generation;        /* of the memo: one a pickle */
        uint32_t globals_n, globals_room;
        bool has_wrapper; /* joblib's wrapper of arrays was imported */
};

void pickle_values_init(struct pickle_values *v);
void pickle_values_done(struct pickle_values *v);
/* Forgets stack, memo and texts, not the names: another pickle begins. */
void pickle_values_restart(struct pickle_values *v);

/* -ENOMEM, -E2BIG. */
SAI_NODISCARD int pickle_stack_grow(struct pickle_values *v);
SAI_NODISCARD int pickle_mark_push(struct pickle_values *v);
SAI_NODISCARD int pickle_memo_set(struct pickle_values *v, uint64_t index, struct pickle_value value);
/* NULL when nothing was stored there. */
const struct pickle_value *pickle_memo_get(const struct pickle_values *v, uint64_t index);
/* A value for a text of `n` bytes of which the first ones are in `kept`. -ENOMEM. */
SAI_NODISCARD int pickle_text_make(struct pickle_values *v, struct view kept, uint64_t n,
                                   struct pickle_value *ret);
struct view pickle_text(const struct pickle_values *v, struct pickle_value value);
/* Finds or adds an imported name (both at most PICKLE_TEXT_MAX bytes). -ENOMEM, -E2BIG. */
SAI_NODISCARD int pickle_global_intern(struct pickle_values *v, struct view module, struct view name,
                                       uint64_t at, uint8_t opcode, uint32_t *ret);

static inline SAI_NODISCARD int pickle_push(struct pickle_values *v, struct pickle_value value) {
        if (v->stack_n == v->stack_room) {
                int r = pickle_stack_grow(v);

                if (r < 0)
                        return r;
        }
        v->stack[v->stack_n++] = value;
        return 0;
}
