/* A language model's folder in the layout of Hugging Face: FOLDER-…. Its weights lie in one folder, with a configuration that
 * fits them. */
#include "model/set_parts.h"

static unsigned long long ull(uint64_t v) {
        return v;
}

/* Python takes such a name as the name of a class. */
static bool is_class_name(const char *name) {
        size_t n = strlen(name);

        for (size_t i = 0; i < n; i++) {
                char c = name[i];
                bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

                if (!letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))))
                        return false;
        }
        return n > 0 && n < SET_CLASS_MAX;
}

void set_config_check(struct model_set *s, struct view folder, const struct set_config *c) {
        if ((c->architecture[0] && !is_class_name(c->architecture)) ||
            (c->class_name[0] && !is_class_name(c->class_name)))
                SET_PUT(s, c->member, RULE_FOLDER_CONFIG,
                        "The configuration names the class \"%s\", which is no name.",
                        report_quote(view_of(c->architecture[0] ? c->architecture : c->class_name)).text);
        for (size_t i = 0; i < set_count(s) && !c->nested; i++) {
                const struct model_member *m = set_get(s, i);

                if (m->embedding_rows == 0 || !set_is_in(set_path(s, m), folder))
                        continue;
                if (c->vocabulary > m->embedding_rows)
                        SET_PUT(s, c->member, RULE_FOLDER_CONFIG,
                                "The configuration promises %llu words, the weights know %llu: programs "
                                "would read "
                                "past their end.",
                                ull(c->vocabulary), ull(m->embedding_rows));
                if (c->width > 0 && c->width != m->embedding_columns && strcmp(c->type, "opt") != 0)
                        SET_PUT(s, c->member, RULE_FOLDER_CONFIG,
                                "The configuration says a width of %llu, the weights have %llu.",
                                ull(c->width), ull(m->embedding_columns));
        }
}

static bool has_tokenizer(const struct model_set *s) {
        static const char *const names[] = {
                "tokenizer.json", "tokenizer.model",        "vocab.json", "vocab.txt", "spiece.model",
                "tekken.json",    "sentencepiece.bpe.model"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (set_find(s, VIEW_NULL, view_of(names[i])) != SIZE_MAX)
                        return true;
        return false;
}

/* All weights lie at the top, in one file or in those that an index names. False when not. */
static bool weights_are_one_model(struct model_set *s) {
        size_t n = 0, indexes = s->indexes.n / sizeof(struct set_index);

        for (size_t i = 0; i < set_count(s); i++) {
                if (set_get(s, i)->file != SET_FILE_SAFETENSORS)
                        continue;
                n++;
                if (set_name_folder(set_path(s, set_get(s, i))).n > 0) {
                        SET_PUT(s, i, RULE_FOLDER_KIND,
                                "Weights lie in a folder of their own, so that it can't be told which model "
                                "this "
                                "is. Import that folder alone.");
                        return false;
                }
        }
        if (n > 1 && indexes != 1) {
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_KIND,
                        "The folder holds %zu files of weights and %zu lists (*.index.json) of what belongs "
                        "together.",
                        n, indexes);
                return false;
        }
        return true;
}

static void note_facts(struct model_set *s, const struct set_config *c) {
        if (s->summary.context_length == 0)
                s->summary.context_length = c->context;
        if (!s->summary.architecture[0])
                report_escape(s->summary.architecture, sizeof s->summary.architecture,
                              view_of(c->type[0] ? c->type : c->architecture));
}

void set_folder_check(struct model_set *s) {
        const struct set_config *c = set_config_find(s, VIEW_NULL, "config.json");

        (void)weights_are_one_model(s);
        if (!c)
                c = set_config_find(s, VIEW_NULL, "adapter_config.json");
        if (!c) {
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_CONFIG,
                        "There is no config.json (or adapter_config.json) that says what the weights are.");
                return;
        }
        if (c->strict && set_find(s, VIEW_NULL, VIEW("config.json")) == c->member && !c->type[0] &&
            !c->architecture[0])
                SET_PUT(s, c->member, RULE_FOLDER_CONFIG,
                        "The configuration names neither a model_type nor architectures.");
        set_config_check(s, VIEW_NULL, c);
        note_facts(s, c);
        if (!has_tokenizer(s))
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_UNSAID,
                        "There is no tokenizer in the folder: what its words are was not looked at.");
}
