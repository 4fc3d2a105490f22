/* config: a shipped YAML file checked against its JSON Schema; faults name file and line.
 * Schemas are compiled in (from config/schema/<name>.schema.json), so nothing on disk can loosen them.
 * Supported schema words: type, properties, required, additionalProperties (false is the default everywhere),
 * items, enum, const, minimum, maximum, minLength, maxLength, pattern (PCRE2), minItems, maxItems, description,
 * default, $ref to #/$defs; $schema and title are for editors. An unknown word in a schema is a start failure.
 * Members that a file leaves out and whose schema has a default are filled in, so readers find every value. */
#pragma once

#include "base/fault.h"
#include "wire/json.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20)

/* `schema`: "policy", "models.lock", "sources.allowlist", "appliance", "service-acl". Reads <dir>/<path>.
 * 0 and *ret, or negative errno and *reterr whose text is "path:line: what is wrong; expected …": -EBADMSG for
 * content (rules CONF-0NN, YAML-0NN), -ENOENT and others for a file that can't be read. */
SAI_NODISCARD int config_load(int dir_fd, const char *path, const char *schema, struct json_document **ret,
                              struct fault *reterr);
/* The same on text in memory; `name` is quoted in faults. */
SAI_NODISCARD int config_parse(struct view text, const char *name, const char *schema,
                               struct json_document **ret, struct fault *reterr);
/* Checks a parsed tree (also JSON bodies of requests). */
SAI_NODISCARD int schema_check(const struct json *value, const char *schema, const char *name,
                               struct fault *reterr);
