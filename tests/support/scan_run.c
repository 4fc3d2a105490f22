#include "support/scan_run.h"

#include "support/cm.h"

static void put(void *userdata, const struct finding *f) {
        struct scan_run *s = userdata;

        assert_true(s->n < FINDINGS_MAX);
        s->findings[s->n++] = *f;
        s->rejected |= f->severity == FINDING_REJECT;
}

void scan_run(struct view bytes, const char *name, size_t piece, struct scan_run *ret) {
        struct finding_sink sink = {put, ret};
        struct model_scan *m;

        memset(ret, 0, sizeof *ret);
        if (piece == 0)
                piece = MAX_OF(bytes.n, (size_t)1);
        assert_int_equal(model_scan_new(bytes.n, view_of(name), &sink, &m), 0);
        for (size_t i = 0; i < bytes.n; i += piece)
                assert_int_equal(model_scan_feed(m, view_sub(bytes, i, piece)), 0);
        assert_int_equal(model_scan_finish(m, &ret->summary), 0);
        model_scan_free(m);
}

bool scan_run_has(const struct scan_run *s, const char *rule) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->findings[i].rule, rule) == 0)
                        return true;
        return false;
}

void scan_run_print(const struct scan_run *s) {
        for (size_t i = 0; i < s->n; i++)
                fprintf(stderr, "#   %s %s at %llu %s: %s\n", finding_severity_name(s->findings[i].severity),
                        s->findings[i].rule, (unsigned long long)s->findings[i].at, s->findings[i].tensor,
                        s->findings[i].message);
}

bool scan_run_equal(const struct scan_run *a, const struct scan_run *b) {
        if (a->n != b->n || a->rejected != b->rejected ||
            memcmp(&a->summary, &b->summary, sizeof a->summary) != 0)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (memcmp(&a->findings[i], &b->findings[i], sizeof a->findings[i]) != 0)
                        return false;
        return true;
}
