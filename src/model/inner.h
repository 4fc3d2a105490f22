/* inner: a file that lies inside an archive: decides by content what it is and follows what it would do. Its kind is no
 * fault by itself; programs, program code and names that disagree with the content are. Streaming. */
#pragma once

#include "model/refused.h"

struct inner; /* opaque */

/* `name`: its path in the archive. The report's `inside` is the caller's to set. -ENOMEM. */
SAI_NODISCARD int inner_new(const struct refused_context *c, struct view name, struct inner **ret);
SAI_NODISCARD int inner_feed(struct inner *i, struct view bytes);           /* -ENOMEM */
SAI_NODISCARD int inner_finish(struct inner *i, enum model_kind *ret_kind); /* -ENOMEM */
struct inner *inner_free(struct inner *i);                                  /* NULL is fine; returns NULL */
