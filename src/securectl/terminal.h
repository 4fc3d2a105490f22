/* terminal: what depends on where output goes. */
#pragma once

#include "base/buf.h"
#include "wire/json.h"

/* Columns of the terminal behind `fd`; 0 when it is none. */
unsigned terminal_columns(int fd);
/* Redraws the current line of the terminal on stderr; an empty text clears it. */
void terminal_redraw(const struct buf *line);
/* Writes to stdout. What fails is found by main at the end. */
void terminal_print(const struct buf *text);
/* The value as JSON and a line feed on stdout. 0 or -ENOMEM / -EFBIG (which it says). */
SAI_NODISCARD int terminal_print_json(const struct json *v);
/* Asks on the terminal; false without one. */
bool terminal_confirm(const char *question);
/* Waits. */
void terminal_sleep(uint64_t usec);
