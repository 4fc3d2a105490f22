#include "model/tensorflow.h"

#include "model/keras.h"
#include "model/limits.h"

enum message { OTHER, SAVED_MODEL, META_GRAPH, GRAPH, LIBRARY, FUNCTION, NODE };

/* Fields that lead to nodes (saved_model.proto, meta_graph.proto, graph.proto, function.proto, node_def.proto). */
static const struct {
        uint8_t in, field, to;
} paths[] = {
        {SAVED_MODEL, 2, META_GRAPH}, {META_GRAPH, 2, GRAPH}, {GRAPH, 1, NODE},
        {GRAPH, 2, LIBRARY},          {LIBRARY, 1, FUNCTION}, {FUNCTION, 3, NODE},
};
#define DEPTH_MAX  7u /* the longest path, and one */
#define NODE_NAME  1u
#define NODE_OP    2u
#define WIRE_BYTES 2u

enum phase { PHASE_TAG, PHASE_NUMBER, PHASE_LENGTH, PHASE_BYTES, PHASE_OVER };

struct text {
        uint8_t n;
        char p[TENSORFLOW_TEXT_MAX];
};

struct level {
        uint64_t at, end;
        uint8_t message;
};

struct tensorflow {
        struct model_report *report;
        struct keras *keras;
        uint64_t size, at, field_at;
        uint64_t number, left;
        uint64_t nodes, functions, graphs;
        enum phase phase;
        uint8_t number_n, field, wire;
        uint32_t depth;
        struct text *keep;
        struct text name, op; /* of the node that is read */
        struct level levels[DEPTH_MAX];
};

int tensorflow_new(struct model_report *report, uint64_t size, bool is_graph, struct tensorflow **ret) {
        struct tensorflow *t = calloc(1, sizeof *t);
        int r;

        if (!t)
                return -ENOMEM;
        t->report = report;
        t->size = size;
        t->levels[0].end = size;
        t->levels[0].message = is_graph ? GRAPH : SAVED_MODEL;
        r = keras_new(report, 0, &t->keras);
        if (r < 0) {
                free(t);
                return r;
        }
        *ret = t;
        return 0;
}

struct tensorflow *tensorflow_free(struct tensorflow *t) {
        if (t) {
                keras_free(t->keras);
                free(t);
        }
        return NULL;
}

static struct level *level(struct tensorflow *t) {
        return &t->levels[t->depth];
}

static void stop(struct tensorflow *t, const char *why) {
        t->phase = PHASE_OVER;
        report_put(t->report, RULE_TF_STRUCTURE, t->field_at, VIEW_NULL, "%s; what follows is not read.",
                   why);
}

static void expect(struct tensorflow *t, enum phase phase) {
        t->phase = phase;
        t->number = t->number_n = 0;
}

static struct view text_of(const struct text *t) {
        return view_make(t->p, t->n);
}

static void end_node(struct tensorflow *t) {
        const char *harm = tensorflow_operator_harm(text_of(&t->op));

        if (harm && !report_is_full(t->report, RULE_TF_OPERATOR))
                report_put(t->report, RULE_TF_OPERATOR, level(t)->at, VIEW_NULL,
                           "The node \"%.50s\" is a \"%.50s\", which %s.",
                           report_quote(text_of(&t->name)).text, report_quote(text_of(&t->op)).text, harm);
}

static void end_field(struct tensorflow *t) {
        expect(t, PHASE_TAG);
        while (t->depth > 0 && t->at == level(t)->end) {
                if (level(t)->message == NODE)
                        end_node(t);
                t->depth--;
        }
}

static void skip(struct tensorflow *t, uint64_t n) {
        t->left = n;
        t->phase = PHASE_BYTES;
        if (n > level(t)->end - t->at)
                stop(t, "A field reaches over the end of its message");
        else if (n == 0)
                end_field(t);
}

static enum message message_of(const struct tensorflow *t) {
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                if (paths[i].in == t->levels[t->depth].message && paths[i].field == t->field)
                        return (enum message)paths[i].to;
        return OTHER;
}

static void begin_message(struct tensorflow *t, enum message message) {
        uint64_t end = t->at + t->number;

        t->nodes += message == NODE;
        t->functions += message == FUNCTION;
        t->graphs += message == META_GRAPH;
        if (message == NODE)
                t->name.n = t->op.n = 0;
        t->depth++; /* the paths have no circle */
        *level(t) = (struct level){t->field_at, end, (uint8_t)message};
        end_field(t);
}

static void take_length(struct tensorflow *t) {
        enum message message = message_of(t);

        if (t->number > level(t)->end - t->at) {
                stop(t, "A field reaches over the end of its message");
                return;
        }
        if (message != OTHER) {
                begin_message(t, message);
                return;
        }
        t->keep = NULL;
        if (level(t)->message == NODE && (t->field == NODE_NAME || t->field == NODE_OP)) {
                t->keep = t->field == NODE_NAME ? &t->name : &t->op;
                t->keep->n = 0; /* the last one counts, as for protobuf */
        }
        skip(t, t->number);
}

static void take_tag(struct tensorflow *t) {
        uint64_t field = t->number >> 3;
        unsigned wire = (unsigned)(t->number & 7);

        if (field == 0 || field > UINT32_MAX >> 3 || wire == 3 || wire == 4 || wire > 5) {
                stop(t, "Bytes that are no field");
                return;
        }
        t->field = (uint8_t)MIN_OF(field, UINT64_C(255));
        t->keep = NULL;
        if (wire == 0)
                expect(t, PHASE_NUMBER);
        else if (wire == WIRE_BYTES)
                expect(t, PHASE_LENGTH);
        else
                skip(t, wire == 1 ? 8 : 4);
}

static void take_number(struct tensorflow *t, uint8_t c) {
        if (t->number_n == 0 && t->phase == PHASE_TAG)
                t->field_at = t->at;
        if (t->at == level(t)->end || t->number_n == 10 || (t->number_n == 9 && c > 1)) {
                stop(t, "A number that is cut off or too long");
                return;
        }
        t->number |= (uint64_t)(c & 0x7f) << 7 * t->number_n++;
        t->at++;
        if (c & 0x80)
                return;
        if (t->phase == PHASE_TAG)
                take_tag(t);
        else if (t->phase == PHASE_LENGTH)
                take_length(t);
        else
                end_field(t);
}

static void take_bytes(struct tensorflow *t, struct view v) {
        if (t->keep) {
                size_t n = MIN_OF(v.n, TENSORFLOW_TEXT_MAX - (size_t)t->keep->n);

                memcpy(t->keep->p + t->keep->n, v.p, n);
                t->keep->n = (uint8_t)(t->keep->n + n);
        }
        t->at += v.n;
        t->left -= v.n;
        if (t->left == 0)
                end_field(t);
}

void tensorflow_feed(struct tensorflow *t, struct view bytes) {
        keras_feed(t->keras, bytes);
        while (bytes.n > 0 && t->phase != PHASE_OVER) {
                size_t n = 1;

                if (t->phase == PHASE_BYTES) {
                        n = (size_t)MIN_OF(t->left, (uint64_t)bytes.n);
                        take_bytes(t, view_sub(bytes, 0, n));
                } else
                        take_number(t, (uint8_t)bytes.p[0]);
                bytes = view_sub(bytes, n, SIZE_MAX);
        }
}

void tensorflow_finish(struct tensorflow *t) {
        if (t->phase != PHASE_OVER && (t->depth > 0 || t->phase != PHASE_TAG || t->number_n > 0))
                stop(t, "The file breaks off in a field");
        keras_finish(t->keras);
        report_put(t->report, RULE_TF_HOLDS, 0, VIEW_NULL, "%llu graphs, %llu nodes, %llu functions.",
                   (unsigned long long)MAX_OF(t->graphs, UINT64_C(1)), (unsigned long long)t->nodes,
                   (unsigned long long)t->functions);
}
