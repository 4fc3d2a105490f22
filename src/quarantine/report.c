#include "quarantine/report.h"

#include "base/text.h"
#include "core/set_listing.h"
#include "quarantine/untested.h"

static const char *const titles[STAGES + 1] = {"",           "Source policy", "Format",    "Integrity",
                                               "Provenance", "Static scan",   "Behaviour", "Image models"};
static const char *const words[STAGE_STATUS_MAX] = {"not run", "pass", "FAIL", "does not apply"};

static int write_size(uint64_t n, struct buf *out) {
        static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        double v = (double)n;
        unsigned u = 0;

        while (v >= 1024 && u + 1 < ARRAY_SIZE(units)) {
                v /= 1024;
                u++;
        }
        return buf_printf(out, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static int write_head(const struct verdict *v, struct buf *out) {
        char hex[SHA256_HEX_SIZE];
        int r;

        sha256_hex(&v->sha256, hex);
        r = buf_printf(out, "%s\n  ", v->name);
        if (r >= 0)
                r = write_size(v->summary.size, out);
        if (r >= 0 && v->is_known)
                r = buf_printf(out, ", %s", model_kind_title(v->summary.kind));
        if (r >= 0 && v->summary.architecture[0])
                r = buf_printf(out, ", %s, %llu tensors, %llu parameters", v->summary.architecture,
                               (unsigned long long)v->summary.tensors,
                               (unsigned long long)v->summary.parameters);
        if (r >= 0 && v->summary.quantization[0])
                r = buf_printf(out, ", %s", v->summary.quantization);
        if (r >= 0 && v->is_known)
                r = buf_printf(out, "\n  sha256 %s", hex);
        if (r >= 0 && v->is_known && v->summary.has_chat_template) {
                hex_encode(v->summary.template_sha256, sizeof v->summary.template_sha256, hex);
                r = buf_printf(out, "\n  chat template: sha256 %s", hex);
        }
        return r < 0 ? r : buf_append_str(out, "\n");
}

static int write_path(struct view path, struct buf *out) {
        int r = buf_append_str(out, " in ");

        return r < 0 ? r : buf_append_escaped(out, path, SET_PATH_MAX);
}

static int write_finding(const struct finding *f, const struct member_names *names, struct buf *out) {
        struct view path = member_name(names, f->member);
        int r = buf_printf(out, "      %-7s %-14s %s", finding_severity_name(f->severity), f->rule,
                           f->message);

        if (r >= 0 && f->tensor[0])
                r = buf_printf(out, " [%s]", f->tensor);
        if (r >= 0 && path.n > 0)
                r = write_path(path, out);
        if (r >= 0 && f->at != UINT64_MAX)
                r = buf_printf(out, " (at byte %llu)", (unsigned long long)f->at);
        return r < 0 ? r : buf_append_str(out, "\n");
}

static int write_stage(unsigned number, const struct stage *s, const struct member_names *names,
                       struct buf *out) {
        int r = buf_printf(out, "  %u %-15s %s", number, titles[number], words[s->status]);

        if (r >= 0 && s->msec > 0)
                r = buf_printf(out, " (%llu.%02llu s)", (unsigned long long)(s->msec / 1000),
                               (unsigned long long)(s->msec % 1000 / 10));
        if (r >= 0)
                r = buf_append_str(out, "\n");
        for (size_t i = 0; i < s->n && r >= 0; i++)
                r = write_finding(&s->findings[i], names, out);
        return r;
}

static int write_verdict(const struct verdict *v, struct buf *out) {
        if (verdict_is_pass(v))
                return v->last_stage == STAGES
                               ? buf_append_str(out, "  PASS\n")
                               : buf_printf(out, "  PASS so far: stages 1 to %u\n", v->last_stage);
        return buf_append_str(out, verdict_is_reject(v) ? "  REJECTED\n"
                                                        : "  NOT FINISHED: see the stage that did not run\n");
}

static int write_untested(const struct verdict *v, struct buf *out) {
        struct untested u;
        int r;

        untested_find(v, &u);
        r = u.n > 0 ? buf_append_str(out, "  What was not tested:\n") : 0;
        for (size_t i = 0; i < u.n && r >= 0; i++)
                r = buf_printf(out, "    - %s\n", u.text[i]);
        return r;
}

int report_write(const struct verdict *v, struct buf *out) {
        int r = write_head(v, out);

        for (unsigned i = 1; i <= STAGES && r >= 0; i++)
                r = write_stage(i, &v->stages[i], &v->names, out);
        if (r >= 0)
                r = write_verdict(v, out);
        return r < 0 ? r : write_untested(v, out);
}

/* --- the table --- */

static const struct finding *gravest(const struct verdict *v) {
        const struct finding *found = NULL;

        for (unsigned i = 1; i <= STAGES; i++)
                for (size_t k = 0; k < v->stages[i].n; k++) {
                        const struct finding *f = &v->stages[i].findings[k];

                        if (f->severity != FINDING_INFO && (!found || f->severity > found->severity))
                                found = f;
                }
        return found;
}

static size_t columns_of(struct view text) {
        size_t n = 0;

        for (size_t i = 0; i < text.n; i++)
                n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        return n;
}

/* Text of at most `width` characters, filled up with spaces. */
static int write_cell(const char *text, size_t width, struct buf *out) {
        struct view v = view_of(text);
        size_t at = 0, columns = 0;
        bool cut = columns_of(v) > width;
        int r;

        for (; at < v.n; at++) {
                bool starts = ((unsigned char)v.p[at] & 0xc0) != 0x80;

                if (starts && columns == (cut ? width - 1 : width))
                        break;
                columns += starts;
        }
        r = buf_append_view(out, view_sub(v, 0, at));
        if (r >= 0 && cut) {
                r = buf_append_str(out, "…");
                columns++;
        }
        for (; r >= 0 && columns < width + 2; columns++)
                r = buf_append_char(out, ' ');
        return r;
}

int report_head(struct buf *out) {
        return buf_append_str(
                out,
                "VERDICT       NAME                              KIND             SIZE       FIRST REASON\n");
}

int report_line(const struct verdict *v, struct buf *out) {
        _cleanup_(buf_donep) struct buf size = BUF_INIT(64);
        const struct finding *f = gravest(v);
        const char *word = verdict_is_reject(v) ? "REJECTED" : !verdict_is_pass(v) ? "NOT FINISHED" : "pass";
        int r = write_size(v->summary.size, &size);

        if (r >= 0)
                r = write_cell(word, 12, out);
        if (r >= 0)
                r = write_cell(v->name, 32, out);
        if (r >= 0)
                r = write_cell(v->is_known ? model_kind_name(v->summary.kind) : "?", 15, out);
        if (r >= 0)
                r = write_cell(buf_str(&size), 9, out);
        if (r >= 0 && f)
                r = buf_printf(out, "%s: %s", f->rule, f->message);
        while (r >= 0 && out->n > 0 && out->p[out->n - 1] == ' ')
                out->n--;
        return r < 0 ? r : buf_append_char(out, '\n');
}
