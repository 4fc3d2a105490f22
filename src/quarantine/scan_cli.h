/* scan_cli: `quarantine --scan`: the stages on files, without importing them. */
#pragma once

#include "base/macros.h"

/* Exit code: 0 all passed, 1 one was rejected, 2 usage, internal error or not finished. */
int scan_cli(int argc, char *argv[]);
