#include "model/safetensors.h"

#include "base/buf.h"
#include "base/hash_set.h"
#include "base/num.h"
#include "model/dtype.h"
#include "model/json_stream.h"
#include "model/limits.h"
#include "model/names_digest.h"
#include "model/pickle.h"
#include "model/tensor_scan.h"
#include "model/tensor_table.h"

/* One row of the table, kept from the header to the end of the data. */
struct tensor {
        uint64_t begin, end; /* from the start of the data */
        uint32_t text;       /* name and shape, in `texts` */
        uint8_t dtype;
};

enum phase { PHASE_LENGTH, PHASE_HEADER, PHASE_SPACES, PHASE_DATA, PHASE_REFUSED };

/* Where in the header an event comes from. */
enum place {
        PLACE_START,    /* before the outermost brace */
        PLACE_TOP,      /* names */
        PLACE_METADATA, /* behind "__metadata__" */
        PLACE_TEXTS,    /* in its braces */
        PLACE_TENSOR,   /* behind a tensor's name */
        PLACE_FIELDS,   /* in its braces */
        PLACE_DTYPE,
        PLACE_SHAPE_BEGIN,
        PLACE_SHAPE,
        PLACE_OFFSETS_BEGIN,
        PLACE_OFFSETS
};

enum { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, FIELDS_ALL = 7 };

struct safetensors {
        uint64_t size;
        uint64_t at;
        struct model_report *report;
        struct model_summary *summary;
        const struct safetensors_visitor *visitor; /* or NULL */
        enum phase phase;
        uint8_t length[8];
        size_t length_n;
        uint64_t header_left;
        uint64_t data_start;
        struct json_stream json;
        struct pickle pickle;

        enum place place;
        struct hash_set *names;
        struct names_digest digest; /* of a folder's member */
        struct hash_set *metadata;  /* keys of __metadata__ */
        bool metadata_seen;
        unsigned fields; /* of the entry being read */
        struct tensor tensor;
        char name[SAFETENSORS_NAME_MAX]; /* of that entry */
        size_t name_n;
        uint64_t shape[SAFETENSORS_RANK_MAX];
        unsigned rank;
        unsigned offsets;
        uint32_t landmark;  /* MODEL_LANDMARK_… that the tensor is, or 0 */
        uint64_t matrix[2]; /* its first two dimensions */
        uint64_t elements;
        struct buf table, texts;

        size_t index; /* of the tensor whose data comes next */
        bool in_tensor;
        struct tensor_scan *tensors;
};

int safetensors_new(uint64_t size, struct model_report *report, struct model_summary *summary,
                    struct safetensors **ret) {
        _cleanup_(safetensors_freep) struct safetensors *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->size = size;
        s->report = report;
        s->summary = summary;
        s->table = BUF_INIT((size_t)SAFETENSORS_TENSORS_MAX * sizeof(struct tensor));
        names_digest_init(&s->digest, SAFETENSORS_TENSORS_MAX);
        s->texts = BUF_INIT(SAFETENSORS_TEXTS_MAX);
        pickle_init(&s->pickle);
        r = tensor_scan_new(report, summary, &s->tensors);
        if (r < 0)
                return r;
        r = hash_set_new(SAFETENSORS_TENSORS_MAX, &s->names);
        if (r < 0)
                return r;
        r = hash_set_new(SAFETENSORS_METADATA_MAX, &s->metadata);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct safetensors *safetensors_free(struct safetensors *s) {
        if (s) {
                hash_set_free(s->names);
                names_digest_done(&s->digest);
                hash_set_free(s->metadata);
                buf_done(&s->table);
                buf_done(&s->texts);
                tensor_scan_free(s->tensors);
                free(s);
        }
        return NULL;
}

struct tensor_scan *safetensors_tensors(struct safetensors *s) {
        return s->tensors;
}

void safetensors_visit(struct safetensors *s, const struct safetensors_visitor *visitor) {
        s->visitor = visitor;
}

static void tell(struct safetensors *s, enum safetensors_part part, struct view text, uint64_t number) {
        if (s->visitor)
                s->visitor->part(s->visitor->userdata, part, text, number);
}

static unsigned long long ull(uint64_t v) {
        return v;
}

static struct view name_of(const struct safetensors *s) {
        return (struct view){s->name, s->name_n};
}

/* In the header the tokenizer knows the place. */
static uint64_t fault_at(const struct safetensors *s) {
        return s->phase == PHASE_HEADER ? sizeof s->length + s->json.at : s->at;
}

/* Every fault of the header ends the reading: what follows would be guesswork. */
#define REFUSE(s, rule, ...)                                                                                 \
        ({                                                                                                   \
                report_put((s)->report, rule, fault_at(s), name_of(s), __VA_ARGS__);                         \
                (s)->phase = PHASE_REFUSED;                                                                  \
                -EBADMSG;                                                                                    \
        })

/* ---- events of the header ---- */

static bool name_is_clean(struct view name) {
        for (size_t i = 0; i < name.n; i++)
                if ((uint8_t)name.p[i] < ' ' || name.p[i] == 0x7f)
                        return false;
        return view_find(name, VIEW("..")) == SIZE_MAX;
}

/* What a tensor of this name tells about the whole. */
static uint32_t landmark_of(struct view name) {
        static const char *const words[] = {"embed_tokens.weight", "wte.weight", "token_embedding.weight",
                                            "shared.weight"};

        if (view_eq(name, VIEW("conv_in.weight")))
                return MODEL_LANDMARK_CONV_IN;
        if (view_eq(name, VIEW("decoder.conv_in.weight")))
                return MODEL_LANDMARK_DECODER;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (view_ends(name, view_of(words[i])))
                        return MODEL_LANDMARK_WORDS;
        return 0;
}

/* The first matrix of words that is no packed form of one. */
static void note_landmark(struct safetensors *s) {
        struct model_summary *t = s->summary;

        t->landmarks |= s->landmark;
        if (s->landmark != MODEL_LANDMARK_WORDS || s->rank != 2 || t->embedding_rows > 0 ||
            !strchr("FB", dtype_get(s->tensor.dtype)->name[0]))
                return;
        t->embedding_rows = s->matrix[0];
        t->embedding_columns = s->matrix[1];
}

static int take_name(struct safetensors *s, struct view name, uint64_t length) {
        struct quote q = report_quote(name);
        int r;

        s->tensor = (struct tensor){0};
        s->name_n = MIN_OF(name.n, sizeof s->name);
        if (s->name_n > 0)
                memcpy(s->name, name.p, s->name_n);
        s->fields = s->rank = s->offsets = 0;
        s->elements = 1;
        if (view_eq(name, VIEW("__metadata__"))) {
                if (s->metadata_seen)
                        return REFUSE(s, RULE_ST_DUPLICATE, "__metadata__ is given twice.");
                s->metadata_seen = true;
                s->place = PLACE_METADATA;
                return 0;
        }
        if (length == 0 || length > SAFETENSORS_NAME_MAX || !name_is_clean(name))
                return REFUSE(s, RULE_ST_NAME,
                              "The tensor name \"%s\" is empty, too long, or has control characters or '..'.",
                              q.text);
        s->landmark = landmark_of(name);
        r = hash_set_add(s->names, name);
        if (r > 0 && s->report->member > 0 && names_digest_add(&s->digest, name) < 0)
                r = -ENOMEM;
        if (r == -E2BIG)
                return REFUSE(s, RULE_ST_NAME, "There are more than %u tensors.", SAFETENSORS_TENSORS_MAX);
        if (r < 0)
                return r;
        if (r == 0)
                return REFUSE(s, RULE_ST_DUPLICATE, "The tensor \"%s\" is given twice.", q.text);
        tell(s, SAFETENSORS_NAME, name, length);
        s->place = PLACE_TENSOR;
        return 0;
}

static int take_metadata_key(struct safetensors *s, struct view key, uint64_t length) {
        int r;

        if (length > SAFETENSORS_NAME_MAX)
                return REFUSE(s, RULE_ST_METADATA, "A key of __metadata__ is too long.");
        r = hash_set_add(s->metadata, key);
        if (r == -E2BIG)
                return REFUSE(s, RULE_ST_METADATA, "__metadata__ has more than %u members.",
                              SAFETENSORS_METADATA_MAX);
        if (r == 0)
                return REFUSE(s, RULE_ST_DUPLICATE, "__metadata__ has the key \"%s\" twice.",
                              report_quote(key).text);
        if (r > 0)
                tell(s, SAFETENSORS_METADATA_KEY, key, length);
        return r < 0 ? r : 0;
}

static int take_field(struct safetensors *s, struct view key) {
        static const struct {
                struct view key;
                unsigned field;
                enum place place;
        } fields[] = {
                {VIEW_INIT("dtype"), FIELD_DTYPE, PLACE_DTYPE},
                {VIEW_INIT("shape"), FIELD_SHAPE, PLACE_SHAPE_BEGIN},
                {VIEW_INIT("data_offsets"), FIELD_OFFSETS, PLACE_OFFSETS_BEGIN},
        };

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                if (!view_eq(key, fields[i].key))
                        continue;
                if (s->fields & fields[i].field)
                        return REFUSE(s, RULE_ST_DUPLICATE, "\"%s\" is given twice for one tensor.",
                                      report_quote(key).text);
                s->fields |= fields[i].field;
                s->place = fields[i].place;
                return 0;
        }
        return REFUSE(s, RULE_ST_ENTRY, "A tensor entry has the unknown member \"%s\".",
                      report_quote(key).text);
}

static int take_dtype(struct safetensors *s, struct view name) {
        int dtype = dtype_find(name);

        if (dtype < 0)
                return REFUSE(s, RULE_ST_DTYPE, "The dtype \"%s\" doesn't exist.", report_quote(name).text);
        s->tensor.dtype = (uint8_t)dtype;
        tell(s, SAFETENSORS_DTYPE, name, name.n);
        s->place = PLACE_FIELDS;
        return 0;
}

static int take_number(struct safetensors *s, struct view text) {
        uint64_t n;

        if (u64_parse(text, (UINT64_C(1) << 53) - 1, &n) < 0)
                return REFUSE(s, RULE_ST_NUMBER, "\"%s\" is no plain whole number below 2^53.",
                              report_quote(text).text);
        if (s->place == PLACE_OFFSETS) {
                if (s->offsets == 2)
                        return REFUSE(s, RULE_ST_ENTRY, "data_offsets has more than two numbers.");
                if (s->offsets++ == 0)
                        s->tensor.begin = n;
                else
                        s->tensor.end = n;
                tell(s, SAFETENSORS_OFFSET, VIEW_NULL, n);
                return 0;
        }
        if (s->rank < ARRAY_SIZE(s->matrix))
                s->matrix[s->rank] = n;
        if (s->rank == SAFETENSORS_RANK_MAX)
                return REFUSE(s, RULE_ST_NAME, "The tensor has more than %u dimensions.",
                              SAFETENSORS_RANK_MAX);
        s->shape[s->rank++] = n;
        tell(s, SAFETENSORS_DIMENSION, VIEW_NULL, n);
        if (u64_mul(s->elements, n, &s->elements) < 0)
                return REFUSE(s, RULE_ST_SIZE, "The product of the tensor's dimensions overflows.");
        return 0;
}

static int end_entry(struct safetensors *s) {
        const struct dtype *d = dtype_get(s->tensor.dtype);
        uint64_t bits;
        int r;

        if (s->fields != FIELDS_ALL)
                return REFUSE(s, RULE_ST_ENTRY, "A tensor entry needs dtype, shape and data_offsets.");
        if (u64_mul(s->elements, d->bits, &bits) < 0 || bits % 8 != 0)
                return REFUSE(s, RULE_ST_SIZE,
                              "The tensor's elements don't fill whole bytes, or its size overflows.");
        if (s->tensor.end < s->tensor.begin || s->tensor.end - s->tensor.begin != bits / 8)
                return REFUSE(s, RULE_ST_SIZE, "The tensor needs %llu bytes, its offsets are %llu to %llu.",
                              ull(bits / 8), ull(s->tensor.begin), ull(s->tensor.end));
        if (u64_add(s->summary->parameters, s->elements, &s->summary->parameters) < 0)
                return REFUSE(s, RULE_ST_SIZE, "The sum of all tensors overflows.");
        r = tensor_table_put(&s->texts, name_of(s), s->shape, s->rank, &s->tensor.text);
        if (r == -EFBIG)
                return REFUSE(s, RULE_ST_NAME, "The names of all tensors together are too long.");
        if (r >= 0)
                r = buf_append(&s->table, &s->tensor, sizeof s->tensor);
        if (r < 0)
                return r;
        tensor_scan_declare(s->tensors,
                            &(struct tensor_about){
                                    .name = name_of(s), .type = d->name, .shape = s->shape, .rank = s->rank});
        s->summary->tensors++;
        s->summary->tensor_bytes += bits / 8; /* checked against the file's length with the offsets */
        note_landmark(s);
        s->place = PLACE_TOP;
        return 0;
}

/* What was expected instead, by place: for messages and to choose the rule. */
static int unexpected(struct safetensors *s) {
        switch (s->place) {
        case PLACE_METADATA:
        case PLACE_TEXTS:
                return REFUSE(s, RULE_ST_METADATA, "__metadata__ must hold texts by name and nothing else.");
        case PLACE_SHAPE:
        case PLACE_OFFSETS:
                return REFUSE(s, RULE_ST_NUMBER, "Shape and data_offsets must hold plain whole numbers.");
        case PLACE_START:
                return REFUSE(s, RULE_ST_BRACE, "The header is no JSON object.");
        default:
                return REFUSE(s, RULE_ST_ENTRY,
                              "A tensor entry must be {\"dtype\": text, \"shape\": [numbers], "
                              "\"data_offsets\": [begin, end]}.");
        }
}

static int on_event(void *userdata, enum json_event e, struct view text, uint64_t length) {
        struct safetensors *s = userdata;
        static const struct {
                enum place from;
                enum json_event event;
                enum place to;
        } moves[] = {
                {PLACE_START, JSON_OBJECT_BEGIN, PLACE_TOP},
                {PLACE_TOP, JSON_OBJECT_END, PLACE_START},
                {PLACE_METADATA, JSON_OBJECT_BEGIN, PLACE_TEXTS},
                {PLACE_TEXTS, JSON_OBJECT_END, PLACE_TOP},
                {PLACE_TEXTS, JSON_STRING, PLACE_TEXTS},
                {PLACE_TENSOR, JSON_OBJECT_BEGIN, PLACE_FIELDS},
                {PLACE_SHAPE_BEGIN, JSON_ARRAY_BEGIN, PLACE_SHAPE},
                {PLACE_SHAPE, JSON_ARRAY_END, PLACE_FIELDS},
                {PLACE_OFFSETS_BEGIN, JSON_ARRAY_BEGIN, PLACE_OFFSETS},
        };

        if (s->place == PLACE_TEXTS && e == JSON_STRING)
                tell(s, SAFETENSORS_METADATA_TEXT, text, length);
        for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
                if (s->place == moves[i].from && e == moves[i].event) {
                        s->place = moves[i].to;
                        return 0;
                }
        if (s->place == PLACE_TOP && e == JSON_KEY)
                return take_name(s, text, length);
        if (s->place == PLACE_TEXTS && e == JSON_KEY)
                return take_metadata_key(s, text, length);
        if (s->place == PLACE_FIELDS && e == JSON_KEY)
                return take_field(s, text);
        if (s->place == PLACE_FIELDS && e == JSON_OBJECT_END)
                return end_entry(s);
        if (s->place == PLACE_DTYPE && e == JSON_STRING)
                return take_dtype(s, text);
        if ((s->place == PLACE_SHAPE || s->place == PLACE_OFFSETS) && e == JSON_NUMBER)
                return take_number(s, text);
        if (s->place == PLACE_OFFSETS && e == JSON_ARRAY_END && s->offsets == 2) {
                s->place = PLACE_FIELDS;
                return 0;
        }
        return unexpected(s);
}

/* ---- the file ---- */

static void take_length(struct safetensors *s, struct view *bytes) {
        size_t n = MIN_OF(sizeof s->length - s->length_n, bytes->n);
        uint64_t header;

        memcpy(s->length + s->length_n, bytes->p, n);
        s->length_n += n;
        s->at += n;
        *bytes = view_sub(*bytes, n, SIZE_MAX);
        if (s->length_n < sizeof s->length)
                return;
        header = load_le64(s->length);
        if (header < 2 || header > SAFETENSORS_HEADER_MAX || header > s->size - 8) {
                (void)REFUSE(
                        s, RULE_ST_LENGTH,
                        "The header's length is %llu; it must be 2 to 100000000 and fit into the file of "
                        "%llu bytes.",
                        ull(header), ull(s->size));
                return;
        }
        s->header_left = header;
        s->data_start = 8 + header;
        json_stream_init(&s->json, on_event, s);
        s->phase = PHASE_HEADER;
}

static int compare(const void *a, const void *b) {
        const struct tensor *x = a, *y = b;

        if (x->begin != y->begin)
                return x->begin < y->begin ? -1 : 1;
        return x->end < y->end ? -1 : x->end > y->end;
}

static struct tensor *table(struct safetensors *s, size_t *ret_n) {
        *ret_n = s->table.n / sizeof(struct tensor);
        return (struct tensor *)(void *)s->table.p;
}

static void note_quantization(struct safetensors *s, const struct tensor *t, size_t n) {
        uint64_t bytes[UINT8_MAX + 1] = {0}, most = 0;

        for (size_t i = 0; i < n; i++) {
                bytes[t[i].dtype] += t[i].end - t[i].begin;
                if (bytes[t[i].dtype] > most) {
                        most = bytes[t[i].dtype];
                        (void)snprintf(s->summary->quantization, sizeof s->summary->quantization, "%s",
                                       dtype_get(t[i].dtype)->name);
                }
        }
}

/* For a message about a tensor whose entry was read long ago. */
static void recall_name(struct safetensors *s, const struct tensor *t) {
        struct tensor_table_entry e;

        (void)tensor_table_get(&s->texts, t->text, &e);
        memcpy(s->name, e.name.p, e.name.n);
        s->name_n = e.name.n;
}

/* Tensors cover the data exactly: sorted by where they begin, each begins where the one before ends. */
static void check_cover(struct safetensors *s) {
        uint64_t at = 0, data = s->size - s->data_start;
        size_t n;
        struct tensor *t = table(s, &n);

        s->names = hash_set_free(s->names);
        names_digest_final(&s->digest, s->summary->names_digest);
        s->metadata = hash_set_free(s->metadata);
        for (size_t i = 1; i < n; i++)
                if (compare(&t[i - 1], &t[i]) > 0) {
                        qsort(t, n, sizeof *t, compare);
                        break;
                }
        for (size_t i = 0; i < n; i++) {
                if (t[i].begin != at) {
                        recall_name(s, &t[i]);
                        (void)REFUSE(s, RULE_ST_OFFSETS,
                                     "The tensor begins at %llu; the one before it ends at %llu.",
                                     ull(t[i].begin), ull(at));
                        return;
                }
                at = t[i].end;
        }
        s->name_n = 0;
        if (at != data) {
                (void)REFUSE(s, RULE_ST_OFFSETS, "The tensors need %llu bytes of data, the file has %llu.",
                             ull(at), ull(data));
                return;
        }
        note_quantization(s, t, n);
        s->phase = PHASE_DATA;
}

/* The header's last byte was read. */
static void end_header(struct safetensors *s) {
        if (!json_stream_is_complete(&s->json)) {
                (void)REFUSE(s, RULE_ST_JSON, "The header ends inside its JSON text.");
                return;
        }
        check_cover(s);
}

static int take_header(struct safetensors *s, struct view *bytes) {
        struct view piece = view_sub(*bytes, 0, (size_t)MIN_OF(s->header_left, (uint64_t)bytes->n));
        size_t used;
        int r;

        if (s->at == 8 && piece.p[0] != '{')
                return REFUSE(s, RULE_ST_BRACE,
                              "The header must begin with a brace, not with the byte 0x%02x.",
                              (unsigned)(uint8_t)piece.p[0]);
        r = json_stream_feed(&s->json, piece, &used);
        s->at += used;
        s->header_left -= used;
        *bytes = view_sub(*bytes, used, SIZE_MAX);
        if (r == -EBADMSG && s->phase != PHASE_REFUSED)
                return REFUSE(s, RULE_ST_JSON, "The header is not strict JSON: %s.", s->json.why);
        if (r < 0)
                return r;
        if (json_stream_is_complete(&s->json))
                s->phase = PHASE_SPACES;
        if (s->header_left == 0)
                end_header(s);
        return 0;
}

static void take_spaces(struct safetensors *s, struct view *bytes) {
        size_t n = (size_t)MIN_OF(s->header_left, (uint64_t)bytes->n);

        for (size_t i = 0; i < n; i++)
                if (bytes->p[i] != ' ') {
                        s->at += i;
                        s->name_n = 0;
                        (void)REFUSE(s, RULE_ST_BRACE,
                                     "Only spaces may follow the header, not the byte 0x%02x.",
                                     (unsigned)(uint8_t)bytes->p[i]);
                        return;
                }
        s->at += n;
        s->header_left -= n;
        *bytes = view_sub(*bytes, n, SIZE_MAX);
        if (s->header_left == 0)
                end_header(s);
}

static void begin_tensor(struct safetensors *s, const struct tensor *t) {
        const struct dtype *d = dtype_get(t->dtype);
        struct tensor_table_entry e;

        (void)tensor_table_get(&s->texts, t->text, &e);
        tensor_scan_begin(s->tensors, &(struct tensor_about){.name = e.name,
                                                             .type = d->name,
                                                             .shape = e.shape,
                                                             .rank = e.rank,
                                                             .at = s->at,
                                                             .bytes = t->end - t->begin,
                                                             .layout = &d->layout,
                                                             .block = d->block});
        s->in_tensor = true;
}

static void end_tensor(struct safetensors *s) {
        tensor_scan_end(s->tensors);
        s->in_tensor = false;
        s->index++;
}

static void take_data(struct safetensors *s, struct view bytes) {
        size_t n;
        const struct tensor *t = table(s, &n);

        while (s->index < n && (bytes.n > 0 || t[s->index].begin == t[s->index].end)) {
                const struct tensor *now = &t[s->index];
                uint64_t left = s->data_start + now->end - s->at;
                struct view piece = view_sub(bytes, 0, (size_t)MIN_OF(left, (uint64_t)bytes.n));

                if (!s->in_tensor)
                        begin_tensor(s, now);
                tensor_scan_feed(s->tensors, piece);
                s->at += piece.n;
                bytes = view_sub(bytes, piece.n, SIZE_MAX);
                if (piece.n == left)
                        end_tensor(s);
        }
}

int safetensors_feed(struct safetensors *s, struct view bytes) {
        int r = 0;

        pickle_feed(&s->pickle, bytes);
        while (r >= 0 && bytes.n > 0 && s->phase < PHASE_DATA) {
                if (s->phase == PHASE_LENGTH)
                        take_length(s, &bytes);
                else if (s->phase == PHASE_HEADER)
                        r = take_header(s, &bytes);
                else
                        take_spaces(s, &bytes);
        }
        if (s->phase == PHASE_DATA)
                take_data(s, bytes);
        return r == -EBADMSG ? 0 : r; /* reported */
}

void safetensors_finish(struct safetensors *s) {
        tensor_scan_finish(s->tensors);
        if (s->phase < PHASE_DATA)
                report_put(s->report, RULE_ST_LENGTH, s->at, VIEW_NULL, "The file ends inside its header.");
        if (s->pickle.state == PICKLE_IMPORTS)
                report_put(s->report, RULE_ST_PICKLE, 0, VIEW_NULL,
                           "The first bytes are also a Python pickle that imports \"%s\"; loading it as one "
                           "would run code.",
                           report_quote(view_of(s->pickle.name)).text);
}
