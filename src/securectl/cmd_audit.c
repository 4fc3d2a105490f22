/* securectl audit: checks the one log, and reads from its end. */
#include <inttypes.h>

#include "base/file.h"
#include "base/num.h"
#include "core/audit_verify.h"
#include "securectl/command.h"
#include "securectl/link.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

#define TAIL_DEFAULT UINT64_C(20)
#define TAIL_MOST    UINT64_C(500)

static const struct command_help help = {
        .usage = "audit [OPTION…] verify | tail",
        .text = "verify  reads the whole log and finds what was changed, cut, swapped, duplicated, emptied "
                "or put back to an\n"
                "        older copy. The system need not be up. Exit status: 0 whole, 1 broken, 2 can't be "
                "decided.\n"
                "tail    the newest records",
        .least = 1,
        .most = 1,
};

static int print_report_json(const struct audit_report *a) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);
        struct json_writer w = JSON_WRITER(&text);
        char hash[SHA256_HEX_SIZE];

        sha256_hex(&a->head, hash);
        json_object_begin(&w);
        json_member_bool(&w, "ok", a->ok);
        json_member_string(&w, "code", a->code);
        if (!a->ok) {
                json_member_string(&w, "file", a->file);
                json_member_u64(&w, "line", a->line);
                json_member_u64(&w, "sequence", a->sequence);
                json_member_string(&w, "message", a->text);
        }
        json_member_u64(&w, "records", a->records);
        json_member_u64(&w, "files", a->files);
        json_member_u64(&w, "checkpoints", a->checkpoints);
        json_member_u64(&w, "recoveries", a->recoveries);
        json_member_u64(&w, "torn_bytes", a->torn_bytes);
        json_member_string(&w, "first_time", a->first_time);
        json_member_string(&w, "last_time", a->last_time);
        json_member_string(&w, "head", hash);
        json_object_end(&w);
        if (json_write_end(&w) < 0)
                return complain("out of memory");
        terminal_print(&text);
        (void)printf("\n");
        return a->ok ? EXIT_YES : EXIT_NO;
}

static int print_broken(const struct audit_report *a) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);
        int r = show_text(&text, view_of(a->text));

        (void)printf("the audit log is BROKEN (%s): %s\n", a->code, r < 0 ? "" : buf_str(&text));
        if (a->file[0]) {
                buf_clear(&text);
                r = show_text(&text, view_of(a->file));
                (void)printf("  place: %s", r < 0 ? "?" : buf_str(&text));
                if (a->line)
                        (void)printf(", line %" PRIu64, a->line);
                if (a->sequence)
                        (void)printf(", record %" PRIu64, a->sequence);
                (void)printf("\n");
        }
        (void)printf("  %" PRIu64
                     " records before it are good; keep a copy of the folder before anything else\n",
                     a->records);
        return EXIT_NO;
}

static int print_whole(const struct audit_report *a) {
        char hash[SHA256_HEX_SIZE];

        sha256_hex(&a->head, hash);
        (void)printf("the audit log is whole: %" PRIu64 " records in %" PRIu64 " file%s, %" PRIu64
                     " signed checkpoint%s\n",
                     a->records, a->files, a->files == 1 ? "" : "s", a->checkpoints,
                     a->checkpoints == 1 ? "" : "s");
        (void)printf("  from %s to %s\n  head %s\n", a->first_time, a->last_time, hash);
        if (a->recoveries)
                (void)printf(
                        "  %" PRIu64
                        " time%s an unfinished record was cut off after a crash, as the log itself says\n",
                        a->recoveries, a->recoveries == 1 ? "" : "s");
        return EXIT_YES;
}

static int explain_undecided(const struct layout *l, int r) {
        complain("the audit log in %s can't be checked: %s%s", l->log, strerrordesc_np(-r),
                 r == -EACCES ? "; only the owner of the verification key may do this"
                 : r == -ENOENT
                         ? "; nothing was ever recorded here, or this is not the right folder (--state-root)"
                         : "");
        return EXIT_TROUBLE;
}

/* A log whose folder is gone while the key to it is still here was deleted, and that is an answer. */
static int check_log(int log_dir, int state_dir, struct audit_report *ret) {
        if (state_dir < 0)
                return state_dir;
        if (log_dir == -ENOENT && faccessat(state_dir, AUDIT_VERIFY_KEY_NAME, F_OK, 0) == 0) {
                *ret = (struct audit_report){.code = "log_missing"};
                (void)snprintf(ret->text, sizeof ret->text, "the folder of the log is gone");
                return 0;
        }
        return log_dir < 0 ? log_dir : audit_verify(log_dir, state_dir, ret);
}

static int verify(const struct common *common) {
        const struct layout *l = &common->layout;
        _cleanup_(closep) int log_dir = open_dir(l->log), state_dir = -EBADF;
        struct audit_report report = {0};
        char state[PLACE_MAX];
        int r = place_join(state, l->places.state_root, "audit");

        state_dir = r < 0 ? r : open_dir(state);
        r = check_log(log_dir, state_dir, &report);
        if (r < 0)
                return explain_undecided(l, r);
        if (report.ok) {
                r = audit_verify_remember(state_dir, &report);
                if (r < 0)
                        complain("what was seen could not be remembered for the next time: %s",
                                 strerrordesc_np(-r));
        }
        if (common->json)
                return print_report_json(&report);
        return report.ok ? print_whole(&report) : print_broken(&report);
}

static int show_record(struct buf *out, const struct json *record) {
        static const char *const fields[] = {"time", "caller", "event", "decision", "rule", "subject"};
        uint64_t sequence = 0;
        int r;

        (void)!json_get_u64(record, "sequence", &sequence);
        r = buf_printf(out, "%6" PRIu64, sequence);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(fields); i++) {
                r = buf_append_str(out, "  ");
                if (r >= 0)
                        r = show_member(out, record, fields[i], "-");
        }
        return r < 0 ? r : buf_append_char(out, '\n');
}

static int print_records(const struct common *common, const struct json *answer) {
        const struct json *records = json_get_typed(answer, "records", JSON_ARRAY);

        for (const struct json *m = records ? records->child : NULL; m; m = m->next) {
                _cleanup_(buf_donep) struct buf line = BUF_INIT(OUTPUT_LINE_MAX);

                if (common->json) {
                        if (terminal_print_json(m) < 0)
                                return EXIT_TROUBLE;
                        continue;
                }
                if (show_record(&line, m) < 0)
                        return complain("out of memory");
                terminal_print(&line);
        }
        return EXIT_YES;
}

static int tail(const struct common *common, uint64_t lines) {
        _cleanup_(link_freep) struct link *audit = NULL;
        _cleanup_(json_document_freep) struct json_document *head = NULL, *answer = NULL;
        uint64_t sequence = 0;
        char path[128];

        if (link_new(&common->layout, "audit", &audit) < 0 ||
            link_call(audit, "GET", "/v1/head", VIEW_NULL, &head) < 0)
                return EXIT_TROUBLE;
        if (json_get_u64(json_root(head), "sequence", &sequence) < 0)
                return complain("the answer of audit has no sequence");
        (void)snprintf(path, sizeof path, "/v1/records?after=%" PRIu64 "&limit=%" PRIu64,
                       sequence > lines ? sequence - lines : 0, lines);
        if (link_call(audit, "GET", path, VIEW_NULL, &answer) < 0)
                return EXIT_TROUBLE;
        return print_records(common, json_root(answer));
}

int command_audit(int argc, char *argv[]) {
        struct common common = {0};
        const char *lines_text = NULL;
        const struct option_spec specs[] = {
                {"lines", 'n', NULL, &lines_text, "N", "tail: how many records (default 20, at most 500)"},
                COMMON_OPTIONS(&common),
        };
        uint64_t lines = TAIL_DEFAULT;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        if (lines_text && (u64_parse(view_of(lines_text), TAIL_MOST, &lines) < 0 || lines == 0))
                return complain("--lines wants a number from 1 to %" PRIu64, TAIL_MOST);
        if (strcmp(argv[1], "verify") == 0)
                return verify(&common);
        if (strcmp(argv[1], "tail") == 0)
                return tail(&common, lines);
        return complain("usage: securectl %s", help.usage);
}
