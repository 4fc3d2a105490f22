#include "support/modelgen_random.h"

#include "base/num.h"
#include "support/modelgen.h"

#define TENSORS 12u
#define PAIRS   24u
#define DATA    ((uint64_t)1 << 16) /* bytes of one tensor at most */

uint64_t modelgen_random(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Splitmix: neighbouring seeds must not give similar files. */
uint64_t modelgen_seed(uint64_t seed) {
        uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        return z ? z : 1;
}

struct maker {
        struct buf *out;
        struct modelgen_map *map;
        uint64_t state;
        int error; /* the first one; everything behind it does nothing */
};

static uint64_t below(struct maker *m, uint64_t n) {
        return modelgen_random(&m->state) % n;
}

static void note(struct maker *m, enum modelgen_field field, size_t n) {
        struct modelgen_map *map = m->map;

        if (m->error < 0 || map->n == MODELGEN_FIELDS)
                return;
        map->fields[map->n].field = field;
        map->fields[map->n].at = m->out->n - n;
        map->fields[map->n++].n = n;
}

static void put(struct maker *m, struct view v) {
        if (m->error >= 0)
                m->error = buf_append_view(m->out, v);
}

static void put_number(struct maker *m, enum modelgen_field field, uint64_t v, size_t bytes) {
        if (m->error >= 0)
                m->error = modelgen_put(m->out, v, bytes);
        note(m, field, bytes);
}

static void put_data(struct maker *m, size_t n) {
        for (size_t i = 0; i < n && m->error >= 0; i++)
                m->error = buf_append_char(m->out, (char)below(m, 0x3b)); /* no NaN in any format */
        note(m, FIELD_DATA, n);
}

/* ---- GGUF ---- */

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64, TYPES };

static size_t size_of(unsigned type) {
        static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

        return sizes[type];
}

static void put_text(struct maker *m, enum modelgen_field field, struct view v) {
        put_number(m, FIELD_LENGTH, v.n, 8);
        put(m, v);
        note(m, field, v.n);
}

/* Clean UTF-8 of one to four bytes a character. */
static size_t random_text(struct maker *m, char *out, size_t most) {
        static const char *const pieces[] = {
                "a",  "Z",  "9", " ", "\n",  "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                "\"", "\\", "{", "<", "\x7f"};
        size_t n = 0, want = (size_t)below(m, most);

        for (;;) {
                const char *p = pieces[below(m, ARRAY_SIZE(pieces))];

                if (n + strlen(p) > want)
                        return n;
                memcpy(out + n, p, strlen(p));
                n += strlen(p);
        }
}

static void put_random_text(struct maker *m) {
        char text[64];

        put_text(m, FIELD_VALUE, view_make(text, random_text(m, text, sizeof text)));
}

static void put_scalar(struct maker *m, unsigned type) {
        if (type == TEXT)
                put_random_text(m);
        else if (type == BOOL)
                put_number(m, FIELD_VALUE, below(m, 2), 1);
        else
                put_number(m, FIELD_VALUE, modelgen_random(&m->state), size_of(type));
}

static void put_key(struct maker *m, const char *key, unsigned type) {
        put_text(m, FIELD_KEY, view_of(key));
        put_number(m, FIELD_KIND, type, 4);
}

static void put_list(struct maker *m, unsigned type, uint64_t n) {
        put_number(m, FIELD_KIND, type, 4);
        put_number(m, FIELD_COUNT, n, 8);
        for (uint64_t i = 0; i < n; i++)
                put_scalar(m, type);
}

static void put_random_pair(struct maker *m, unsigned i) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
        unsigned type = (unsigned)below(m, TYPES), element;
        char key[64];
        size_t n = (size_t)snprintf(key, sizeof key, "x%u.", i), end = n + 1 + (size_t)below(m, 50);

        while (n < end)
                key[n++] = letters[below(m, sizeof letters - 1)];
        key[n] = '\0';
        put_key(m, key, type);
        if (type != LIST) {
                put_scalar(m, type);
                return;
        }
        do
                element = (unsigned)below(m, TYPES);
        while (element == LIST);
        put_list(m, element, below(m, 20));
}

/* Tokens, of which the last 0 to 3 stand for bytes, with scores and types that agree. */
static void put_vocabulary(struct maker *m) {
        uint64_t n = 4 + below(m, 12), bytes = below(m, 4);

        put_key(m, "tokenizer.ggml.tokens", LIST);
        put_number(m, FIELD_KIND, TEXT, 4);
        put_number(m, FIELD_COUNT, n, 8);
        for (uint64_t i = 0; i < n; i++) {
                char token[32];

                (void)snprintf(token, sizeof token, i < n - bytes ? "t%u" : "<0x%02X>", (unsigned)i);
                put_text(m, FIELD_VALUE, view_of(token));
        }
        put_key(m, "tokenizer.ggml.token_type", LIST);
        put_number(m, FIELD_KIND, I32, 4);
        put_number(m, FIELD_COUNT, n, 8);
        for (uint64_t i = 0; i < n; i++)
                put_number(m, FIELD_VALUE, i < n - bytes ? 1 : 6, 4);
        put_key(m, "tokenizer.ggml.scores", LIST);
        put_list(m, F32, n);
        put_key(m, "tokenizer.ggml.eos_token_id", U32);
        put_number(m, FIELD_VALUE, below(m, n), 4);
}

static uint64_t put_metadata(struct maker *m, uint64_t tensors) {
        uint64_t pairs = below(m, PAIRS), alignment = 32;
        bool vocabulary = below(m, 2), aligned = below(m, 2);

        put(m, VIEW("GGUF"));
        put_number(m, FIELD_KIND, 2 + below(m, 2), 4);
        put_number(m, FIELD_COUNT, tensors, 8);
        put_number(m, FIELD_COUNT, pairs + 1 + aligned + (vocabulary ? 4 : 0), 8);
        put_key(m, "general.architecture", TEXT);
        put_text(m, FIELD_VALUE, view_of(below(m, 2) ? "llama" : "gpt2"));
        for (unsigned i = 0; i < pairs; i++)
                put_random_pair(m, i);
        if (aligned) {
                alignment = UINT64_C(8) << (below(m, 8) ? below(m, 5) : below(m, 14));
                put_key(m, "general.alignment", U32);
                put_number(m, FIELD_VALUE, alignment, 4);
        }
        if (vocabulary)
                put_vocabulary(m);
        return alignment;
}

static uint64_t put_tensor_info(struct maker *m, unsigned i, uint64_t offset) {
        const struct modelgen_type *t = &modelgen_gguf_types[below(m, modelgen_gguf_types_n)];
        uint64_t rank = 1 + below(m, 4), elements = t->block * (1 + below(m, 4)), dimension = elements;
        char name[64];
        size_t n = (size_t)snprintf(name, sizeof name, "%u.", i);

        n += random_text(m, name + n, sizeof name - n);
        put_text(m, FIELD_KEY, view_make(name, n));
        put_number(m, FIELD_COUNT, rank, 4);
        for (uint64_t d = 0; d < rank; d++) {
                put_number(m, FIELD_DIMENSION, dimension, 8);
                dimension = 1 + below(m, 3);
                elements *= d + 1 < rank ? dimension : 1;
        }
        put_number(m, FIELD_KIND, t->id, 4);
        put_number(m, FIELD_OFFSET, offset, 8);
        return elements / t->block * t->bytes;
}

static void pad(struct maker *m, uint64_t alignment) {
        static const char zeros[65536];
        size_t n = (size_t)(-(uint64_t)m->out->n & (alignment - 1));

        put(m, view_make(zeros, n));
        note(m, FIELD_PADDING, n);
}

int modelgen_random_gguf(uint64_t seed, struct buf *out, struct modelgen_map *ret) {
        struct maker m = {.out = out, .map = ret, .state = modelgen_seed(seed)};
        uint64_t tensors = below(&m, TENSORS), sizes[TENSORS], offset = 0, alignment;
        bool padded;

        ret->n = 0;
        alignment = put_metadata(&m, tensors);
        for (unsigned i = 0; i < tensors; i++) {
                sizes[i] = put_tensor_info(&m, i, offset);
                offset += (sizes[i] + alignment - 1) & ~(alignment - 1);
        }
        ret->header_n = out->n;
        padded = below(&m, 2);
        for (unsigned i = 0; i < tensors; i++) {
                pad(&m, alignment);
                put_data(&m, (size_t)sizes[i]);
        }
        if (padded)
                pad(&m, alignment);
        return m.error;
}

/* ---- safetensors ---- */

struct entry {
        char name[64];
        const struct modelgen_type *dtype;
        uint64_t shape[6], rank, begin, end;
};

static void put_spaces(struct maker *m) {
        static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t  ", "\r\n"};

        put(m, view_of(spaces[below(m, ARRAY_SIZE(spaces))]));
}

static void put_char(struct maker *m, const char *c) {
        put_spaces(m);
        put(m, view_of(c));
        put_spaces(m);
}

/* A JSON text; characters are sometimes written as escapes. */
static void put_quoted(struct maker *m, enum modelgen_field field, const char *text) {
        size_t from = m->out->n;

        put(m, VIEW("\""));
        for (const char *p = text; *p; p++) {
                char escaped[8];

                if (*p == '"' || *p == '\\' || ((unsigned char)*p < 0x7f && below(m, 12) == 0)) {
                        (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*p);
                        put(m, view_of(escaped));
                } else
                        put(m, view_make(p, 1));
        }
        put(m, VIEW("\""));
        if (m->error >= 0)
                note(m, field, m->out->n - from);
}

static void put_decimal(struct maker *m, enum modelgen_field field, uint64_t v) {
        char text[24];
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);

        put(m, view_of(text));
        note(m, field, (size_t)n);
}

static void put_numbers(struct maker *m, enum modelgen_field field, const uint64_t *numbers, uint64_t n) {
        put_char(m, "[");
        for (uint64_t i = 0; i < n; i++) {
                if (i > 0)
                        put_char(m, ",");
                put_decimal(m, field, numbers[i]);
        }
        put_char(m, "]");
}

static void put_member(struct maker *m, const struct entry *e, uint64_t which) {
        static const char *const names[] = {"dtype", "shape", "data_offsets"};

        put_quoted(m, FIELD_KEY, names[which]);
        put_char(m, ":");
        if (which == 0)
                put_quoted(m, FIELD_KIND, e->dtype->name);
        else if (which == 1)
                put_numbers(m, FIELD_DIMENSION, e->shape, e->rank);
        else
                put_numbers(m, FIELD_OFFSET, (const uint64_t[]){e->begin, e->end}, 2);
}

static void put_entry(struct maker *m, const struct entry *e) {
        uint64_t first = below(m, 3);

        put_quoted(m, FIELD_KEY, e->name);
        put_char(m, ":");
        put_char(m, "{");
        for (uint64_t i = 0; i < 3; i++) {
                if (i > 0)
                        put_char(m, ",");
                put_member(m, e, (first + i) % 3);
        }
        put_char(m, "}");
}

static void put_texts(struct maker *m) {
        uint64_t n = below(m, 5);

        put_quoted(m, FIELD_KEY, "__metadata__");
        put_char(m, ":");
        put_char(m, "{");
        for (unsigned i = 0; i < n; i++) {
                char key[80];
                size_t used = (size_t)snprintf(key, sizeof key, "k%u", i);

                if (i > 0)
                        put_char(m, ",");
                key[used + random_text(m, key + used, sizeof key - used)] = '\0';
                for (char *p = key; *p; p++)
                        *p = *p == '\n' ? '_' : *p;
                put_quoted(m, FIELD_KEY, key);
                put_char(m, ":");
                put_quoted(m, FIELD_VALUE, key + 1);
        }
        put_char(m, "}");
}

static uint64_t make_entry(struct maker *m, unsigned i, uint64_t begin, struct entry *e) {
        uint64_t elements = 1;
        size_t n = (size_t)snprintf(e->name, sizeof e->name, "%u", i);

        n += random_text(m, e->name + n, sizeof e->name - n);
        e->name[n] = '\0';
        for (char *p = e->name; *p; p++)
                *p = *p == '\n' || *p == 0x7f ? '_' : *p;
        e->dtype = &modelgen_dtypes[below(m, modelgen_dtypes_n)];
        e->rank = below(m, 7);
        for (uint64_t d = 0; d < e->rank; d++) {
                e->shape[d] = below(m, 20) == 0 ? 0 : 1 + below(m, 4);
                elements *= e->shape[d];
        }
        if (elements * e->dtype->bits % 8 != 0) {
                e->rank = 1;
                e->shape[0] = elements = 8;
        }
        e->begin = begin;
        e->end = begin + elements * e->dtype->bits / 8;
        return e->end;
}

static void shuffle(struct maker *m, struct entry *entries, uint64_t n) {
        for (uint64_t i = n; i > 1; i--) {
                uint64_t other = below(m, i);
                struct entry swap = entries[i - 1];

                entries[i - 1] = entries[other];
                entries[other] = swap;
        }
}

int modelgen_random_safetensors(uint64_t seed, struct buf *out, struct modelgen_map *ret) {
        static const char spaces[] = "                ";
        struct maker m = {.out = out, .map = ret, .state = modelgen_seed(seed)};
        struct entry entries[TENSORS];
        uint64_t n = below(&m, TENSORS), data = 0, texts = below(&m, 2);
        char length[8];

        ret->n = 0;
        for (unsigned i = 0; i < n; i++)
                data = make_entry(&m, i, data, &entries[i]);
        shuffle(&m, entries, n);
        put_number(&m, FIELD_LENGTH, 0, 8);
        put(&m, VIEW("{"));
        if (texts)
                put_texts(&m);
        for (uint64_t i = 0; i < n; i++) {
                if (i > 0 || texts)
                        put_char(&m, ",");
                put_entry(&m, &entries[i]);
        }
        put(&m, VIEW("}"));
        put(&m, view_make(spaces, (size_t)below(&m, sizeof spaces)));
        while (m.error >= 0 && (out->n - 8) % 256 >= 0x82 && (out->n - 8) % 256 <= 0x84)
                put(&m, VIEW(" ")); /* the length would begin with a pickle's EXT opcode: rule S12 */
        if (m.error < 0)
                return m.error;
        ret->header_n = out->n;
        for (size_t i = 0; i < 8; i++)
                length[i] = (char)((uint64_t)(out->n - 8) >> 8 * i & 0xff);
        memcpy(out->p, length, sizeof length);
        put_data(&m, (size_t)data);
        return m.error;
}

/* ---- tampering ---- */

struct change {
        struct buf *file;
        const struct modelgen_map *map;
        uint64_t state;
};

static uint64_t pick(struct change *c, uint64_t n) {
        return modelgen_random(&c->state) % n;
}

/* Replaces bytes; the file may grow or shrink. */
static int splice(struct change *c, size_t at, size_t n, struct view by) {
        struct buf *f = c->file;
        _cleanup_(buf_donep) struct buf tail = BUF_INIT(f->max);
        int r;

        at = MIN_OF(at, f->n);
        n = MIN_OF(n, f->n - at);
        r = buf_append(&tail, f->p + at + n, f->n - at - n);
        if (r < 0)
                return r;
        f->n = at;
        r = buf_append_view(f, by);
        return r < 0 ? r : buf_append_view(f, buf_view(&tail));
}

static int flip(struct change *c) {
        uint64_t area = pick(c, 4) ? c->map->header_n : c->file->n;

        for (uint64_t n = 1 + pick(c, 4); n > 0 && area > 0; n--)
                c->file->p[pick(c, MIN_OF(area, (uint64_t)c->file->n))] ^= (char)(1u << pick(c, 8));
        return 0;
}

static const uint64_t awkward[] = {0,
                                   1,
                                   2,
                                   3,
                                   9,
                                   13,
                                   31,
                                   36,
                                   63,
                                   64,
                                   65,
                                   255,
                                   256,
                                   65535,
                                   65536,
                                   UINT64_C(1) << 31,
                                   UINT32_MAX,
                                   UINT64_C(1) << 32,
                                   UINT64_C(1) << 53,
                                   UINT64_C(1) << 63,
                                   UINT64_MAX,
                                   UINT64_MAX - 7};

/* A field that keeps its width: binary numbers. */
static int change_number(struct change *c, size_t at, size_t n) {
        uint64_t old = 0, v;

        for (size_t i = 0; i < n; i++)
                old |= (uint64_t)(uint8_t)c->file->p[at + i] << 8 * i;
        switch (pick(c, 4)) {
        case 0:
                v = old + 1;
                break;
        case 1:
                v = old - 1;
                break;
        case 2:
                v = pick(c, 48);
                break;
        default:
                v = awkward[pick(c, ARRAY_SIZE(awkward))];
                break;
        }
        for (size_t i = 0; i < n; i++)
                c->file->p[at + i] = (char)(v >> 8 * i & 0xff);
        return 0;
}

/* A field of text: a number in a JSON header, a name, a type's name. */
static int change_text(struct change *c, size_t at, size_t n) {
        static const char *const texts[] = {"0",
                                            "1",
                                            "-1",
                                            "1.0",
                                            "1e2",
                                            "18446744073709551616",
                                            "9007199254740993",
                                            "null",
                                            "true",
                                            "\"\"",
                                            "\"F32\"",
                                            "\"__metadata__\"",
                                            "[]",
                                            "{}",
                                            "01",
                                            "\"\\u0000\"",
                                            "\"\\ud800\""};

        return splice(c, at, n, view_of(texts[pick(c, ARRAY_SIZE(texts))]));
}

static bool is_binary(const struct change *c, size_t i) {
        size_t n = c->map->fields[i].n;
        char first = c->map->fields[i].at < c->file->n ? c->file->p[c->map->fields[i].at] : '\0';

        return (n == 1 || n == 2 || n == 4 || n == 8) && (n == 8 || first < '0' || first > '9') &&
               first != '"';
}

static int change_field(struct change *c) {
        size_t i = (size_t)pick(c, MAX_OF(c->map->n, (size_t)1));
        size_t at = c->map->fields[i].at, n = c->map->fields[i].n;

        if (c->map->n == 0 || n == 0 || at + n > c->file->n)
                return flip(c);
        return is_binary(c, i) ? change_number(c, at, n) : change_text(c, at, n);
}

/* Another field of the same kind takes this one's place: equal keys, swapped types and offsets. */
static int copy_field(struct change *c) {
        const struct modelgen_map *map = c->map;
        _cleanup_(buf_donep) struct buf copy = BUF_INIT(65536);
        size_t from = (size_t)pick(c, MAX_OF(map->n, (size_t)1));
        int r;

        if (map->n == 0 || map->fields[from].n > 65536 ||
            map->fields[from].at + map->fields[from].n > c->file->n)
                return flip(c);
        r = buf_append(&copy, c->file->p + map->fields[from].at, map->fields[from].n);
        if (r < 0)
                return r;
        for (size_t tries = 0; tries < 64; tries++) {
                size_t to = (size_t)pick(c, map->n);

                if (to == from || map->fields[to].field != map->fields[from].field || map->fields[to].n == 0)
                        continue;
                return splice(c, map->fields[to].at, map->fields[to].n, buf_view(&copy));
        }
        return flip(c);
}

static int reshape(struct change *c) {
        static const char tail[] = "PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0{}\n   ";
        size_t at = (size_t)pick(c, c->file->n + 1), n = 1 + (size_t)pick(c, 64);
        char piece[64];

        switch (pick(c, 5)) {
        case 0: /* cut */
                c->file->n = at;
                return 0;
        case 1: /* append */
                return buf_append(c->file, tail + pick(c, 16), 1 + pick(c, 12));
        case 2: /* remove */
                return splice(c, at, n, VIEW_NULL);
        case 3: /* a hole */
                return splice(c, at, 0, view_make(memset(piece, 0, sizeof piece), n));
        default: /* repeat */
                n = MIN_OF(n, c->file->n - at);
                memcpy(piece, c->file->p + at, n);
                return splice(c, at, 0, view_make(piece, n));
        }
}

int modelgen_mutate(uint64_t seed, struct buf *file, const struct modelgen_map *map) {
        struct change c = {.file = file, .map = map, .state = modelgen_seed(seed ^ UINT64_C(0x5bd1e995))};
        uint64_t n = 1 + pick(&c, 8) / 6;
        int r = 0;

        for (; r >= 0 && n > 0 && file->n > 0; n--)
                switch (pick(&c, 8)) {
                case 0:
                case 1:
                        r = flip(&c);
                        break;
                case 2:
                case 3:
                case 4:
                        r = change_field(&c);
                        break;
                case 5:
                case 6:
                        r = copy_field(&c);
                        break;
                default:
                        r = reshape(&c);
                        break;
                }
        return r;
}
