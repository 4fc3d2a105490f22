/* modelgen: makes model files for tests: small valid ones of every type, large ones for measurements, and
 * malformed ones, each a named change to a valid file with the rule that must refuse it. */
#pragma once

#include "base/buf.h"

/* All: 0 or -ENOMEM / -EFBIG / -EINVAL; `out` is appended to. */

/* A small GGUF that uses everything the reader looks at: every kind of value, a vocabulary, a template, three
 * tensors. */
SAI_NODISCARD int modelgen_gguf(struct buf *out);
/* A GGUF with one tensor of two blocks of the type `id` (ggml's number); *ret_data = offset of its first
 * byte. */
SAI_NODISCARD int modelgen_gguf_of_type(uint32_t id, struct buf *out, size_t *ret_data);
/* A safetensors file: header, then `data` pseudo-random bytes (valid floats of any width). */
SAI_NODISCARD int modelgen_safetensors(struct view header, size_t data, struct buf *out);
/* One tensor of that number format. */
SAI_NODISCARD int modelgen_safetensors_of_type(const char *dtype, unsigned bits, struct buf *out);
/* A GGUF of about `size` bytes with Q4_K tensors, written to `fd`. */
SAI_NODISCARD int modelgen_gguf_large(uint64_t size, int fd);
/* A safetensors file of about `size` bytes with BF16 tensors such as trained weights are, written to `fd`; the same bytes
 * each time. */
SAI_NODISCARD int modelgen_safetensors_large(uint64_t size, int fd);

struct modelgen_type {
        const char *name;
        uint32_t id;   /* GGUF only */
        unsigned bits; /* of an element: safetensors only */
        unsigned block, bytes;
        /* Where a block of a GGUF type keeps a number that may be NaN, and how it is written; width 0:
         * nowhere. */
        unsigned nan_at, nan_width;
        uint32_t nan, infinity; /* infinity 0: the format has none */
};
extern const struct modelgen_type modelgen_gguf_types[];
extern const size_t modelgen_gguf_types_n;
extern const struct modelgen_type modelgen_dtypes[];
extern const size_t modelgen_dtypes_n;

/* A named malformed file. */
struct modelgen_case {
        const char *name;
        const char *rule; /* that must be among the findings */
};
/* Number of cases; makes case `i` into `out` and says what it is. */
size_t modelgen_bad_gguf_n(void);
SAI_NODISCARD int modelgen_bad_gguf(size_t i, struct buf *out, struct modelgen_case *ret);
size_t modelgen_bad_safetensors_n(void);
SAI_NODISCARD int modelgen_bad_safetensors(size_t i, struct buf *out, struct modelgen_case *ret);

/* Little-endian numbers and texts with a 64-bit length. */
SAI_NODISCARD int modelgen_put(struct buf *out, uint64_t value, size_t bytes);
SAI_NODISCARD int modelgen_put_text(struct buf *out, struct view text);
