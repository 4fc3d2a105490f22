#include "model/onnx.h"

#include "base/num.h"
#include "model/limits.h"

enum message {
        MESSAGE_NONE,
        MODEL,
        GRAPH,
        NODE,
        ATTRIBUTE,
        TENSOR,
        SPARSE,
        OPERATORS,
        FUNCTION,
        TRAINING,
        EXTERNAL, /* a pair of texts that points to a file */
        MESSAGE_MAX
};

enum use {
        USE_UNKNOWN,
        USE_VARINT,
        USE_FIXED_32,
        USE_BYTES,   /* texts, and messages that only describe */
        USE_NUMBERS, /* repeated, packed or one by one */
        USE_DIMENSIONS,
        USE_DTYPE,
        USE_RAW,
        USE_PLACE, /* of the data: 0 here, 1 in another file */
        USE_MESSAGE,
        USE_DOMAIN,
        USE_TYPE, /* an operator's name */
        USE_KEY,
        USE_VALUE
};

#define FIELD_MAX 27u
#define REPEATED  true

/* onnx.proto, by message and field number. */
static const struct {
        uint8_t use;
        bool repeated;
        uint8_t message;
} fields[MESSAGE_MAX][FIELD_MAX] = {
        [MODEL] = {[1] = {USE_VARINT},
                   [2] = {USE_BYTES},
                   [3] = {USE_BYTES},
                   [4] = {USE_BYTES},
                   [5] = {USE_VARINT},
                   [6] = {USE_BYTES},
                   [7] = {USE_MESSAGE, false, GRAPH},
                   [8] = {USE_MESSAGE, REPEATED, OPERATORS},
                   [14] = {USE_BYTES, REPEATED},
                   [20] = {USE_MESSAGE, REPEATED, TRAINING},
                   [25] = {USE_MESSAGE, REPEATED, FUNCTION},
                   [26] = {USE_BYTES, REPEATED}},
        [GRAPH] = {[1] = {USE_MESSAGE, REPEATED, NODE},
                   [2] = {USE_BYTES},
                   [5] = {USE_MESSAGE, REPEATED, TENSOR},
                   [10] = {USE_BYTES},
                   [11] = {USE_BYTES, REPEATED},
                   [12] = {USE_BYTES, REPEATED},
                   [13] = {USE_BYTES, REPEATED},
                   [14] = {USE_BYTES, REPEATED},
                   [15] = {USE_MESSAGE, REPEATED, SPARSE},
                   [16] = {USE_BYTES, REPEATED}},
        [NODE] = {[1] = {USE_BYTES, REPEATED},
                  [2] = {USE_BYTES, REPEATED},
                  [3] = {USE_BYTES},
                  [4] = {USE_TYPE},
                  [5] = {USE_MESSAGE, REPEATED, ATTRIBUTE},
                  [6] = {USE_BYTES},
                  [7] = {USE_DOMAIN},
                  [8] = {USE_BYTES},
                  [9] = {USE_BYTES, REPEATED},
                  [10] = {USE_BYTES, REPEATED}},
        [ATTRIBUTE] = {[1] = {USE_BYTES},
                       [2] = {USE_FIXED_32},
                       [3] = {USE_VARINT},
                       [4] = {USE_BYTES},
                       [5] = {USE_MESSAGE, false, TENSOR},
                       [6] = {USE_MESSAGE, false, GRAPH},
                       [7] = {USE_NUMBERS, REPEATED},
                       [8] = {USE_NUMBERS, REPEATED},
                       [9] = {USE_BYTES, REPEATED},
                       [10] = {USE_MESSAGE, REPEATED, TENSOR},
                       [11] = {USE_MESSAGE, REPEATED, GRAPH},
                       [13] = {USE_BYTES},
                       [14] = {USE_BYTES},
                       [15] = {USE_BYTES, REPEATED},
                       [20] = {USE_VARINT},
                       [21] = {USE_BYTES},
                       [22] = {USE_MESSAGE, false, SPARSE},
                       [23] = {USE_MESSAGE, REPEATED, SPARSE}},
        [TENSOR] = {[1] = {USE_DIMENSIONS, REPEATED},
                    [2] = {USE_DTYPE},
                    [3] = {USE_BYTES},
                    [4] = {USE_NUMBERS, REPEATED},
                    [5] = {USE_NUMBERS, REPEATED},
                    [6] = {USE_BYTES, REPEATED},
                    [7] = {USE_NUMBERS, REPEATED},
                    [8] = {USE_BYTES},
                    [9] = {USE_RAW},
                    [10] = {USE_NUMBERS, REPEATED},
                    [11] = {USE_NUMBERS, REPEATED},
                    [12] = {USE_BYTES},
                    [13] = {USE_MESSAGE, REPEATED, EXTERNAL},
                    [14] = {USE_PLACE},
                    [16] = {USE_BYTES, REPEATED}},
        [SPARSE] = {[1] = {USE_MESSAGE, false, TENSOR},
                    [2] = {USE_MESSAGE, false, TENSOR},
                    [3] = {USE_NUMBERS, REPEATED}},
        [OPERATORS] = {[1] = {USE_DOMAIN}, [2] = {USE_VARINT}},
        [FUNCTION] = {[1] = {USE_BYTES},
                      [4] = {USE_BYTES, REPEATED},
                      [5] = {USE_BYTES, REPEATED},
                      [6] = {USE_BYTES, REPEATED},
                      [7] = {USE_MESSAGE, REPEATED, NODE},
                      [8] = {USE_BYTES},
                      [9] = {USE_MESSAGE, REPEATED, OPERATORS},
                      [10] = {USE_DOMAIN},
                      [11] = {USE_MESSAGE, REPEATED, ATTRIBUTE},
                      [12] = {USE_BYTES, REPEATED},
                      [13] = {USE_BYTES},
                      [14] = {USE_BYTES, REPEATED}},
        [TRAINING] = {[1] = {USE_MESSAGE, false, GRAPH},
                      [2] = {USE_MESSAGE, false, GRAPH},
                      [3] = {USE_BYTES, REPEATED},
                      [4] = {USE_BYTES, REPEATED}},
        [EXTERNAL] = {[1] = {USE_KEY}, [2] = {USE_VALUE}},
};

enum phase { PHASE_TAG, PHASE_VARINT, PHASE_LENGTH, PHASE_BYTES, PHASE_OVER };

struct text {
        uint8_t n;
        bool cut;
        char p[ONNX_TEXT_MAX];
};

/* What a tensor says about its data. */
struct data {
        uint64_t elements; /* product of the dimensions */
        uint64_t raw, external;
        uint8_t type;
        bool has_raw, has_external, is_elsewhere, overflows;
};

struct level {
        uint64_t at, end;
        struct data data;
        uint32_t seen; /* field numbers */
        uint8_t message;
        struct text domain, type; /* of an EXTERNAL: value, key */
};

struct onnx {
        struct model_report *report;
        uint64_t size, at, field_at;
        uint64_t number, left;
        uint64_t nodes, subgraphs, functions, tensors, externals;
        enum phase phase;
        uint32_t depth;     /* of the innermost level */
        uint64_t dimension; /* of packed ones, being read */
        uint8_t dimension_n;
        uint8_t number_n, field;
        enum use use;
        struct text *keep;
        struct level levels[ONNX_DEPTH_MAX];
};

int onnx_new(struct model_report *report, uint64_t size, struct onnx **ret) {
        struct onnx *o = calloc(1, sizeof *o);

        if (!o)
                return -ENOMEM;
        o->report = report;
        o->size = size;
        o->levels[0].end = size;
        o->levels[0].message = MODEL;
        *ret = o;
        return 0;
}

struct onnx *onnx_free(struct onnx *o) {
        free(o);
        return NULL;
}

static void stop(struct onnx *o, const char *why) {
        o->phase = PHASE_OVER;
        if (o->size == UINT64_MAX)
                report_put(o->report, RULE_ONNX_STRUCTURE, o->field_at, VIEW_NULL,
                           "%s; what follows is not read.", why);
        else
                report_put(o->report, RULE_ONNX_STRUCTURE, o->field_at, VIEW_NULL,
                           "%s; %llu bytes from here on are not read.", why,
                           (unsigned long long)(o->size - o->field_at));
}

static struct level *level(struct onnx *o) {
        return &o->levels[o->depth];
}

static struct view text_of(const struct text *t) {
        return view_make(t->p, t->n);
}

static void expect(struct onnx *o, enum phase phase) {
        o->phase = phase;
        o->number = o->number_n = 0;
}

/* ---- what a message says, when it ends ---- */

static void check_domain(struct onnx *o, const struct level *l) {
        static const char *const known[] = {"", "ai.onnx", "ai.onnx.ml"};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (!l->domain.cut && view_eq_str(text_of(&l->domain), known[i]))
                        return;
        if (l->message == NODE)
                report_put(o->report, RULE_ONNX_DOMAIN, l->at, VIEW_NULL,
                           "The operator \"%.60s\" is from \"%.80s\", not from ONNX itself.",
                           report_quote(text_of(&l->type)).text, report_quote(text_of(&l->domain)).text);
        else
                report_put(o->report, RULE_ONNX_DOMAIN, l->at, VIEW_NULL,
                           "The model needs or defines operators of \"%s\".",
                           report_quote(text_of(&l->domain)).text);
}

/* Relative, downwards, without drive or backslash. */
static bool location_is_inside(struct view v) {
        struct view rest = v, part;

        if (v.n == 0 || v.p[0] == '/' || (v.n > 1 && v.p[1] == ':'))
                return false;
        for (size_t i = 0; i < v.n; i++)
                if ((uint8_t)v.p[i] < ' ' || v.p[i] == '\\')
                        return false;
        while (view_split(&rest, '/', &part))
                if (view_eq_str(part, ".."))
                        return false;
        return !view_eq_str(rest, "..");
}

/* The tensor around an entry of its external data. */
static void set_external(struct onnx *o, uint64_t length) {
        struct data *d = &o->levels[o->depth - 1].data;

        d->external = length;
        d->has_external = true;
}

static void check_external(struct onnx *o, const struct level *l) {
        struct view key = text_of(&l->type), value = text_of(&l->domain);
        uint64_t number;

        if (view_eq_str(key, "location")) {
                if (l->domain.cut || !location_is_inside(value))
                        report_put(o->report, RULE_ONNX_EXTERNAL, l->at, VIEW_NULL,
                                   "A tensor is read from \"%s\", outside of the model's folder.",
                                   report_quote(value).text);
                else
                        report_put(o->report, RULE_ONNX_HOLDS, l->at, VIEW_NULL,
                                   "A tensor is in another file, \"%s\".", report_quote(value).text);
        } else if (view_eq_str(key, "offset") || view_eq_str(key, "length")) {
                if (u64_parse(value, INT64_MAX, &number) >= 0) {
                        if (view_eq_str(key, "length") && o->depth > 0)
                                set_external(o, number);
                } else
                        report_put(o->report, RULE_ONNX_EXTERNAL, l->at, VIEW_NULL,
                                   "The %s of a tensor's external data is no plain number: \"%s\".",
                                   report_quote(key).text, report_quote(value).text);
        } else if (!view_eq_str(key, "checksum"))
                report_put(o->report, RULE_ONNX_EXTERNAL, l->at, VIEW_NULL,
                           "A tensor's external data has the unknown attribute \"%s\".",
                           report_quote(key).text);
}

/* Bits of an element by TensorProto.DataType; 0: not of one size, or no such type. */
static unsigned bits_of(uint8_t type) {
        static const uint8_t bits[] = {0,  32,  8,  8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64,
                                       64, 128, 16, 8, 8,  8,  8,  4,  4, 4, 8,  2,  2};

        return type < sizeof bits ? bits[type] : 0;
}

/* Whether `n` bytes are what the shape and the type ask for. */
static bool data_fits(const struct data *d, uint64_t n) {
        uint64_t bits;

        if (d->overflows || bits_of(d->type) == 0 || u64_mul(d->elements, bits_of(d->type), &bits) < 0)
                return false;
        return n == bits / 8 + (bits % 8 != 0);
}

static void check_data(struct onnx *o, const struct level *l) {
        const struct data *d = &l->data;

        if (d->has_raw && !data_fits(d, d->raw))
                report_put(o->report, RULE_ONNX_DATA, l->at, VIEW_NULL,
                           "A tensor of %llu elements of type %u has %llu bytes of data.",
                           (unsigned long long)d->elements, d->type, (unsigned long long)d->raw);
        if (d->has_external && !data_fits(d, d->external))
                report_put(o->report, RULE_ONNX_DATA, l->at, VIEW_NULL,
                           "A tensor of %llu elements of type %u takes %llu bytes from another file.",
                           (unsigned long long)d->elements, d->type, (unsigned long long)d->external);
        if (d->has_raw && d->is_elsewhere)
                report_put(o->report, RULE_ONNX_DATA, l->at, VIEW_NULL,
                           "A tensor has its data here and says that they are in another file.");
}

static void end_message(struct onnx *o) {
        const struct level *l = level(o);

        if (l->message == TENSOR)
                check_data(o, l);

        if (l->message == NODE || l->message == OPERATORS || l->message == FUNCTION)
                check_domain(o, l);
        if (l->message == EXTERNAL)
                check_external(o, l);
        o->depth--;
}

/* Messages that end here end all at once. */
static void end_field(struct onnx *o) {
        expect(o, PHASE_TAG);
        while (o->depth > 0 && o->at == level(o)->end)
                end_message(o);
}

/* ---- fields ---- */

static void begin_message(struct onnx *o, enum message message) {
        uint64_t end = o->at + o->number;

        if (o->depth + 1 == ONNX_DEPTH_MAX) {
                stop(o, "Messages are nested too deeply");
                return;
        }
        o->nodes += message == NODE;
        o->functions += message == FUNCTION;
        o->tensors += message == TENSOR;
        o->externals += message == EXTERNAL;
        o->subgraphs += message == GRAPH && o->depth > 0;
        o->depth++;
        memset(level(o), 0, sizeof *level(o));
        level(o)->at = o->field_at;
        level(o)->end = end;
        level(o)->message = (uint8_t)message;
        level(o)->data.elements = 1;
        end_field(o);
}

static void take_dimension(struct onnx *o, uint64_t n) {
        struct data *d = &level(o)->data;

        if (u64_mul(d->elements, n, &d->elements) < 0 || n > INT64_MAX)
                d->overflows = true;
}

/* Packed ones come as bytes. */
static void take_packed(struct onnx *o, uint8_t c) {
        if (o->dimension_n < 9)
                o->dimension |= (uint64_t)(c & 0x7f) << 7 * o->dimension_n;
        if (o->dimension_n++ >= 9)
                level(o)->data.overflows = true;
        if (c & 0x80)
                return;
        take_dimension(o, o->dimension);
        o->dimension = o->dimension_n = 0;
}

/* A number on its own, of a tensor. */
static void take_fact(struct onnx *o) {
        struct data *d = &level(o)->data;

        if (o->use == USE_DIMENSIONS)
                take_dimension(o, o->number);
        else if (o->use == USE_DTYPE)
                d->type = (uint8_t)MIN_OF(o->number, (uint64_t)UINT8_MAX);
        else if (o->use == USE_PLACE)
                d->is_elsewhere = o->number != 0;
}

static bool wire_fits(enum use use, unsigned wire) {
        switch (use) {
        case USE_VARINT:
        case USE_DTYPE:
        case USE_PLACE:
                return wire == 0;
        case USE_DIMENSIONS:
                return wire == 0 || wire == 2;
        case USE_FIXED_32:
                return wire == 5;
        case USE_NUMBERS:
                return wire == 0 || wire == 1 || wire == 2 || wire == 5;
        default:
                return wire == 2;
        }
}

static struct text *kept_text(struct onnx *o) {
        switch (o->use) {
        case USE_DOMAIN:
        case USE_VALUE:
                return &level(o)->domain;
        case USE_TYPE:
        case USE_KEY:
                return &level(o)->type;
        default:
                return NULL;
        }
}

static void skip(struct onnx *o, uint64_t n) {
        o->left = n;
        o->phase = PHASE_BYTES;
        if (n > level(o)->end - o->at)
                stop(o, "A field reaches over the end of its message");
        else if (n == 0)
                end_field(o);
}

static void take_tag(struct onnx *o) {
        uint64_t field = o->number >> 3;
        unsigned wire = (unsigned)(o->number & 7);
        enum message message = (enum message)level(o)->message;

        o->keep = NULL;
        if (field == 0 || field >= FIELD_MAX || fields[message][field].use == USE_UNKNOWN) {
                stop(o, "A field that ONNX doesn't define");
                return;
        }
        o->field = (uint8_t)field;
        o->use = (enum use)fields[message][field].use;
        if (!wire_fits(o->use, wire)) {
                stop(o, "A field of another type than ONNX defines");
                return;
        }
        if (!fields[message][field].repeated && level(o)->seen & UINT32_C(1) << field) {
                stop(o, "A field that occurs twice, of which programs use the first or the last");
                return;
        }
        level(o)->seen |= UINT32_C(1) << field;
        if (wire == 0 || wire == 2)
                expect(o, wire == 0 ? PHASE_VARINT : PHASE_LENGTH);
        else
                skip(o, wire == 1 ? 8 : 4);
}

static void take_length(struct onnx *o) {
        if (o->number > level(o)->end - o->at) {
                stop(o, "A field reaches over the end of its message");
                return;
        }
        if (o->use == USE_MESSAGE) {
                begin_message(o, (enum message)fields[level(o)->message][o->field].message);
                return;
        }
        o->keep = kept_text(o);
        o->dimension = o->dimension_n = 0;
        if (o->use == USE_RAW) {
                level(o)->data.has_raw = true;
                level(o)->data.raw = o->number;
        }
        skip(o, o->number);
}

static void take_varint(struct onnx *o, uint8_t c) {
        if (o->number_n == 0 && o->phase == PHASE_TAG)
                o->field_at = o->at;
        if (o->at == level(o)->end || o->number_n == 10 || (o->number_n == 9 && c > 1) ||
            (o->number_n > 0 && c == 0)) {
                stop(o, "A number that is cut off or longer than it has to be");
                return;
        }
        o->number |= (uint64_t)(c & 0x7f) << 7 * o->number_n++;
        o->at++;
        if (c & 0x80)
                return;
        if (o->phase == PHASE_TAG)
                take_tag(o);
        else if (o->phase == PHASE_LENGTH)
                take_length(o);
        else {
                take_fact(o);
                end_field(o);
        }
}

static void take_bytes(struct onnx *o, struct view v) {
        if (o->keep) {
                size_t n = MIN_OF(v.n, ONNX_TEXT_MAX - (size_t)o->keep->n);

                memcpy(o->keep->p + o->keep->n, v.p, n);
                o->keep->n = (uint8_t)(o->keep->n + n);
                o->keep->cut |= n < v.n;
        }
        for (size_t i = 0; i < v.n && o->use == USE_DIMENSIONS; i++)
                take_packed(o, (uint8_t)v.p[i]);
        o->at += v.n;
        o->left -= v.n;
        if (o->left == 0)
                end_field(o);
}

void onnx_feed(struct onnx *o, struct view bytes) {
        while (bytes.n > 0 && o->phase != PHASE_OVER) {
                size_t n = 1;

                if (o->phase == PHASE_BYTES) {
                        n = (size_t)MIN_OF(o->left, (uint64_t)bytes.n);
                        take_bytes(o, view_sub(bytes, 0, n));
                } else
                        take_varint(o, (uint8_t)bytes.p[0]);
                bytes = view_sub(bytes, n, SIZE_MAX);
        }
}

void onnx_finish(struct onnx *o) {
        if (o->phase != PHASE_OVER && (o->depth > 0 || o->phase != PHASE_TAG || o->number_n > 0))
                stop(o, "The file breaks off in a field");
        report_put(o->report, RULE_ONNX_HOLDS, 0, VIEW_NULL,
                   "%llu operators, %llu graphs within others, %llu functions, %llu tensors, %llu external "
                   "data entries.",
                   (unsigned long long)o->nodes, (unsigned long long)o->subgraphs,
                   (unsigned long long)o->functions, (unsigned long long)o->tensors,
                   (unsigned long long)o->externals);
}
