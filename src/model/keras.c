#include "model/keras.h"

#include "model/limits.h"

enum phase {
        PHASE_OUTSIDE, /* of texts */
        PHASE_TEXT,
        PHASE_BEHIND,   /* a text that may be a key */
        PHASE_ASSIGNED, /* behind the colon */
        PHASE_VALUE     /* a text that is a value */
};

struct text {
        uint8_t n;
        bool cut, set;
        char p[KERAS_TEXT_MAX];
};

/* What one JSON object says about itself. */
struct object {
        struct text module, class, function, registered, name;
        uint64_t class_at;
};

struct keras {
        struct model_report *report;
        uint64_t at; /* of the next byte, in its file */
        enum phase phase;
        bool escaped;   /* the text was opened by a quote with a backslash in front: JSON within JSON */
        bool backslash; /* was the byte before */
        uint8_t digits; /* of a \u escape still to come */
        uint32_t code;
        struct text key, value;
        uint32_t depth; /* open objects; only the innermost KERAS_DEPTH_MAX are remembered */
        struct object objects[KERAS_DEPTH_MAX];
};

int keras_new(struct model_report *report, uint64_t base, struct keras **ret) {
        struct keras *k = calloc(1, sizeof *k);

        if (!k)
                return -ENOMEM;
        k->report = report;
        k->at = base;
        *ret = k;
        return 0;
}

struct keras *keras_free(struct keras *k) {
        free(k);
        return NULL;
}

static struct view view_text(const struct text *t) {
        return view_make(t->p, t->n);
}

static bool is(const struct text *t, const char *s) {
        return t->set && !t->cut && view_eq_str(view_text(t), s);
}

/* The module itself or one below it. */
static bool is_below(struct view module, const char *parent) {
        size_t n = strlen(parent);

        return view_starts(module, view_of(parent)) && (module.n == n || module.p[n] == '.');
}

static bool is_of_keras(const struct text *module) {
        static const char *const list[] = {"keras",
                                           "tf_keras",
                                           "keras_core",
                                           "keras_hub",
                                           "keras_nlp",
                                           "keras_cv",
                                           "tensorflow.keras",
                                           "tensorflow.python.keras",
                                           "tensorflow.python.framework",
                                           "tensorflow.python.trackable"};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (!module->cut && is_below(view_text(module), list[i]))
                        return true;
        return false;
}

#define put(k, o, ...) report_put((k)->report, RULE_KERAS_CODE, (o)->class_at, VIEW_NULL, __VA_ARGS__)
#define quoted(t)      report_quote(view_text(t)).text

static void judge_class(struct keras *k, const struct object *o) {
        if (is(&o->class, "Lambda"))
                put(k, o,
                    "The layer \"%.60s\" is a Lambda layer: Python code that runs when the model is used.",
                    quoted(&o->name));
        else if (is(&o->class, "__lambda__"))
                put(k, o, "The model has a lambda function: compiled Python code.");
        else if (is(&o->class, "TorchModuleWrapper"))
                put(k, o, "The layer \"%.60s\" is a PyTorch module, which is loaded as a pickle.",
                    quoted(&o->name));
        else if (is(&o->class, "function") && !(o->module.set && is_of_keras(&o->module)))
                report_put(k->report, RULE_KERAS_OUTSIDE, o->class_at, VIEW_NULL,
                           "The model calls the Python function \"%.60s.%.60s\" while it is loaded.",
                           quoted(&o->module), quoted(&o->function));
        else if (o->module.set && !is_of_keras(&o->module) && !is(&o->module, "builtins"))
                report_put(k->report, RULE_KERAS_OUTSIDE, o->class_at, VIEW_NULL,
                           "The model loads \"%.60s.%.60s\", which is not part of Keras.", quoted(&o->module),
                           quoted(&o->class));
        else if (view_find_char(view_text(&o->registered), '>') != SIZE_MAX)
                report_put(k->report, RULE_KERAS_OUTSIDE, o->class_at, VIEW_NULL,
                           "The model needs \"%.80s\", code that its publisher supplies.",
                           quoted(&o->registered));
}

static struct object *object(struct keras *k) {
        return &k->objects[k->depth % KERAS_DEPTH_MAX];
}

static void open_object(struct keras *k) {
        k->depth++;
        memset(object(k), 0, sizeof *object(k));
}

/* A name in a layer's config is the layer's. */
static void close_object(struct keras *k) {
        struct object *inner = object(k), *outer;

        if (k->depth == 0)
                return;
        if (inner->class.set &&
            !(report_is_full(k->report, RULE_KERAS_CODE) && report_is_full(k->report, RULE_KERAS_OUTSIDE)))
                judge_class(k, inner);
        k->depth--;
        outer = object(k);
        if (!outer->name.set)
                outer->name = inner->name;
        memset(inner, 0, sizeof *inner);
}

static void take_pair(struct keras *k) {
        static const struct {
                const char *key;
                size_t offset;
        } members[] = {{"module", offsetof(struct object, module)},
                       {"class_name", offsetof(struct object, class)},
                       {"config", offsetof(struct object, function)},
                       {"registered_name", offsetof(struct object, registered)},
                       {"name", offsetof(struct object, name)}};
        struct object *o = object(k);

        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                if (is(&k->key, members[i].key))
                        *(struct text *)((char *)o + members[i].offset) = k->value;
        if (is(&k->key, "class_name"))
                o->class_at = k->at;
        if (is(&k->key, "function_type") && is(&k->value, "lambda"))
                report_put(k->report, RULE_KERAS_CODE, k->at, VIEW_NULL,
                           "The model has a lambda function: compiled Python code.");
}

/* ---- bytes ---- */

static void begin_text(struct keras *k, struct text *t, enum phase phase) {
        *t = (struct text){.set = true};
        k->phase = phase;
}

static void keep(struct text *t, char c) {
        if (t->n < KERAS_TEXT_MAX)
                t->p[t->n++] = c;
        else
                t->cut = true;
}

/* A quote inside of a text says that the text is itself JSON, of which the braces so far count. */
static void enter_json(struct keras *k, const struct text *t) {
        for (size_t i = 0; i < t->n; i++)
                if (t->p[i] == '{')
                        open_object(k);
        k->escaped = true;
        begin_text(k, &k->key, PHASE_TEXT);
}

static void end_text(struct keras *k) {
        if (k->phase == PHASE_VALUE) {
                take_pair(k);
                k->key = k->value; /* between any bytes a value may turn out to be a key */
        }
        k->phase = PHASE_BEHIND;
}

static void take_in_text(struct keras *k, struct text *t, char c, bool escaped) {
        if (c == '"' && escaped && !k->escaped)
                enter_json(k, t);
        else if (c == '"' && escaped == k->escaped)
                end_text(k);
        else if (c == 'u' && escaped) {
                k->digits = 4;
                k->code = 0;
        } else if (c == '"') { /* the text around has ended */
                k->escaped = false;
                begin_text(k, &k->key, PHASE_TEXT);
        } else
                keep(t, c);
}

static void take_digit(struct keras *k, struct text *t, char c) {
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20) - 'a' + 10;

        k->code = k->code << 4 | (d & 15);
        if (--k->digits == 0)
                keep(t, k->code < 0x80 ? (char)k->code : '?');
}

static void take_outside(struct keras *k, char c, bool escaped) {
        bool key = k->phase == PHASE_BEHIND;

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
                return;
        if (c == '"') {
                k->escaped = escaped;
                begin_text(k, k->phase == PHASE_ASSIGNED ? &k->value : &k->key,
                           k->phase == PHASE_ASSIGNED ? PHASE_VALUE : PHASE_TEXT);
                return;
        }
        k->phase = key && c == ':' ? PHASE_ASSIGNED : PHASE_OUTSIDE;
        if (c == '{')
                open_object(k);
        else if (c == '}')
                close_object(k);
        else if (key && c != ':' && c != ',' && c != ']') { /* the quote that ended it rather began one */
                begin_text(k, &k->key, PHASE_TEXT);
                keep(&k->key, c);
        }
}

static void take(struct keras *k, char c) {
        struct text *t = k->phase == PHASE_VALUE ? &k->value : &k->key;
        bool escaped = k->backslash;

        k->backslash = c == '\\';
        if (c == '\\')
                return;
        if (k->phase != PHASE_TEXT && k->phase != PHASE_VALUE)
                take_outside(k, c, escaped);
        else if (k->digits > 0)
                take_digit(k, t, c);
        else
                take_in_text(k, t, c, escaped);
        if (k->phase == PHASE_TEXT && t->cut)
                k->phase = PHASE_OUTSIDE; /* no key that counts; weights have no end of quotes */
}

/* Bytes up to the next that matters outside of texts. */
static size_t idle(struct view v) {
        size_t i = 0;

        while (i < v.n && v.p[i] != '"' && v.p[i] != '{' && v.p[i] != '}' && v.p[i] != '\\')
                i++;
        return i;
}

void keras_feed(struct keras *k, struct view bytes) {
        for (size_t i = 0; i < bytes.n; i++, k->at++) {
                if (k->phase == PHASE_OUTSIDE && !k->backslash) {
                        size_t n = idle(view_sub(bytes, i, SIZE_MAX));

                        i += n;
                        k->at += n;
                        if (i == bytes.n)
                                return;
                }
                take(k, bytes.p[i]);
        }
}

void keras_finish(struct keras *k) {
        for (unsigned i = 0; i < KERAS_DEPTH_MAX && k->depth > 0; i++)
                close_object(k);
        if (object(k)->class.set)
                judge_class(k, object(k)); /* text that lies in no braces */
}
