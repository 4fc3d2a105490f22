/* pickle: walks Python pickle opcodes without running anything, to tell whether Python would import a name
 * from them. Streaming, constant memory. Used to name what a refused pickle would call, and to refuse
 * safetensors files whose first bytes are also a runnable pickle. */
#pragma once

#include "base/view.h"

enum pickle_state {
        PICKLE_WALKING, /* all bytes so far are opcodes */
        PICKLE_STOPPED, /* reached STOP without importing anything */
        PICKLE_BROKEN,  /* not a pickle from here on */
        PICKLE_IMPORTS, /* reached an opcode that imports a name, or more opcodes than anyone needs */
};

#define PICKLE_NAME_MAX 96u

struct pickle {
        enum pickle_state state;
        uint64_t steps;
        uint64_t skip; /* argument bytes to pass over */
        uint8_t phase;
        uint8_t code;     /* opcode being read */
        uint8_t length_n; /* bytes of its length field: read, wanted */
        uint8_t length_want;
        uint8_t lines; /* text lines still to come */
        bool keep;     /* the argument is a text that may become a name */
        uint64_t length;
        char text[2][PICKLE_NAME_MAX]; /* the last two texts; [1] is the newer */
        uint8_t text_n[2];
        bool any_text;                  /* there was one */
        bool cut;                       /* the newer text is longer than was kept */
        char name[2 * PICKLE_NAME_MAX]; /* "os.system" when state is PICKLE_IMPORTS */
};

void pickle_init(struct pickle *p);
/* Next bytes in order; ignored once the state is final. */
void pickle_feed(struct pickle *p, struct view bytes);
