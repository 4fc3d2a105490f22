/* securectl jobs: what the quarantine has at hand. */
#include "securectl/command.h"
#include "securectl/documents.h"
#include "securectl/follow.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "jobs [OPTION…] [list | show ID | retry ID | documents ID | delete ID]",
        .text = "list       all imports, newest first (the default)\n"
                "show       one, with its stages and findings\n"
                "retry      examines one that was set aside again; this decides nothing by itself\n"
                "documents  writes what is known about one that was not promoted into files, the signed "
                "statement "
                "of\n"
                "           its verdict first; for models see `securectl models documents`\n"
                "delete     forgets a finished one and deletes the file that was kept of it",
        .least = 0,
        .most = 2,
};

static int show_row(struct buf *out, const struct json *job) {
        uint64_t size = 0;
        size_t start = out->n;
        int r = show_member(out, job, "id", "?");

        (void)!json_get_u64(job, "size", &size);
        if (r >= 0)
                r = buf_append_str(out, "  ");
        if (r >= 0)
                r = show_size(out, size);
        while (r >= 0 && out->n - start < 40)
                r = buf_append_char(out, ' ');
        if (r >= 0)
                r = buf_append_str(out, "  ");
        start = out->n;
        if (r >= 0)
                r = show_job_step(out, job);
        while (r >= 0 && out->n - start < 30)
                r = buf_append_char(out, ' ');
        if (r >= 0)
                r = show_member(out, job, "name", "?");
        return r < 0 ? r : buf_append_char(out, '\n');
}

static int list(const struct common *common, const struct link *quarantine) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ANSWER_MAX);
        const struct json *jobs;
        int r = link_call(quarantine, "GET", "/v1/jobs", VIEW_NULL, &doc);

        if (r < 0)
                return EXIT_TROUBLE;
        if (common->json)
                return terminal_print_json(json_root(doc)) < 0 ? EXIT_TROUBLE : EXIT_YES;
        jobs = json_get_typed(json_root(doc), "jobs", JSON_ARRAY);
        for (const struct json *j = jobs ? jobs->child : NULL; r >= 0 && j; j = j->next)
                r = show_row(&text, j);
        if (r >= 0 && text.n == 0) {
                r = buf_append_str(&text, "no imports; put a model file into ");
                if (r >= 0)
                        r = show_member(&text, json_root(doc), "incoming", "the inbox");
                if (r >= 0)
                        r = buf_append_str(&text, " or use `securectl import FILE`\n");
        }
        if (r < 0)
                return complain("out of memory");
        terminal_print(&text);
        return EXIT_YES;
}

static int show(const struct common *common, const struct link *quarantine, const char *path) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = link_call(quarantine, "GET", path, VIEW_NULL, &doc);

        if (r < 0)
                return EXIT_TROUBLE;
        if (common->json)
                return terminal_print_json(json_root(doc)) < 0 ? EXIT_TROUBLE : EXIT_YES;
        (void)follow_print_end(json_root(doc), UINT32_MAX);
        return EXIT_YES;
}

static int act(const struct link *quarantine, const char *method, const char *path, const char *done) {
        if (link_call(quarantine, method, path, VIEW_NULL, NULL) < 0)
                return EXIT_TROUBLE;
        (void)printf("%s\n", done);
        return EXIT_YES;
}

static int documents(const struct link *quarantine, const char *path, const char *id, const char *folder) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;

        if (link_call(quarantine, "GET", path, VIEW_NULL, &doc) < 0)
                return EXIT_TROUBLE;
        return documents_fetch(quarantine, path, json_root(doc), id, folder) < 0 ? EXIT_TROUBLE : EXIT_YES;
}

/* "/v1/jobs/ID" with what the id may hold, so that no other path can be made of it. */
static int make_path(const char *id, const char *rest, char out[PLACE_MAX]) {
        size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");

        if (n == 0 || id[n] != '\0' || n > 128) {
                complain("that is not a job's id; `securectl jobs` lists them");
                return -EINVAL;
        }
        (void)snprintf(out, PLACE_MAX, "/v1/jobs/%s%s", id, rest);
        return 0;
}

int command_jobs(int argc, char *argv[]) {
        struct common common = {0};
        const char *folder = ".";
        const struct option_spec specs[] = {
                {"out", 'o', NULL, &folder, "DIR", "where documents go (default: the current folder)"},
                COMMON_OPTIONS(&common),
        };
        _cleanup_(link_freep) struct link *quarantine = NULL;
        char path[PLACE_MAX] = "";
        const char *what;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        what = operands > 0 ? argv[1] : "list";
        if (strcmp(what, "list") != 0 && operands != 2)
                return complain("usage: securectl %s", help.usage);
        if (operands == 2 && make_path(argv[2], strcmp(what, "retry") == 0 ? "/retry" : "", path) < 0)
                return EXIT_TROUBLE;
        if (link_new(&common.layout, "quarantine", &quarantine) < 0)
                return EXIT_TROUBLE;
        if (strcmp(what, "list") == 0 && operands < 2)
                return list(&common, quarantine);
        if (strcmp(what, "show") == 0)
                return show(&common, quarantine, path);
        if (strcmp(what, "retry") == 0)
                return act(quarantine, "POST", path, "it will be examined again");
        if (strcmp(what, "documents") == 0)
                return documents(quarantine, path, argv[2], folder);
        if (strcmp(what, "delete") == 0)
                return act(quarantine, "DELETE", path, "deleted");
        return complain("usage: securectl %s", help.usage);
}
