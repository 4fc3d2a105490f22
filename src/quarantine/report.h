/* report: a verdict as a table for people. */
#pragma once

#include "quarantine/verdict.h"

SAI_NODISCARD int report_write(const struct verdict *v, struct buf *out);
