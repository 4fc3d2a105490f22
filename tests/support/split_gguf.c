#include "support/split_gguf.h"

#include "base/file.h"
#include "base/num.h"

#define ALIGNMENT   32u
#define TENSORS_MAX 4096u
#define SHARD_MAX   ((size_t)256 << 20)

enum { T_U16 = 2, T_U32 = 4, T_I32 = 5, T_STRING = 8, T_ARRAY = 9, T_MAX = 13 };
static const uint8_t type_size[T_MAX] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct cursor {
        struct view v;
        size_t at;
        bool bad;
};

struct tensor {
        struct view head; /* name, dimensions, type: all but the offset */
        uint64_t offset, size;
};

struct source {
        struct view pairs; /* bytes of all keys and values */
        uint64_t n_pairs, n_tensors, alignment, data_at;
        struct tensor tensors[TENSORS_MAX];
};

static const char *take(struct cursor *c, uint64_t n) {
        const char *p = c->v.p + c->at;

        if (c->bad || n > c->v.n - c->at) {
                c->bad = true;
                return "\0\0\0\0\0\0\0"; /* eight bytes */
        }
        c->at += (size_t)n;
        return p;
}

static uint32_t take_u32(struct cursor *c) {
        return load_le32(take(c, 4));
}

static uint64_t take_u64(struct cursor *c) {
        return load_le64(take(c, 8));
}

static struct view take_text(struct cursor *c) {
        uint64_t n = take_u64(c);
        const char *p = take(c, n);

        return c->bad ? VIEW_NULL : view_make(p, (size_t)n);
}

static void skip_value(struct cursor *c, uint32_t type) {
        uint64_t n = 1;

        if (type == T_ARRAY) {
                type = take_u32(c);
                n = take_u64(c);
        }
        c->bad |= type >= T_MAX || type == T_ARRAY || n > c->v.n;
        if (type == T_STRING)
                for (uint64_t i = 0; i < n && !c->bad; i++)
                        (void)take_text(c);
        else if (!c->bad)
                (void)take(c, n * type_size[type]);
}

static void read_pairs(struct cursor *c, struct source *s) {
        size_t start = c->at;

        for (uint64_t i = 0; i < s->n_pairs && !c->bad; i++) {
                struct view key = take_text(c);
                uint32_t type = take_u32(c);

                if (view_eq_str(key, "general.alignment") && type == T_U32)
                        s->alignment = load_le32(c->v.p + c->at);
                skip_value(c, type);
        }
        s->pairs = view_sub(c->v, start, c->at - start);
}

/* Sizes follow from the next offset, padding included. */
static void read_tensors(struct cursor *c, struct source *s) {
        for (uint64_t i = 0; i < s->n_tensors && !c->bad; i++) {
                size_t start = c->at;
                uint32_t dimensions;

                (void)take_text(c);
                dimensions = take_u32(c);
                c->bad |= dimensions > 4;
                (void)take(c, c->bad ? 0 : dimensions * 8u + 4u);
                s->tensors[i].head = view_sub(c->v, start, c->at - start);
                s->tensors[i].offset = take_u64(c);
        }
        s->data_at = (c->at + s->alignment - 1) / s->alignment * s->alignment;
        for (uint64_t i = 0; i < s->n_tensors && !c->bad; i++) {
                uint64_t end = i + 1 < s->n_tensors ? s->tensors[i + 1].offset : c->v.n - s->data_at;

                c->bad |= end < s->tensors[i].offset || end > c->v.n - s->data_at;
                s->tensors[i].size = end - s->tensors[i].offset;
        }
}

static int read_source(struct view whole, struct source *s) {
        struct cursor c = {.v = whole};

        s->alignment = ALIGNMENT;
        if (memcmp(take(&c, 4), "GGUF", 4) != 0 || take_u32(&c) != 3)
                return -EBADMSG;
        s->n_tensors = take_u64(&c);
        s->n_pairs = take_u64(&c);
        if (s->n_tensors > TENSORS_MAX)
                return -EBADMSG;
        read_pairs(&c, s);
        if (s->alignment == 0)
                return -EBADMSG;
        read_tensors(&c, s);
        return c.bad ? -EBADMSG : 0;
}

/* --- writing --- */

static int put_number(struct buf *out, uint64_t v, size_t bytes) {
        uint8_t b[8];

        for (size_t i = 0; i < sizeof b; i++)
                b[i] = (uint8_t)(v >> (8 * i));
        return buf_append(out, b, bytes);
}

static int put_pair(struct buf *out, const char *key, uint32_t type, uint64_t v) {
        int r = put_number(out, strlen(key), 8);

        if (r >= 0)
                r = buf_append_str(out, key);
        if (r >= 0)
                r = put_number(out, type, 4);
        return r < 0 ? r : put_number(out, v, type_size[type]);
}

static int pad(struct buf *out, uint64_t alignment) {
        int r = 0;

        while (r >= 0 && out->n % alignment != 0)
                r = put_number(out, 0, 1);
        return r;
}

static int put_head(const struct source *s, unsigned i, unsigned count, uint64_t tensors, struct buf *out) {
        bool has_alignment = i > 0 && s->alignment != ALIGNMENT;
        int r = buf_append_str(out, "GGUF");

        if (r >= 0)
                r = put_number(out, 3, 4);
        if (r >= 0)
                r = put_number(out, tensors, 8);
        if (r >= 0)
                r = put_number(out, (i == 0 ? s->n_pairs : 0) + 3 + has_alignment, 8);
        if (r >= 0 && i == 0)
                r = buf_append_view(out, s->pairs);
        if (r >= 0 && has_alignment)
                r = put_pair(out, "general.alignment", T_U32, s->alignment);
        if (r >= 0)
                r = put_pair(out, "split.no", T_U16, i);
        if (r >= 0)
                r = put_pair(out, "split.count", T_U16, count);
        return r < 0 ? r : put_pair(out, "split.tensors.count", T_I32, s->n_tensors);
}

static int put_tensors(const struct source *s, struct view whole, const struct tensor *t, uint64_t n,
                       struct buf *out) {
        uint64_t at = 0;
        int r = 0;

        for (uint64_t i = 0; i < n && r >= 0; i++) {
                r = buf_append_view(out, t[i].head);
                if (r >= 0)
                        r = put_number(out, at, 8);
                at += (t[i].size + s->alignment - 1) / s->alignment * s->alignment;
        }
        for (uint64_t i = 0; i < n && r >= 0; i++) {
                r = pad(out, s->alignment);
                if (r >= 0)
                        r = buf_append_view(
                                out, view_sub(whole, (size_t)(s->data_at + t[i].offset), (size_t)t[i].size));
        }
        return r < 0 ? r : pad(out, s->alignment);
}

int split_gguf(struct view whole, unsigned count, struct buf *ret_shards) {
        _cleanup_(freep) struct source *s = calloc(1, sizeof *s);
        int r = s ? read_source(whole, s) : -ENOMEM;

        if (r < 0)
                return r;
        if (count < 1 || count > SPLIT_GGUF_MAX || s->n_tensors < count)
                return -ERANGE;
        for (unsigned i = 0; i < count && r >= 0; i++) {
                uint64_t first = s->n_tensors * i / count, end = s->n_tensors * (i + 1) / count;

                r = put_head(s, i, count, end - first, &ret_shards[i]);
                if (r >= 0)
                        r = put_tensors(s, whole, s->tensors + first, end - first, &ret_shards[i]);
        }
        return r;
}

void split_gguf_name(const char *prefix, unsigned i, unsigned count, char out[128]) {
        (void)snprintf(out, 128, "%.96s-%05u-of-%05u.gguf", prefix, i + 1, count);
}

int split_gguf_files(struct view whole, unsigned count, int dir_fd, const char *prefix) {
        struct buf shards[SPLIT_GGUF_MAX];
        int r;

        for (unsigned i = 0; i < SPLIT_GGUF_MAX; i++)
                shards[i] = BUF_INIT(SHARD_MAX);
        r = split_gguf(whole, count, shards);
        for (unsigned i = 0; i < count && i < SPLIT_GGUF_MAX && r >= 0; i++) {
                char name[128];

                split_gguf_name(prefix, i, count, name);
                r = replace_file(dir_fd, name, buf_view(&shards[i]), 0600);
        }
        for (unsigned i = 0; i < SPLIT_GGUF_MAX; i++)
                buf_done(&shards[i]);
        return r;
}
