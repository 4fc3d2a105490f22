/* plan: how a model will be run on this machine, or why it can't: threads, context, memory. Pure. */
#pragma once

#include "inference/machine.h"
#include "inference/refusal.h"
#include "inference/shape.h"

struct plan_settings {
        unsigned threads; /* 0: physical cores minus one */
        uint32_t context; /* tokens that a conversation may hold; 0: what the model was made for, capped */
        unsigned memory_percent; /* share of the machine's memory that a model may take */
};

struct plan {
        unsigned threads;
        uint32_t context;
        uint64_t memory_needed; /* estimate: weights, conversation, work space */
        uint64_t memory_limit;  /* that the worker is held to */
};

/* 0 and *ret, or -EFBIG and *ret_refusal: 507 model_too_large with the numbers. A conversation shorter than asked for is
 * planned when only that fits, but not below 2048 tokens. */
SAI_NODISCARD int plan_make(const struct machine *m, const struct plan_settings *settings,
                            const struct shape *shape, uint64_t model_size, struct plan *ret,
                            struct refusal *ret_refusal);
