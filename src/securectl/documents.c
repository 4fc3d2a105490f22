#include "securectl/documents.h"

#include "base/file.h"
#include "securectl/command.h"
#include "securectl/options.h"
#include "securectl/show.h"

#define DOCUMENT_MAX ((size_t)64 << 20)

/* Names that a service may give: nothing else is asked for, or written. */
static bool is_known(struct view name) {
        static const char *const names[] = {"tensors", "statement", "bom", "behaviour"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (view_eq_str(name, names[i]))
                        return true;
        return false;
}

static int say_written(const char *folder, const char *file) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(OUTPUT_LINE_MAX);
        int r = show_text(&out, view_of(folder));

        if (r >= 0)
                r = buf_append_char(&out, '/');
        if (r >= 0)
                r = show_text(&out, view_of(file));
        if (r >= 0)
                (void)printf("%s\n", buf_str(&out));
        return r;
}

static int fetch(const struct link *link, const char *path, struct view document, const char *base,
                 const char *folder, int dir) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        char target[PLACE_MAX], file[512];
        int r;

        (void)snprintf(target, sizeof target, "%s/documents/%.*s", path, VIEW_ARG(document));
        (void)snprintf(file, sizeof file, "%s.%.*s.json", base, VIEW_ARG(document));
        r = http_call(link_client(link), "GET", target, NULL, VIEW_NULL, CALL_TIMEOUT_USEC, DOCUMENT_MAX, &a);
        if (r < 0)
                return link_explain(link, r);
        if (a.status != 200)
                return link_explain_answer(link, a.status, buf_view(&a.body));
        r = replace_file(dir, file, buf_view(&a.body), 0644);
        if (r < 0) {
                complain("%s/%s can't be written: %s", folder, file, strerrordesc_np(-r));
                return r;
        }
        return say_written(folder, file);
}

/* The artifact's own name where it can be that of a file. */
static void base_name(const struct json *object, const char *otherwise, char out[256]) {
        struct view name = json_get_view(object, "name", VIEW_NULL);

        if (name.n <= 200 && file_name_is_safe(name) && name.p[0] != '.' && name.p[0] != '-')
                (void)snprintf(out, 256, "%.*s", VIEW_ARG(name));
        else
                (void)snprintf(out, 256, "%.128s", otherwise);
}

int documents_fetch(const struct link *link, const char *path, const struct json *object,
                    const char *otherwise, const char *folder) {
        const struct json *list = json_get_typed(object, "documents", JSON_ARRAY);
        _cleanup_(closep) int dir = -EBADF;
        char base[256];
        int r = make_path(folder, 0755);

        if (r >= 0)
                r = dir = open_dir(folder);
        if (r < 0)
                return complain("%s: %s", folder, strerrordesc_np(-r)), r;
        if (!list || list->count == 0)
                return complain("nothing was written down about it"), -ENOENT;
        base_name(object, otherwise, base);
        for (const struct json *c = list->child; r >= 0 && c; c = c->next)
                if (c->type == JSON_STRING && is_known(c->text))
                        r = fetch(link, path, c->text, base, folder, dir);
        return r < 0 ? r : 0;
}
