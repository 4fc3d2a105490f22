#include "quarantine/variation.h"

#include "quarantine/encodings.h"

#include <endian.h>

#define DEPTH_MAX 8 /* slots within slots; prompts.c lets no loop through, this only bounds the stack */

struct filling {
        const struct prompt_set *set;
        const struct prompt *prompt;
        const struct variation_seed *seed;
        const struct asked *asked;
        unsigned depth;
};

void asked_done(struct asked *a) {
        buf_done(&a->text);
        buf_done(&a->system);
        buf_done(&a->goal);
}

/* Bytes of chance that belong to the seed and these two words, and to nothing else. */
static int draw(const struct variation_seed *seed, struct view a, struct view b, struct sha256 *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(512);
        int r;

        r = buf_append(&text, seed->b, sizeof seed->b);
        if (r >= 0)
                r = buf_append_view(&text, a);
        if (r >= 0)
                r = buf_append_char(&text, '\0');
        if (r >= 0)
                r = buf_append_view(&text, b);
        return r < 0 ? r : sha256_of(buf_view(&text), ret);
}

static uint64_t number_of(const struct sha256 *d) {
        uint64_t v;

        memcpy(&v, d->b, sizeof v);
        return le64toh(v);
}

static bool is_slot_char(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
}

/* Length of the slot that `v` begins with, braces included; 0 when it begins with none. */
static size_t slot_length(struct view v) {
        size_t n = 1;

        while (n < v.n && is_slot_char(v.p[n]))
                n++;
        return n > 1 && n < v.n && v.p[n] == '}' ? n + 1 : 0;
}

/* "{12}", "{a:b:c}" and the like are text. */
static bool read_use(struct view inner, struct slot_use *ret) {
        struct view encoding;

        *ret = (struct slot_use){.name = inner};
        if (view_split(&ret->name, ':', &encoding)) {
                ret->encoding = encoding_find(encoding);
                if (!ret->encoding)
                        return false;
        }
        return ret->name.n > 0 && ret->name.p[0] >= 'a' && ret->name.p[0] <= 'z' &&
               view_find_char(ret->name, ':') == SIZE_MAX;
}

struct view variation_next(struct view *rest, struct slot_use *ret) {
        struct view text = *rest;

        for (size_t i = 0; i < text.n; i++) {
                size_t n = text.p[i] == '{' ? slot_length(view_sub(text, i, SIZE_MAX)) : 0;

                if (n > 0 && read_use(view_sub(text, i + 1, n - 2), ret)) {
                        *rest = view_sub(text, i + n, SIZE_MAX);
                        return view_sub(text, 0, i);
                }
        }
        *ret = (struct slot_use){NULL, VIEW_NULL};
        *rest = VIEW_NULL;
        return text;
}

static int fill(struct filling *f, struct view text, struct buf *out);

static int fill_name(struct filling *f, struct view name, struct buf *out) {
        const struct prompt_slot *slot;
        struct sha256 chance;
        int r;

        if (view_eq_str(name, "goal"))
                return buf_append_view(out, buf_view(&f->asked->goal));
        if (view_eq_str(name, "canary"))
                return buf_append_str(out, f->asked->canary);
        slot = prompts_find_slot(f->set, f->prompt->category, name);
        if (!slot || f->depth >= DEPTH_MAX)
                return -EBADMSG;
        r = draw(f->seed, view_of(f->prompt->id), name, &chance);
        if (r < 0)
                return r;
        f->depth++;
        r = fill(f, view_of(slot->variants[number_of(&chance) % slot->n]), out);
        f->depth--;
        return r;
}

static int fill_use(struct filling *f, const struct slot_use *use, struct buf *out) {
        _cleanup_(buf_donep) struct buf plain = BUF_INIT(PROMPT_BYTES_MAX);
        int r;

        if (!use->encoding)
                return fill_name(f, use->name, out);
        r = fill_name(f, use->name, &plain);
        return r < 0 ? r : encoding_write(use->encoding, buf_view(&plain), out);
}

static int fill(struct filling *f, struct view text, struct buf *out) {
        while (text.n > 0) {
                struct slot_use use;
                int r = buf_append_view(out, variation_next(&text, &use));

                if (r >= 0 && use.name.n > 0)
                        r = fill_use(f, &use, out);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Lower-case letters and digits, pronounceable enough for a tokenizer, never twice the same. */
static int make_canary(const struct variation_seed *seed, const struct prompt *p, char out[CANARY_SIZE]) {
        static const char first[] = "bcdfghklmnprstvz", second[] = "aeiou";
        struct sha256 chance;
        int r = draw(seed, view_of(p->id), VIEW("canary"), &chance);

        for (size_t i = 0; i + 1 < CANARY_SIZE; i++)
                out[i] = i >= CANARY_SIZE - 4 ? (char)('0' + chance.b[i] % 10)
                         : i % 2              ? second[chance.b[i] % 5]
                                              : first[chance.b[i] % 16];
        out[CANARY_SIZE - 1] = '\0';
        return r;
}

int variation_fill(const struct prompt_set *s, const struct prompt *p, const struct variation_seed *seed,
                   struct asked *ret) {
        struct filling f = {.set = s, .prompt = p, .seed = seed, .asked = ret};
        int r;

        r = make_canary(seed, p, ret->canary);
        if (r >= 0 && p->goal)
                r = fill(&f, view_of(p->goal), &ret->goal);
        if (r >= 0 && p->system)
                r = fill(&f, view_of(p->system), &ret->system);
        return r < 0 ? r : fill(&f, view_of(p->text), &ret->text);
}

int variation_order(const struct variation_seed *seed, size_t n, unsigned *order) {
        for (size_t i = 0; i < n; i++)
                order[i] = (unsigned)i;
        for (size_t i = n; i > 1; i--) {
                struct sha256 chance;
                unsigned kept = order[i - 1];
                char number[24];
                size_t k;
                int r, digits = snprintf(number, sizeof number, "%zu", i);

                r = draw(seed, VIEW("order"), view_make(number, (size_t)digits), &chance);
                if (r < 0)
                        return r;
                k = (size_t)(number_of(&chance) % i);
                order[i - 1] = order[k];
                order[k] = kept;
        }
        return 0;
}
