/* executable: looks through a program for what it carries along: GGUF models and a ZIP archive at its end, as a llamafile
 * has them. Streaming. */
#pragma once

#include "model/report.h"

struct executable; /* opaque */

SAI_NODISCARD int executable_new(struct model_report *report, struct executable **ret); /* -ENOMEM */
void executable_feed(struct executable *e, struct view bytes);
void executable_finish(struct executable *e);
struct executable *executable_free(struct executable *e); /* NULL is fine; returns NULL */
