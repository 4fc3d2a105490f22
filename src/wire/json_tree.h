/* json_tree: how the readers of src/wire (json.c, yaml.c) build a document, and core/config.c adds defaults to
 * one. Others use json.h. */
#pragma once

#include "base/hash_set.h"
#include "wire/json.h"

struct json_document {
        struct arena *arena;
        struct hash_set *seen; /* names of one large object; made when first needed */
        struct json *root;
        struct json *spare; /* zeroed nodes that are not handed out yet */
        size_t spare_count;
        size_t chunk;  /* nodes in the next allocation */
        size_t budget; /* bytes that this document may still take from the arena */
};

SAI_NODISCARD int json_document_new(struct json_document **ret);
/* Forgets the tree; the next one may take `memory` bytes. */
void json_document_reset(struct json_document *d, size_t memory);
/* Both: 0, -E2BIG past the document's memory, -ENOMEM. The node is zeroed. */
SAI_NODISCARD int json_document_bytes(struct json_document *d, size_t n, char **ret);
SAI_NODISCARD int json_document_node(struct json_document *d, struct json **ret);

/* Looks for two members of one name: 1 and *ret_second (the later one), 0 when all differ, negative errno.
 * Linear for large objects, whatever names an attacker chooses. */
SAI_NODISCARD int json_find_duplicate(struct json_document *d, const struct json *object,
                                      const struct json **ret_second);

/* A name for messages: escaped, cut, in double quotes; "" when there is no memory for it. */
#define JSON_NAME_SHOWN 256
void json_show_name(struct view name, char out[JSON_NAME_SHOWN]);

/* Reads the number at `p` by RFC 8259's grammar. The bytes must end with something that can't continue a number
 * (a delimiter or NUL). 0: fills *node (type, text, integer) and *ret_end. -EBADMSG: not a number, *ret_end is
 * where. -ERANGE: well-formed, but no finite double (1e999). */
SAI_NODISCARD int json_scan_number(const char *p, struct json *node, const char **ret_end);
