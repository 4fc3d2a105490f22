#include "model/set_json.h"

#include "base/num.h"
#include "model/json_walk.h"
#include "model/set_parts.h"
#include "model/template.h"

enum role { ROLE_PLAIN, ROLE_VOCABULARY, ROLE_CONFIG, ROLE_INDEX, ROLE_PIPELINE };

struct set_json {
        struct model_set *set;
        uint32_t member;
        struct model_report *report;
        enum role role;
        struct json_walk walk;
        struct buf text;         /* of a template */
        unsigned template_depth; /* levels around the key chat_template; 0: not in one */
        struct set_config config;
        struct set_index index;
        uint8_t hash[NAMES_DIGEST_HASH]; /* of the tensor whose shard comes next */
};

static enum role role_of(struct view path) {
        static const char *const vocabularies[] = {"vocab.json", "added_tokens.json", "tokenizer.json"};
        static const char *const configs[] = {"config.json", "adapter_config.json", "scheduler_config.json"};
        struct view base = set_name_base(path);

        if (view_eq(path, VIEW("model_index.json")))
                return ROLE_PIPELINE;
        if (view_ends(base, VIEW(".index.json")))
                return ROLE_INDEX;
        for (size_t i = 0; i < ARRAY_SIZE(vocabularies); i++)
                if (view_eq_str(base, vocabularies[i]))
                        return ROLE_VOCABULARY;
        for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
                if (view_eq_str(base, configs[i]))
                        return ROLE_CONFIG;
        return ROLE_PLAIN;
}

static int on_event(void *userdata, const struct json_walk *w, enum json_event e, struct view text,
                    uint64_t length);

int set_json_new(struct model_set *set, uint32_t member, struct model_report *report, struct set_json **ret) {
        _cleanup_(freep) struct set_json *j = calloc(1, sizeof *j);
        int r;

        if (!j)
                return -ENOMEM;
        j->set = set;
        j->member = member;
        j->report = report;
        j->role = role_of(set_path(set, set_get(set, member)));
        j->text = BUF_INIT(TEMPLATE_MAX);
        j->config.member = j->index.member = member;
        if (j->role == ROLE_PIPELINE)
                set->pipeline = (struct set_pipeline){.present = true, .member = member};
        r = json_walk_init(&j->walk, report, on_event, j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

struct set_json *set_json_free(struct set_json *j) {
        if (j) {
                json_walk_done(&j->walk);
                buf_done(&j->text);
                free(j);
        }
        return NULL;
}

static bool is_value(enum json_event e) {
        return e != JSON_KEY && e != JSON_OBJECT_END && e != JSON_ARRAY_END;
}

/* The key that a value stands directly under, or "". */
static struct view key_of(const struct json_walk *w) {
        return w->depth > 0 ? json_walk_key(w, w->depth - 1) : VIEW_NULL;
}

/* The key of the innermost object around a value: that of a list's elements, too. */
static struct view object_key(const struct json_walk *w) {
        for (unsigned i = w->depth; i > 0; i--)
                if (w->levels[i - 1].is_object)
                        return json_walk_key(w, i - 1);
        return VIEW_NULL;
}

static bool is_one_of(struct view key, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (view_eq_str(key, names[i]))
                        return true;
        return false;
}

/* Keys with which transformers, diffusers and Hydra load code that comes with the model or from elsewhere. */
static void check_code_key(struct set_json *j, const struct json_walk *w, enum json_event e) {
        static const char *const keys[] = {"auto_map",      "custom_pipeline",   "custom_pipelines",
                                           "_target_",      "custom_revision",   "custom_code",
                                           "code_revision", "trust_remote_code", "custom_generate"};
        struct view key = key_of(w);

        if (e == JSON_NULL || !is_one_of(key, keys, ARRAY_SIZE(keys)))
                return;
        if (e == JSON_NUMBER && j->role == ROLE_VOCABULARY)
                return;
        if (e == JSON_FALSE && view_eq(key, VIEW("trust_remote_code")))
                return;
        report_put(j->report, RULE_FOLDER_CODE, w->json.at, VIEW_NULL,
                   "\"%s\" makes programs load code that comes with the model or from elsewhere.",
                   report_quote(key).text);
}

static bool has_scheme(struct view v) {
        size_t at = view_find(v, VIEW("://"));

        return at != SIZE_MAX && at > 0 && at < 16;
}

static bool climbs(struct view v) {
        struct view part;

        for (;;) {
                size_t n = 0;

                while (n < v.n && v.p[n] != '/' && v.p[n] != '\\')
                        n++;
                part = view_sub(v, 0, n);
                if (view_eq(part, VIEW("..")))
                        return true;
                if (n == v.n)
                        return false;
                v = view_sub(v, n + 1, SIZE_MAX);
        }
}

static bool is_absolute(struct view v) {
        return v.n > 0 && (v.p[0] == '/' || v.p[0] == '\\' || v.p[0] == '~' ||
                           (v.n > 1 && v.p[1] == ':' && (v.p[0] | 0x20) >= 'a' && (v.p[0] | 0x20) <= 'z'));
}

static void check_path(struct set_json *j, const struct json_walk *w, struct view text, uint64_t length) {
        static const char *const followed[] = {
                "vocab_file",
                "merges_file",
                "spm_file",
                "sp_model_file",
                "bpe_file",
                "weights_file",
                "weight_file",
                "weights_path",
                "model_file",
                "model_path",
                "checkpoint",
                "checkpoint_path",
                "ckpt_path",
                "adapter_path",
                "base_model_path",
                "external_data",
                "library_path",
                "pretrained_model_name_or_path",
                "config_file",
                "config_path",
                "module_path",
                "custom_ops_library",
                "base_model_name_or_path",
                "pretrained_vae_path",
        };
        static const char *const noted[] = {"_name_or_path", "name_or_path", "special_tokens_map_file",
                                            "tokenizer_file", "tokenizer_name_or_path"};
        struct view key = object_key(w);
        bool follows = is_one_of(key, followed, ARRAY_SIZE(followed));

        if (!follows && !is_one_of(key, noted, ARRAY_SIZE(noted)))
                return;
        if (length <= text.n && !has_scheme(text) && !climbs(text) && !is_absolute(text))
                return;
        if (follows || length > text.n)
                report_put(j->report, RULE_FOLDER_PATH, w->json.at, VIEW_NULL,
                           "\"%s\" leads out of the folder: \"%s\".", report_quote(key).text,
                           report_quote(text).text);
        else
                report_put(j->report, RULE_FOLDER_ORIGIN, w->json.at, VIEW_NULL,
                           "\"%s\" notes a place outside of the folder: \"%s\".", report_quote(key).text,
                           report_quote(text).text);
}

/* ---- templates ---- */

static void end_template(struct set_json *j) {
        j->template_depth = 0;
        j->walk.json.whole = NULL;
}

static void template_text(struct set_json *j, const struct json_walk *w) {
        bool is_name = w->depth > j->template_depth && view_eq(key_of(w), VIEW("name"));

        if (!is_name) {
                template_note(&j->set->summary, buf_view(&j->text));
                /* escapes only make it longer in the file, so no place lies behind its end */
                template_check(j->report, buf_view(&j->text), "chat_template", w->json.at - j->text.n);
        }
        buf_clear(&j->text);
}

/* A text, a list of {"name", "template"}, or an object of texts by name. */
static void watch_template(struct set_json *j, const struct json_walk *w, enum json_event e) {
        if (j->template_depth == 0) {
                if (e != JSON_KEY || !view_ends(key_of(w), VIEW("chat_template")))
                        return;
                j->template_depth = w->depth;
                j->walk.json.whole = &j->text;
                return;
        }
        if (e == JSON_STRING)
                template_text(j, w);
        if (w->depth == j->template_depth && e != JSON_OBJECT_BEGIN && e != JSON_ARRAY_BEGIN)
                end_template(j);
}

/* ---- what is remembered ---- */

static void keep_text(char *out, size_t size, struct view v, uint64_t length) {
        if (length < size) {
                memcpy(out, v.p, v.n);
                out[v.n] = '\0';
        } else {
                report_escape(out, size, v); /* too long to be a known one */
        }
}

static void config_number(struct set_config *c, struct view key, struct view text) {
        static const struct {
                const char *key;
                size_t field;
        } numbers[] = {
                {"vocab_size", offsetof(struct set_config, vocabulary)},
                {"hidden_size", offsetof(struct set_config, width)},
                {"n_embd", offsetof(struct set_config, width)},
                {"d_model", offsetof(struct set_config, width)},
                {"max_position_embeddings", offsetof(struct set_config, context)},
                {"num_hidden_layers", offsetof(struct set_config, layers)},
        };
        uint64_t n;

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (view_eq_str(key, numbers[i].key) && u64_parse(text, UINT32_MAX, &n) == 0)
                        memcpy((char *)c + numbers[i].field, &n, sizeof n);
}

static void take_config(struct set_json *j, const struct json_walk *w, enum json_event e, struct view text,
                        uint64_t length) {
        struct set_config *c = &j->config;
        struct view key = key_of(w);

        if (w->depth == 1 && e == JSON_OBJECT_BEGIN && view_ends(key, VIEW("_config")) &&
            !view_eq(key, VIEW("quantization_config")))
                c->nested = true;
        if (w->depth == 1 && e == JSON_NUMBER)
                config_number(c, key, text);
        if (e != JSON_STRING)
                return;
        if (w->depth == 1 && view_eq(key, VIEW("_class_name")))
                keep_text(c->class_name, sizeof c->class_name, text, length);
        if (w->depth == 1 && view_eq(key, VIEW("model_type")))
                keep_text(c->type, sizeof c->type, text, length);
        if (w->depth == 2 && !c->architecture[0] && view_eq(json_walk_key(w, 0), VIEW("architectures")))
                keep_text(c->architecture, sizeof c->architecture, text, length);
}

#define BAD_INDEX(j, w, ...)                                                                                 \
        ({                                                                                                   \
                report_put((j)->report, RULE_ST_INDEX, (w)->json.at, VIEW_NULL, __VA_ARGS__);                \
                (j)->index.bad = true;                                                                       \
        })

static int take_shard(struct set_json *j, const struct json_walk *w, struct view name, uint64_t length) {
        struct view folder = set_name_folder(set_path(j->set, set_get(j->set, j->member)));
        struct set_promise p = {.index = j->member};
        size_t i = SIZE_MAX;
        int r;

        if (length == name.n && length <= MODEL_SET_NAME_MAX && view_find_char(name, '/') == SIZE_MAX)
                i = set_find(j->set, folder, name);
        if (i == SIZE_MAX || set_get(j->set, i)->file != SET_FILE_SAFETENSORS) {
                BAD_INDEX(j, w,
                          "The index puts a tensor into \"%s\", which is no safetensors file beside it.",
                          report_quote(name).text);
                return 0;
        }
        p.shard = (uint32_t)i;
        memcpy(p.hash, j->hash, sizeof p.hash);
        r = buf_append(&j->set->promises, &p, sizeof p);
        if (r == -EFBIG) {
                BAD_INDEX(j, w, "The indexes of this folder name too many tensors.");
                return 0;
        }
        return r;
}

static int take_index(struct set_json *j, const struct json_walk *w, enum json_event e, struct view text,
                      uint64_t length) {
        struct view section = json_walk_key(w, 0);

        if (w->depth == 2 && view_eq(section, VIEW("weight_map"))) {
                if (e == JSON_KEY)
                        names_digest_hash(text, j->hash);
                else if (e == JSON_STRING && w->levels[1].is_object)
                        return take_shard(j, w, text, length);
                else if (is_value(e))
                        BAD_INDEX(j, w, "weight_map must hold the names of files and nothing else.");
        } else if (w->depth == 2 && view_eq(section, VIEW("metadata")) && is_value(e) &&
                   view_eq(key_of(w), VIEW("total_size"))) {
                if (e != JSON_NUMBER || u64_parse(text, UINT64_MAX, &j->index.total) < 0)
                        BAD_INDEX(j, w, "total_size is no plain whole number.");
                j->index.has_total = true;
        } else if (w->depth == 1 && is_value(e) && e != JSON_OBJECT_BEGIN &&
                   (view_eq(section, VIEW("weight_map")) || view_eq(section, VIEW("metadata")))) {
                BAD_INDEX(j, w, "\"%s\" is no object.", report_quote(section).text);
        }
        return 0;
}

/* ---- model_index.json ---- */

static struct set_component *last_component(struct set_pipeline *p) {
        return p->n > 0 ? &p->components[p->n - 1] : NULL;
}

static void add_component(struct set_pipeline *p, const struct json_walk *w, enum set_component_form form) {
        struct view name = json_walk_key(w, 0);
        struct set_component *c;

        if (p->n == MODEL_SET_PARTS_MAX) {
                p->too_many = true;
                return;
        }
        c = &p->components[p->n++];
        *c = (struct set_component){.form = form,
                                    .name_n = (uint8_t)MIN_OF(name.n, (size_t)SET_CLASS_MAX - 1)};
        memcpy(c->name, name.p, c->name_n);
        if (name.n >= SET_CLASS_MAX)
                c->form = COMPONENT_MALFORMED;
}

/* Facts about the pipeline as a whole, and members that are no component: switches and numbers. */
static void take_fact(struct set_pipeline *p, const struct json_walk *w, enum json_event e, struct view text,
                      uint64_t length) {
        struct view key = json_walk_key(w, 0);

        if (view_eq(key, VIEW("_class_name")) && e == JSON_STRING) {
                p->has_class = true;
                keep_text(p->class_name, sizeof p->class_name, text, length);
        } else if (view_eq(key, VIEW("_diffusers_version")) && e == JSON_STRING) {
                p->has_version = true;
                keep_text(p->version, sizeof p->version, text, length);
        } else if (e == JSON_ARRAY_BEGIN && !view_starts(key, VIEW("_"))) {
                add_component(p, w, COMPONENT_NAMED);
        } else if (e == JSON_NULL && !view_starts(key, VIEW("_"))) {
                add_component(p, w, COMPONENT_ABSENT);
        } else if (e == JSON_TRUE || e == JSON_FALSE || e == JSON_NUMBER || e == JSON_NULL ||
                   (e == JSON_STRING && view_eq(key, VIEW("_name_or_path")))) {
                return;
        } else {
                add_component(p, w, COMPONENT_MALFORMED);
        }
}

static void take_pair(struct set_component *c, enum json_event e, struct view text, uint64_t length) {
        unsigned place = c->texts + c->nulls;

        if (e == JSON_STRING && place == 0)
                keep_text(c->library, sizeof c->library, text, length);
        else if (e == JSON_STRING && place == 1)
                keep_text(c->class_name, sizeof c->class_name, text, length);
        c->texts += e == JSON_STRING;
        c->nulls += e == JSON_NULL;
        if (place > 1 || (e != JSON_STRING && e != JSON_NULL))
                c->form = COMPONENT_MALFORMED;
}

static void take_pipeline(struct set_json *j, const struct json_walk *w, enum json_event e, struct view text,
                          uint64_t length) {
        struct set_pipeline *p = &j->set->pipeline;
        struct set_component *c = last_component(p);

        if (w->depth == 0 || e == JSON_KEY || p->too_many)
                return;
        if (w->depth == 1 && is_value(e))
                take_fact(p, w, e, text, length);
        else if (w->depth == 1 && e == JSON_ARRAY_END && c && c->form == COMPONENT_NAMED) {
                if (c->texts + c->nulls != 2 || c->nulls == 1)
                        c->form = COMPONENT_MALFORMED;
                else if (c->nulls == 2)
                        c->form = COMPONENT_ABSENT;
        } else if (w->depth == 2 && is_value(e) && c) {
                take_pair(c, e, text, length);
        }
}

/* ---- events ---- */

static int on_event(void *userdata, const struct json_walk *w, enum json_event e, struct view text,
                    uint64_t length) {
        struct set_json *j = userdata;

        if (is_value(e))
                check_code_key(j, w, e);
        if (e == JSON_STRING)
                check_path(j, w, text, length);
        watch_template(j, w, e);
        switch (j->role) {
        case ROLE_CONFIG:
                take_config(j, w, e, text, length);
                break;
        case ROLE_INDEX:
                return take_index(j, w, e, text, length);
        case ROLE_PIPELINE:
                take_pipeline(j, w, e, text, length);
                break;
        default:
                break;
        }
        return 0;
}

int set_json_feed(struct set_json *j, struct view bytes) {
        return json_walk_feed(&j->walk, bytes);
}

int set_json_finish(struct set_json *j) {
        bool strict = json_walk_finish(&j->walk);
        int r = 0;

        j->config.strict = j->index.strict = strict;
        if (j->role == ROLE_PIPELINE)
                j->set->pipeline.strict = strict;
        if (j->role == ROLE_CONFIG)
                r = buf_append(&j->set->configs, &j->config, sizeof j->config);
        if (j->role == ROLE_INDEX)
                r = buf_append(&j->set->indexes, &j->index, sizeof j->index);
        if (r == -EFBIG) {
                report_put(j->report, RULE_FOLDER_LIMIT, REPORT_WHOLE, VIEW_NULL,
                           "The folder has more than %u configurations or indexes.", MODEL_SET_CONFIGS_MAX);
                r = 0;
        }
        return r;
}
