#include "securectl/show.h"

#include <inttypes.h>

#include "base/text.h"
#include "securectl/cli_limits.h"

#define STAGES 7

int show_size(struct buf *out, uint64_t bytes) {
        static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        uint64_t whole = bytes, tenths = 0;
        size_t unit = 0;

        while (whole >= 1024) {
                tenths = whole % 1024 * 10 / 1024;
                whole /= 1024;
                unit++;
        }
        if (unit > 0)
                return buf_printf(out, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, units[unit]);
        return buf_printf(out, "%" PRIu64 " %s", whole, units[unit]);
}

int show_duration(struct buf *out, uint64_t msec) {
        uint64_t seconds = msec / 1000;

        if (seconds < 10)
                return buf_printf(out, "%" PRIu64 ".%" PRIu64 " s", seconds, msec % 1000 / 100);
        if (seconds < 60)
                return buf_printf(out, "%" PRIu64 " s", seconds);
        if (seconds < 3600)
                return buf_printf(out, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
        return buf_printf(out, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
}

/* part * scale / whole without overflow, rounded down; at most `scale`. */
static uint64_t portion(uint64_t part, uint64_t whole, unsigned scale) {
        if (whole == 0 || part >= whole)
                return whole == 0 && part == 0 ? 0 : scale;
        while (part > UINT64_MAX / scale) {
                part /= 2;
                whole /= 2;
        }
        return MIN_OF(part * scale / MAX_OF(whole, (uint64_t)1), (uint64_t)scale - 1);
}

int show_bar(struct buf *out, uint64_t done, uint64_t total, unsigned width) {
        uint64_t filled = width ? portion(done, total, width) : 0;
        int r = buf_append_char(out, '[');

        for (unsigned i = 0; r >= 0 && i < width; i++)
                r = buf_append_char(out, i < filled ? '#' : '.');
        return r < 0 ? r : buf_printf(out, "] %3" PRIu64 "%%", portion(done, total, 100));
}

int show_text(struct buf *out, struct view text) {
        return buf_append_escaped(out, text, SHOWN_TEXT_MAX);
}

int show_lines(struct buf *out, struct view text) {
        while (text.n > 0) {
                size_t run = 0;
                int r;

                while (run < text.n && text.p[run] != '\n' && text.p[run] != '\t')
                        run++;
                r = buf_append_escaped(out, view_sub(text, 0, run), SIZE_MAX);
                if (r >= 0 && run < text.n)
                        r = buf_append_char(out, text.p[run++]);
                if (r < 0)
                        return r;
                text = view_sub(text, run, SIZE_MAX);
        }
        return 0;
}

int show_member(struct buf *out, const struct json *o, const char *key, const char *otherwise) {
        struct view text = json_get_view(o, key, VIEW_NULL);

        return text.n ? show_text(out, text) : buf_append_str(out, otherwise);
}

int show_short_hash(struct buf *out, struct view sha256) {
        return show_text(out, view_sub(sha256, 0, 12));
}

const char *show_job_state(struct view state) {
        static const char *const table[][2] = {
                {"receiving", "arriving"},   {"waiting", "waits for its turn"},
                {"scanning", "is examined"}, {"promoting", "is being stored"},
                {"promoted", "passed"},      {"rejected", "REJECTED"},
                {"parked", "set aside"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (view_eq_str(state, table[i][0]))
                        return table[i][1];
        return "unknown state";
}

static const char *stage_name(uint64_t stage) {
        static const char *const names[STAGES] = {"source policy", "format gate", "integrity check",
                                                  "provenance",    "static scan", "behavioral test",
                                                  "diffusion scan"};

        return stage >= 1 && stage <= STAGES ? names[stage - 1] : NULL;
}

int show_job_step(struct buf *out, const struct json *job) {
        struct view state = json_get_view(job, "state", VIEW_NULL);
        uint64_t stage = 0;

        (void)!json_get_u64(job, "stage", &stage);
        if (view_eq(state, VIEW("scanning")) && stage_name(stage))
                return buf_printf(out, "stage %" PRIu64 " of %d, %s", stage, STAGES, stage_name(stage));
        return buf_append_str(out, show_job_state(state));
}

/* Cuts at a code point so that at most `columns` of them stay. */
static struct view cut_to_columns(struct view text, unsigned columns) {
        size_t i = 0;

        for (unsigned n = 0; i < text.n && n < columns; n++) {
                uint32_t c;
                size_t len = utf8_decode(view_sub(text, i, SIZE_MAX), &c);

                i += MAX_OF(len, (size_t)1);
        }
        return view_sub(text, 0, i);
}

int show_job_progress(struct buf *out, const struct json *job, unsigned columns) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(OUTPUT_LINE_MAX);
        uint64_t done = 0, size = 0;
        int r;

        (void)!json_get_u64(job, "bytes_done", &done);
        (void)!json_get_u64(job, "size", &size);
        r = buf_append_escaped(&line, json_get_view(job, "name", VIEW("?")), 32);
        if (r >= 0)
                r = buf_append_str(&line, "  ");
        if (r >= 0)
                r = show_job_step(&line, job);
        if (r >= 0)
                r = buf_append_str(&line, "  ");
        if (r >= 0)
                r = show_bar(&line, done, size, 20);
        if (r >= 0)
                r = buf_append_str(&line, "  ");
        if (r >= 0)
                r = show_size(&line, MIN_OF(done, size));
        if (r >= 0)
                r = buf_append_str(&line, " of ");
        if (r >= 0)
                r = show_size(&line, size);
        return r < 0 ? r : buf_append_view(out, cut_to_columns(buf_view(&line), columns));
}

static int show_finding(struct buf *out, const struct json *finding) {
        struct view tensor = json_get_view(finding, "tensor", VIEW_NULL),
                    file = json_get_view(finding, "file", VIEW_NULL);
        uint64_t at;
        int r = buf_append_str(out, "         ");

        if (r >= 0)
                r = show_member(out, finding, "rule", "?");
        if (r >= 0)
                r = buf_append_str(out, ": ");
        if (r >= 0)
                r = show_member(out, finding, "message", "");
        if (r >= 0 && tensor.n) {
                r = buf_append_str(out, ", tensor ");
                if (r >= 0)
                        r = show_text(out, tensor);
        }
        if (r >= 0 && file.n) {
                r = buf_append_str(out, ", in ");
                if (r >= 0)
                        r = show_text(out, file);
        }
        if (r >= 0 && json_get_u64(finding, "at", &at) == 0)
                r = buf_printf(out, " (at byte %" PRIu64 ")", at);
        return r < 0 ? r : buf_append_char(out, '\n');
}

static bool is_grave(const struct json *finding) {
        return view_eq(json_get_view(finding, "severity", VIEW_NULL), VIEW("reject"));
}

/* What decided comes first; of a long list the rest is counted. */
static int show_findings(struct buf *out, const struct json *findings, uint32_t most) {
        uint32_t shown = 0;
        int r = 0;

        if (!findings)
                return 0;
        for (int grave = 1; grave >= 0; grave--)
                for (const struct json *f = findings->child; r >= 0 && f && shown < most; f = f->next)
                        if (is_grave(f) == (grave == 1)) {
                                r = show_finding(out, f);
                                shown++;
                        }
        if (r >= 0 && shown < findings->count)
                r = buf_printf(out, "         … and %u more: `securectl jobs show ID`\n",
                               (unsigned)(findings->count - shown));
        return r;
}

static int show_stage(struct buf *out, const struct json *stage, uint32_t most) {
        struct view status = json_get_view(stage, "status", VIEW_NULL);
        bool has_run = view_eq(status, VIEW("pass")) || view_eq(status, VIEW("fail"));
        bool applies = !view_eq(status, VIEW("not_applicable"));
        uint64_t number = 0, msec = 0;
        const char *name;
        int r;

        (void)!json_get_u64(stage, "stage", &number);
        (void)!json_get_u64(stage, "ms", &msec);
        name = stage_name(number);
        r = buf_printf(out, "  %-4s %" PRIu64 " %-16s",
                       view_eq(status, VIEW("pass"))   ? "pass"
                       : view_eq(status, VIEW("fail")) ? "FAIL"
                       : applies                       ? "open"
                                                       : "-",
                       number, name ? name : "?");
        if (r >= 0)
                r = has_run ? show_duration(out, msec)
                            : buf_append_str(out, applies ? "not run" : "does not apply");
        if (r >= 0)
                r = buf_append_char(out, '\n');
        return r < 0 || !applies ? r
                                 : show_findings(out, json_get_typed(stage, "findings", JSON_ARRAY), most);
}

int show_stages(struct buf *out, const struct json *stages, uint32_t most_findings) {
        int r = 0;

        for (const struct json *s = stages && stages->type == JSON_ARRAY ? stages->child : NULL; r >= 0 && s;
             s = s->next)
                r = show_stage(out, s, most_findings);
        return r;
}
