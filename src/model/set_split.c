/* A folder's GGUF model, in one file or in parts: GGUF-G15. Names, split.no, split.count and split.tensors.count must say the same, and nothing may be
 * missing or left over. Source: llama.cpp, llama_split_path and llama_model_loader. */
#include "model/set_parts.h"

#define TAIL "-NNNNN-of-NNNNN.gguf"

static unsigned long long ull(uint64_t v) {
        return v;
}

struct part_name {
        struct view stem; /* path without the numbers */
        uint32_t no, count;
};

static bool parse(struct view path, struct part_name *ret) {
        static const char shape[] = TAIL;
        size_t n = sizeof shape - 1;
        const char *p = path.p + path.n - n;

        if (path.n <= n)
                return false;
        *ret = (struct part_name){.stem = view_sub(path, 0, path.n - n)};
        for (size_t i = 0; i < n; i++) {
                uint32_t *number = i < 6 ? &ret->no : &ret->count;

                if (shape[i] == 'N' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
                        return false;
                if (shape[i] == 'N')
                        *number = *number * 10 + (uint32_t)(p[i] - '0');
        }
        return set_name_base(ret->stem).n > 0 || !view_ends(ret->stem, VIEW("/"));
}

/* What one part says of itself, against its place among `parts`. */
static void check_part(struct model_set *s, size_t i, const struct part_name *first, uint32_t place,
                       uint32_t parts) {
        const struct model_member *m = set_get(s, i);
        struct part_name name;

        if (!parse(set_path(s, m), &name)) {
                SET_PUT(s, i, RULE_GGUF_SPLIT,
                        "A folder of several GGUF files must be one model in parts, named "
                        "NAME-00001-of-0000N.gguf. "
                        "Import other files one by one.");
                return;
        }
        if (!view_eq(name.stem, first->stem) || name.count != parts || name.no != place + 1)
                SET_PUT(s, i, RULE_GGUF_SPLIT,
                        "The name says part %u of %u; the folder holds %u parts of one model, and this is "
                        "number "
                        "%u.",
                        name.no, name.count, parts, place + 1);
        if (m->kind != MODEL_KIND_GGUF)
                return;
        if (m->split_count != parts || m->split_no != place)
                SET_PUT(s, i, RULE_GGUF_SPLIT,
                        "split.no and split.count say part %llu of %llu, the name says %u of %u.",
                        ull((uint64_t)m->split_no + 1), ull(m->split_count), name.no, name.count);
        if (place > 0 && m->has_architecture)
                SET_PUT(s, i, RULE_GGUF_SPLIT,
                        "Only the first part describes the model; this one has a description of its own.");
        if (place == 0 && !m->has_architecture)
                SET_PUT(s, i, RULE_GGUF_SPLIT, "The first part does not describe the model.");
        if (place > 0 && m->tensors == 0)
                SET_PUT(s, i, RULE_GGUF_SPLIT, "This part holds no weights.");
}

static void check_sum(struct model_set *s, size_t first) {
        uint64_t stated = set_get(s, first)->split_tensors;

        for (size_t i = 0; i < set_count(s); i++) {
                const struct model_member *m = set_get(s, i);

                if (m->file != SET_FILE_GGUF || m->kind != MODEL_KIND_GGUF)
                        continue;
                if (m->split_tensors != s->summary.tensors)
                        SET_PUT(s, i, RULE_GGUF_SPLIT,
                                "split.tensors.count is %llu, all parts together hold %llu tensors.",
                                ull(m->split_tensors), ull(s->summary.tensors));
                if (m->split_tensors == stated && m->format_version != set_get(s, first)->format_version)
                        SET_PUT(s, i, RULE_GGUF_SPLIT, "The parts are of different GGUF versions.");
        }
}

/* As such models are shared: one file, with its licence and what its makers say of it. */
static void check_only(struct model_set *s, size_t i) {
        const struct model_member *m = set_get(s, i);
        struct part_name name;

        if (m->split_count > 1 || m->split_no > 0 ||
            (parse(set_path(s, m), &name) && (name.no != 1 || name.count != 1)))
                SET_PUT(s, i, RULE_GGUF_SPLIT,
                        "The only GGUF file in the folder is one part of several. Put all parts into one "
                        "folder.");
        else if (m->kind == MODEL_KIND_GGUF && !m->has_architecture)
                SET_PUT(s, i, RULE_GGUF_SPLIT, "The file does not describe a model.");
}

void set_split_check(struct model_set *s) {
        struct part_name name = {.stem = VIEW_NULL};
        uint32_t parts = 0, place = 0;
        size_t first = SIZE_MAX;

        for (size_t i = 0; i < set_count(s); i++)
                if (set_get(s, i)->file == SET_FILE_GGUF && parts++ == 0)
                        first = i;
        if (parts == 1) {
                check_only(s, first);
                return;
        }
        if (parts > MODEL_SET_GGUF_PARTS_MAX) {
                SET_PUT(s, first, RULE_GGUF_SPLIT, "The model has more parts than can be run.");
                return;
        }
        (void)parse(set_path(s, set_get(s, first)), &name);
        for (size_t i = 0; i < set_count(s); i++)
                if (set_get(s, i)->file == SET_FILE_GGUF)
                        check_part(s, i, &name, place++, parts);
        check_sum(s, first);
}
