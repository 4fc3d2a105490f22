#include "support/modelgen.h"

#include "base/file.h"
#include "base/num.h"
#include "support/weightgen.h"

/* From ggml.h and ggml-common.h, written down here a second time on purpose: the readers' tables are checked
 * by it. */
const struct modelgen_type modelgen_gguf_types[] = {
        {"F32", 0, 0, 1, 4, 0, 4, 0x7fc00000, 0xff800000},
        {"F16", 1, 0, 1, 2, 0, 2, 0x7e00, 0xfc00},
        {"Q4_0", 2, 0, 32, 18, 0, 2, 0x7e00, 0x7c00},
        {"Q4_1", 3, 0, 32, 20, 2, 2, 0x7e00, 0x7c00},
        {"Q5_0", 6, 0, 32, 22, 0, 2, 0x7e00, 0x7c00},
        {"Q5_1", 7, 0, 32, 24, 2, 2, 0x7e00, 0x7c00},
        {"Q8_0", 8, 0, 32, 34, 0, 2, 0x7e00, 0x7c00},
        {"Q8_1", 9, 0, 32, 36, 2, 2, 0x7e00, 0x7c00},
        {"Q2_K", 10, 0, 256, 84, 82, 2, 0x7e00, 0x7c00},
        {"Q3_K", 11, 0, 256, 110, 108, 2, 0x7e00, 0x7c00},
        {"Q4_K", 12, 0, 256, 144, 2, 2, 0x7e00, 0x7c00},
        {"Q5_K", 13, 0, 256, 176, 0, 2, 0x7e00, 0x7c00},
        {"Q6_K", 14, 0, 256, 210, 208, 2, 0x7e00, 0x7c00},
        {"Q8_K", 15, 0, 256, 292, 0, 4, 0x7fc00000, 0x7f800000},
        {"IQ2_XXS", 16, 0, 256, 66, 0, 2, 0x7e00, 0x7c00},
        {"IQ2_XS", 17, 0, 256, 74, 0, 2, 0x7e00, 0x7c00},
        {"IQ3_XXS", 18, 0, 256, 98, 0, 2, 0x7e00, 0x7c00},
        {"IQ1_S", 19, 0, 256, 50, 0, 2, 0x7e00, 0x7c00},
        {"IQ4_NL", 20, 0, 32, 18, 0, 2, 0x7e00, 0x7c00},
        {"IQ3_S", 21, 0, 256, 110, 0, 2, 0x7e00, 0x7c00},
        {"IQ2_S", 22, 0, 256, 82, 0, 2, 0x7e00, 0x7c00},
        {"IQ4_XS", 23, 0, 256, 136, 0, 2, 0x7e00, 0x7c00},
        {"I8", 24, 0, 1, 1, 0, 0, 0, 0},
        {"I16", 25, 0, 1, 2, 0, 0, 0, 0},
        {"I32", 26, 0, 1, 4, 0, 0, 0, 0},
        {"I64", 27, 0, 1, 8, 0, 0, 0, 0},
        {"F64", 28, 0, 1, 8, 4, 4, 0x7ff80000, 0xfff00000},
        {"IQ1_M", 29, 0, 256, 56, 52, 4, 0x7000e000, 0x7000c000}, /* top nibbles of the words at 48 to 54 */
        {"BF16", 30, 0, 1, 2, 0, 2, 0x7fc0, 0xff80},
        {"TQ1_0", 34, 0, 256, 54, 52, 2, 0x7e00, 0x7c00},
        {"TQ2_0", 35, 0, 256, 66, 64, 2, 0x7e00, 0x7c00},
        {"MXFP4", 39, 0, 32, 17, 0, 1, 0xff, 0},
        {"NVFP4", 40, 0, 64, 36, 3, 1, 0x7f, 0},
        {"Q1_0", 41, 0, 128, 18, 0, 2, 0x7e00, 0x7c00},
        {"Q2_0", 42, 0, 64, 18, 0, 2, 0x7e00, 0x7c00},
};
const size_t modelgen_gguf_types_n = ARRAY_SIZE(modelgen_gguf_types);

const struct modelgen_type modelgen_dtypes[] = {
        {"F4", 0, 4, 0, 0, 0, 0, 0, 0},
        {"F6_E2M3", 0, 6, 0, 0, 0, 0, 0, 0},
        {"F6_E3M2", 0, 6, 0, 0, 0, 0, 0, 0},
        {"BOOL", 0, 8, 0, 0, 0, 0, 0, 0},
        {"U8", 0, 8, 0, 0, 0, 0, 0, 0},
        {"I8", 0, 8, 0, 0, 0, 0, 0, 0},
        {"F8_E5M2", 0, 8, 0, 0, 0, 1, 0x7e, 0xfc},
        {"F8_E4M3", 0, 8, 0, 0, 0, 1, 0xff, 0},
        {"F8_E8M0", 0, 8, 0, 0, 0, 1, 0xff, 0},
        {"F8_E4M3FNUZ", 0, 8, 0, 0, 0, 1, 0x80, 0},
        {"F8_E5M2FNUZ", 0, 8, 0, 0, 0, 1, 0x80, 0},
        {"I16", 0, 16, 0, 0, 0, 0, 0, 0},
        {"U16", 0, 16, 0, 0, 0, 0, 0, 0},
        {"F16", 0, 16, 0, 0, 0, 2, 0x7e00, 0xfc00},
        {"BF16", 0, 16, 0, 0, 0, 2, 0x7fc0, 0x7f80},
        {"I32", 0, 32, 0, 0, 0, 0, 0, 0},
        {"U32", 0, 32, 0, 0, 0, 0, 0, 0},
        {"F32", 0, 32, 0, 0, 0, 4, 0x7fc00000, 0x7f800000},
        {"F64", 0, 64, 0, 0, 4, 4, 0x7ff80000, 0x7ff00000},
        {"I64", 0, 64, 0, 0, 0, 0, 0, 0},
        {"U64", 0, 64, 0, 0, 0, 0, 0, 0},
        {"C64", 0, 64, 0, 0, 4, 4, 0x7fc00000, 0x7f800000},
};
const size_t modelgen_dtypes_n = ARRAY_SIZE(modelgen_dtypes);

int modelgen_put(struct buf *out, uint64_t value, size_t bytes) {
        char le[8];

        for (size_t i = 0; i < sizeof le; i++)
                le[i] = (char)(value >> 8 * i & 0xff);
        return buf_append(out, le, bytes);
}

int modelgen_put_text(struct buf *out, struct view text) {
        int r = modelgen_put(out, text.n, 8);

        return r < 0 ? r : buf_append_view(out, text);
}

/* ---- the small GGUF, as a table ---- */

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 };

struct pair {
        const char *key;
        int type;
        int element;
        uint64_t number;
        const char *text; /* texts of a list are separated by '|' */
        uint64_t numbers[8];
        size_t numbers_n;
};

static const char chatml[] =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
        "'<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif "
        "%}";

static const struct pair pairs[] = {
        {"general.architecture", TEXT, 0, 0, "llama", {0}, 0},
        {"general.name", TEXT, 0, 0, "tiny", {0}, 0},
        {"general.alignment", U32, 0, 32, NULL, {0}, 0},
        {"general.flag", BOOL, 0, 1, NULL, {0}, 0},
        {"general.half", F64, 0, UINT64_C(0x3fe0000000000000), NULL, {0}, 0},
        {"general.big", I64, 0, 7, NULL, {0}, 0},
        {"general.tags", LIST, TEXT, 0, "a|bc|", {0}, 0},
        {"general.numbers", LIST, U16, 0, NULL, {1, 2, 3}, 3},
        {"general.truths", LIST, BOOL, 0, NULL, {0, 1, 1}, 3},
        {"general.nothing", LIST, U8, 0, NULL, {0}, 0},
        {"llama.context_length", U32, 0, 128, NULL, {0}, 0},
        {"tokenizer.ggml.model", TEXT, 0, 0, "llama", {0}, 0},
        {"tokenizer.ggml.tokens", LIST, TEXT, 0, "<unk>|<s>|</s>|<0x00>|<0xAF>|a|b", {0}, 0},
        {"tokenizer.ggml.scores", LIST, F32, 0, NULL, {0, 0, 0, 0, 0, 0x3f800000, 0xbf800000}, 7},
        {"tokenizer.ggml.token_type", LIST, I32, 0, NULL, {2, 3, 3, 6, 6, 1, 1}, 7},
        {"tokenizer.ggml.merges", LIST, TEXT, 0, "a b|ab c", {0}, 0},
        {"tokenizer.ggml.bos_token_id", U32, 0, 1, NULL, {0}, 0},
        {"tokenizer.ggml.eos_token_id", U32, 0, 2, NULL, {0}, 0},
        {"tokenizer.chat_template", TEXT, 0, 0, chatml, {0}, 0},
};

static size_t size_of(int type) {
        static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

        return sizes[type];
}

static int put_texts(struct buf *out, struct view texts) {
        struct view one;
        uint64_t n = 1;
        int r;

        for (size_t i = 0; i < texts.n; i++)
                n += texts.p[i] == '|';
        r = modelgen_put(out, n, 8);
        while (r >= 0 && view_split(&texts, '|', &one))
                r = modelgen_put_text(out, one);
        return r < 0 ? r : modelgen_put_text(out, texts);
}

static int put_list(struct buf *out, const struct pair *p) {
        int r = modelgen_put(out, (uint64_t)p->element, 4);

        if (r >= 0 && p->element == TEXT)
                return put_texts(out, view_of(p->text));
        if (r >= 0)
                r = modelgen_put(out, p->numbers_n, 8);
        for (size_t i = 0; r >= 0 && i < p->numbers_n; i++)
                r = modelgen_put(out, p->numbers[i], size_of(p->element));
        return r;
}

static int put_pair(struct buf *out, const struct pair *p) {
        int r = modelgen_put_text(out, view_of(p->key));

        if (r >= 0)
                r = modelgen_put(out, (uint64_t)p->type, 4);
        if (r < 0)
                return r;
        if (p->type == TEXT)
                return modelgen_put_text(out, view_of(p->text));
        if (p->type == LIST)
                return put_list(out, p);
        return modelgen_put(out, p->number, size_of(p->type));
}

static int put_head(struct buf *out, uint64_t tensors, uint64_t count) {
        int r = buf_append(out, "GGUF", 4);

        if (r >= 0)
                r = modelgen_put(out, 3, 4);
        if (r >= 0)
                r = modelgen_put(out, tensors, 8);
        return r < 0 ? r : modelgen_put(out, count, 8);
}

static int put_tensor(struct buf *out, const char *name, unsigned rank, const uint64_t *dims, uint32_t type,
                      uint64_t at) {
        int r = modelgen_put_text(out, view_of(name));

        if (r >= 0)
                r = modelgen_put(out, rank, 4);
        for (unsigned i = 0; r >= 0 && i < rank; i++)
                r = modelgen_put(out, dims[i], 8);
        if (r >= 0)
                r = modelgen_put(out, type, 4);
        return r < 0 ? r : modelgen_put(out, at, 8);
}

static int pad(struct buf *out, size_t alignment) {
        int r = 0;

        while (r >= 0 && out->n % alignment != 0)
                r = buf_append_char(out, '\0');
        return r;
}

/* Bytes that are no NaN in any format: every byte is at most 0x3b. */
static int put_weights(struct buf *out, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = buf_append_char(out, (char)((out->n * 37 + i * 11) % 0x3b));
        return r;
}

int modelgen_gguf(struct buf *out) {
        static const uint64_t a[] = {4, 2}, b[] = {3}, c[] = {32, 1, 1};
        static const size_t sizes[] = {32, 6, 34};
        int r = put_head(out, 3, ARRAY_SIZE(pairs));

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(pairs); i++)
                r = put_pair(out, &pairs[i]);
        if (r >= 0)
                r = put_tensor(out, "first.weight", 2, a, 0, 0);
        if (r >= 0)
                r = put_tensor(out, "second.weight", 1, b, 1, 32);
        if (r >= 0)
                r = put_tensor(out, "third.weight", 3, c, 8, 64);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(sizes); i++) {
                r = pad(out, 32);
                if (r >= 0)
                        r = put_weights(out, sizes[i]);
        }
        return r < 0 ? r : pad(out, 32);
}

static const struct modelgen_type *type_of(uint32_t id) {
        for (size_t i = 0; i < modelgen_gguf_types_n; i++)
                if (modelgen_gguf_types[i].id == id)
                        return &modelgen_gguf_types[i];
        return NULL;
}

int modelgen_gguf_of_type(uint32_t id, struct buf *out, size_t *ret_data) {
        const struct modelgen_type *t = type_of(id);
        uint64_t dims[2];
        int r;

        if (!t)
                return -EINVAL;
        dims[0] = t->block;
        dims[1] = 2;
        r = put_head(out, 1, 1);
        if (r >= 0)
                r = put_pair(out, &pairs[0]);
        if (r >= 0)
                r = put_tensor(out, "only.weight", 2, dims, id, 0);
        if (r >= 0)
                r = pad(out, 32);
        *ret_data = out->n;
        if (r >= 0)
                r = put_weights(out, 2 * (size_t)t->bytes);
        return r < 0 ? r : pad(out, 32);
}

int modelgen_safetensors(struct view header, size_t data, struct buf *out) {
        int r = modelgen_put_text(out, header);

        return r < 0 ? r : put_weights(out, data);
}

int modelgen_safetensors_of_type(const char *dtype, unsigned bits, struct buf *out) {
        _cleanup_(buf_donep) struct buf header = BUF_INIT(512);
        int r = buf_printf(&header, "{\"w\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%u]}}",
                           dtype, bits);

        return r < 0 ? r : modelgen_safetensors(buf_view(&header), bits, out);
}

/* ---- the large one ---- */

#define LARGE_BLOCK  144u
#define LARGE_ROW    (UINT64_C(4096) / 256 * LARGE_BLOCK) /* bytes of a row of 4096 elements */
#define LARGE_ROWS   UINT64_C(16384)
#define LARGE_HEADER 65536u
#define LARGE_CHUNK  (LARGE_ROW * 2048)

static uint64_t next_random(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Q4_K blocks: two scales of ordinary size, then noise. */
static void fill_blocks(uint8_t *p, size_t n, uint64_t *state) {
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint64_t x = next_random(state);

                memcpy(p + i, &x, sizeof x);
        }
        for (size_t i = 0; i + LARGE_BLOCK <= n; i += LARGE_BLOCK) {
                p[i + 1] = (uint8_t)(p[i + 1] % 0x10 + 0x0c); /* binary16 of about 0.0001 to 0.1 */
                p[i + 3] = (uint8_t)(p[i + 3] % 0x10 + 0x0c);
        }
}

static int put_large_header(struct buf *out, uint64_t rows) {
        uint64_t tensors = (rows + LARGE_ROWS - 1) / LARGE_ROWS, at = 0;
        int r = put_head(out, tensors, ARRAY_SIZE(pairs));

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(pairs); i++)
                r = put_pair(out, &pairs[i]);
        for (uint64_t i = 0; r >= 0 && i < tensors; i++) {
                uint64_t dims[2] = {4096, MIN_OF(LARGE_ROWS, rows - i * LARGE_ROWS)};
                char name[32];

                (void)snprintf(name, sizeof name, "blk.%llu.weight", (unsigned long long)i);
                r = put_tensor(out, name, 2, dims, 12, at);
                at += dims[1] * LARGE_ROW;
        }
        return r < 0 ? r : pad(out, 32);
}

int modelgen_gguf_large(uint64_t size, int fd) {
        _cleanup_(buf_donep) struct buf header = BUF_INIT((size_t)16 << 20);
        _cleanup_(freep) uint8_t *chunk = NULL;
        uint64_t state = UINT64_C(0x9e3779b97f4a7c15), left;
        int r;

        if (size < LARGE_HEADER + LARGE_ROW)
                return -EINVAL;
        chunk = malloc(LARGE_CHUNK);
        if (!chunk)
                return -ENOMEM;
        left = (size - LARGE_HEADER) / LARGE_ROW;
        r = put_large_header(&header, left);
        if (r >= 0)
                r = write_all(fd, header.p, header.n);
        for (left *= LARGE_ROW; r >= 0 && left > 0;) {
                size_t n = (size_t)MIN_OF(left, LARGE_CHUNK);

                fill_blocks(chunk, n, &state);
                r = write_all(fd, chunk, n);
                left -= n;
        }
        return r;
}

/* ---- the large safetensors ---- */

#define WIDE_COLUMNS UINT64_C(4096)
#define WIDE_ROW     (2 * WIDE_COLUMNS) /* bytes of a row of BF16 */
#define WIDE_ROWS    UINT64_C(14336)
#define WIDE_CHUNK   (WIDE_ROW * 2048)
#define DRAWS        65536u

/* Draws from the numbers of trained weights, in BF16: one of these for each weight is quick and Gaussian enough. */
static void draw(uint16_t *draws) {
        struct weightgen g;

        weightgen_init(&g, 1);
        for (size_t i = 0; i < DRAWS; i++) {
                float f = (float)weightgen_next(&g);
                uint32_t bits;

                memcpy(&bits, &f, sizeof bits);
                draws[i] = (uint16_t)(bits >> 16);
        }
}

static void fill_draws(uint8_t *p, size_t n, const uint16_t *draws, uint64_t *state) {
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint64_t x = next_random(state), y = 0;

                for (unsigned k = 0; k < 64; k += 16)
                        y |= (uint64_t)draws[x >> k & 0xffff] << k;
                for (unsigned k = 0; k < 8; k++)
                        p[i + k] = (uint8_t)(y >> 8 * k);
        }
}

static int put_wide_header(struct buf *out, uint64_t rows) {
        static const char *const parts[] = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};
        uint64_t at = 0;
        int r = buf_append(out, "\0\0\0\0\0\0\0\0{", 9);

        for (uint64_t i = 0; r >= 0 && rows > 0; i++) {
                uint64_t n = MIN_OF(rows, WIDE_ROWS), end = at + n * WIDE_ROW;

                r = buf_printf(out,
                               "%s\"model.layers.%llu.%s.weight\":{\"dtype\":\"BF16\",\"shape\":[%llu,%llu],"
                               "\"data_offsets\":[%llu,%llu]}",
                               i ? "," : "", (unsigned long long)(i / ARRAY_SIZE(parts)),
                               parts[i % ARRAY_SIZE(parts)], (unsigned long long)n,
                               (unsigned long long)WIDE_COLUMNS, (unsigned long long)at,
                               (unsigned long long)end);
                at = end;
                rows -= n;
        }
        if (r >= 0)
                r = buf_append_char(out, '}');
        while (r >= 0 && out->n % 8 != 0)
                r = buf_append_char(out, ' ');
        for (size_t i = 0; r >= 0 && i < 8; i++)
                out->p[i] = (char)((out->n - 8) >> 8 * i & 0xff);
        return r;
}

int modelgen_safetensors_large(uint64_t size, int fd) {
        _cleanup_(buf_donep) struct buf header = BUF_INIT((size_t)16 << 20);
        _cleanup_(freep) uint8_t *chunk = NULL;
        _cleanup_(freep) uint16_t *draws = NULL;
        uint64_t state = UINT64_C(0x9e3779b97f4a7c15), left;
        int r;

        if (size < LARGE_HEADER + WIDE_ROW)
                return -EINVAL;
        chunk = malloc(WIDE_CHUNK);
        draws = malloc(DRAWS * sizeof *draws);
        if (!chunk || !draws)
                return -ENOMEM;
        draw(draws);
        left = (size - LARGE_HEADER) / WIDE_ROW;
        r = put_wide_header(&header, left);
        if (r >= 0)
                r = write_all(fd, header.p, header.n);
        for (left *= WIDE_ROW; r >= 0 && left > 0;) {
                size_t n = (size_t)MIN_OF(left, WIDE_CHUNK);

                fill_draws(chunk, n, draws, &state);
                r = write_all(fd, chunk, n);
                left -= n;
        }
        return r;
}
