/* text_runs: finds stretches of text in bytes at memory speed. Weights hold few: a byte of text by chance is one in
 * three, twelve in a row one place in 100,000. Pure. */
#pragma once

#include "base/view.h"

#define TEXT_RUN_LEAST 12u

/* Printable ASCII, white space and NUL (texts of two bytes a character have one after each letter). */
static inline bool text_run_byte(uint8_t c) {
        return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r') || c == 0;
}

/* The first run of at least TEXT_RUN_LEAST such bytes that begins at `from` or later: [*ret_start, *ret_end). False: there
 * is none. */
bool text_run_next(struct view bytes, size_t from, size_t *ret_start, size_t *ret_end);
