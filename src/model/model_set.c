#include "model/model_set.h"

#include "model/set_parts.h"
#include "model/set_reader.h"
#include "model/template.h"

int model_set_new(const struct finding_sink *sink, struct model_set **ret) {
        _cleanup_(model_set_freep) struct model_set *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->sink = *sink;
        s->report = (struct model_report){.sink = &s->sink};
        s->paths = BUF_INIT(MODEL_SET_PATHS_MAX);
        s->members = BUF_INIT(MODEL_SET_MEMBERS_MAX * sizeof(struct model_member));
        s->configs = BUF_INIT(MODEL_SET_CONFIGS_MAX * sizeof(struct set_config));
        s->indexes = BUF_INIT(MODEL_SET_CONFIGS_MAX * sizeof(struct set_index));
        s->promises = BUF_INIT(MODEL_SET_PROMISES_MAX * sizeof(struct set_promise));
        r = hash_set_new(MODEL_SET_MEMBERS_MAX + MODEL_SET_FOLDERS_MAX, &s->exact);
        if (r < 0)
                return r;
        r = hash_set_new(MODEL_SET_MEMBERS_MAX + MODEL_SET_FOLDERS_MAX, &s->folded);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct model_set *model_set_free(struct model_set *s) {
        if (s) {
                buf_done(&s->paths);
                buf_done(&s->members);
                buf_done(&s->configs);
                buf_done(&s->indexes);
                buf_done(&s->promises);
                hash_set_free(s->exact);
                hash_set_free(s->folded);
                free(s);
        }
        return NULL;
}

/* ---- names ---- */

/* Notes a path or a folder of one. 1: its spelling is new and so is its folded form; 0: this spelling was there
 * already; -EEXIST: another spelling of the same was there. */
static int note_name(struct model_set *s, struct view path) {
        _cleanup_(buf_donep) struct buf folded = BUF_INIT(4 * (size_t)MODEL_SET_PATH_MAX + 8);
        int r = hash_set_add(s->exact, path);

        if (r <= 0)
                return r;
        r = set_name_fold(path, &folded);
        if (r >= 0)
                r = hash_set_add(s->folded, buf_view(&folded));
        return r == 0 ? -EEXIST : r;
}

/* The folders on the way to a path, then the path. */
static int note_names(struct model_set *s, struct view path) {
        int r;

        for (size_t i = 0; i < path.n; i++) {
                if (path.p[i] != '/')
                        continue;
                r = note_name(s, view_sub(path, 0, i));
                if (r < 0)
                        return r;
                s->folders += (size_t)r;
                if (s->folders > MODEL_SET_FOLDERS_MAX)
                        return -E2BIG;
        }
        r = note_name(s, path);
        return r == 0 ? -EEXIST : r;
}

static int check_names(struct model_set *s, size_t i, struct view path) {
        int r = note_names(s, path);

        if (r == -EEXIST) {
                SET_PUT(s, i, RULE_FOLDER_COLLISION,
                        "The name \"%s\" differs from another one by capitals only, or stands twice.",
                        report_quote(path).text);
                return 0;
        }
        if (r == -E2BIG) {
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_LIMIT, "There are more than %u folders.",
                        MODEL_SET_FOLDERS_MAX);
                return 0;
        }
        return r < 0 ? r : 0;
}

static int check_path(struct model_set *s, size_t i, struct view path) {
        const char *why = set_name_fault(path);

        if (why) {
                SET_PUT(s, i, RULE_FOLDER_NAME, "The name \"%s\" %s.", report_quote(path).text, why);
                return 0;
        }
        if (set_get(s, i)->file == SET_FILE_REFUSED)
                SET_PUT(s, i, RULE_FOLDER_ENDING,
                        "\"%s\" is no file that a model needs; files of this kind can hold programs. "
                        "Take it out of the folder.",
                        report_quote(path).text);
        return check_names(s, i, path);
}

int model_set_add(struct model_set *s, struct view path, uint64_t size) {
        struct model_member m = {.path_at = (uint32_t)s->paths.n, .size = size};
        size_t i = set_count(s);
        int r;

        if (path.n > MODEL_SET_PATH_MAX)
                return -E2BIG;
        if (i > 0 && view_compare(set_path(s, set_get(s, i - 1)), path) >= 0)
                return -EINVAL;
        m.path_n = (uint16_t)path.n;
        m.file = (uint8_t)set_name_file(path);
        r = buf_append_view(&s->paths, path);
        if (r >= 0)
                r = buf_append(&s->members, &m, sizeof m);
        if (r < 0)
                return r == -EFBIG ? -E2BIG : r;
        return check_path(s, i, path);
}

/* ---- members ---- */

int model_set_scan_new(struct model_set *s, uint32_t member, struct model_scan **ret) {
        _cleanup_(set_reader_freep) struct set_reader *reader = NULL;
        const struct model_member *m;
        int r;

        if (member >= set_count(s))
                return -EINVAL;
        m = set_get(s, member);
        r = set_reader_new(s, member, &reader);
        if (r < 0)
                return r;
        r = model_scan_new_member(m->size, set_name_base(set_path(s, m)), member, &s->sink, reader, ret);
        if (r >= 0)
                reader = NULL;
        return r;
}

int model_set_scan_alone(struct view path, uint64_t size, uint32_t member, const struct finding_sink *sink,
                         struct model_scan **ret) {
        enum set_file file = set_name_file(path);

        if (file != SET_FILE_SAFETENSORS && file != SET_FILE_GGUF)
                return -EINVAL;
        return model_scan_new_member(size, set_name_base(path), member, sink, NULL, ret);
}

static uint64_t sum(uint64_t a, uint64_t b) {
        uint64_t c;

        return __builtin_add_overflow(a, b, &c) ? UINT64_MAX : c;
}

/* What the whole inherits. */
static void add_facts(struct model_summary *t, uint64_t *most, const struct model_summary *f) {
        t->tensors = sum(t->tensors, f->tensors);
        t->tensor_bytes = sum(t->tensor_bytes, f->tensor_bytes);
        t->parameters = sum(t->parameters, f->parameters);
        t->non_finite = sum(t->non_finite, f->non_finite);
        if (f->has_chat_template)
                template_join(t, f->template_sha256);
        if (t->context_length == 0)
                t->context_length = f->context_length;
        if (!t->architecture[0])
                memcpy(t->architecture, f->architecture, sizeof t->architecture);
        if (!t->name[0])
                memcpy(t->name, f->name, sizeof t->name);
        if (f->tensor_bytes > *most) {
                *most = f->tensor_bytes;
                memcpy(t->quantization, f->quantization, sizeof t->quantization);
        }
}

int model_set_fact(struct model_set *s, uint32_t member, const struct model_summary *f) {
        struct model_member *m;

        if (member >= set_count(s) || set_get(s, member)->told || f->size != set_get(s, member)->size)
                return -EINVAL;
        m = set_get(s, member);
        m->told = true;
        m->kind = f->kind;
        m->format_version = f->format_version;
        m->split_no = f->split_no;
        m->split_count = f->split_count;
        m->split_tensors = f->split_tensors;
        m->tensors = f->tensors;
        m->tensor_bytes = f->tensor_bytes;
        m->embedding_rows = f->embedding_rows;
        m->embedding_columns = f->embedding_columns;
        m->landmarks = f->landmarks;
        m->has_architecture = f->architecture[0] != '\0';
        memcpy(m->names_digest, f->names_digest, sizeof m->names_digest);
        add_facts(&s->summary, &s->quantization_bytes, f);
        return 0;
}

size_t set_find(const struct model_set *s, struct view folder, struct view name) {
        char path[MODEL_SET_PATH_MAX];
        size_t low = 0, high = set_count(s), n = folder.n > 0 ? folder.n + 1 : 0;

        if (name.n == 0 || n + name.n > sizeof path)
                return SIZE_MAX;
        if (n > 0) {
                memcpy(path, folder.p, folder.n);
                path[folder.n] = '/';
        }
        memcpy(path + n, name.p, name.n);
        n += name.n;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = view_compare(set_path(s, set_get(s, middle)), (struct view){path, n});

                if (c == 0)
                        return middle;
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return SIZE_MAX;
}

bool set_is_in(struct view path, struct view folder) {
        return view_eq(set_name_folder(path), folder);
}

const struct set_config *set_config_find(const struct model_set *s, struct view folder, const char *name) {
        size_t i = set_find(s, folder, view_of(name));
        const struct set_config *c = (const struct set_config *)(const void *)s->configs.p;

        for (size_t k = 0; i != SIZE_MAX && k < s->configs.n / sizeof *c; k++)
                if (c[k].member == i)
                        return &c[k];
        return NULL;
}

/* ---- the whole ---- */

static void refuse_mixture(struct model_set *s, size_t gguf, size_t safetensors) {
        if (gguf > 0)
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_KIND,
                        "The folder holds both GGUF and safetensors files (%zu and %zu): two models. Import "
                        "them one by one.",
                        gguf, safetensors);
        else
                SET_PUT(s, SIZE_MAX, RULE_FOLDER_KIND,
                        "The folder holds no model: neither a safetensors nor a GGUF file.");
}

static enum model_kind kind_of(struct model_set *s) {
        size_t gguf = 0, safetensors = 0;

        for (size_t i = 0; i < set_count(s); i++) {
                gguf += set_get(s, i)->file == SET_FILE_GGUF;
                safetensors += set_get(s, i)->file == SET_FILE_SAFETENSORS;
        }
        if (set_find(s, VIEW_NULL, VIEW("model_index.json")) != SIZE_MAX)
                return MODEL_KIND_DIFFUSION;
        if (gguf > 0 && safetensors == 0)
                return MODEL_KIND_GGUF_SET;
        if (safetensors > 0 && gguf == 0)
                return MODEL_KIND_SAFETENSORS_SET;
        refuse_mixture(s, gguf, safetensors);
        return MODEL_KIND_FOLDER;
}

/* Reference data has a place beside an image model only. */
static void check_numbers(struct model_set *s) {
        if (s->summary.kind == MODEL_KIND_DIFFUSION)
                return;
        for (size_t i = 0; i < set_count(s); i++)
                if (set_get(s, i)->file == SET_FILE_NUMBERS)
                        SET_PUT(s, i, RULE_FOLDER_ENDING,
                                "\"%s\" is no file that this model needs. Take it out of the folder.",
                                report_quote(set_path(s, set_get(s, i))).text);
}

int model_set_finish(struct model_set *s, struct model_summary *ret) {
        int r;

        s->summary.size = 0;
        for (size_t i = 0; i < set_count(s); i++) {
                if (!set_get(s, i)->told)
                        return -ENODATA;
                s->summary.size = sum(s->summary.size, set_get(s, i)->size);
        }
        s->summary.kind = kind_of(s);
        check_numbers(s);
        r = set_index_check(s);
        if (r < 0)
                return r;
        if (s->summary.kind == MODEL_KIND_GGUF_SET)
                set_split_check(s);
        else if (s->summary.kind == MODEL_KIND_SAFETENSORS_SET)
                set_folder_check(s);
        else if (s->summary.kind == MODEL_KIND_DIFFUSION)
                set_diffusion_check(s);
        *ret = s->summary;
        return 0;
}
