#include "quarantine/signature_scan.h"

#include "base/num.h"
#include "model/scan.h"
#include "quarantine/limits.h"
#include "quarantine/magics.h"

struct signature_scan {
        struct rules *rules;
        const struct finding_sink *sink;
        const struct magic *magics;
        uint64_t window_start, window_end; /* file offsets; empty when equal */
        uint64_t windows;
        unsigned *reports;       /* by rule */
        uint64_t *reported_last; /* by rule: offset + 1 of the last report; windows overlap */
        unsigned embedded_reports;
        uint64_t pending
                [SCAN_PENDING_MAX]; /* file offsets of magic numbers whose header is not all there yet */
        size_t n_pending;

        /* the feed under way */
        const char *fresh;
        size_t fresh_n, before;
        uint64_t at;
        bool last;
        size_t matcher_back; /* bytes in front of `fresh` that the matcher looked at again */
        int error;
};

static int make_room(struct signature_scan *s) {
        s->reports = calloc(rules_count(s->rules) + 1, sizeof *s->reports);
        s->reported_last = calloc(rules_count(s->rules) + 1, sizeof *s->reported_last);
        return s->reports && s->reported_last ? 0 : -ENOMEM;
}

int signature_scan_new(struct rules *rules, const struct finding_sink *sink, struct signature_scan **ret) {
        struct signature_scan *s = calloc(1, sizeof *s);
        size_t n;
        int r;

        if (!s)
                return -ENOMEM;
        s->rules = rules;
        s->sink = sink;
        s->magics = magics(&n);
        r = make_room(s);
        if (r < 0) {
                signature_scan_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct signature_scan *signature_scan_free(struct signature_scan *s) {
        if (!s)
                return NULL;
        free(s->reports);
        free(s->reported_last);
        free(s);
        return NULL;
}

uint64_t signature_scan_windows(const struct signature_scan *s) {
        return s->windows;
}

/* Bytes of the file from `start` on that are at hand, at most `n`. */
static struct view at_hand(const struct signature_scan *s, uint64_t start, uint64_t n) {
        uint64_t first = s->at - s->before, end = s->at + s->fresh_n;

        if (start < first || start >= end)
                return VIEW_NULL;
        return view_make(s->fresh - s->before + (start - first), (size_t)MIN_OF(n, end - start));
}

static void on_rule(const struct rule_match *m, void *userdata) {
        struct signature_scan *s = userdata;
        struct finding f = {.stage = 5, .severity = m->severity, .at = s->window_start + m->at};

        if (s->reports[m->index] >= SCAN_REPORTS_A_RULE || f.at < s->reported_last[m->index])
                return;
        s->reports[m->index]++;
        s->reported_last[m->index] = f.at + 1;
        (void)snprintf(f.rule, sizeof f.rule, "%s", m->id);
        (void)snprintf(f.message, sizeof f.message, "%s", m->description);
        s->sink->put(s->sink->userdata, &f);
}

/* Gives YARA the open window up to `end` and keeps what the next window must see again. */
static void scan_open_window(struct signature_scan *s, uint64_t end, bool closes) {
        struct view window = at_hand(s, s->window_start, end - s->window_start);
        int r;

        if (window.n > 0) {
                s->windows++;
                r = rules_scan_window(s->rules, window, on_rule, s);
                if (r < 0 && s->error == 0)
                        s->error = r;
        }
        if (closes)
                s->window_start = s->window_end = 0;
        else if (end - s->window_start > SCAN_WINDOW_REACH)
                s->window_start = end - SCAN_WINDOW_REACH;
}

static void open_window(struct signature_scan *s, uint64_t hit_start, uint64_t hit_end) {
        uint64_t start = hit_start > SCAN_WINDOW_REACH ? hit_start - SCAN_WINDOW_REACH : 0,
                 end = hit_end + SCAN_WINDOW_REACH, first = s->at - s->before;

        start = MAX_OF(start, first);
        if (s->window_end > s->window_start && start > s->window_end)
                scan_open_window(s, s->window_end, true);
        if (s->window_end > s->window_start)
                s->window_end = MAX_OF(s->window_end, end);
        else {
                s->window_start = start;
                s->window_end = end;
        }
}

static void report_embedded(struct signature_scan *s, uint64_t start, enum model_kind kind) {
        struct finding f = {.stage = 5, .severity = FINDING_REJECT, .at = start};

        if (s->embedded_reports++ >= 4 * SCAN_REPORTS_A_RULE)
                return;
        (void)snprintf(f.rule, sizeof f.rule, "EMBED-001");
        (void)snprintf(f.message, sizeof f.message,
                       "%s inside the file: models hold numbers and text, not programs or archives",
                       model_kind_title(kind));
        s->sink->put(s->sink->userdata, &f);
}

static void check_embedded(struct signature_scan *s, uint64_t start) {
        enum model_kind kind = MODEL_KIND_UNKNOWN;
        struct view bytes = at_hand(s, start, UINT64_MAX);

        if (bytes.n > 0 && model_embedded_plausible(bytes, &kind))
                report_embedded(s, start, kind);
}

/* The cheap half of the test for "MZ", which chance puts into weights every 64 KiB. A PE header that is not at hand is left to
 * the full test, which then goes by the DOS header alone. */
static bool mz_is_worth_a_look(struct view bytes) {
        uint32_t pe;

        if (bytes.n < 0x40)
                return false;
        pe = load_le32(bytes.p + 0x3c);
        return pe >= 4 && pe <= (uint32_t)1 << 20 &&
               (bytes.n < (size_t)pe + 4 || memcmp(bytes.p + pe, "PE\0\0", 4) == 0);
}

static void on_magic(struct signature_scan *s, uint64_t start, unsigned magic) {
        struct view bytes = at_hand(s, start, UINT64_MAX);

        if (start == 0)
                return; /* what the file as a whole is, stage 2 says */
        if (bytes.n < SCAN_EMBEDDED_REACH && !s->last && s->n_pending < SCAN_PENDING_MAX) {
                s->pending[s->n_pending++] = start;
                return;
        }
        if (s->magics[magic].bytes.n == 2 && !mz_is_worth_a_look(bytes))
                return;
        check_embedded(s, start);
}

static void on_hit(size_t start, size_t end, int magic, void *userdata) {
        struct signature_scan *s = userdata;
        uint64_t base = s->at - s->matcher_back, from = base + start, to = base + end;

        if (to <= s->at)
                return; /* lies in the bytes that were looked at again: found last time */
        if (magic < 0) {
                open_window(s, from, to);
                return;
        }
        if (from >= s->magics[magic].back)
                on_magic(s, from - s->magics[magic].back, (unsigned)magic);
}

static void check_pending(struct signature_scan *s) {
        for (size_t i = 0; i < s->n_pending; i++)
                check_embedded(s, s->pending[i]); /* the full test: there are few of these */
        s->n_pending = 0;
}

/* After this feed only the bytes of `fresh` stay at hand: a window that began before them is looked at now. */
static void flush_window(struct signature_scan *s) {
        uint64_t end = s->at + s->fresh_n;

        if (s->window_end == s->window_start)
                return;
        if (s->last || s->window_end <= end) {
                scan_open_window(s, MIN_OF(s->window_end, end), true);
                return;
        }
        if (s->window_start < s->at)
                scan_open_window(s, end, false);
}

int signature_scan_feed(struct signature_scan *s, struct view fresh, size_t before, uint64_t at, bool last) {
        size_t back = MIN_OF(before, rules_literal_longest(s->rules) - 1);
        int r;

        if (before > at)
                return -EINVAL;
        s->fresh = fresh.p;
        s->fresh_n = fresh.n;
        s->before = before;
        s->at = at;
        s->last = last;
        s->matcher_back = back;
        check_pending(s);
        if (fresh.n > 0) {
                r = rules_match_literals(s->rules, view_make(fresh.p - back, fresh.n + back), on_hit, s);
                if (r < 0)
                        return r;
        }
        flush_window(s);
        return s->error;
}
