/* text: UTF-8, hexadecimal and base64, strict in what they read. Pure. */
#pragma once

#include "base/view.h"

struct buf;

/* Length of the first code point (1..4) and the code point itself, or 0 when the bytes are not well-formed UTF-8
 * (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) or `v` is empty. */
size_t utf8_decode(struct view v, uint32_t *ret_code_point);
/* Offset of the first byte that does not belong to well-formed UTF-8, or SIZE_MAX when all of it is. */
size_t utf8_first_fault(struct view v);

/* Writes 2*n lower-case digits to `out` (no NUL). */
void hex_encode(const void *p, size_t n, char *out);
/* Exactly 2*n digits, lower case only (one spelling for each value). -EBADMSG. */
SAI_NODISCARD int hex_decode(struct view v, void *out, size_t n);

/* Appends standard base64 with padding (RFC 4648 section 4). */
SAI_NODISCARD int base64_encode(struct view v, struct buf *out);
/* Appends the decoded bytes. Canonical input only: padding present, unused bits zero, no space. -EBADMSG. */
SAI_NODISCARD int base64_decode(struct view v, struct buf *out);
