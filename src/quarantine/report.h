/* report: a verdict for people. */
#pragma once

#include "quarantine/verdict.h"

/* All of it: stages, findings, what was not tested. */
SAI_NODISCARD int report_write(const struct verdict *v, struct buf *out);
/* The table of several: a line of titles, then one line an artifact: verdict, name, kind, size, the gravest finding. */
SAI_NODISCARD int report_head(struct buf *out);
SAI_NODISCARD int report_line(const struct verdict *v, struct buf *out);
