/* modelgen_random: valid model files of every shape, and what becomes of them when fields are tampered with. All of it follows
 * from the seed, so that a case is named by one number. */
#pragma once

#include "base/buf.h"

enum modelgen_field {
        FIELD_COUNT,  /* how many follow */
        FIELD_LENGTH, /* bytes of the text that follows */
        FIELD_KIND,   /* a type number or name */
        FIELD_KEY,    /* text that must be unique */
        FIELD_VALUE,
        FIELD_DIMENSION,
        FIELD_OFFSET,
        FIELD_PADDING,
        FIELD_DATA,
        MODELGEN_FIELD_MAX
};

#define MODELGEN_FIELDS 2048
struct modelgen_map { /* where the fields lie; what doesn't fit is left out */
        struct {
                enum modelgen_field field;
                size_t at, n;
        } fields[MODELGEN_FIELDS];
        size_t n;
        size_t header_n; /* bytes before the tensors' data */
};

/* All: 0 or -ENOMEM / -EFBIG; `out` is appended to and must be empty.
 * GGUF: version 2 or 3, any alignment, values of all 13 types and lists of the 12 that may be in one, tensors of all 35 types
 * with 1 to 4 dimensions, with and without padding at the end, with and without vocabulary. */
SAI_NODISCARD int modelgen_random_gguf(uint64_t seed, struct buf *out, struct modelgen_map *ret);
/* Safetensors: all 22 number formats, 0 to 6 dimensions of 0 and more, entries in any order of offsets, members in any
 * order, escaped names, metadata, spaces. */
SAI_NODISCARD int modelgen_random_safetensors(uint64_t seed, struct buf *out, struct modelgen_map *ret);
/* Changes one to three things: single bytes, numbers to what breaks arithmetic, types, keys to another's, offsets; or cuts, repeats,
 * removes or appends. The map is not true any more. */
SAI_NODISCARD int modelgen_mutate(uint64_t seed, struct buf *file, const struct modelgen_map *map);

uint64_t modelgen_random(uint64_t *state); /* xorshift */
uint64_t modelgen_seed(uint64_t seed);     /* a state from any number, 0 included */
