#include "quarantine/prompts.h"

#include "base/file.h"
#include "quarantine/encodings.h"
#include "quarantine/variation.h"
#include "wire/yaml.h"

#define COMMON_FILE  "suites.yaml"
#define FORM_VERSION 2

static const char *const expects[PROMPT_EXPECT_MAX] = {"refuse", "keep", "ignore", "answer"};
static const char *const common_members[] = {"version", "suites", "slots", NULL};
static const char *const suite_members[] = {"id", "version", "title", "categories", NULL};
static const char *const file_members[] = {"version", "suite", "category", "title", "slots", "prompts", NULL};
static const char *const prompt_members[] = {"id", "prompt", "system", "goal", "expect", "weight", NULL};

struct reading {
        struct prompt_set *set;
        const char *file;
        size_t category; /* of the file, or PROMPT_SHARED */
        struct fault *reterr;
};

static int wrong(const struct reading *rd, const struct json *at, const char *what) {
        return fault_set(rd->reterr, -EBADMSG, "PROMPTS-001", at ? at->at : 0, "%.60s:%llu: %s", rd->file,
                         (unsigned long long)(at ? at->at : 0), what);
}

static bool name_is_good(struct view v) {
        if (v.n == 0 || v.n >= PROMPT_NAME_SIZE || v.p[0] < 'a' || v.p[0] > 'z')
                return false;
        for (size_t i = 0; i < v.n; i++)
                if (!((v.p[i] >= 'a' && v.p[i] <= 'z') || (v.p[i] >= '0' && v.p[i] <= '9') || v.p[i] == '-'))
                        return false;
        return true;
}

static void put_name(char out[PROMPT_NAME_SIZE], struct view name) {
        memcpy(out, name.p, name.n);
        out[name.n] = '\0';
}

static int read_version(const struct reading *rd, const struct json *root) {
        uint64_t version;

        if (json_get_u64(root, "version", &version) < 0 || version != FORM_VERSION)
                return wrong(rd, root, "version must be 2");
        return 0;
}

/* --- slots --- */

const struct prompt_slot *prompts_find_slot(const struct prompt_set *s, size_t category, struct view name) {
        for (size_t i = 0; i < s->n_slots; i++)
                if ((s->slots[i].category == category || s->slots[i].category == PROMPT_SHARED) &&
                    view_eq_str(name, s->slots[i].name))
                        return &s->slots[i];
        return NULL;
}

/* Bytes that a slot can become; 0 for one that is not known. */
static size_t longest_of_use(const struct prompt_set *s, size_t category, const struct slot_use *use,
                             bool has_goal) {
        const struct prompt_slot *slot = prompts_find_slot(s, category, use->name);
        size_t n = 0;

        if (slot)
                n = slot->wants_goal && !has_goal ? 0 : slot->longest;
        else if (view_eq_str(use->name, "canary"))
                n = CANARY_SIZE;
        else if (has_goal && view_eq_str(use->name, "goal"))
                n = PROMPT_GOAL_MAX;

        return use->encoding && n > 0 ? n * ENCODING_GROWTH + ENCODING_EXTRA : n;
}

/* The most bytes that the text can become; 0 when it uses a slot that is not known, SIZE_MAX when it is too much. */
static size_t longest_of(const struct prompt_set *s, size_t category, struct view text, bool has_goal) {
        size_t sum = 1;

        while (text.n > 0) {
                struct slot_use use;
                size_t n;

                sum += variation_next(&text, &use).n;
                n = use.name.n > 0 ? longest_of_use(s, category, &use, has_goal) : 0;
                if (use.name.n > 0 && n == 0)
                        return 0;
                sum += n;
                if (sum > PROMPT_BYTES_MAX)
                        return SIZE_MAX;
        }
        return sum;
}

static bool holds_canary(const struct prompt_set *s, size_t category, struct view text) {
        while (text.n > 0) {
                struct slot_use use;
                const struct prompt_slot *slot;

                (void)variation_next(&text, &use);
                slot = use.name.n > 0 ? prompts_find_slot(s, category, use.name) : NULL;
                if (view_eq_str(use.name, "canary") || (slot && slot->has_canary))
                        return true;
        }
        return false;
}

static int read_variant(const struct reading *rd, struct prompt_slot *slot, const struct json *o) {
        size_t n;

        if (o->type != JSON_STRING || slot->n == PROMPT_VARIANTS_MAX)
                return wrong(rd, o, "a slot is a list of at most 256 texts");
        n = longest_of(rd->set, rd->category, o->text, true);
        if (n == 0)
                return wrong(rd, o, "uses a slot that is not defined before it");
        if (n == SIZE_MAX)
                return wrong(rd, o, "can become longer than 4096 bytes");
        slot->variants[slot->n] = view_dup(o->text);
        if (!slot->variants[slot->n])
                return o->text.n ? -ENOMEM : wrong(rd, o, "a text holds a NUL byte");
        slot->n++;
        slot->longest = MAX_OF(slot->longest, n);
        slot->has_canary &= holds_canary(rd->set, rd->category, o->text);
        slot->wants_goal |= longest_of(rd->set, rd->category, o->text, false) == 0;
        return 0;
}

static int read_slot(const struct reading *rd, const struct json *list) {
        struct prompt_set *s = rd->set;
        struct prompt_slot *slot = &s->slots[s->n_slots];
        int r = 0;

        if (!name_is_good(list->key) || view_eq_str(list->key, "goal") || view_eq_str(list->key, "canary") ||
            prompts_find_slot(s, rd->category, list->key))
                return wrong(rd, list, "a slot's name must be new, a-z, 0-9, -, and not goal or canary");
        if (s->n_slots == PROMPT_SLOTS_MAX || list->type != JSON_ARRAY || list->count == 0)
                return wrong(rd, list, "a slot is a list that is not empty; at most 512 slots");
        *slot = (struct prompt_slot){.category = rd->category, .has_canary = true};
        put_name(slot->name, list->key);
        slot->variants = calloc(list->count, sizeof *slot->variants);
        if (!slot->variants)
                return -ENOMEM;
        for (const struct json *c = list->child; c && r >= 0; c = c->next)
                r = read_variant(rd, slot, c);
        s->n_slots++; /* also when it is broken: prompts_done frees it */
        return r;
}

static int read_slots(const struct reading *rd, const struct json *root) {
        const struct json *slots = json_get(root, "slots");
        int r = 0;

        if (slots && slots->type != JSON_OBJECT)
                return wrong(rd, slots, "slots must be a map of names to lists");
        for (const struct json *c = slots ? slots->child : NULL; c && r >= 0; c = c->next)
                r = read_slot(rd, c);
        return r;
}

/* --- prompts --- */

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

static bool fits(const struct reading *rd, const char *text, bool has_goal, size_t most) {
        size_t n = text ? longest_of(rd->set, rd->category, view_of(text), has_goal) : 1;

        return n > 0 && n <= most;
}

static int check_prompt(const struct reading *rd, const struct prompt *p, const struct json *o) {
        if (!p->text)
                return wrong(rd, o, "prompt must be text");
        if (!fits(rd, p->goal, false, PROMPT_GOAL_MAX))
                return wrong(rd, o,
                             "goal uses a slot that is not known, or can become longer than 255 bytes");
        if (!fits(rd, p->text, p->goal != NULL, PROMPT_BYTES_MAX) ||
            !fits(rd, p->system, p->goal != NULL, PROMPT_BYTES_MAX))
                return wrong(rd, o, "uses a slot that is not known, or can become longer than 4096 bytes");
        if (id_is_taken(rd->set, p->id))
                return wrong(rd, o, "id is taken by another prompt");
        if (p->expect == PROMPT_KEEP &&
            (!p->system || !holds_canary(rd->set, rd->category, view_of(p->system))))
                return wrong(rd, o, "expect: keep needs a system message that holds {canary}");
        return 0;
}

static int fill_prompt(const struct reading *rd, const struct json *o, struct prompt *p) {
        struct view id = json_get_view(o, "id", VIEW_NULL), text = json_get_view(o, "prompt", VIEW_NULL),
                    system = json_get_view(o, "system", VIEW_NULL),
                    goal = json_get_view(o, "goal", VIEW_NULL);
        uint64_t weight = 1;
        int r;

        if (json_unknown_member(o, prompt_members))
                return wrong(rd, json_unknown_member(o, prompt_members), "unknown member of a prompt");
        if (!name_is_good(id))
                return wrong(rd, o, "id must be 1 to 39 characters a-z, 0-9, -");
        if (read_expect(json_get_view(o, "expect", VIEW_NULL), &p->expect) < 0)
                return wrong(rd, o, "expect must be refuse, keep, ignore or answer");
        r = json_get_u64(o, "weight", &weight);
        if ((r < 0 && r != -ENOENT) || weight < 1 || weight > 5)
                return wrong(rd, o, "weight must be 1 to 5");
        put_name(p->id, id);
        p->weight = (unsigned)weight;
        p->text = text.n > 0 ? view_dup(text) : NULL;
        p->system = system.n > 0 ? view_dup(system) : NULL;
        p->goal = goal.n > 0 ? view_dup(goal) : NULL;
        if ((system.n > 0 && !p->system) || (goal.n > 0 && !p->goal))
                return wrong(rd, o, "a text holds a NUL byte");
        return check_prompt(rd, p, o);
}

static void prompt_done(struct prompt *p) {
        free(p->text);
        free(p->system);
        free(p->goal);
}

static int read_prompt(const struct reading *rd, const struct json *o) {
        struct prompt_set *s = rd->set;
        struct prompt_category *category = &s->categories[rd->category];
        struct prompt p = {.category = rd->category};
        int r;

        if (s->n == PROMPTS_MAX)
                return wrong(rd, o, "more than 512 prompts");
        r = fill_prompt(rd, o, &p);
        if (r >= 0 && s->n > 0 && s->list[s->n - 1].category == rd->category &&
            category->harmless != (p.expect == PROMPT_ANSWER))
                r = wrong(rd, o, "a category holds either harmless prompts (expect: answer) or none of them");
        if (r < 0) {
                prompt_done(&p);
                return r;
        }
        category->harmless = p.expect == PROMPT_ANSWER;
        s->list[s->n++] = p;
        return 0;
}

/* --- files --- */

static size_t find_suite(const struct prompt_set *s, struct view id) {
        for (size_t i = 0; i < s->n_suites; i++)
                if (view_eq_str(id, s->suites[i].id))
                        return i;
        return SIZE_MAX;
}

size_t prompts_find_category(const struct prompt_set *s, struct view name) {
        for (size_t i = 0; i < s->n_categories; i++)
                if (view_eq_str(name, s->categories[i].name))
                        return i;
        return SIZE_MAX;
}

/* The files to be read: what else lies in the folder (an older version's, an editor's) is not asked. */
static int read_suite_categories(const struct reading *rd, const struct json *o) {
        const struct json *list = json_get_typed(o, "categories", JSON_ARRAY);
        struct prompt_set *s = rd->set;

        if (!list || list->count == 0)
                return wrong(rd, o, "a suite needs a list of categories");
        for (const struct json *c = list->child; c; c = c->next) {
                struct prompt_category *category = &s->categories[s->n_categories];

                if (s->n_categories == PROMPT_CATEGORIES_MAX || c->type != JSON_STRING ||
                    !name_is_good(c->text) || prompts_find_category(s, c->text) != SIZE_MAX)
                        return wrong(
                                rd, c,
                                "a category's name must be new and 1 to 39 characters a-z, 0-9, -; at most "
                                "64");
                category->suite = s->n_suites;
                put_name(category->name, c->text);
                s->n_categories++;
        }
        return 0;
}

static int read_suite(const struct reading *rd, const struct json *o) {
        struct prompt_set *s = rd->set;
        struct prompt_suite *suite = &s->suites[s->n_suites];
        struct view id = json_get_view(o, "id", VIEW_NULL);
        int r;

        if (json_unknown_member(o, suite_members))
                return wrong(rd, json_unknown_member(o, suite_members), "unknown member of a suite");
        if (s->n_suites == PROMPT_SUITES_MAX || !name_is_good(id) || find_suite(s, id) != SIZE_MAX)
                return wrong(rd, o,
                             "a suite's id must be new and 1 to 39 characters a-z, 0-9, -; at most 16");
        if (json_get_u64(o, "version", &suite->version) < 0 || suite->version == 0)
                return wrong(rd, o, "a suite's version must be 1 or more");
        put_name(suite->id, id);
        r = read_suite_categories(rd, o);
        s->n_suites++;
        return r;
}

static int read_common(const struct reading *rd, const struct json *root) {
        const struct json *suites = json_get_typed(root, "suites", JSON_ARRAY);
        int r;

        if (json_unknown_member(root, common_members))
                return wrong(rd, json_unknown_member(root, common_members), "unknown member");
        r = read_version(rd, root);
        for (const struct json *o = suites ? suites->child : NULL; o && r >= 0; o = o->next)
                r = read_suite(rd, o);
        return r < 0 ? r : read_slots(rd, root);
}

/* The file says where it belongs, too, so that a copy under another name is noticed. */
static int check_place(const struct reading *rd, const struct json *root) {
        const struct prompt_category *c = &rd->set->categories[rd->category];

        if (!view_eq_str(json_get_view(root, "category", VIEW_NULL), c->name))
                return wrong(rd, root, "category must be the file's name");
        if (!view_eq_str(json_get_view(root, "suite", VIEW_NULL), rd->set->suites[c->suite].id))
                return wrong(rd, root, "suite must be the one that names this category in " COMMON_FILE);
        return 0;
}

static int read_prompts(const struct reading *rd, const struct json *root) {
        const struct json *list = json_get_typed(root, "prompts", JSON_ARRAY);
        int r;

        if (json_unknown_member(root, file_members))
                return wrong(rd, json_unknown_member(root, file_members), "unknown member");
        r = read_version(rd, root);
        if (r < 0)
                return r;
        if (!list || list->count == 0)
                return wrong(rd, root, "prompts must be a list that is not empty");
        r = check_place(rd, root);
        if (r >= 0)
                r = read_slots(rd, root);
        for (const struct json *o = list->child; o && r >= 0; o = o->next)
                r = read_prompt(rd, o);
        return r;
}

/* `category` PROMPT_SHARED: the file of the suites. */
static int read_one(struct prompt_set *s, int dir_fd, size_t category, struct digest *digest,
                    struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(PROMPT_FILE_MAX);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        char name[PROMPT_NAME_SIZE + sizeof ".yaml"] = COMMON_FILE;
        struct reading rd = {.set = s, .file = name, .category = category, .reterr = reterr};
        struct fault why = FAULT_NONE;
        int r;

        if (category != PROMPT_SHARED)
                (void)snprintf(name, sizeof name, "%s.yaml", s->categories[category].name);
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
        return category == PROMPT_SHARED ? read_common(&rd, json_root(doc))
                                         : read_prompts(&rd, json_root(doc));
}

static int check_set(const struct prompt_set *s, struct fault *reterr) {
        size_t controls = 0, categories = 0;

        for (size_t i = 0; i < s->n; i++)
                controls += s->list[i].expect == PROMPT_ANSWER;
        for (size_t i = 0; i < s->n_categories; i++)
                categories += !s->categories[i].harmless;
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
        s->categories = calloc(PROMPT_CATEGORIES_MAX, sizeof *s->categories);
        s->slots = calloc(PROMPT_SLOTS_MAX, sizeof *s->slots);
        return s->list && s->categories && s->slots ? 0 : -ENOMEM;
}

static int read_all(struct prompt_set *s, int dir_fd, struct digest *digest, struct fault *reterr) {
        int r = read_one(s, dir_fd, PROMPT_SHARED, digest, reterr);

        for (size_t i = 0; i < s->n_categories && r >= 0; i++)
                r = read_one(s, dir_fd, i, digest, reterr);
        return r < 0 ? r : check_set(s, reterr);
}

int prompts_load(int dir_fd, struct prompt_set *ret, struct fault *reterr) {
        _cleanup_(prompts_donep) struct prompt_set s = {0};
        _cleanup_(digest_freep) struct digest *digest = NULL;
        int r;

        r = make_room(&s);
        if (r >= 0)
                r = digest_new(&digest);
        if (r >= 0)
                r = read_all(&s, dir_fd, digest, reterr);
        if (r >= 0)
                r = digest_final(digest, &s.digest);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct prompt_set){0};
        return 0;
}

static void slot_done(struct prompt_slot *slot) {
        for (size_t i = 0; i < slot->n; i++)
                free(slot->variants[i]);
        free(slot->variants);
}

void prompts_done(struct prompt_set *s) {
        for (size_t i = 0; i < s->n; i++)
                prompt_done(&s->list[i]);
        for (size_t i = 0; i < s->n_slots; i++)
                slot_done(&s->slots[i]);
        free(s->list);
        free(s->categories);
        free(s->slots);
        *s = (struct prompt_set){0};
}
