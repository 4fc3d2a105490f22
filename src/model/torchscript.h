/* torchscript: looks through a code file of a TorchScript archive (".py" below "code") for calls that reach files or that come from
 * outside of PyTorch. Streaming, constant memory. */
#pragma once

#include "model/report.h"

struct torchscript; /* opaque */

/* Whether an archive's member of this name is TorchScript code. */
bool torchscript_is_code(struct view name);
SAI_NODISCARD int torchscript_new(struct model_report *report, struct torchscript **ret); /* -ENOMEM */
void torchscript_feed(struct torchscript *t, struct view bytes);
void torchscript_finish(struct torchscript *t);
struct torchscript *torchscript_free(struct torchscript *t); /* NULL is fine; returns NULL */
