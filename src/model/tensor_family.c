#include "model/tensor_family.h"

enum {
        ATTENTION = 1 << 0, /* separate query, key and value, decoder */
        GATED = 1 << 1,     /* gated feed-forward */
        Q_BIAS = 1 << 2,
        Q_NORM = 1 << 3,
        POST_FFN = 1 << 4,
        EXPERTS = 1 << 5,
        STATE_SPACE = 1 << 6,
        FUSED_QKV = 1 << 7,
        GPT2 = 1 << 8,
        BERT = 1 << 9,
        T5 = 1 << 10,
        VISION = 1 << 11,
        TEXT_MODEL = 1 << 12,
        DOWN_BLOCKS = 1 << 13,
        TIME = 1 << 14,
        VAE = 1 << 15,
        CROSS = 1 << 16,
        LORA = 1 << 17,
        DIT = 1 << 18
};

static const struct {
        const char *part;
        uint32_t means;
} parts[] = {
        {"self_attn.q_proj", ATTENTION},
        {".attn_q.weight", ATTENTION},
        {"mlp.gate_proj", GATED},
        {".ffn_gate.weight", GATED},
        {"self_attn.q_proj.bias", Q_BIAS},
        {".attn_q.bias", Q_BIAS},
        {"self_attn.q_norm", Q_NORM},
        {".attn_q_norm", Q_NORM},
        {"pre_feedforward_layernorm", POST_FFN},
        {".post_ffw_norm", POST_FFN},
        {"mlp.experts", EXPERTS},
        {"block_sparse_moe", EXPERTS},
        {"_exps.weight", EXPERTS},
        {".ssm_", STATE_SPACE},
        {"mixer.A_log", STATE_SPACE},
        {".attn_qkv.weight", FUSED_QKV},
        {"self_attn.qkv_proj", FUSED_QKV},
        {"query_key_value", FUSED_QKV},
        {"attn.c_attn", GPT2},
        {"attention.self.query", BERT},
        {"embeddings.word_embeddings", BERT},
        {"SelfAttention.q", T5},
        {"vision_model.", VISION},
        {"v.blk.", VISION},
        {"visual.", VISION},
        {"text_model.encoder.layers", TEXT_MODEL},
        {"down_blocks.", DOWN_BLOCKS},
        {"model.diffusion_model.", DOWN_BLOCKS | TIME},
        {"time_embedding.", TIME},
        {"decoder.up_blocks", VAE},
        {"first_stage_model.", VAE},
        {"quant_conv.", VAE},
        {"encoder_attn", CROSS},
        {"lora_A", LORA},
        {".lora_a", LORA},
        {"lora_down", LORA},
        {"transformer_blocks.", DIT},
        {"double_blocks.", DIT},
};

/* The first row all of whose parts were seen wins: special ones first. */
static const struct {
        const char *name;
        uint32_t needs;
} families[] = {
        {"lora", LORA},
        {"unet", DOWN_BLOCKS | TIME},
        {"vae", VAE},
        {"whisper", ATTENTION | CROSS},
        {"vlm", VISION | ATTENTION | GATED},
        {"clip", VISION | TEXT_MODEL},
        {"clip-text", TEXT_MODEL},
        {"clip-vision", VISION},
        {"mamba", STATE_SPACE},
        {"moe", EXPERTS},
        {"gemma", ATTENTION | POST_FFN},
        {"qwen3", ATTENTION | GATED | Q_NORM},
        {"qwen2", ATTENTION | GATED | Q_BIAS},
        {"llama", ATTENTION | GATED},
        {"transformer", ATTENTION},
        {"bert", BERT},
        {"t5", T5},
        {"gpt2", GPT2},
        {"gpt", FUSED_QKV},
        {"dit", DIT},
};

void tensor_family_see(struct tensor_family *f, struct view name) {
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if ((f->seen & parts[i].means) != parts[i].means &&
                    view_find(name, view_of(parts[i].part)) != SIZE_MAX)
                        f->seen |= parts[i].means;
}

const char *tensor_family_name(const struct tensor_family *f) {
        for (size_t i = 0; i < ARRAY_SIZE(families); i++)
                if ((f->seen & families[i].needs) == families[i].needs)
                        return families[i].name;
        return "";
}

size_t tensor_family_normalise(struct view name, char *out, size_t size) {
        size_t n = 0;

        for (size_t i = 0; i < name.n && n < size; i++) {
                bool digit = name.p[i] >= '0' && name.p[i] <= '9';

                if (!digit)
                        out[n++] = name.p[i];
                else if (n == 0 || out[n - 1] != '#')
                        out[n++] = '#';
        }
        return n;
}
