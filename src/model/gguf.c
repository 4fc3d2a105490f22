#include "model/gguf.h"

#include "base/num.h"
#include "model/ggml_types.h"
#include "model/gguf_metadata.h"
#include "model/gguf_plausible.h"
#include "model/limits.h"
#include "model/names_digest.h"
#include "model/tensor_scan.h"
#include "model/tensor_table.h"

/* The reader is a row of steps. A *fixed* step collects `need` bytes and then runs; a *streaming* step is
 * handed each piece of its `left` bytes. Steps of zero bytes run at once, and each of them moves on to
 * another step that takes bytes or ends, so that work is bounded by the input. */
enum step {
        STEP_HEADER,
        STEP_KEY_LENGTH,
        STEP_KEY,
        STEP_VALUE_TYPE,
        STEP_SCALAR,
        STEP_LIST_HEAD,
        STEP_LIST_ELEMENTS,
        STEP_TEXT_LENGTH,
        STEP_TEXT,
        STEP_NAME_LENGTH,
        STEP_NAME,
        STEP_RANK,
        STEP_SHAPE,
        STEP_DATA_PADDING,
        STEP_TENSOR,
        STEP_TENSOR_PADDING,
        STEP_END,
        STEP_REFUSED
};

/* The table is kept packed: this head, then name and shape (tensor_table). */
struct tensor_head {
        uint64_t bytes;
        uint8_t type;
} __attribute__((packed));

#define PAIR_MIN   13u  /* key length, value type, one byte of value */
#define TENSOR_MIN 24u  /* name length, rank, type, offset */
#define TENSOR_MAX 112u /* bytes of the table: head, name of 63 bytes, four dimensions; typically 50 */
#define TABLE_MAX  ((size_t)GGUF_TENSORS_MAX * TENSOR_MAX)

struct gguf {
        uint64_t size;
        uint64_t at; /* file offset of the next byte */
        struct model_report *report;
        struct model_summary *summary;
        const struct gguf_visitor *visitor;
        struct gguf_metadata metadata;
        enum step step;
        size_t need;   /* fixed steps */
        uint64_t left; /* streaming steps */
        size_t have;
        uint8_t fixed[64];
        struct buf key;

        uint64_t pairs, tensors; /* still to be read */
        uint32_t value_type;
        uint64_t elements; /* of the text list being read, still to be read */

        struct hash_set *names;
        struct names_digest digest; /* of a folder's member */
        char name[GGUF_NAME_MAX];
        size_t name_n;
        uint32_t rank;
        struct buf table;
        uint64_t running;  /* where the next tensor must begin, from the start of the data */
        uint64_t data_end; /* where the last one ends, without padding */
        uint64_t bytes_of_type[GGML_TYPE_ID_MAX];

        size_t cursor;            /* in the table, while data is read */
        struct tensor_scan *data; /* what it holds */
        struct gguf_plausible plausible;
        bool padding_reported;
};

static const struct gguf_visitor nobody;

struct tensor_scan *gguf_tensors(struct gguf *g) {
        return g->data;
}

void gguf_visit(struct gguf *g, const struct gguf_visitor *visitor) {
        g->visitor = visitor;
}

int gguf_new(uint64_t size, struct model_report *report, struct model_summary *summary, struct gguf **ret) {
        _cleanup_(gguf_freep) struct gguf *g = calloc(1, sizeof *g);
        int r;

        if (!g)
                return -ENOMEM;
        g->size = size;
        g->report = report;
        g->summary = summary;
        g->visitor = &nobody;
        g->key = BUF_INIT(GGUF_KEY_MAX);
        g->table = BUF_INIT(TABLE_MAX);
        g->step = STEP_HEADER;
        g->need = 24;
        r = gguf_metadata_init(&g->metadata, report, summary);
        if (r < 0)
                return r;
        names_digest_init(&g->digest, GGUF_TENSORS_MAX);
        r = tensor_scan_new(report, summary, &g->data);
        if (r < 0)
                return r;
        r = hash_set_new(GGUF_TENSORS_MAX, &g->names);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

struct gguf *gguf_free(struct gguf *g) {
        if (g) {
                gguf_metadata_done(&g->metadata);
                hash_set_free(g->names);
                names_digest_done(&g->digest);
                tensor_scan_free(g->data);
                buf_done(&g->key);
                buf_done(&g->table);
                free(g);
        }
        return NULL;
}

static void collect(struct gguf *g, enum step step, size_t need) {
        g->step = step;
        g->need = need;
        g->have = 0;
}

static void stream(struct gguf *g, enum step step, uint64_t left) {
        g->step = step;
        g->left = left;
}

/* Every structural fault ends the reading: what follows would be guesswork. */
#define REFUSE(g, rule, at, tensor, ...)                                                                     \
        do {                                                                                                 \
                report_put((g)->report, rule, at, tensor, __VA_ARGS__);                                      \
                (g)->step = STEP_REFUSED;                                                                    \
        } while (0)

static uint64_t remaining(const struct gguf *g) {
        return g->size - g->at;
}

static unsigned long long ull(uint64_t v) {
        return v;
}

static void tell_pair(struct gguf *g, uint32_t type, uint32_t element_type, uint64_t count) {
        if (g->visitor->pair)
                g->visitor->pair(g->visitor->userdata, buf_view(&g->key), type, element_type, count);
}

static void tell_value(struct gguf *g, struct view bytes) {
        if (g->visitor->value)
                g->visitor->value(g->visitor->userdata, bytes);
}

static void tell_tensor(struct gguf *g, uint32_t type, const uint8_t *shape) {
        uint64_t dimensions[GGUF_DIMENSIONS_MAX];

        if (!g->visitor->tensor)
                return;
        for (uint32_t i = 0; i < g->rank; i++)
                dimensions[i] = load_le64(shape + 8 * (size_t)i);
        g->visitor->tensor(g->visitor->userdata, (struct view){g->name, g->name_n}, type, g->rank, dimensions,
                           g->running);
}

/* ---- header and metadata ---- */

static void begin_data(struct gguf *g);

static void next_tensor_info(struct gguf *g) {
        if (g->tensors == 0)
                begin_data(g);
        else
                collect(g, STEP_NAME_LENGTH, 8);
}

static void next_pair(struct gguf *g) {
        if (g->pairs > 0) {
                collect(g, STEP_KEY_LENGTH, 8);
                return;
        }
        gguf_metadata_finish(&g->metadata);
        next_tensor_info(g);
}

static void end_pair(struct gguf *g) {
        g->pairs--;
        next_pair(g);
}

static void take_header(struct gguf *g, const uint8_t *p) {
        uint32_t version = load_le32(p + 4);
        uint64_t least, tensors = load_le64(p + 8), pairs = load_le64(p + 16);

        if (memcmp(p, "GGUF", 4) != 0) {
                REFUSE(g, RULE_GGUF_MAGIC, 0, VIEW_NULL, "The file begins with \"%s\", not with GGUF.",
                       report_quote(view_make(p, 4)).text);
                return;
        }
        if (version != 2 && version != 3) {
                bool swapped = (version & 0xffff) == 0 && version != 0;

                REFUSE(g, RULE_GGUF_VERSION, 4, VIEW_NULL,
                       swapped ? "The file is big-endian GGUF (version field %u)."
                               : "The GGUF version is %u; versions 2 and 3 are accepted.",
                       version);
                return;
        }
        g->summary->format_version = version;
        if (pairs > GGUF_PAIRS_MAX || tensors > GGUF_TENSORS_MAX) {
                REFUSE(g, RULE_GGUF_COUNTS, 8, VIEW_NULL,
                       "The file announces %llu metadata entries and %llu tensors; at most "
                       "65536 of each are accepted.",
                       ull(pairs), ull(tensors));
                return;
        }
        least = pairs * PAIR_MIN + tensors * TENSOR_MIN; /* both are small now */
        if (least > remaining(g)) {
                REFUSE(g, RULE_GGUF_COUNTS, 8, VIEW_NULL,
                       "%llu metadata entries and %llu tensors don't fit into %llu bytes.", ull(pairs),
                       ull(tensors), ull(remaining(g)));
                return;
        }
        g->pairs = pairs;
        g->tensors = g->summary->tensors = tensors;
        next_pair(g);
}

static void take_key_length(struct gguf *g, const uint8_t *p) {
        uint64_t n = load_le64(p);

        if (n == 0 || n > GGUF_KEY_MAX || n > remaining(g)) {
                REFUSE(g, RULE_GGUF_KEY, g->at - 8, VIEW_NULL,
                       "A key has %llu bytes; 1 to 65535 are allowed, %llu are left.", ull(n),
                       ull(remaining(g)));
                return;
        }
        buf_clear(&g->key);
        stream(g, STEP_KEY, n);
}

static void take_value_type(struct gguf *g, const uint8_t *p) {
        uint32_t type = load_le32(p);

        if (type >= GGUF_TYPE_MAX) {
                REFUSE(g, RULE_GGUF_TYPE, g->at - 4, VIEW_NULL, "\"%s\" has the unknown value type %u.",
                       g->metadata.key.text, type);
                return;
        }
        g->value_type = type;
        if (type == GGUF_ARRAY) {
                collect(g, STEP_LIST_HEAD, 12);
                return;
        }
        (void)gguf_metadata_type(&g->metadata, type, GGUF_TYPE_MAX, g->at - 4);
        tell_pair(g, type, GGUF_TYPE_MAX, 1);
        g->elements = 1;
        if (type == GGUF_STRING)
                collect(g, STEP_TEXT_LENGTH, 8);
        else
                collect(g, STEP_SCALAR, gguf_type_size(type));
}

static void note_number(struct gguf *g, const uint8_t *p) {
        uint32_t t = g->value_type;

        if (t == GGUF_U32 || t == GGUF_I32 || t == GGUF_U64 || t == GGUF_U16)
                gguf_plausible_number(&g->plausible, buf_view(&g->key),
                                      t == GGUF_U64   ? load_le64(p)
                                      : t == GGUF_U16 ? load_le16(p)
                                                      : load_le32(p));
}

static void take_scalar(struct gguf *g, const uint8_t *p) {
        note_number(g, p);
        gguf_metadata_scalar(&g->metadata, g->value_type, p, g->at - g->need);
        tell_value(g, view_make(p, g->need));
        end_pair(g);
}

static int take_list_head(struct gguf *g, const uint8_t *p) {
        uint32_t type = load_le32(p);
        uint64_t count = load_le64(p + 4), bytes;
        size_t each = gguf_type_size(type);
        int r;

        if (type >= GGUF_TYPE_MAX || type == GGUF_ARRAY) {
                REFUSE(g, RULE_GGUF_ARRAY, g->at - 12, VIEW_NULL,
                       type == GGUF_ARRAY ? "\"%s\" is a list of lists (type %u)."
                                          : "\"%s\" is a list of unknown type %u.",
                       g->metadata.key.text, type);
                return 0;
        }
        if (count > GGUF_ARRAY_MAX || u64_mul(count, each, &bytes) < 0 || bytes > remaining(g)) {
                REFUSE(g, RULE_GGUF_ARRAY, g->at - 8, VIEW_NULL,
                       "\"%s\" announces %llu elements of %s; %llu bytes are left.", g->metadata.key.text,
                       ull(count), gguf_type_name(type), ull(remaining(g)));
                return 0;
        }
        (void)gguf_metadata_type(&g->metadata, GGUF_ARRAY, type, g->at - 12);
        tell_pair(g, GGUF_ARRAY, type, count);
        r = gguf_metadata_list(&g->metadata, count, g->at);
        if (r < 0)
                return r;
        g->value_type = type;
        g->elements = count;
        if (count == 0)
                end_pair(g);
        else if (type == GGUF_STRING)
                collect(g, STEP_TEXT_LENGTH, 8);
        else
                stream(g, STEP_LIST_ELEMENTS, bytes);
        return 0;
}

static void take_text_length(struct gguf *g, const uint8_t *p) {
        uint64_t n = load_le64(p);

        if (n > GGUF_STRING_MAX || n > remaining(g)) {
                REFUSE(g, RULE_GGUF_STRING, g->at - 8, VIEW_NULL,
                       "\"%s\" announces a text of %llu bytes; %llu are left.", g->metadata.key.text, ull(n),
                       ull(remaining(g)));
                return;
        }
        gguf_metadata_text_begin(&g->metadata, n, g->at);
        tell_value(g, view_make(p, 8));
        stream(g, STEP_TEXT, n);
}

static void end_text(struct gguf *g) {
        gguf_metadata_text_end(&g->metadata);
        g->elements--;
        if (g->elements > 0)
                collect(g, STEP_TEXT_LENGTH, 8);
        else
                end_pair(g);
}

/* ---- tensor table ---- */

static void take_name_length(struct gguf *g, const uint8_t *p) {
        uint64_t n = load_le64(p);

        if (n == 0 || n > GGUF_NAME_MAX || n > remaining(g)) {
                REFUSE(g, RULE_GGUF_NAME, g->at - 8, VIEW_NULL,
                       "A tensor's name has %llu bytes; 1 to 63 are allowed.", ull(n));
                return;
        }
        g->name_n = 0;
        stream(g, STEP_NAME, n);
}

static struct view name_of(const struct gguf *g) {
        return (struct view){g->name, g->name_n};
}

static int end_name(struct gguf *g) {
        struct view name = name_of(g);
        struct utf8_stream utf8 = {0};
        uint64_t at = g->at - name.n;
        int r = hash_set_add(g->names, name);

        if (r >= 0 && g->report->member > 0 && names_digest_add(&g->digest, name) < 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        if (r == 0)
                report_put(g->report, RULE_GGUF_NAME, at, name, "Two tensors have the name \"%s\".",
                           report_quote(name).text);
        if (view_find_char(name, '\0') != SIZE_MAX || utf8_stream_feed(&utf8, name) != SIZE_MAX ||
            !utf8_stream_complete(&utf8))
                report_put(g->report, RULE_GGUF_NAME, at, name, "The tensor name \"%s\" is not clean text.",
                           report_quote(name).text);
        collect(g, STEP_RANK, 4);
        return 0;
}

static void take_rank(struct gguf *g, const uint8_t *p) {
        g->rank = load_le32(p);
        if (g->rank == 0 || g->rank > GGUF_DIMENSIONS_MAX) {
                REFUSE(g, RULE_GGUF_DIMENSIONS, g->at - 4, name_of(g),
                       "The tensor has %u dimensions; 1 to 4 are allowed.", g->rank);
                return;
        }
        collect(g, STEP_SHAPE, 8 * (size_t)g->rank + 12);
}

/* Elements of the tensor, multiplied dimension by dimension. False (and refused) when that is no sensible
 * number. */
static bool count_elements(struct gguf *g, const uint8_t *p, uint64_t *ret) {
        uint64_t product = 1;

        for (uint32_t i = 0; i < g->rank; i++) {
                uint64_t d = load_le64(p + 8 * (size_t)i);

                if (d == 0 || d > GGUF_DIMENSION_MAX || u64_mul(product, d, &product) < 0) {
                        REFUSE(g, RULE_GGUF_DIMENSIONS, g->at - g->need + 8 * (uint64_t)i, name_of(g),
                               "Dimension %u of the tensor is %llu, which is zero, too large or overflows.",
                               i + 1, ull(d));
                        return false;
                }
        }
        *ret = product;
        return true;
}

static int remember_tensor(struct gguf *g, uint8_t type, uint64_t bytes, const uint8_t *p) {
        struct tensor_head head = {bytes, type};
        uint64_t shape[GGUF_DIMENSIONS_MAX];
        uint32_t at;
        int r = buf_append(&g->table, &head, sizeof head);

        for (uint32_t i = 0; i < g->rank; i++)
                shape[i] = load_le64(p + 8 * (size_t)i);
        if (r >= 0)
                r = tensor_table_put(&g->table, name_of(g), shape, g->rank, &at);
        if (r < 0)
                return r;
        gguf_plausible_tensor(&g->plausible, name_of(g), shape, g->rank);
        tensor_scan_declare(g->data, &(struct tensor_about){.name = name_of(g),
                                                            .type = ggml_type_get(type)->name,
                                                            .shape = shape,
                                                            .rank = g->rank});
        return 0;
}

static int take_shape(struct gguf *g, const uint8_t *p) {
        uint64_t at = g->at - 12, elements, bytes, padded, offset = load_le64(p + g->need - 8);
        uint32_t type = load_le32(p + g->need - 12);
        const struct ggml_type_info *info = ggml_type_get(type);
        int r;

        if (!count_elements(g, p, &elements))
                return 0;
        if (!info) {
                REFUSE(g, RULE_GGUF_TENSOR_TYPE, at, name_of(g),
                       "The tensor has the type number %u, which is unknown or was "
                       "withdrawn.",
                       type);
                return 0;
        }
        if (load_le64(p) % info->block != 0) {
                REFUSE(g, RULE_GGUF_TENSOR_TYPE, at, name_of(g),
                       "Rows of %llu elements don't fill whole %s blocks of %u.", ull(load_le64(p)),
                       info->name, info->block);
                return 0;
        }
        if (offset != g->running) {
                REFUSE(g, RULE_GGUF_OFFSET, at + 4, name_of(g),
                       "The tensor lies at %llu; it must follow the one before at %llu.", ull(offset),
                       ull(g->running));
                return 0;
        }
        if (u64_mul(elements / info->block, info->bytes, &bytes) < 0 ||
            u64_add(g->running, bytes, &padded) < 0 ||
            u64_align_up(padded, g->metadata.alignment, &padded) < 0 ||
            u64_add(g->summary->parameters, elements, &g->summary->parameters) < 0) {
                REFUSE(g, RULE_GGUF_DIMENSIONS, at, name_of(g), "The size of the tensor overflows.");
                return 0;
        }
        tell_tensor(g, type, p);
        g->data_end = g->running + bytes;
        g->running = padded;
        g->bytes_of_type[type] += bytes;
        g->summary->tensor_bytes += bytes;
        r = remember_tensor(g, (uint8_t)type, bytes, p);
        if (r < 0)
                return r;
        g->tensors--;
        next_tensor_info(g);
        return 0;
}

/* ---- data ---- */

static void next_tensor(struct gguf *g) {
        const struct ggml_type_info *info;
        struct tensor_head head;
        struct tensor_table_entry e;

        if (g->cursor == g->table.n) {
                stream(g, STEP_END, 0);
                return;
        }
        memcpy(&head, g->table.p + g->cursor, sizeof head);
        g->cursor = tensor_table_get(&g->table, g->cursor + sizeof head, &e);
        info = ggml_type_get(head.type);
        tensor_scan_begin(g->data, &(struct tensor_about){.name = e.name,
                                                          .type = info->name,
                                                          .shape = e.shape,
                                                          .rank = e.rank,
                                                          .at = g->at,
                                                          .bytes = head.bytes,
                                                          .layout = &info->layout,
                                                          .block = info->bytes});
        stream(g, STEP_TENSOR, head.bytes);
}

static void check_end(struct gguf *g, uint64_t data_start) {
        uint64_t end, without;

        if (u64_add(data_start, g->running, &end) < 0) {
                REFUSE(g, RULE_GGUF_DIMENSIONS, REPORT_WHOLE, VIEW_NULL, "The sum of all tensors overflows.");
                return;
        }
        without = g->table.n > 0 ? data_start + g->data_end : g->at; /* the last padding may be left out */
        if (g->size < without)
                report_put(g->report, RULE_GGUF_END, g->size, VIEW_NULL,
                           "The file is cut short: its table needs %llu bytes, it has %llu.", ull(without),
                           ull(g->size));
        else if (g->size != without && g->size != end)
                report_put(g->report, RULE_GGUF_END, without, VIEW_NULL,
                           "%llu bytes too many: the table ends at %llu, the file at %llu.",
                           ull(g->size - without), ull(without), ull(g->size));
}

static void note_quantization(struct gguf *g) {
        uint64_t most = 0;

        for (uint32_t i = 0; i < GGML_TYPE_ID_MAX; i++)
                if (g->bytes_of_type[i] > most) {
                        most = g->bytes_of_type[i];
                        (void)snprintf(g->summary->quantization, sizeof g->summary->quantization, "%s",
                                       ggml_type_get(i)->name);
                }
}

static void begin_data(struct gguf *g) {
        uint64_t start;

        g->names = hash_set_free(g->names);
        names_digest_final(&g->digest, g->summary->names_digest);
        gguf_plausible_finish(&g->plausible, g->metadata.vocabulary.tokens, g->report);
        note_quantization(g);
        if (u64_align_up(g->at, g->metadata.alignment, &start) < 0) {
                REFUSE(g, RULE_GGUF_DIMENSIONS, REPORT_WHOLE, VIEW_NULL, "The sum of all tensors overflows.");
                return;
        }
        if (g->visitor->data)
                g->visitor->data(g->visitor->userdata, start);
        stream(g, STEP_DATA_PADDING, start - g->at);
        check_end(g, start);
}

static void end_tensor(struct gguf *g) {
        tensor_scan_end(g->data);
        stream(g, STEP_TENSOR_PADDING, -g->at & (g->metadata.alignment - 1));
}

static void take_padding(struct gguf *g, struct view bytes) {
        for (size_t i = 0; i < bytes.n; i++)
                if (bytes.p[i] != 0) {
                        if (!g->padding_reported)
                                report_put(
                                        g->report, RULE_GGUF_PADDING, g->at + i, VIEW_NULL,
                                        "The padding between tensors holds the byte 0x%02x; it must be zero.",
                                        (unsigned)(uint8_t)bytes.p[i]);
                        g->padding_reported = true;
                        return;
                }
}

/* ---- driving ---- */

static bool step_is_fixed(enum step s) {
        switch (s) {
        case STEP_HEADER:
        case STEP_KEY_LENGTH:
        case STEP_VALUE_TYPE:
        case STEP_SCALAR:
        case STEP_LIST_HEAD:
        case STEP_TEXT_LENGTH:
        case STEP_NAME_LENGTH:
        case STEP_RANK:
        case STEP_SHAPE:
                return true;
        default:
                return false;
        }
}

static int run_fixed(struct gguf *g) {
        const uint8_t *p = g->fixed;

        switch (g->step) {
        case STEP_HEADER:
                take_header(g, p);
                return 0;
        case STEP_KEY_LENGTH:
                take_key_length(g, p);
                return 0;
        case STEP_VALUE_TYPE:
                take_value_type(g, p);
                return 0;
        case STEP_SCALAR:
                take_scalar(g, p);
                return 0;
        case STEP_LIST_HEAD:
                return take_list_head(g, p);
        case STEP_TEXT_LENGTH:
                take_text_length(g, p);
                return 0;
        case STEP_NAME_LENGTH:
                take_name_length(g, p);
                return 0;
        case STEP_RANK:
                take_rank(g, p);
                return 0;
        default:
                return take_shape(g, p);
        }
}

/* Collects what is missing for a fixed step; runs it when complete. */
static int feed_fixed(struct gguf *g, struct view *bytes) {
        size_t n = MIN_OF(g->need - g->have, bytes->n);

        memcpy(g->fixed + g->have, bytes->p, n);
        g->have += n;
        g->at += n;
        *bytes = view_sub(*bytes, n, SIZE_MAX);
        return g->have == g->need ? run_fixed(g) : 0;
}

static int take_streamed(struct gguf *g, struct view piece) {
        switch (g->step) {
        case STEP_KEY:
                return buf_append_view(&g->key, piece);
        case STEP_TEXT:
                tell_value(g, piece);
                return gguf_metadata_text(&g->metadata, piece);
        case STEP_LIST_ELEMENTS:
                tell_value(g, piece);
                gguf_metadata_elements(&g->metadata, g->value_type, piece, g->at);
                return 0;
        case STEP_NAME:
                memcpy(g->name + g->name_n, piece.p, piece.n);
                g->name_n += piece.n;
                return 0;
        case STEP_TENSOR:
                tensor_scan_feed(g->data, piece);
                return 0;
        default:
                take_padding(g, piece);
                return 0;
        }
}

static int end_streamed(struct gguf *g) {
        int r;

        switch (g->step) {
        case STEP_KEY:
                r = gguf_metadata_key(&g->metadata, buf_view(&g->key), g->at - g->key.n);
                collect(g, STEP_VALUE_TYPE, 4);
                return r;
        case STEP_TEXT:
                end_text(g);
                return 0;
        case STEP_LIST_ELEMENTS:
                end_pair(g);
                return 0;
        case STEP_NAME:
                return end_name(g);
        case STEP_TENSOR:
                end_tensor(g);
                return 0;
        default:
                next_tensor(g);
                return 0;
        }
}

static int feed_streamed(struct gguf *g, struct view *bytes) {
        struct view piece = view_sub(*bytes, 0, (size_t)MIN_OF(g->left, (uint64_t)bytes->n));
        int r;

        if (piece.n > 0) {
                r = take_streamed(g, piece);
                if (r < 0)
                        return r;
                g->left -= piece.n;
                g->at += piece.n;
                *bytes = view_sub(*bytes, piece.n, SIZE_MAX);
        }
        return g->left == 0 ? end_streamed(g) : 0;
}

/* True while the step can go on without further bytes. */
static bool step_is_empty(const struct gguf *g) {
        return g->step < STEP_END && !step_is_fixed(g->step) && g->left == 0;
}

int gguf_feed(struct gguf *g, struct view bytes) {
        int r = 0;

        while (r >= 0 && g->step < STEP_END && (bytes.n > 0 || step_is_empty(g)))
                r = step_is_fixed(g->step) ? feed_fixed(g, &bytes) : feed_streamed(g, &bytes);
        return r;
}

void gguf_finish(struct gguf *g) {
        tensor_scan_finish(g->data);
        /* The end of the last tensor's padding may be missing; everything before it may not. */
        if (g->report->counts[RULE_GGUF_END] > 0 || g->step >= STEP_END ||
            (g->step == STEP_TENSOR_PADDING && g->cursor == g->table.n) ||
            (g->step == STEP_DATA_PADDING && g->table.n == 0))
                return;
        report_put(g->report, RULE_GGUF_END, g->at, VIEW_NULL, "The file ends too early, after %llu bytes.",
                   ull(g->at));
}
