#include "ui/pages.h"

#include "base/embedded.h"
#include "core/digest.h"

extern const struct embedded_file web_files[];

static const struct embedded_file *find(struct view name) {
        for (const struct embedded_file *f = web_files; f->name; f++)
                if (view_eq_str(name, f->name))
                        return f;
        return NULL;
}

static const char *type_of(struct view name) {
        static const struct {
                const char *end, *type;
        } types[] = {
                {".html", "text/html; charset=utf-8"},
                {".js", "text/javascript; charset=utf-8"},
                {".css", "text/css; charset=utf-8"},
                {".svg", "image/svg+xml"},
                {".png", "image/png"},
                {".woff2", "font/woff2"},
                {".json", "application/json"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (view_ends(name, view_of(types[i].end)))
                        return types[i].type;
        return "application/octet-stream";
}

static int reply_file(struct http_request *q, const struct embedded_file *f, const char *caching) {
        char tag[SHA256_HEX_SIZE + 2];
        struct sha256 digest;
        int r = sha256_of(f->content, &digest);

        if (r < 0)
                return r;
        tag[0] = '"';
        sha256_hex(&digest, tag + 1);
        tag[33] = '"'; /* half of it tells any two contents apart */
        tag[34] = '\0';
        r = http_add_header(q, "ETag", tag);
        if (r == 0)
                r = http_add_header(q, "Cache-Control", caching);
        if (r < 0)
                return r;
        if (view_eq_str(http_header(q, "If-None-Match"), tag))
                return http_reply(q, 304, NULL, VIEW_NULL);
        return http_reply_static(q, 200, type_of(view_of(f->name)), f->content);
}

int pages_on_index(struct http_request *q, void *app) {
        const struct embedded_file *f = find(VIEW("index.html"));

        return f ? reply_file(q, f, "no-cache") : -ENOENT;
}

int pages_on_asset(struct http_request *q, void *app) {
        const struct embedded_file *f = find(http_path_part(q, 0));

        if (!f || view_eq_str(http_path_part(q, 0), "index.html"))
                return http_reply_error(q, 404, "unknown_route", NULL, "There is nothing at this path.");
        return reply_file(q, f, "private, max-age=31536000, immutable");
}
