#include "model/tflite.h"

#include "base/buf.h"
#include "base/num.h"
#include "model/limits.h"

/* Fields of schema.fbs: Model.operator_codes, OperatorCode.custom_code. */
#define MODEL_OPERATOR_CODES 1u
#define OPERATOR_CUSTOM_CODE 1u

struct tflite {
        struct model_report *report;
        struct buf bytes;
        bool too_large;
};

int tflite_new(struct model_report *report, struct tflite **ret) {
        struct tflite *t = calloc(1, sizeof *t);

        if (!t)
                return -ENOMEM;
        t->report = report;
        t->bytes = BUF_INIT(TFLITE_MAX);
        *ret = t;
        return 0;
}

struct tflite *tflite_free(struct tflite *t) {
        if (t) {
                buf_done(&t->bytes);
                free(t);
        }
        return NULL;
}

int tflite_feed(struct tflite *t, struct view bytes) {
        if (t->too_large)
                return 0;
        if (bytes.n > TFLITE_MAX - t->bytes.n) {
                t->too_large = true;
                buf_done(&t->bytes);
                return 0;
        }
        return buf_append_view(&t->bytes, bytes);
}

/* A number of 32 bits at `at`; false outside of the file. */
static bool load32(const struct tflite *t, uint64_t at, uint32_t *ret) {
        if (at > t->bytes.n || t->bytes.n - at < 4)
                return false;
        *ret = load_le32(t->bytes.p + at);
        return true;
}

/* What stands at `at` points forward from itself. */
static bool follow(const struct tflite *t, uint64_t at, uint64_t *ret) {
        uint32_t n;

        if (!load32(t, at, &n) || n == 0)
                return false;
        *ret = at + n;
        return true;
}

/* Where a table's field stands: 0 when it has none or the table is malformed, which *ret_bad says. */
static uint64_t field_of(const struct tflite *t, uint64_t table, unsigned field, bool *ret_bad) {
        uint32_t back;
        uint64_t vtable, entry;
        uint16_t size, offset;

        *ret_bad = true;
        if (!load32(t, table, &back))
                return 0;
        vtable = (uint64_t)((int64_t)table - (int32_t)back);
        if (vtable > t->bytes.n || t->bytes.n - vtable < 4)
                return 0;
        size = load_le16(t->bytes.p + vtable);
        entry = 4 + 2 * (uint64_t)field;
        *ret_bad = size < 4 || size > t->bytes.n - vtable;
        if (*ret_bad || entry + 2 > size)
                return 0;
        offset = load_le16(t->bytes.p + vtable + entry);
        return offset ? table + offset : 0;
}

static void malformed(struct tflite *t, uint64_t at) {
        report_put(t->report, RULE_TFLITE_STRUCTURE, MIN_OF(at, (uint64_t)t->bytes.n), VIEW_NULL,
                   "What points to a part of the model leads out of the file.");
}

static bool check_operator(struct tflite *t, uint64_t table) {
        bool bad;
        uint64_t field = field_of(t, table, OPERATOR_CUSTOM_CODE, &bad), text;
        uint32_t n;

        if (bad)
                return false;
        if (field == 0)
                return true;
        if (!follow(t, field, &text) || !load32(t, text, &n) || n > t->bytes.n - text - 4)
                return false;
        if (!report_is_full(t->report, RULE_TFLITE_CUSTOM))
                report_put(t->report, RULE_TFLITE_CUSTOM, text, VIEW_NULL,
                           "The model needs the custom operator \"%.80s\".",
                           report_quote(view_sub(buf_view(&t->bytes), (size_t)text + 4, n)).text);
        return true;
}

static void check(struct tflite *t) {
        uint64_t root, field, list, at;
        uint32_t n;
        bool bad = true;

        if (!follow(t, 0, &root)) {
                malformed(t, 0);
                return;
        }
        field = field_of(t, root, MODEL_OPERATOR_CODES, &bad);
        if (bad || (field && (!follow(t, field, &list) || !load32(t, list, &n)))) {
                malformed(t, root);
                return;
        }
        if (!field)
                return;
        for (uint32_t i = 0; i < n; i++) {
                at = list + 4 + 4 * (uint64_t)i;
                if (!follow(t, at, &root) || !check_operator(t, root)) {
                        malformed(t, at);
                        return;
                }
        }
}

void tflite_finish(struct tflite *t) {
        if (t->too_large)
                report_put(t->report, RULE_TFLITE_LIMIT, REPORT_WHOLE, VIEW_NULL,
                           "The model is larger than %u MiB, so its operators are not named.",
                           TFLITE_MAX >> 20);
        else
                check(t);
}
