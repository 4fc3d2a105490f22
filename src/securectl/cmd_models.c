/* securectl models: what the registry holds. */
#include "securectl/command.h"
#include "securectl/documents.h"
#include "securectl/link.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "models [OPTION…] [list | show MODEL | verify MODEL | documents MODEL | delete MODEL]",
        .text = "list       the models that passed and can be used (the default)\n"
                "show       one, with the verdict that let it in\n"
                "verify     reads the stored file again and compares it with its SHA-256\n"
                "documents  writes what is known about it into files: the signed statement of its verdict, "
                "its "
                "bill\n"
                "           of materials (CycloneDX), its tensors and the behavioural test\n"
                "delete     removes one for good\n"
                "MODEL is a name that only one model has, or the first digits of its SHA-256 (at least 6).",
        .least = 0,
        .most = 2,
};

struct model {
        char sha256[65];
        struct json_document *list;
        const struct json *object; /* in the list */
};

static void model_done(struct model *m) {
        m->list = json_document_free(m->list);
}

static bool matches(const struct json *model, struct view wanted) {
        struct view hash = json_get_view(model, "sha256", VIEW_NULL);

        if (view_eq(json_get_view(model, "name", VIEW_NULL), wanted))
                return true;
        return wanted.n >= MODEL_DIGITS_MIN && view_starts(hash, wanted);
}

static int choose(const struct json *models, struct view wanted, const struct json **ret) {
        const struct json *found = NULL;

        for (const struct json *m = models ? models->child : NULL; m; m = m->next) {
                if (!matches(m, wanted))
                        continue;
                if (found) {
                        complain("more than one model fits; use more digits of the SHA-256 (`securectl "
                                 "models`)");
                        return -EINVAL;
                }
                found = m;
        }
        if (!found || json_get_view(found, "sha256", VIEW_NULL).n != 64) {
                complain("there is no such model; `securectl models` lists them");
                return -ENOENT;
        }
        *ret = found;
        return 0;
}

static int find_model(const struct link *registry, const char *wanted, struct model *ret) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        const struct json *object = NULL;
        int r = link_call(registry, "GET", "/v1/models", VIEW_NULL, &doc);

        if (r >= 0)
                r = choose(json_get_typed(json_root(doc), "models", JSON_ARRAY), view_of(wanted), &object);
        if (r < 0)
                return r;
        memcpy(ret->sha256, json_get_view(object, "sha256", VIEW_NULL).p, 64);
        ret->sha256[64] = '\0';
        if (strspn(ret->sha256, "0123456789abcdef") != 64)
                return complain("the registry's answer holds no SHA-256"), -EPROTO;
        ret->list = TAKE_PTR(doc);
        ret->object = object;
        return 0;
}

static int pad(struct buf *out, size_t start, size_t width) {
        int r = 0;

        while (r >= 0 && out->n - start < width)
                r = buf_append_char(out, ' ');
        return r;
}

static int show_row(struct buf *out, const struct json *model) {
        size_t start = out->n;
        uint64_t size = 0;
        bool loaded = false;
        int r = show_short_hash(out, json_get_view(model, "sha256", VIEW("?")));

        (void)!json_get_u64(model, "size", &size);
        (void)!json_get_bool(model, "loaded", &loaded);
        if (r >= 0)
                r = buf_append_str(out, "  ");
        if (r >= 0)
                r = show_size(out, size);
        if (r >= 0)
                r = pad(out, start, 26);
        if (r >= 0)
                r = show_member(out, model, "architecture", "-");
        if (r >= 0)
                r = pad(out, start, 38);
        if (r >= 0)
                r = buf_append_char(out, ' ');
        if (r >= 0)
                r = show_member(out, model, "quantization", "-");
        if (r >= 0)
                r = pad(out, start, 49);
        if (r >= 0)
                r = buf_append_char(out, ' ');
        if (r >= 0)
                r = show_member(out, model, "name", "?");
        return r < 0 ? r : buf_append_str(out, loaded ? "  (loaded)\n" : "\n");
}

static int list(const struct common *common, const struct link *registry) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ANSWER_MAX);
        const struct json *models;
        int r = link_call(registry, "GET", "/v1/models", VIEW_NULL, &doc);

        if (r < 0)
                return EXIT_TROUBLE;
        if (common->json)
                return terminal_print_json(json_root(doc)) < 0 ? EXIT_TROUBLE : EXIT_YES;
        models = json_get_typed(json_root(doc), "models", JSON_ARRAY);
        for (const struct json *m = models ? models->child : NULL; r >= 0 && m; m = m->next)
                r = show_row(&text, m);
        if (r >= 0 && text.n == 0)
                r = buf_append_str(&text, "no models yet; `securectl import FILE` brings one in\n");
        if (r < 0)
                return complain("out of memory");
        terminal_print(&text);
        return EXIT_YES;
}

static int show_field(struct buf *out, const struct json *model, const char *label, const char *key) {
        const struct json *m = json_get(model, key);
        int r = buf_printf(out, "%-15s", label);

        if (r < 0)
                return r;
        if (!m || m->type == JSON_NULL)
                r = buf_append_str(out, "-");
        else if (m->type == JSON_BOOL)
                r = buf_append_str(out, m->boolean ? "yes" : "no");
        else if (strcmp(key, "size") == 0 && m->is_integer)
                r = show_size(out, m->integer);
        else
                r = show_text(out, m->text);
        return r < 0 ? r : buf_append_char(out, '\n');
}

static int show_model(struct buf *out, const struct json *model) {
        static const char *const fields[][2] = {
                {"name", "name"},
                {"SHA-256", "sha256"},
                {"size", "size"},
                {"kind", "kind"},
                {"architecture", "architecture"},
                {"parameters", "parameters"},
                {"context", "context_length"},
                {"quantization", "quantization"},
                {"source", "source"},
                {"promoted", "promoted_at"},
                {"verified", "verified_at"},
                {"verify state", "verify_state"},
                {"loaded", "loaded"},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(fields); i++)
                r = show_field(out, model, fields[i][0], fields[i][1]);
        if (r >= 0)
                r = buf_printf(out, "%-15s", "signature");
        if (r >= 0)
                r = show_member(out, json_get(model, "signature"), "status", "-");
        if (r >= 0)
                r = buf_append_str(out, "\nstages:\n");
        return r < 0 ? r : show_stages(out, json_get(json_get(model, "verdict"), "stages"), UINT32_MAX);
}

static int get_model(const struct link *registry, const struct model *m, struct json_document **ret) {
        char path[128];

        (void)snprintf(path, sizeof path, "/v1/models/%s", m->sha256);
        return link_get_patiently(registry, path, ret);
}

static int show(const struct common *common, const struct link *registry, const struct model *m) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT(ANSWER_MAX);

        if (get_model(registry, m, &doc) < 0)
                return EXIT_TROUBLE;
        if (common->json)
                return terminal_print_json(json_root(doc)) < 0 ? EXIT_TROUBLE : EXIT_YES;
        if (show_model(&text, json_root(doc)) < 0)
                return complain("out of memory");
        terminal_print(&text);
        return EXIT_YES;
}

static int documents(const struct link *registry, const struct model *m, const char *folder) {
        char path[128];

        (void)snprintf(path, sizeof path, "/v1/models/%s", m->sha256);
        return documents_fetch(registry, path, m->object, m->sha256, folder) < 0 ? EXIT_TROUBLE : EXIT_YES;
}

static void redraw_verify(const struct json *model) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(OUTPUT_LINE_MAX);
        uint64_t done = 0, size = 0;

        (void)!json_get_u64(model, "verify_bytes", &done);
        (void)!json_get_u64(model, "size", &size);
        if (terminal_columns(STDERR_FILENO) >= 60 && show_bar(&line, done, size, 40) >= 0)
                terminal_redraw(&line);
}

/* Waits until the registry has read the file. */
static int wait_verified(const struct link *registry, const struct model *m, struct json_document **ret) {
        for (;;) {
                _cleanup_(json_document_freep) struct json_document *doc = NULL;
                struct view state;
                int r = get_model(registry, m, &doc);

                if (r < 0)
                        return r;
                state = json_get_view(json_root(doc), "verify_state", VIEW_NULL);
                if (!view_eq(state, VIEW("pending")) && !view_eq(state, VIEW("running"))) {
                        *ret = TAKE_PTR(doc);
                        return 0;
                }
                redraw_verify(json_root(doc));
                terminal_sleep(POLL_USEC);
        }
}

static int verify(const struct common *common, const struct link *registry, const struct model *m) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct buf empty = BUF_INIT(0);
        char path[128];
        bool is_whole;

        (void)snprintf(path, sizeof path, "/v1/models/%s/verify", m->sha256);
        if (link_call(registry, "POST", path, VIEW_NULL, NULL) < 0 || wait_verified(registry, m, &doc) < 0)
                return EXIT_TROUBLE;
        if (terminal_columns(STDERR_FILENO) > 0)
                terminal_redraw(&empty);
        is_whole = view_eq(json_get_view(json_root(doc), "verify_state", VIEW_NULL), VIEW("ok"));
        if (common->json)
                return terminal_print_json(json_root(doc)) < 0 ? EXIT_TROUBLE : is_whole ? EXIT_YES : EXIT_NO;
        (void)printf(is_whole ? "%s is unchanged\n"
                              : "%s is DAMAGED: its content is no longer what passed; delete it and import "
                                "it again\n",
                     m->sha256);
        return is_whole ? EXIT_YES : EXIT_NO;
}

static int delete (const struct link *registry, const struct model *m, bool yes) {
        _cleanup_(buf_donep) struct buf question = BUF_INIT(OUTPUT_LINE_MAX);
        char path[128];
        int r = buf_append_str(&question, "Delete ");

        if (r >= 0)
                r = show_member(&question, m->object, "name", "?");
        if (r >= 0)
                r = buf_append_str(&question, " for good?");
        if (r < 0)
                return complain("out of memory");
        if (!yes && !terminal_confirm(buf_str(&question)))
                return complain("nothing was deleted (without a terminal, --yes confirms)");
        (void)snprintf(path, sizeof path, "/v1/models/%s", m->sha256);
        if (link_call(registry, "DELETE", path, VIEW_NULL, NULL) < 0)
                return EXIT_TROUBLE;
        (void)printf("deleted\n");
        return EXIT_YES;
}

int command_models(int argc, char *argv[]) {
        struct common common = {0};
        static const char *const verbs[] = {"show", "verify", "documents", "delete"};
        const char *folder = ".";
        bool yes = false, is_known = false;
        const struct option_spec specs[] = {
                {"yes", 'y', &yes, NULL, NULL, "delete without asking"},
                {"out", 'o', NULL, &folder, "DIR", "where documents go (default: the current folder)"},
                COMMON_OPTIONS(&common),
        };
        _cleanup_(link_freep) struct link *registry = NULL;
        _cleanup_(model_done) struct model model = {0};
        const char *what;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        what = operands > 0 ? argv[1] : "list";
        if ((strcmp(what, "list") == 0) != (operands < 2))
                return complain("usage: securectl %s", help.usage);
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                is_known |= strcmp(what, verbs[i]) == 0;
        if (!is_known && strcmp(what, "list") != 0)
                return complain("usage: securectl %s", help.usage);
        if (link_new(&common.layout, "registry", &registry) < 0)
                return EXIT_TROUBLE;
        if (operands < 2)
                return list(&common, registry);
        if (find_model(registry, argv[2], &model) < 0)
                return EXIT_TROUBLE;
        if (strcmp(what, "show") == 0)
                return show(&common, registry, &model);
        if (strcmp(what, "verify") == 0)
                return verify(&common, registry, &model);
        if (strcmp(what, "documents") == 0)
                return documents(registry, &model, folder);
        return delete (registry, &model, yes);
}
