/* tensorflow: walks a SavedModel or a frozen GraphDef (protobuf) as its bytes come, and names the operators that reach
 * files, run Python or machine code, with the node and its offset. Keras layers in its metadata are looked for, too. What
 * is not followed is passed over, whatever it holds. Streaming, constant memory. */
#pragma once

#include "model/report.h"

struct tensorflow; /* opaque */

/* `size`: of the message, UINT64_MAX until finish; `is_graph`: a GraphDef, not a SavedModel. -ENOMEM. */
SAI_NODISCARD int tensorflow_new(struct model_report *report, uint64_t size, bool is_graph,
                                 struct tensorflow **ret);
void tensorflow_feed(struct tensorflow *t, struct view bytes);
void tensorflow_finish(struct tensorflow *t);
struct tensorflow *tensorflow_free(struct tensorflow *t); /* NULL is fine; returns NULL */

/* What an operator does that a model has no need of, to follow "which "; NULL: nothing that is known. */
const char *tensorflow_operator_harm(struct view name);
