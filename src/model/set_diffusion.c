/* An image model's folder in the layout of diffusers: DIFFUSION-…. model_index.json names the components; each has a folder
 * with just the files that its kind of component needs, and no other folder is there. */
#include "model/set_parts.h"

enum component_kind { KIND_MODEL, KIND_TOKENIZER, KIND_SCHEDULER, KIND_PROCESSOR };

/* Libraries and classes that image models use and that are pure configuration and weights. Names of classes decide
 * which code a program runs on the files, so only known ones are let in. */
static const struct {
        const char *library;
        const char *class_name;
        enum component_kind kind;
} classes[] = {
        {"diffusers", "UNet2DConditionModel", KIND_MODEL},
        {"diffusers", "UNet2DModel", KIND_MODEL},
        {"diffusers", "UNetMotionModel", KIND_MODEL},
        {"diffusers", "UNetSpatioTemporalConditionModel", KIND_MODEL},
        {"diffusers", "Kandinsky3UNet", KIND_MODEL},
        {"diffusers", "StableCascadeUNet", KIND_MODEL},
        {"diffusers", "PriorTransformer", KIND_MODEL},
        {"diffusers", "Transformer2DModel", KIND_MODEL},
        {"diffusers", "DiTTransformer2DModel", KIND_MODEL},
        {"diffusers", "PixArtTransformer2DModel", KIND_MODEL},
        {"diffusers", "SD3Transformer2DModel", KIND_MODEL},
        {"diffusers", "FluxTransformer2DModel", KIND_MODEL},
        {"diffusers", "HunyuanDiT2DModel", KIND_MODEL},
        {"diffusers", "HunyuanVideoTransformer3DModel", KIND_MODEL},
        {"diffusers", "AuraFlowTransformer2DModel", KIND_MODEL},
        {"diffusers", "LuminaNextDiT2DModel", KIND_MODEL},
        {"diffusers", "Lumina2Transformer2DModel", KIND_MODEL},
        {"diffusers", "SanaTransformer2DModel", KIND_MODEL},
        {"diffusers", "ChromaTransformer2DModel", KIND_MODEL},
        {"diffusers", "QwenImageTransformer2DModel", KIND_MODEL},
        {"diffusers", "CogVideoXTransformer3DModel", KIND_MODEL},
        {"diffusers", "CogView4Transformer2DModel", KIND_MODEL},
        {"diffusers", "LTXVideoTransformer3DModel", KIND_MODEL},
        {"diffusers", "MochiTransformer3DModel", KIND_MODEL},
        {"diffusers", "WanTransformer3DModel", KIND_MODEL},
        {"diffusers", "ControlNetModel", KIND_MODEL},
        {"diffusers", "MotionAdapter", KIND_MODEL},
        {"diffusers", "T2IAdapter", KIND_MODEL},
        {"diffusers", "AutoencoderKL", KIND_MODEL},
        {"diffusers", "AutoencoderTiny", KIND_MODEL},
        {"diffusers", "AutoencoderDC", KIND_MODEL},
        {"diffusers", "AsymmetricAutoencoderKL", KIND_MODEL},
        {"diffusers", "AutoencoderKLTemporalDecoder", KIND_MODEL},
        {"diffusers", "AutoencoderKLCogVideoX", KIND_MODEL},
        {"diffusers", "AutoencoderKLHunyuanVideo", KIND_MODEL},
        {"diffusers", "AutoencoderKLLTXVideo", KIND_MODEL},
        {"diffusers", "AutoencoderKLMochi", KIND_MODEL},
        {"diffusers", "AutoencoderKLQwenImage", KIND_MODEL},
        {"diffusers", "AutoencoderKLWan", KIND_MODEL},
        {"diffusers", "ConsistencyDecoderVAE", KIND_MODEL},
        {"diffusers", "VQModel", KIND_MODEL},
        {"diffusers", "CMStochasticIterativeScheduler", KIND_SCHEDULER},
        {"diffusers", "DDIMScheduler", KIND_SCHEDULER},
        {"diffusers", "DDPMScheduler", KIND_SCHEDULER},
        {"diffusers", "DDPMWuerstchenScheduler", KIND_SCHEDULER},
        {"diffusers", "DEISMultistepScheduler", KIND_SCHEDULER},
        {"diffusers", "DPMSolverMultistepScheduler", KIND_SCHEDULER},
        {"diffusers", "DPMSolverSinglestepScheduler", KIND_SCHEDULER},
        {"diffusers", "EDMDPMSolverMultistepScheduler", KIND_SCHEDULER},
        {"diffusers", "EDMEulerScheduler", KIND_SCHEDULER},
        {"diffusers", "EulerAncestralDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "EulerDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "FlowMatchEulerDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "FlowMatchHeunDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "HeunDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "KDPM2AncestralDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "KDPM2DiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "LCMScheduler", KIND_SCHEDULER},
        {"diffusers", "LMSDiscreteScheduler", KIND_SCHEDULER},
        {"diffusers", "PNDMScheduler", KIND_SCHEDULER},
        {"diffusers", "TCDScheduler", KIND_SCHEDULER},
        {"diffusers", "UnCLIPScheduler", KIND_SCHEDULER},
        {"diffusers", "UniPCMultistepScheduler", KIND_SCHEDULER},
        {"transformers", "CLIPTextModel", KIND_MODEL},
        {"transformers", "CLIPTextModelWithProjection", KIND_MODEL},
        {"transformers", "CLIPVisionModel", KIND_MODEL},
        {"transformers", "CLIPVisionModelWithProjection", KIND_MODEL},
        {"transformers", "T5EncoderModel", KIND_MODEL},
        {"transformers", "UMT5EncoderModel", KIND_MODEL},
        {"transformers", "BertModel", KIND_MODEL},
        {"transformers", "LlamaModel", KIND_MODEL},
        {"transformers", "LlamaForCausalLM", KIND_MODEL},
        {"transformers", "GemmaModel", KIND_MODEL},
        {"transformers", "Gemma2Model", KIND_MODEL},
        {"transformers", "Gemma2ForCausalLM", KIND_MODEL},
        {"transformers", "GlmModel", KIND_MODEL},
        {"transformers", "Qwen2_5_VLForConditionalGeneration", KIND_MODEL},
        {"transformers", "SiglipVisionModel", KIND_MODEL},
        {"transformers", "DPTForDepthEstimation", KIND_MODEL},
        {"transformers", "CLIPTokenizer", KIND_TOKENIZER},
        {"transformers", "CLIPTokenizerFast", KIND_TOKENIZER},
        {"transformers", "T5Tokenizer", KIND_TOKENIZER},
        {"transformers", "T5TokenizerFast", KIND_TOKENIZER},
        {"transformers", "BertTokenizer", KIND_TOKENIZER},
        {"transformers", "BertTokenizerFast", KIND_TOKENIZER},
        {"transformers", "LlamaTokenizer", KIND_TOKENIZER},
        {"transformers", "LlamaTokenizerFast", KIND_TOKENIZER},
        {"transformers", "GemmaTokenizer", KIND_TOKENIZER},
        {"transformers", "GemmaTokenizerFast", KIND_TOKENIZER},
        {"transformers", "Qwen2Tokenizer", KIND_TOKENIZER},
        {"transformers", "Qwen2TokenizerFast", KIND_TOKENIZER},
        {"transformers", "XLMRobertaTokenizer", KIND_TOKENIZER},
        {"transformers", "XLMRobertaTokenizerFast", KIND_TOKENIZER},
        {"transformers", "PreTrainedTokenizerFast", KIND_TOKENIZER},
        {"transformers", "CLIPFeatureExtractor", KIND_PROCESSOR},
        {"transformers", "CLIPImageProcessor", KIND_PROCESSOR},
        {"transformers", "CLIPImageProcessorFast", KIND_PROCESSOR},
        {"transformers", "SiglipImageProcessor", KIND_PROCESSOR},
        {"transformers", "DPTFeatureExtractor", KIND_PROCESSOR},
        {"transformers", "DPTImageProcessor", KIND_PROCESSOR},
        {"transformers", "Qwen2VLProcessor", KIND_PROCESSOR},
        {"transformers", "Qwen2_5_VLProcessor", KIND_PROCESSOR},
        /* the safety checker of Stable Diffusion 1 names the package of its pipeline */
        {"stable_diffusion", "StableDiffusionSafetyChecker", KIND_MODEL},
};

static bool is_word(const char *name, bool capitals) {
        size_t n = strlen(name);

        for (size_t i = 0; i < n; i++) {
                char c = name[i];
                bool letter = (c >= 'a' && c <= 'z') || (capitals && c >= 'A' && c <= 'Z');

                if (!letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))))
                        return false;
        }
        return n > 0;
}

static struct view name_of(const struct set_component *c) {
        return (struct view){c->name, c->name_n};
}

static bool is_library(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
                if (strcmp(classes[i].library, name) == 0)
                        return true;
        return false;
}

/* True and *ret when the component's class may be used. */
static bool check_class(struct model_set *s, const struct set_component *c, enum component_kind *ret) {
        uint32_t about = s->pipeline.member;

        if (!is_word(c->class_name, true)) {
                SET_PUT(s, about, RULE_DIFFUSION_CLASS,
                        "Component \"%s\" has the class \"%s\", which is no name.",
                        report_quote(name_of(c)).text, report_quote(view_of(c->class_name)).text);
                return false;
        }
        if (!is_library(c->library)) {
                SET_PUT(s, about, RULE_DIFFUSION_LIBRARY,
                        "Component \"%s\" comes from the library \"%s\", which is not on the list.",
                        report_quote(name_of(c)).text, report_quote(view_of(c->library)).text);
                return false;
        }
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
                if (strcmp(classes[i].library, c->library) == 0 &&
                    strcmp(classes[i].class_name, c->class_name) == 0) {
                        *ret = classes[i].kind;
                        return true;
                }
        SET_PUT(s, about, RULE_DIFFUSION_CLASS,
                "Component \"%s\" has the class \"%s\" of %s, which is not known.",
                report_quote(name_of(c)).text, report_quote(view_of(c->class_name)).text, c->library);
        return false;
}

/* ---- files of a component ---- */

static bool base_is_one_of(struct view base, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (view_eq_str(base, names[i]))
                        return true;
        return false;
}

/* Weights as diffusers and transformers look for them: whole or in shards, of one of the usual variants. */
static bool is_weights_name(struct view base) {
        static const char *const stems[] = {"diffusion_pytorch_model", "model"};
        static const char *const variants[] = {"", ".fp16", ".bf16", ".fp32", ".non_ema", ".ema"};

        for (size_t i = 0; i < ARRAY_SIZE(stems); i++) {
                struct view rest = base;

                if (!view_starts(rest, view_of(stems[i])))
                        continue;
                rest = view_sub(rest, strlen(stems[i]), SIZE_MAX);
                for (size_t k = 0; k < ARRAY_SIZE(variants); k++) {
                        struct view tail = view_sub(rest, strlen(variants[k]), SIZE_MAX);

                        if (view_starts(rest, view_of(variants[k])) &&
                            (view_eq(tail, VIEW(".safetensors")) ||
                             (tail.n == strlen("-00001-of-00002.safetensors") && tail.p[0] == '-')))
                                return true;
                }
        }
        return false;
}

static bool belongs(enum component_kind kind, const struct model_member *m, struct view base) {
        static const char *const model[] = {"config.json", "generation_config.json"};
        static const char *const scheduler[] = {"scheduler_config.json", "config.json"};

        switch (kind) {
        case KIND_MODEL:
                return base_is_one_of(base, model, ARRAY_SIZE(model)) ||
                       view_ends(base, VIEW(".index.json")) ||
                       (m->file == SET_FILE_SAFETENSORS && is_weights_name(base));
        case KIND_SCHEDULER:
                return base_is_one_of(base, scheduler, ARRAY_SIZE(scheduler));
        case KIND_PROCESSOR:
                return m->file == SET_FILE_JSON || m->file == SET_FILE_TEXT || m->file == SET_FILE_TEMPLATE;
        case KIND_TOKENIZER:
                break;
        }
        return m->file == SET_FILE_JSON || m->file == SET_FILE_TEXT || m->file == SET_FILE_TEMPLATE ||
               m->file == SET_FILE_PIECES;
}

static size_t check_files(struct model_set *s, const struct set_component *c, enum component_kind kind,
                          size_t *ret_weights) {
        size_t files = 0, weights = 0;

        for (size_t i = 0; i < set_count(s); i++) {
                const struct model_member *m = set_get(s, i);

                if (!set_is_in(set_path(s, m), name_of(c)))
                        continue;
                files++;
                weights += m->file == SET_FILE_SAFETENSORS;
                if (!belongs(kind, m, set_name_base(set_path(s, m))))
                        SET_PUT(s, i, RULE_DIFFUSION_EXTRA, "A component of the class %s has no such file.",
                                report_quote(view_of(c->class_name)).text);
        }
        *ret_weights = weights;
        return files;
}

/* Tensors without which the weights are of something else. */
static uint32_t landmarks_of(const char *class_name) {
        static const struct {
                const char *class_name;
                uint32_t landmarks;
        } table[] = {
                {"UNet2DConditionModel", MODEL_LANDMARK_CONV_IN},
                {"UNet2DModel", MODEL_LANDMARK_CONV_IN},
                {"AutoencoderKL", MODEL_LANDMARK_DECODER},
                {"CLIPTextModel", MODEL_LANDMARK_WORDS},
                {"CLIPTextModelWithProjection", MODEL_LANDMARK_WORDS},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (strcmp(table[i].class_name, class_name) == 0)
                        return table[i].landmarks;
        return 0;
}

static void check_landmarks(struct model_set *s, const struct set_component *c) {
        uint32_t want = landmarks_of(c->class_name), have = 0;
        size_t last = SIZE_MAX;

        for (size_t i = 0; i < set_count(s); i++)
                if (set_get(s, i)->kind == MODEL_KIND_SAFETENSORS &&
                    set_is_in(set_path(s, set_get(s, i)), name_of(c))) {
                        have |= set_get(s, i)->landmarks;
                        last = i;
                }
        if (last != SIZE_MAX && (have & want) != want)
                SET_PUT(s, last, RULE_DIFFUSION_WEIGHTS, "These are not the weights of a %s.",
                        report_quote(view_of(c->class_name)).text);
}

static void check_model(struct model_set *s, const struct set_component *c, size_t weights) {
        const struct set_config *config = set_config_find(s, name_of(c), "config.json");
        const char *said;

        if (weights == 0)
                SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_WEIGHTS,
                        "Component \"%s\" has no weights in safetensors.", report_quote(name_of(c)).text);
        if (!config) {
                SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_CONFIG, "Component \"%s\" has no config.json.",
                        report_quote(name_of(c)).text);
                return;
        }
        said = config->class_name[0] ? config->class_name : config->architecture;
        if (said[0] && strcmp(said, c->class_name) != 0)
                SET_PUT(s, config->member, RULE_DIFFUSION_CONFIG,
                        "The configuration is of a \"%s\", model_index.json says %s.",
                        report_quote(view_of(said)).text, report_quote(view_of(c->class_name)).text);
        set_config_check(s, name_of(c), config);
        check_landmarks(s, c);
}

static void check_tokenizer(struct model_set *s, const struct set_component *c) {
        static const char *const whole[] = {"tokenizer.json", "spiece.model", "tokenizer.model",
                                            "sentencepiece.bpe.model", "vocab.txt"};

        for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
                if (set_find(s, name_of(c), view_of(whole[i])) != SIZE_MAX)
                        return;
        if (set_find(s, name_of(c), VIEW("vocab.json")) == SIZE_MAX ||
            set_find(s, name_of(c), VIEW("merges.txt")) == SIZE_MAX)
                SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_CONFIG, "Component \"%s\" has no vocabulary.",
                        report_quote(name_of(c)).text);
}

static void check_scheduler(struct model_set *s, const struct set_component *c) {
        const struct set_config *config = set_config_find(s, name_of(c), "scheduler_config.json");
        enum component_kind kind;
        struct set_component said = {.library = "diffusers"};

        if (!config)
                config = set_config_find(s, name_of(c), "config.json");
        if (!config || !config->class_name[0])
                return;
        memcpy(said.class_name, config->class_name, sizeof said.class_name);
        said.name_n = c->name_n;
        memcpy(said.name, c->name, sizeof said.name);
        if (check_class(s, &said, &kind) && kind != KIND_SCHEDULER)
                SET_PUT(s, config->member, RULE_DIFFUSION_CONFIG, "The configuration is of no scheduler.");
}

static void check_processor(struct model_set *s, const struct set_component *c) {
        if (set_find(s, name_of(c), VIEW("preprocessor_config.json")) == SIZE_MAX)
                SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_CONFIG,
                        "Component \"%s\" has no preprocessor_config.json.", report_quote(name_of(c)).text);
}

static void check_component(struct model_set *s, const struct set_component *c) {
        enum component_kind kind;
        size_t weights;

        if (!check_class(s, c, &kind))
                return;
        if (check_files(s, c, kind, &weights) == 0) {
                if (kind == KIND_SCHEDULER)
                        SET_PUT(s, s->pipeline.member, RULE_DIFFUSION_DEFAULTS,
                                "The scheduler has no configuration: programs take their own for %s.",
                                report_quote(view_of(c->class_name)).text);
                else
                        SET_PUT(s, s->pipeline.member, RULE_DIFFUSION_MISSING,
                                "Component \"%s\" has no folder with files.", report_quote(name_of(c)).text);
                return;
        }
        if (kind == KIND_MODEL)
                check_model(s, c, weights);
        else if (kind == KIND_TOKENIZER)
                check_tokenizer(s, c);
        else if (kind == KIND_SCHEDULER)
                check_scheduler(s, c);
        else
                check_processor(s, c);
}

/* ---- the folder ---- */

static bool is_component_folder(const struct set_pipeline *p, struct view folder) {
        for (size_t i = 0; i < p->n; i++)
                if (p->components[i].form == COMPONENT_NAMED && view_eq(name_of(&p->components[i]), folder))
                        return true;
        return false;
}

/* At the top: the list of components, words and pictures about the model, reference data. */
static bool belongs_at_the_top(const struct model_member *m, struct view path) {
        return m->file == SET_FILE_TEXT || m->file == SET_FILE_PICTURE || m->file == SET_FILE_NUMBERS ||
               view_eq(path, VIEW("model_index.json"));
}

static void check_extra(struct model_set *s) {
        for (size_t i = 0; i < set_count(s); i++) {
                struct view path = set_path(s, set_get(s, i)), folder = set_name_folder(path);

                if (folder.n == 0 ? !belongs_at_the_top(set_get(s, i), path)
                                  : !is_component_folder(&s->pipeline, folder))
                        SET_PUT(s, i, RULE_DIFFUSION_EXTRA,
                                "model_index.json names nothing that \"%s\" belongs to.",
                                report_quote(path).text);
        }
}

/* Reference data must not be what a program could take for weights. */
static void check_reference_data(struct model_set *s) {
        for (size_t i = 0; i < set_count(s); i++) {
                struct view base = set_name_base(set_path(s, set_get(s, i)));

                if (set_get(s, i)->file == SET_FILE_NUMBERS &&
                    (view_find(base, VIEW("model")) != SIZE_MAX ||
                     view_find(base, VIEW("weights")) != SIZE_MAX ||
                     view_find(base, VIEW("state")) != SIZE_MAX ||
                     view_find(base, VIEW("args")) != SIZE_MAX ||
                     view_find(base, VIEW("optimizer")) != SIZE_MAX))
                        SET_PUT(s, i, RULE_FOLDER_ENDING,
                                "\"%s\" has a name under which programs look for a pickle. Take it out of "
                                "the "
                                "folder.",
                                report_quote(base).text);
        }
}

static void check_pipeline(struct model_set *s) {
        const struct set_pipeline *p = &s->pipeline;

        if (!p->has_class || !is_word(p->class_name, true))
                SET_PUT(s, p->member, RULE_DIFFUSION_INDEX, "model_index.json has no proper _class_name.");
        for (const char *c = p->version; *c; c++)
                if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || *c == '.' || *c == '+')) {
                        SET_PUT(s, p->member, RULE_DIFFUSION_INDEX, "_diffusers_version is no version.");
                        break;
                }
        if (p->too_many || p->n == 0)
                SET_PUT(s, p->member, RULE_DIFFUSION_INDEX, "model_index.json names %s components.",
                        p->too_many ? "too many" : "no");
}

void set_diffusion_check(struct model_set *s) {
        struct set_pipeline *p = &s->pipeline;
        size_t named = 0;

        check_reference_data(s);
        if (!p->present || !p->strict) {
                SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_INDEX, "model_index.json can't be read.");
                return;
        }
        report_escape(s->summary.architecture, sizeof s->summary.architecture, view_of(p->class_name));
        check_pipeline(s);
        for (size_t i = 0; i < p->n; i++) {
                const struct set_component *c = &p->components[i];

                if (c->form == COMPONENT_MALFORMED || !is_word(c->name, false))
                        SET_PUT(s, p->member, RULE_DIFFUSION_INDEX,
                                "\"%s\" of model_index.json is neither a component [library, class], nor "
                                "absent, "
                                "nor a switch.",
                                report_quote(name_of(c)).text);
                else if (c->form == COMPONENT_NAMED)
                        check_component(s, c);
                named += c->form == COMPONENT_NAMED;
        }
        check_extra(s);
        SET_PUT(s, SIZE_MAX, RULE_DIFFUSION_LOOKED_AT,
                "%zu components of a %s were held against the files that are there. No picture was made.",
                named, report_quote(view_of(p->class_name)).text);
}
