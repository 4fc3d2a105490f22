/* gguf_plausible: whether a GGUF file's description fits its tensors: layers, width, heads, vocabulary (WEIGHTS-009). Used
 * by gguf only. Pure, constant memory. What the file does not say is not judged, nor are parts of split models. */
#pragma once

#include "model/report.h"

enum gguf_fact { FACT_BLOCKS, FACT_WIDTH, FACT_HEADS, FACT_KV_HEADS, FACT_SPLIT, FACT_MAX };

struct gguf_plausible {
        uint64_t facts[FACT_MAX]; /* 0: not said, or said more than once */
        bool twice[FACT_MAX];
        uint64_t layers;        /* highest number in blk.N. plus one */
        uint64_t embedding[2];  /* shape of token_embd.weight */
        uint64_t queries, keys; /* rows of the first layer's attn_q and attn_k */
};

/* A pair with a whole number for its value. */
void gguf_plausible_number(struct gguf_plausible *p, struct view key, uint64_t value);
void gguf_plausible_tensor(struct gguf_plausible *p, struct view name, const uint64_t *shape, uint32_t rank);
/* After the last tensor; `tokens` in the vocabulary, 0 when there is none. */
void gguf_plausible_finish(const struct gguf_plausible *p, uint64_t tokens, struct model_report *report);
