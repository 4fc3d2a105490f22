/* weightgen: bytes such as trained weights have: Gaussian numbers (deviation 0.02, every row with one of its own), written in
 * any of the number formats that the readers know. Types whose quantiser is simple get real codes; the others get random
 * codes under real scales. */
#pragma once

#include "model/weights.h"

struct weightgen {
        uint64_t state;
        double deviation;
};

void weightgen_init(struct weightgen *g, uint64_t seed);
double weightgen_next(struct weightgen *g); /* one Gaussian number */
uint64_t weightgen_bits(struct weightgen *g);
/* `blocks` blocks of `block` bytes; `name` as in ggml_types or dtype ("Q4_0", "BF16" …). */
void weightgen_fill(struct weightgen *g, const char *name, const struct weights_layout *layout, size_t block,
                    uint8_t *out, size_t blocks);
