#include "securectl/follow.h"

#include "securectl/command.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static bool is_over(const struct json *job) {
        struct view state = json_get_view(job, "state", VIEW_NULL);

        return view_eq(state, VIEW("promoted")) || view_eq(state, VIEW("rejected")) ||
               view_eq(state, VIEW("parked"));
}

/* Plain output: only what has changed since `last`. */
static int print_step(const struct json *job, struct buf *last) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(OUTPUT_LINE_MAX);
        int r = show_member(&line, job, "name", "?");

        if (r >= 0)
                r = buf_append_str(&line, ": ");
        if (r >= 0)
                r = show_job_step(&line, job);
        if (r >= 0)
                r = buf_append_char(&line, '\n');
        if (r < 0 || view_eq(buf_view(&line), buf_view(last)))
                return r;
        terminal_print(&line);
        (void)fflush(stdout);
        buf_done(last);
        *last = TAKE_BUF(line);
        return 0;
}

static int show_progress(const struct json *job, bool quiet, struct buf *last) {
        unsigned columns = terminal_columns(STDERR_FILENO);
        _cleanup_(buf_donep) struct buf line = BUF_INIT(OUTPUT_LINE_MAX);
        int r;

        if (columns == 0)
                return quiet ? 0 : print_step(job, last);
        r = show_job_progress(&line, job, columns - 1);
        if (r >= 0)
                terminal_redraw(&line);
        return r;
}

static int look(const struct link *quarantine, const char *path, bool quiet, struct buf *last,
                struct json_document **ret) {
        int r = link_get_patiently(quarantine, path, ret);

        if (r < 0 || !json_root(*ret))
                return r < 0 ? r : link_explain(quarantine, -EPROTO);
        r = is_over(json_root(*ret)) ? 0 : show_progress(json_root(*ret), quiet, last);
        if (r < 0)
                complain("out of memory");
        return r;
}

static void clear_line(void) {
        struct buf empty = BUF_INIT(0);

        if (terminal_columns(STDERR_FILENO) > 0)
                terminal_redraw(&empty);
}

int follow_job(const struct link *quarantine, struct view id, bool quiet, struct json_document **ret) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(PLACE_MAX), last = BUF_INIT(OUTPUT_LINE_MAX);
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = buf_append_str(&path, "/v1/jobs/");

        if (r >= 0)
                r = buf_append_view(&path, id);
        if (r < 0)
                return link_explain(quarantine, r);
        for (;;) {
                r = look(quarantine, path.p, quiet, &last, &doc);
                if (r < 0 || is_over(json_root(doc)))
                        break;
                doc = json_document_free(doc);
                terminal_sleep(POLL_USEC);
        }
        clear_line();
        if (r >= 0)
                *ret = TAKE_PTR(doc);
        return r < 0 ? r : 0;
}

/* The last line: what became of it and what can be done. */
static int show_end(struct buf *out, const struct json *job) {
        struct view state = json_get_view(job, "state", VIEW_NULL);
        bool duplicate = false;
        int r = show_member(out, job, "name", "?");

        (void)!json_get_bool(job, "duplicate", &duplicate);
        if (r < 0)
                return r;
        if (view_eq(state, VIEW("promoted"))) {
                r = buf_append_str(out,
                                   duplicate ? ": passed; it was there already as " : ": passed; stored as ");
                return r < 0 ? r : show_member(out, job, "sha256", "?");
        }
        if (!is_over(job)) {
                r = buf_append_str(out, ": ");
                return r < 0 ? r : show_job_step(out, job);
        }
        r = buf_printf(out, ": %s: ", show_job_state(state));
        if (r >= 0)
                r = show_member(out, job, "reason", "no reason was given");
        if (r >= 0)
                r = buf_append_str(out, " (");
        if (r >= 0)
                r = show_member(out, job, "code", "no code");
        if (r >= 0)
                r = buf_append_str(out, ")");
        if (r >= 0 && view_eq(state, VIEW("parked"))) {
                r = buf_append_str(out, "\n  when the reason is gone: securectl jobs retry ");
                if (r >= 0)
                        r = show_member(out, job, "id", "?");
        }
        return r;
}

int follow_print_end(const struct json *job, uint32_t most_findings) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ANSWER_MAX);
        int r = show_stages(&text, json_get(job, "stages"), most_findings);

        if (r >= 0)
                r = show_end(&text, job);
        if (r >= 0)
                r = buf_append_char(&text, '\n');
        if (r < 0)
                return complain("out of memory");
        terminal_print(&text);
        return view_eq(json_get_view(job, "state", VIEW_NULL), VIEW("promoted")) ? EXIT_YES : EXIT_NO;
}
