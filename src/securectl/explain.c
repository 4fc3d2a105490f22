#include "securectl/explain.h"

#include "model/catalogue.h"
#include "securectl/command.h"
#include "securectl/options.h"
#include "wire/json.h"

#define LINE_WIDTH  78
#define INDENT      "  "
#define OUTPUT_MAX  ((size_t)1 << 20)
#define RULES_ASKED 64 /* more than that is the list */

static const char *const consequences[FINDING_SEVERITY_MAX] = {
        [FINDING_INFO] = "info: told, nothing more",
        [FINDING_WARNING] = "warning: told; does not refuse the file by itself",
        [FINDING_REJECT] = "reject: the file is refused",
};

static bool find_any_case(const char *id, size_t *ret) {
        char upper[FINDING_RULE_MAX];
        size_t n = strlen(id);

        if (n >= sizeof upper)
                return false;
        for (size_t i = 0; i <= n; i++)
                upper[i] = id[i] >= 'a' && id[i] <= 'z' ? (char)(id[i] - 'a' + 'A') : id[i];
        return catalogue_find(view_of(upper), ret);
}

/* Words on lines of LINE_WIDTH, indented. The catalogue holds ASCII, so that a byte is a column. */
static int write_wrapped(struct buf *out, const char *label, const char *text) {
        size_t column = strlen(INDENT) + strlen(label);
        int r = buf_printf(out, INDENT "%s", label);

        for (const char *p = text; *p && r >= 0;) {
                size_t n = strcspn(p, " ");

                if (column + 1 + n > LINE_WIDTH) {
                        r = buf_append_str(out, "\n" INDENT INDENT);
                        column = 2 * strlen(INDENT);
                } else {
                        r = buf_append_char(out, ' ');
                        column++;
                }
                if (r >= 0)
                        r = buf_append(out, p, n);
                column += n;
                p += n + strspn(p + n, " ");
        }
        return r < 0 ? r : buf_append_char(out, '\n');
}

static int write_stage(struct buf *out, unsigned stage) {
        return stage ? buf_printf(out, INDENT "stage %u (%s)", stage, catalogue_stage_name(stage))
                     : buf_append_str(out, INDENT "any stage");
}

static int write_text(struct buf *out, const struct model_rule_text *t) {
        int r = buf_printf(out, "%s: %s\n", t->id, t->title);

        if (r >= 0)
                r = write_stage(out, t->stage);
        if (r >= 0)
                r = buf_printf(out, ", %s\n", consequences[t->severity]);
        if (r >= 0)
                r = write_wrapped(out, "What it means:", t->meaning);
        return r < 0 ? r : write_wrapped(out, "What to do:", t->action);
}

static int write_line(struct buf *out, const struct model_rule_text *t) {
        return buf_printf(out, "%-15s %c  %-7s  %s\n", t->id, t->stage ? (char)('0' + t->stage) : '-',
                          finding_severity_name(t->severity), t->title);
}

static void write_json(struct json_writer *w, const struct model_rule_text *t) {
        json_object_begin(w);
        json_member_string(w, "id", t->id);
        json_member_u64(w, "stage", t->stage);
        json_member_string(w, "stage_name", catalogue_stage_name(t->stage));
        json_member_string(w, "severity", finding_severity_name(t->severity));
        json_member_string(w, "title", t->title);
        json_member_string(w, "meaning", t->meaning);
        json_member_string(w, "action", t->action);
        json_object_end(w);
}

static int write_all_rules(struct buf *out, struct json_writer *w) {
        int r = 0;

        for (size_t i = 0; i < catalogue_count() && r >= 0; i++)
                if (w)
                        write_json(w, catalogue_at(i));
                else
                        r = write_line(out, catalogue_at(i));
        return r;
}

static int write_some(struct buf *out, struct json_writer *w, char *const ids[], size_t n,
                      size_t *ret_unknown) {
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                size_t at;

                if (!find_any_case(ids[i], &at)) {
                        *ret_unknown = i;
                        return -ENOENT;
                }
                if (w)
                        write_json(w, catalogue_at(at));
                else if (i > 0)
                        r = buf_append_char(out, '\n');
                if (r >= 0 && !w)
                        r = write_text(out, catalogue_at(at));
        }
        return r;
}

int explain_write(struct buf *out, char *const ids[], size_t n, bool json, size_t *ret_unknown) {
        struct json_writer writer = JSON_WRITER(out), *w = json ? &writer : NULL;
        int r;

        if (w) {
                json_object_begin(w);
                json_key(w, "rules");
                json_array_begin(w);
        }
        r = n > 0 ? write_some(out, w, ids, n, ret_unknown) : write_all_rules(out, w);
        if (r < 0 || !w)
                return r;
        json_array_end(w);
        json_object_end(w);
        r = json_write_end(w);
        return r < 0 ? r : buf_append_char(out, '\n');
}

static int complain_unknown(const char *id) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);

        if (buf_append_escaped(&shown, view_of(id), FINDING_RULE_MAX) < 0)
                buf_clear(&shown);
        (void)complain(
                "there is no rule \"%s\" in the catalogue; `securectl explain` lists all. Rules of your "
                "own signatures (YARA) are explained where you wrote them",
                buf_str(&shown));
        return EXIT_NO;
}

int explain_print(char *const ids[], int n, bool json) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUTPUT_MAX);
        size_t unknown = 0;
        int r;

        if (n > RULES_ASKED)
                return complain("at most %d rules at a time; without any, all are listed", RULES_ASKED);
        r = explain_write(&out, ids, (size_t)n, json, &unknown);
        if (r == -ENOENT)
                return complain_unknown(ids[unknown]);
        if (r < 0)
                return complain("%s", strerrordesc_np(-r));
        (void)fwrite(out.p, 1, out.n, stdout);
        return EXIT_YES;
}
