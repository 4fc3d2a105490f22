#include "model/tensor_scan.h"

#include <math.h>

#include "model/limits.h"
#include "model/tensor_family.h"

/* Calibrated: docs/components/weights.md has the false alarms of each. */
const struct weights_limits weights_limits_default = {
        .outlier_times = {100000, WEIGHTS_NEVER},
        .entropy_millibits = {7900, WEIGHTS_NEVER},
        .constant_windows = {16, WEIGHTS_NEVER},
        .repeated_percent = {10, WEIGHTS_NEVER},
        .saturated_percent = {50, WEIGHTS_NEVER},
        .hidden_windows = {1, WEIGHTS_NEVER},
        .mixed_windows = {1, WEIGHTS_NEVER},
};

static const char *const flag_names[TENSOR_FLAGS_N] = {"constant",       "repeated",     "saturated",
                                                       "outlier",        "high_entropy", "hidden_bits",
                                                       "mixed_low_bits", "upcast",       "non_finite"};

const char *tensor_flag_name(unsigned bit) {
        return bit < TENSOR_FLAGS_N ? flag_names[bit] : "";
}

struct tensor_scan {
        struct model_report *report;
        struct model_summary *summary;
        struct tensor_sink sink;
        struct weights_limits limits;
        struct sha256_state layout;    /* names, types and shapes as they are */
        struct sha256_state structure; /* the same without the numbers in names */
        struct tensor_family family;
        struct merkle roots;
        uint64_t declared, ended;
        struct tensor_record record;
        struct view name; /* of the present tensor */
        struct weights weights;
        struct tensor_stats stats;
        struct merkle_stream bytes;
};

int tensor_scan_new(struct model_report *report, struct model_summary *summary, struct tensor_scan **ret) {
        struct tensor_scan *t = calloc(1, sizeof *t);

        if (!t)
                return -ENOMEM;
        t->report = report;
        t->summary = summary;
        tensor_scan_set(t, NULL, NULL);
        sha256_init(&t->layout);
        sha256_init(&t->structure);
        merkle_init(&t->roots);
        *ret = t;
        return 0;
}

void tensor_scan_set(struct tensor_scan *t, const struct weights_limits *limits,
                     const struct tensor_sink *sink) {
        t->limits = limits ? *limits : weights_limits_default;
        t->sink = sink ? *sink : (struct tensor_sink){0};
}

struct tensor_scan *tensor_scan_free(struct tensor_scan *t) {
        free(t);
        return NULL;
}

/* One tensor as a line of text that can't be mistaken for two: the length stands before the name. */
static void add_line(struct sha256_state *s, const struct tensor_about *about, struct view name) {
        char text[32 + TENSOR_TYPE_MAX + 21 * TENSOR_RANK_MAX];
        size_t n = (size_t)snprintf(text, sizeof text, "%zu ", name.n);

        sha256_update(s, view_make(text, n));
        sha256_update(s, name);
        n = (size_t)snprintf(text, sizeof text, " %s", about->type);
        for (uint32_t i = 0; i < about->rank; i++)
                n += (size_t)snprintf(text + n, sizeof text - n, " %llu",
                                      (unsigned long long)about->shape[i]);
        text[n++] = '\n';
        sha256_update(s, view_make(text, n));
}

void tensor_scan_declare(struct tensor_scan *t, const struct tensor_about *about) {
        char plain[SAFETENSORS_NAME_MAX];
        size_t n = tensor_family_normalise(about->name, plain, sizeof plain);

        add_line(&t->layout, about, about->name);
        add_line(&t->structure, about, view_make(plain, n));
        tensor_family_see(&t->family, about->name);
        t->declared++;
}

void tensor_scan_begin(struct tensor_scan *t, const struct tensor_about *about) {
        struct tensor_record *r = &t->record;

        memset(r, 0, sizeof *r);
        t->name = about->name;
        report_escape(r->name, sizeof r->name, about->name);
        (void)snprintf(r->type, sizeof r->type, "%s", about->type);
        r->rank = about->rank;
        memcpy(r->shape, about->shape, about->rank * sizeof *r->shape);
        r->at = about->at;
        r->bytes = about->bytes;
        weights_begin(&t->weights, about->layout, about->block, about->at);
        tensor_stats_begin(&t->stats, about->layout, about->block, about->bytes);
        merkle_stream_init(&t->bytes);
}

/* Hashing comes first: it has enough to do while the bytes come from memory; the others find them in the cache. */
void tensor_scan_feed(struct tensor_scan *t, struct view bytes) {
        merkle_stream_feed(&t->bytes, bytes);
        weights_feed(&t->weights, bytes);
        tensor_stats_feed(&t->stats, bytes);
}

/* ---- judging ---- */

static bool exceeds(const struct weights_limit *l, uint64_t value, enum finding_severity *ret) {
        *ret = value >= l->reject ? FINDING_REJECT : FINDING_WARNING;
        return value >= MIN_OF(l->warning, l->reject);
}

/* Puts the finding when `value` reaches the limit. */
#define JUDGE(t, rule, flag, limit, value, ...)                                                              \
        do {                                                                                                 \
                enum finding_severity severity_;                                                             \
                                                                                                             \
                if (exceeds(&(t)->limits.limit, value, &severity_)) {                                        \
                        (t)->record.flags |= (flag);                                                         \
                        report_put_as((t)->report, rule, severity_, (t)->record.at, (t)->name, __VA_ARGS__); \
                }                                                                                            \
        } while (0)

static unsigned long long ull(uint64_t v) {
        return v;
}

static double peak_of(const struct weights *w) {
        uint32_t bits = w->peak;
        float f;

        switch (w->layout->numbers) {
        case WEIGHTS_F16:
                bits <<= 13;
                break;
        case WEIGHTS_BF16:
                bits <<= 16;
                break;
        case WEIGHTS_F32:
                break;
        default:
                return 0;
        }
        memcpy(&f, &bits, sizeof f);
        if (w->layout->numbers == WEIGHTS_F16)
                f *= 0x1p112f;
        return isfinite(f) ? (double)f : 0;
}

static bool is_float(enum weights_numbers n) {
        return n == WEIGHTS_F32 || n == WEIGHTS_F16 || n == WEIGHTS_BF16 || n == WEIGHTS_F64;
}

static void judge_outliers(struct tensor_scan *t) {
        const struct tensor_record *r = &t->record;
        double typical = tensor_stats_magnitude(&t->stats), times;

        if (r->sampled < TENSOR_JUDGED || !(r->peak > 0) || !(typical > 0))
                return;
        times = fmin(r->peak / typical, 4e9);
        JUDGE(t, RULE_WEIGHTS_OUTLIER, TENSOR_OUTLIER, outlier_times, (uint64_t)times,
              "A weight of this tensor is %.3g; the others are about %.1g: %.0f times as much.", r->peak,
              typical, times);
}

static void judge_bytes(struct tensor_scan *t) {
        const struct tensor_record *r = &t->record;
        uint64_t leaves = t->bytes.tree.leaves, repeated = r->repeated_windows;

        if (is_float(t->weights.layout->numbers) && t->stats.entropy_judged > 0)
                JUDGE(t, RULE_WEIGHTS_ENTROPY, TENSOR_HIGH_ENTROPY, entropy_millibits,
                      (uint64_t)(t->stats.entropy_judged * 1000),
                      "A window of 64 KiB of this tensor has %.3f bits of entropy a byte, as compressed or "
                      "encrypted data has; %s weights have less.",
                      t->stats.entropy_judged, r->type);
        if (r->windows > 0 && r->constant_windows == r->windows) {
                if (t->weights.layout->numbers != WEIGHTS_INTEGERS)
                        JUDGE(t, RULE_WEIGHTS_CONSTANT, 0, constant_windows, r->windows,
                              "All of the %llu windows of 64 KiB of this tensor hold one and the same "
                              "number.",
                              ull(r->windows));
                return;
        }
        repeated -= MIN_OF(repeated, r->constant_windows);
        if (leaves >= TENSOR_LEAVES_JUDGED)
                JUDGE(t, RULE_WEIGHTS_REPEATED, TENSOR_REPEATED, repeated_percent,
                      repeated * 100 / (leaves - 1),
                      "%llu of this tensor's %llu windows of 64 KiB are copies of the one before them.",
                      ull(repeated), ull(leaves));
}

static void judge_codes(struct tensor_scan *t) {
        const struct tensor_record *r = &t->record;

        if (t->stats.codes >= TENSOR_JUDGED && r->constant_windows < r->windows)
                JUDGE(t, RULE_WEIGHTS_SATURATED, TENSOR_SATURATED, saturated_percent,
                      (uint64_t)(r->saturated * 100),
                      "%.0f%% of this tensor's codes are the smallest or the largest that %s has.",
                      r->saturated * 100, r->type);
        if (r->hidden_windows > 0)
                JUDGE(t, RULE_WEIGHTS_HIDDEN, TENSOR_HIDDEN_BITS, hidden_windows, r->hidden_windows,
                      "In %llu of %llu windows of 64 KiB the lowest bits of the numbers form a pattern such "
                      "as "
                      "text has.",
                      ull(r->hidden_windows), ull(r->windows));
        if (r->mixed_windows > 0 && r->mixed_windows <= t->stats.zero_low)
                JUDGE(t, RULE_WEIGHTS_MIXED, TENSOR_MIXED_LOW_BITS, mixed_windows, r->mixed_windows,
                      "The lowest byte of the numbers is always zero in %llu windows of 64 KiB, but not in "
                      "%llu "
                      "others.",
                      ull(t->stats.zero_low), ull(r->mixed_windows));
}

static void judge(struct tensor_scan *t) {
        struct tensor_record *r = &t->record;

        if (r->windows > 0 && r->constant_windows == r->windows)
                r->flags |= TENSOR_CONSTANT;
        if (t->weights.count > 0) {
                r->flags |= TENSOR_NON_FINITE;
                t->summary->non_finite += t->weights.count;
                report_put(t->report, RULE_WEIGHTS_NON_FINITE, t->weights.first, t->name,
                           "%llu weights or block scales of this tensor are NaN or infinite.",
                           ull(t->weights.count));
        }
        judge_outliers(t);
        judge_bytes(t);
        judge_codes(t);
}

void tensor_scan_end(struct tensor_scan *t) {
        struct tensor_record *r = &t->record;

        merkle_stream_root(&t->bytes, r->merkle_root);
        merkle_add_data(&t->roots, view_make(r->merkle_root, sizeof r->merkle_root));
        tensor_stats_end(&t->stats, r);
        r->peak = peak_of(&t->weights);
        r->non_finite = t->weights.count;
        r->repeated_windows = t->bytes.repeated;
        judge(t);
        t->ended++;
        if (t->sink.put)
                t->sink.put(t->sink.userdata, r);
}

/* The artifact's root: one leaf for each tensor's root, in the order of their bytes, and a last one for the digest of the
 * layout (names, types, shapes). */
void tensor_scan_finish(struct tensor_scan *t) {
        struct model_summary *s = t->summary;
        uint8_t layout[SHA256_BYTES];

        if (t->declared == 0 || t->ended != t->declared)
                return;
        sha256_final(&t->structure, s->structure);
        sha256_final(&t->layout, layout);
        (void)snprintf(s->family, sizeof s->family, "%s", tensor_family_name(&t->family));
        merkle_add_data(&t->roots, view_make(layout, sizeof layout));
        merkle_root(&t->roots, s->merkle_root);
}
