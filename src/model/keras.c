#include "model/keras.h"

/* Without the space and backslashes that writers put between. Their only proper prefix that is also a suffix is one
 * quote, which is what `advance` falls back to. */
static const struct {
        struct view text;
        const char *what;
} patterns[KERAS_PATTERNS] = {
        {VIEW_INIT("\"class_name\":\"Lambda\""),
         "a Lambda layer: Python code that runs when the model is loaded or used"},
        {VIEW_INIT("\"class_name\":\"__lambda__\""), "a lambda function: compiled Python code"},
        {VIEW_INIT("\"function_type\":\"lambda\""), "a lambda function: compiled Python code"},
        {VIEW_INIT("\"class_name\":\"TorchModuleWrapper\""), "a PyTorch module, which is loaded as a pickle"},
};

void keras_init(struct keras *k, struct model_report *report, uint64_t base) {
        *k = (struct keras){.report = report, .at = base};
}

static uint8_t advance(struct view pattern, uint8_t matched, char c) {
        if (c == pattern.p[matched])
                return (uint8_t)(matched + 1);
        if (matched > 1 && pattern.p[matched - 1] == '"' && c == pattern.p[1])
                return 2;
        return c == '"';
}

/* True while some pattern is under way. */
static bool take(struct keras *k, char c) {
        bool busy = false;

        for (unsigned i = 0; i < KERAS_PATTERNS; i++) {
                k->matched[i] = advance(patterns[i].text, k->matched[i], c);
                if (k->matched[i] == patterns[i].text.n) {
                        report_put(k->report, RULE_KERAS_CODE, k->at, VIEW_NULL, "The model has %s.",
                                   patterns[i].what);
                        k->matched[i] = 1; /* the last quote may begin the next */
                }
                busy |= k->matched[i] > 0;
        }
        return busy;
}

static bool is_between(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\\';
}

void keras_feed(struct keras *k, struct view bytes) {
        bool busy = true;

        for (size_t i = 0; i < bytes.n; i++, k->at++) {
                if (!busy) {
                        size_t n = MIN_OF(view_find_char(view_sub(bytes, i, SIZE_MAX), '"'), bytes.n - i);

                        i += n;
                        k->at += n;
                        if (i == bytes.n)
                                return;
                }
                if (!is_between(bytes.p[i]))
                        busy = take(k, bytes.p[i]);
        }
}
