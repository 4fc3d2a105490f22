/* schema: the part of JSON Schema that config.h names, on trees of wire/json.h. For config.c; others use config.h. */
#pragma once

#include "base/fault.h"
#include "wire/json.h"

/* 0, or -EINVAL and *reterr when `schema` has a word that isn't supported, or one that is used wrongly. */
SAI_NODISCARD int schema_verify(const struct json *schema, struct fault *reterr);

/* Checks `value` against `schema` (verified before). `name` is quoted in faults: "name:line: what; expected …".
 * 0, -EBADMSG with rule "CONF-0NN" and at = value's `at`, or -ENOMEM. */
SAI_NODISCARD int schema_check_tree(const struct json *schema, const struct json *value, const char *name,
                                    struct fault *reterr);
