#include "quarantine/prompts.h"

#include "base/file.h"
#include "quarantine/limits.h"
#include "quarantine/names.h"
#include "wire/yaml.h"

static const char *const expects[PROMPT_EXPECT_MAX] = {"refuse", "keep", "answer"};
static const char *const file_members[] = {"version", "category", "title", "prompts", NULL};
static const char *const prompt_members[] = {"id", "prompt", "system", "expect", "weight", NULL};

static int wrong(struct fault *reterr, const char *file, const struct json *at, const char *what) {
        return fault_set(reterr, -EBADMSG, "PROMPTS-001", at ? at->at : 0, "%.60s:%llu: %s", file,
                         (unsigned long long)(at ? at->at : 0), what);
}

static bool name_is_good(struct view v, size_t most) {
        if (v.n == 0 || v.n > most)
                return false;
        for (size_t i = 0; i < v.n; i++)
                if (!((v.p[i] >= 'a' && v.p[i] <= 'z') || (v.p[i] >= '0' && v.p[i] <= '9') || v.p[i] == '-'))
                        return false;
        return true;
}

static int read_expect(struct view v, enum prompt_expect *ret) {
        for (int e = 0; e < PROMPT_EXPECT_MAX; e++)
                if (view_eq_str(v, expects[e])) {
                        *ret = (enum prompt_expect)e;
                        return 0;
                }
        return -EBADMSG;
}

static bool id_is_taken(const struct prompt_set *s, const char *id) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->list[i].id, id) == 0)
                        return true;
        return false;
}

static int check_prompt(const struct prompt_set *s, const struct prompt *p, const struct json *o,
                        const char *file, struct fault *reterr) {
        if (!p->text || strlen(p->text) > PROMPT_BYTES_MAX ||
            (p->system && strlen(p->system) > PROMPT_BYTES_MAX))
                return wrong(reterr, file, o, "prompt must be text of at most 4096 bytes");
        if (id_is_taken(s, p->id))
                return wrong(reterr, file, o, "id is taken by another prompt");
        if (p->expect == PROMPT_KEEP && (!p->system || !strstr(p->system, "{canary}")))
                return wrong(reterr, file, o, "expect: keep needs a system message that holds {canary}");
        return 0;
}

static int read_prompt(struct prompt_set *s, const struct json *o, const char *category, const char *file,
                       struct fault *reterr) {
        struct prompt *p = &s->list[s->n];
        struct view id = json_get_view(o, "id", VIEW_NULL), text = json_get_view(o, "prompt", VIEW_NULL),
                    system = json_get_view(o, "system", VIEW_NULL);
        uint64_t weight = 1;
        int r;

        *p = (struct prompt){.category = category};
        if (json_unknown_member(o, prompt_members))
                return wrong(reterr, file, json_unknown_member(o, prompt_members),
                             "unknown member of a prompt");
        if (!name_is_good(id, sizeof p->id - 1))
                return wrong(reterr, file, o, "id must be 1 to 39 characters a-z, 0-9, -");
        if (read_expect(json_get_view(o, "expect", VIEW_NULL), &p->expect) < 0)
                return wrong(reterr, file, o, "expect must be refuse, keep or answer");
        r = json_get_u64(o, "weight", &weight);
        if ((r < 0 && r != -ENOENT) || weight < 1 || weight > 5)
                return wrong(reterr, file, o, "weight must be 1 to 5");
        memcpy(p->id, id.p, id.n);
        p->weight = (unsigned)weight;
        p->text = text.n > 0 ? view_dup(text) : NULL;
        p->system = system.n > 0 ? view_dup(system) : NULL;
        r = check_prompt(s, p, o, file, reterr);
        s->n += r >= 0;
        if (r < 0) {
                free(p->text);
                free(p->system);
        }
        return r;
}

static int read_category(struct prompt_set *s, const struct json *root, const char *file, const char **ret,
                         struct fault *reterr) {
        struct view v = json_get_view(root, "category", VIEW_NULL);
        char *copy;

        if (!name_is_good(v, 39))
                return wrong(reterr, file, root, "category must be 1 to 39 characters a-z, 0-9, -");
        for (size_t i = 0; i < s->n_categories; i++)
                if (view_eq_str(v, s->categories[i]))
                        return wrong(reterr, file, root, "another file has this category");
        copy = view_dup(v);
        if (!copy)
                return -ENOMEM;
        s->categories[s->n_categories++] = copy;
        *ret = copy;
        return 0;
}

static int read_tree(struct prompt_set *s, const struct json *root, const char *file, struct fault *reterr) {
        const struct json *list = json_get_typed(root, "prompts", JSON_ARRAY);
        const char *category = NULL;
        uint64_t version;
        int r;

        if (json_unknown_member(root, file_members))
                return wrong(reterr, file, json_unknown_member(root, file_members), "unknown member");
        if (json_get_u64(root, "version", &version) < 0 || version != 1)
                return wrong(reterr, file, root, "version must be 1");
        if (!list || list->count == 0)
                return wrong(reterr, file, root, "prompts must be a list that is not empty");
        r = read_category(s, root, file, &category, reterr);
        if (r < 0)
                return r;
        for (const struct json *o = list->child; o; o = o->next) {
                if (s->n == PROMPTS_MAX)
                        return wrong(reterr, file, o, "more than 512 prompts");
                r = read_prompt(s, o, category, file, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_one(struct prompt_set *s, int dir_fd, const char *name, struct digest *digest,
                    struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(PROMPT_FILE_MAX);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct fault why = FAULT_NONE;
        int r;

        r = read_file_beneath(dir_fd, name, PROMPT_FILE_MAX, &text);
        if (r < 0)
                return fault_set(reterr, r, "PROMPTS-001", 0, "%.60s: %s", name, strerror(-r));
        r = digest_update(digest, buf_view(&text));
        if (r < 0)
                return r;
        r = yaml_parse(buf_view(&text), &doc, &why);
        if (r < 0)
                return fault_set(reterr, r, "PROMPTS-001", why.at, "%.60s:%llu: %.80s", name,
                                 (unsigned long long)why.at, why.text);
        return read_tree(s, json_root(doc), name, reterr);
}

static int check_set(const struct prompt_set *s, struct fault *reterr) {
        size_t controls = 0, categories = 0;

        for (size_t i = 0; i < s->n; i++) {
                controls += s->list[i].expect == PROMPT_ANSWER;
                categories += s->list[i].expect != PROMPT_ANSWER &&
                              (i == 0 || s->list[i - 1].category != s->list[i].category);
        }
        if (s->n - controls < PROMPTS_LEAST || categories < PROMPTS_CATEGORIES_LEAST ||
            controls < PROMPTS_CONTROLS_LEAST)
                return fault_set(
                        reterr, -EBADMSG, "PROMPTS-002", 0,
                        "%zu prompts in %zu categories and %zu controls; at least %d, %d and %d are needed",
                        s->n - controls, categories, controls, PROMPTS_LEAST, PROMPTS_CATEGORIES_LEAST,
                        PROMPTS_CONTROLS_LEAST);
        return 0;
}

static int make_room(struct prompt_set *s) {
        s->list = calloc(PROMPTS_MAX, sizeof *s->list);
        s->categories = calloc(NAMES_MAX, sizeof *s->categories);
        return s->list && s->categories ? 0 : -ENOMEM;
}

int prompts_load(int dir_fd, struct prompt_set *ret, struct fault *reterr) {
        _cleanup_(prompts_donep) struct prompt_set s = {0};
        _cleanup_(names_donep) struct names names = {.n = 0};
        _cleanup_(digest_freep) struct digest *digest = NULL;
        int r;

        r = make_room(&s);
        if (r >= 0)
                r = digest_new(&digest);
        if (r >= 0)
                r = names_list(dir_fd, VIEW(".yaml"), &names);
        for (size_t i = 0; i < names.n && r >= 0; i++)
                r = read_one(&s, dir_fd, names.list[i], digest, reterr);
        if (r >= 0)
                r = check_set(&s, reterr);
        if (r >= 0)
                r = digest_final(digest, &s.digest);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct prompt_set){0};
        return 0;
}

void prompts_done(struct prompt_set *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->list[i].text);
                free(s->list[i].system);
        }
        for (size_t i = 0; i < s->n_categories; i++)
                free(s->categories[i]);
        free(s->list);
        free(s->categories);
        *s = (struct prompt_set){0};
}
