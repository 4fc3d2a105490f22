#include "model/pickle_values.h"

#define ROOM_FIRST 256u

void pickle_values_init(struct pickle_values *v) {
        *v = (struct pickle_values){.texts = BUF_INIT(PICKLE_TEXTS_MAX), .generation = 1};
}

void pickle_values_done(struct pickle_values *v) {
        free(v->stack);
        free(v->marks);
        free(v->memo);
        free(v->globals);
        buf_done(&v->texts);
}

void pickle_values_restart(struct pickle_values *v) {
        v->stack_n = v->marks_n = v->floor = v->memo_n = 0;
        v->texts.n = 0;
        v->generation++; /* bounded by PICKLE_COUNT_MAX */
}

/* Room for at least one more element, at most `most` in all. */
static int grow(void **p, uint32_t *room, uint32_t least, uint32_t most, size_t size) {
        uint32_t want = *room ? MIN_OF(*room * 2, most) : MIN_OF(ROOM_FIRST, most);
        void *q;

        while (want < least && want < most)
                want = MIN_OF(want * 2, most);
        if (want < least || want == *room)
                return -E2BIG;
        q = realloc(*p, want * size);
        if (!q)
                return -ENOMEM;
        *p = q;
        *room = want;
        return 0;
}

int pickle_stack_grow(struct pickle_values *v) {
        return grow((void **)&v->stack, &v->stack_room, v->stack_n + 1, PICKLE_STACK_MAX, sizeof *v->stack);
}

int pickle_mark_push(struct pickle_values *v) {
        if (v->marks_n == v->marks_room) {
                int r = grow((void **)&v->marks, &v->marks_room, v->marks_n + 1, PICKLE_MARKS_MAX,
                             sizeof *v->marks);

                if (r < 0)
                        return r;
        }
        v->marks[v->marks_n++] = v->stack_n;
        v->floor = v->stack_n;
        return 0;
}

int pickle_memo_set(struct pickle_values *v, uint64_t index, struct pickle_value value) {
        struct pickle_memo_entry *e;

        if (index >= PICKLE_MEMO_MAX)
                return -E2BIG;
        if (index >= v->memo_room) {
                uint32_t old = v->memo_room;
                int r = grow((void **)&v->memo, &v->memo_room, (uint32_t)index + 1, PICKLE_MEMO_MAX,
                             sizeof *v->memo);

                if (r < 0)
                        return r;
                memset(v->memo + old, 0, (v->memo_room - old) * sizeof *v->memo);
        }
        e = &v->memo[index];
        v->memo_n += e->generation != v->generation;
        *e = (struct pickle_memo_entry){value, v->generation};
        return 0;
}

const struct pickle_value *pickle_memo_get(const struct pickle_values *v, uint64_t index) {
        if (index >= v->memo_room || v->memo[index].generation != v->generation)
                return NULL;
        return &v->memo[index].value;
}

int pickle_text_make(struct pickle_values *v, struct view kept, uint64_t n, struct pickle_value *ret) {
        int r;

        if (n > PICKLE_TEXT_MAX) {
                *ret = (struct pickle_value){.type = PICKLE_LONG_TEXT};
                return 0;
        }
        if (kept.n > PICKLE_TEXTS_MAX - v->texts.n) {
                *ret = (struct pickle_value){.type = PICKLE_LOST_TEXT};
                return 0;
        }
        *ret = (struct pickle_value){.type = PICKLE_TEXT, .n = (uint16_t)kept.n, .ref = (uint32_t)v->texts.n};
        r = buf_append_view(&v->texts, kept);
        return r == -ENOMEM ? r : 0;
}

struct view pickle_text(const struct pickle_values *v, struct pickle_value value) {
        return view_sub(buf_view(&v->texts), value.ref, value.n);
}

static bool is_same(const struct pickle_global *g, struct view module, struct view name) {
        return view_eq(view_make(g->text, g->module_n), module) &&
               view_eq(view_make(g->text + g->module_n, g->name_n), name);
}

static enum pickle_role role_of(struct view module, struct view name) {
        if (view_eq_str(module, "_codecs") && view_eq_str(name, "encode"))
                return PICKLE_ROLE_CODEC;
        if (view_eq_str(module, "numpy") && view_eq_str(name, "dtype"))
                return PICKLE_ROLE_DTYPE;
        if (view_eq_str(module, "joblib.numpy_pickle") && view_eq_str(name, "NumpyArrayWrapper"))
                return PICKLE_ROLE_WRAPPER;
        return PICKLE_ROLE_NONE;
}

static int add_global(struct pickle_values *v, struct view module, struct view name) {
        struct pickle_global *g;

        if (v->globals_n == v->globals_room) {
                int r = grow((void **)&v->globals, &v->globals_room, v->globals_n + 1, PICKLE_GLOBALS_MAX,
                             sizeof *v->globals);

                if (r < 0)
                        return r;
        }
        g = &v->globals[v->globals_n++];
        memset(g, 0, sizeof *g);
        g->module_n = (uint16_t)module.n;
        g->name_n = (uint16_t)name.n;
        if (module.n > 0)
                memcpy(g->text, module.p, module.n);
        if (name.n > 0)
                memcpy(g->text + module.n, name.p, name.n);
        g->verdict = pickle_name_judge(module, name, &g->why);
        g->role = role_of(module, name);
        v->has_wrapper |= g->role == PICKLE_ROLE_WRAPPER;
        return 0;
}

static uint32_t hash_of(uint32_t h, struct view v) {
        for (size_t i = 0; i < v.n; i++)
                h = (h ^ (uint8_t)v.p[i]) * 16777619u;
        return h;
}

/* The slot that holds the name, or the free one where it belongs; a quarter of them is used at most. */
static uint16_t *slot_of(struct pickle_values *v, struct view module, struct view name) {
        uint32_t i = hash_of(hash_of(2166136261u, module) + 1, name);

        while (v->slots[i % ARRAY_SIZE(v->slots)] &&
               !is_same(&v->globals[v->slots[i % ARRAY_SIZE(v->slots)] - 1], module, name))
                i++;
        return &v->slots[i % ARRAY_SIZE(v->slots)];
}

int pickle_global_intern(struct pickle_values *v, struct view module, struct view name, uint64_t at,
                         uint8_t opcode, uint32_t *ret) {
        uint16_t *slot = slot_of(v, module, name);
        struct pickle_global *g;

        if (!*slot) {
                int r = add_global(v, module, name);

                if (r < 0)
                        return r;
                *slot = (uint16_t)v->globals_n;
                v->globals[v->globals_n - 1].at = at;
                v->globals[v->globals_n - 1].imported_by = opcode;
        }
        g = &v->globals[*slot - 1];
        if (g->imports < UINT32_MAX)
                g->imports++;
        *ret = *slot - 1u;
        return 0;
}
