/* explain: what the rules that findings quote mean, from the catalogue (model/catalogue.h). */
#pragma once

#include "base/buf.h"

/* Writes what `n` ids mean, in any case of letters; with none: a list of all rules. `json`: {"rules":[…]} with the whole of
 * each either way. 0, -ENOENT and *ret_unknown (which of them) when there is no such rule, or -ENOMEM. */
SAI_NODISCARD int explain_write(struct buf *out, char *const ids[], size_t n, bool json, size_t *ret_unknown);

/* To standard output, for the commands; returns the exit code: no when there is no such rule. */
int explain_print(char *const ids[], int n, bool json);
