/* yaml: strict configuration reader on libyaml. Gives the same tree as wire/json.h, `at` = line (1-based).
 * Refused with the line: aliases, anchors, tags, duplicate keys, several documents, complex keys, tabs as
 * indentation, depth > JSON_DEPTH_MAX, more than `max` bytes. Scalars follow the YAML 1.2 core schema: plain
 * true/false, null/~/empty, decimal integers and floats; everything else (yes, no, on, 0x10, 010) is a string. */
#pragma once

#include "wire/json.h"

/* 0 and *ret (caller owns), or -EBADMSG / -E2BIG / -ENOMEM and *reterr with at = line. */
SAI_NODISCARD int yaml_parse(struct view text, struct json_document **ret, struct fault *reterr);
