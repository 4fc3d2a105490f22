#include "model/gguf_plausible.h"

#include "base/num.h"

static const struct view endings[FACT_MAX] = {
        [FACT_BLOCKS] = VIEW_INIT(".block_count"),
        [FACT_WIDTH] = VIEW_INIT(".embedding_length"),
        [FACT_HEADS] = VIEW_INIT(".attention.head_count"),
        [FACT_KV_HEADS] = VIEW_INIT(".attention.head_count_kv"),
        [FACT_SPLIT] = VIEW_INIT("split.count"),
};

void gguf_plausible_number(struct gguf_plausible *p, struct view key, uint64_t value) {
        for (size_t i = 0; i < FACT_MAX; i++)
                if (view_ends(key, endings[i])) {
                        p->twice[i] |= p->facts[i] > 0;
                        p->facts[i] = value;
                }
}

/* "blk.12.attn_q.weight": 12 and what follows. */
static bool layer_of(struct view name, uint64_t *ret_number, struct view *ret_rest) {
        struct view rest = name, number;

        if (!view_starts(name, VIEW("blk.")))
                return false;
        rest = view_sub(rest, 4, SIZE_MAX);
        if (!view_split(&rest, '.', &number) || u64_parse(number, UINT32_MAX, ret_number) < 0)
                return false;
        *ret_rest = rest;
        return true;
}

void gguf_plausible_tensor(struct gguf_plausible *p, struct view name, const uint64_t *shape, uint32_t rank) {
        struct view rest;
        uint64_t layer;

        if (rank == 2 && view_eq(name, VIEW("token_embd.weight")))
                memcpy(p->embedding, shape, sizeof p->embedding);
        if (!layer_of(name, &layer, &rest))
                return;
        p->layers = MAX_OF(p->layers, layer + 1);
        if (rank == 2 && p->queries == 0 && view_eq(rest, VIEW("attn_q.weight")))
                p->queries = shape[1];
        if (rank == 2 && p->keys == 0 && view_eq(rest, VIEW("attn_k.weight")))
                p->keys = shape[1];
}

/* 0 when the file says nothing that can be relied on. */
static uint64_t fact(const struct gguf_plausible *p, enum gguf_fact f) {
        return p->twice[f] ? 0 : p->facts[f];
}

#define DIFFERS(report, ...) report_put(report, RULE_WEIGHTS_METADATA, REPORT_WHOLE, VIEW_NULL, __VA_ARGS__)

static unsigned long long ull(uint64_t v) {
        return v;
}

static void check_heads(const struct gguf_plausible *p, struct model_report *report) {
        uint64_t heads = fact(p, FACT_HEADS), kv = fact(p, FACT_KV_HEADS);

        if (heads > 0 && p->queries % heads != 0)
                DIFFERS(report,
                        "The file announces %llu heads; the %llu rows of attn_q can't be shared out to them.",
                        ull(heads), ull(p->queries));
        if (kv > 0 && p->keys % kv != 0)
                DIFFERS(report,
                        "The file announces %llu heads for keys; the %llu rows of attn_k can't be shared out "
                        "to "
                        "them.",
                        ull(kv), ull(p->keys));
        if (heads > 0 && kv > 0 && heads % kv != 0)
                DIFFERS(report, "The file announces %llu heads and %llu for keys, which don't divide them.",
                        ull(heads), ull(kv));
}

void gguf_plausible_finish(const struct gguf_plausible *p, uint64_t tokens, struct model_report *report) {
        uint64_t blocks = fact(p, FACT_BLOCKS), width = fact(p, FACT_WIDTH);

        if (p->facts[FACT_SPLIT] > 1)
                return;
        if (blocks > 0 && p->layers > 0 && blocks != p->layers)
                DIFFERS(report, "The file announces %llu layers; its tensors make up %llu.", ull(blocks),
                        ull(p->layers));
        if (width > 0 && p->embedding[0] > 0 && width != p->embedding[0])
                DIFFERS(report, "The file announces a width of %llu; token_embd.weight has %llu.", ull(width),
                        ull(p->embedding[0]));
        if (tokens > 0 && p->embedding[1] > 0 && tokens != p->embedding[1])
                DIFFERS(report, "The vocabulary has %llu tokens; token_embd.weight has rows for %llu.",
                        ull(tokens), ull(p->embedding[1]));
        check_heads(p, report);
}
