/* documents: what was written down about a model or an import (statement, bill of materials, …), fetched into files. */
#pragma once

#include "securectl/link.h"
#include "wire/json.h"

/* `path`: of the model or job ("/v1/models/<sha256>"), `object`: what that path answers, with "documents" and "name", `otherwise`: for
 * files whose name can't be one. Writes <folder>/<name>.<document>.json for each and prints the paths. 0, or negative after it has said
 * what is wrong. */
SAI_NODISCARD int documents_fetch(const struct link *link, const char *path, const struct json *object,
                                  const char *otherwise, const char *folder);
