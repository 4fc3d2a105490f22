#include "inference/shape.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/num.h"
#include "base/view.h"
#include "inference/limits.h"

/* GGUF value types (ggml documentation, gguf.md). */
enum { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_STRING, T_ARRAY, T_U64, T_I64, T_F64, T_MAX };
static const uint8_t type_size[T_MAX] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct reader {
        int fd;
        uint64_t size; /* no byte behind it is read */
        uint64_t at;   /* of the next byte to hand out */
        uint64_t start;
        size_t n;
        uint8_t cache[64 << 10];
};

static int reader_fill(struct reader *r) {
        size_t n = (size_t)MIN_OF((uint64_t)sizeof(r->cache), r->size - r->at);
        int k = pread_all(r->fd, r->cache, n, r->at);

        if (k < 0)
                return k;
        r->start = r->at;
        r->n = n;
        return 0;
}

static int reader_take(struct reader *r, void *p, size_t n) {
        uint8_t *out = p;

        if (n > r->size - r->at)
                return -EBADMSG;
        while (n > 0) {
                size_t offset, now;

                if (r->at < r->start || r->at >= r->start + r->n) {
                        int k = reader_fill(r);

                        if (k < 0)
                                return k;
                }
                offset = (size_t)(r->at - r->start);
                now = MIN_OF(n, r->n - offset);
                memcpy(out, r->cache + offset, now);
                out += now;
                n -= now;
                r->at += now;
        }
        return 0;
}

static int reader_skip(struct reader *r, uint64_t n) {
        if (n > r->size - r->at)
                return -EBADMSG;
        r->at += n;
        return 0;
}

static int take_u32(struct reader *r, uint32_t *ret) {
        uint8_t b[4];
        int k = reader_take(r, b, sizeof(b));

        if (k == 0)
                *ret = load_le32(b);
        return k;
}

static int take_u64(struct reader *r, uint64_t *ret) {
        uint8_t b[8];
        int k = reader_take(r, b, sizeof(b));

        if (k == 0)
                *ret = load_le64(b);
        return k;
}

static int take_key(struct reader *r, char key[SHAPE_KEY_MAX]) {
        uint64_t n;
        int k = take_u64(r, &n);

        if (k < 0)
                return k;
        if (n >= SHAPE_KEY_MAX) {
                key[0] = '\0'; /* none of ours is that long */
                return reader_skip(r, n);
        }
        k = reader_take(r, key, (size_t)n);
        if (k == 0)
                key[n] = '\0';
        return k;
}

static int take_integer(struct reader *r, uint32_t type, uint64_t *ret) {
        uint8_t b[8] = {0};
        uint64_t v;
        int k;

        if (type >= T_MAX || type_size[type] == 0 || type == T_F32 || type == T_F64 || type == T_BOOL)
                return -EBADMSG;
        k = reader_take(r, b, type_size[type]);
        if (k < 0)
                return k;
        v = load_le64(b);
        if (v > UINT32_MAX)
                return -EBADMSG; /* also negative 64-bit numbers; narrower negatives are absurdly large here */
        *ret = v;
        return 0;
}

static int skip_value(struct reader *r, uint32_t type);

static int skip_array(struct reader *r) {
        uint32_t type = 0;
        uint64_t n = 0, bytes, length;
        int k = take_u32(r, &type);

        if (k == 0)
                k = take_u64(r, &n);
        if (k < 0)
                return k;
        if (type >= T_MAX || type == T_ARRAY || n > SHAPE_ARRAY_MAX)
                return -EBADMSG;
        if (type != T_STRING)
                return u64_mul(n, type_size[type], &bytes) < 0 ? -EBADMSG : reader_skip(r, bytes);
        for (uint64_t i = 0; i < n && k == 0; i++) {
                k = take_u64(r, &length);
                if (k == 0)
                        k = reader_skip(r, length);
        }
        return k;
}

static int skip_value(struct reader *r, uint32_t type) {
        uint64_t length;
        int k;

        if (type == T_ARRAY)
                return skip_array(r);
        if (type != T_STRING)
                return type < T_MAX ? reader_skip(r, type_size[type]) : -EBADMSG;
        k = take_u64(r, &length);
        return k < 0 ? k : reader_skip(r, length);
}

/* A number, or the largest of an array of numbers (some architectures give one a layer). */
static int take_largest(struct reader *r, uint32_t type, uint64_t *ret) {
        uint32_t element = 0;
        uint64_t n = 0, v, most = 0;
        int k;

        if (type != T_ARRAY)
                return take_integer(r, type, ret);
        k = take_u32(r, &element);
        if (k == 0)
                k = take_u64(r, &n);
        if (k < 0)
                return k;
        if (n > SHAPE_PAIRS_MAX)
                return -EBADMSG;
        for (uint64_t i = 0; i < n; i++) {
                k = take_integer(r, element, &v);
                if (k < 0)
                        return k;
                most = MAX_OF(most, v);
        }
        *ret = most;
        return 0;
}

/* Keys are "<architecture>.<name>": the name alone decides. */
static uint64_t *member(struct shape *s, const char *key) {
        const struct {
                const char *name;
                uint64_t *place;
        } members[] = {
                {".block_count", &s->layers},
                {".embedding_length", &s->embedding},
                {".attention.head_count", &s->heads},
                {".attention.head_count_kv", &s->kv_heads},
                {".attention.key_length", &s->key_length},
                {".attention.value_length", &s->value_length},
                {".context_length", &s->context_length},
        };
        const char *dot = strchr(key, '.');

        for (size_t i = 0; dot && i < ARRAY_SIZE(members); i++)
                if (strcmp(dot, members[i].name) == 0)
                        return members[i].place;
        return NULL;
}

static int take_pair(struct reader *r, struct shape *s) {
        char key[SHAPE_KEY_MAX];
        uint64_t *place;
        uint32_t type = 0;
        int k = take_key(r, key);

        if (k == 0)
                k = take_u32(r, &type);
        if (k < 0)
                return k;
        place = member(s, key);
        return place ? take_largest(r, type, place) : skip_value(r, type);
}

static void derive(struct shape *s) {
        if (s->kv_heads == 0)
                s->kv_heads = s->heads;
        if (s->key_length == 0 && s->heads > 0)
                s->key_length = s->embedding / s->heads;
        if (s->value_length == 0)
                s->value_length = s->key_length;
}

int shape_read(int fd, uint64_t size, struct shape *ret) {
        struct reader r = {.fd = fd, .size = MIN_OF(size, SHAPE_HEADER_MAX)};
        struct shape s = {0};
        uint32_t magic = 0, version = 0;
        uint64_t tensors = 0, pairs = 0;
        int k = take_u32(&r, &magic);

        if (k == 0)
                k = take_u32(&r, &version);
        if (k == 0)
                k = take_u64(&r, &tensors);
        if (k == 0)
                k = take_u64(&r, &pairs);
        if (k < 0)
                return k;
        if (magic != 0x46554747 || version < 2 || version > 3) /* "GGUF" */
                return -EBADMSG;
        if (pairs > SHAPE_PAIRS_MAX)
                return -E2BIG;
        for (uint64_t i = 0; i < pairs; i++) {
                k = take_pair(&r, &s);
                if (k < 0)
                        return k;
        }
        derive(&s);
        *ret = s;
        return 0;
}

static uint64_t multiply(uint64_t a, uint64_t b) {
        uint64_t v;

        return u64_mul(a, b, &v) < 0 ? UINT64_MAX : v;
}

uint64_t shape_conversation_bytes(const struct shape *s, uint64_t file_size, uint64_t context) {
        uint64_t per_token = multiply(multiply(s->layers, s->kv_heads),
                                      multiply(2, s->key_length + s->value_length));

        /* Unknown: what a 4-bit model with full attention of that size takes, about 1/8192 of the file a token. */
        if (per_token == 0)
                per_token = file_size / 8192 + 1;
        return multiply(per_token, context);
}
