/* coroutine: a function that stops in the middle and goes on later, on a stack of its own, in the same thread: the scan
 * worker is handed bytes, while a library that unpacks asks for them. */
#pragma once

#include "base/macros.h"

struct coroutine; /* opaque */

/* `run` starts with the first resume. `stack`: bytes; a page below it is left unmapped. -ENOMEM. */
SAI_NODISCARD int coroutine_new(void (*run)(void *userdata), void *userdata, size_t stack,
                                struct coroutine **ret);
/* Goes on until it yields or returns; false once it has returned. */
bool coroutine_resume(struct coroutine *c);
/* From inside: back to whoever resumed. */
void coroutine_yield(struct coroutine *c);
/* It must have returned, or never have begun. NULL is fine; returns NULL. */
struct coroutine *coroutine_free(struct coroutine *c);
