#include "registry/anchor.h"

#include "registry/limits.h"

#define EVENT  "manifest_head"
#define CALLER "registry"

static int get(struct http_client *audit, const char *path, struct json_document **ret) {
        unsigned status;
        int r = http_call_json(audit, "GET", path, VIEW_NULL, REGISTRY_ANSWER_USEC, &status, ret);

        if (r < 0)
                return r;
        return status == 200 ? 0 : status == 403 || status == 401 ? -EACCES : -EIO;
}

static int last_sequence(struct http_client *audit, uint64_t *ret) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int r = get(audit, "/v1/head", &d);

        return r < 0 ? r : json_get_u64(json_root(d), "sequence", ret);
}

static bool is_head_record(const struct json *o) {
        return view_eq_str(json_get_view(o, "caller", VIEW_NULL), CALLER) &&
               view_eq_str(json_get_view(o, "event", VIEW_NULL), EVENT);
}

/* The newest version among the records behind `after`: 0 and *ret, -ENOENT when there is none. */
static int newest_in_page(struct http_client *audit, uint64_t after, uint64_t *ret) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *list, *c;
        bool found = false;
        char path[96];
        int r;

        (void)snprintf(path, sizeof path, "/v1/records?after=%llu&limit=%u", (unsigned long long)after,
                       REGISTRY_ANCHOR_PAGE);
        r = get(audit, path, &d);
        if (r < 0)
                return r;
        list = json_get_typed(json_root(d), "records", JSON_ARRAY);
        for (c = list ? list->child : NULL; c; c = c->next)
                if (is_head_record(c) && json_get_u64(json_get(c, "detail"), "version", ret) >= 0)
                        found = true;
        return found ? 0 : -ENOENT;
}

/* From the end of the log backwards; each start leaves a record, so the way is one run long. */
static int newest_version(struct http_client *audit, uint64_t *ret) {
        uint64_t end;
        int r = last_sequence(audit, &end);

        while (r >= 0) {
                uint64_t after = end > REGISTRY_ANCHOR_PAGE ? end - REGISTRY_ANCHOR_PAGE : 0;

                r = newest_in_page(audit, after, ret);
                if (r != -ENOENT || after == 0)
                        return r;
                end = after;
                r = 0;
        }
        return r;
}

int anchor_check(struct http_client *audit, const struct manifest_head *head, struct fault *reterr) {
        uint64_t version = 0;
        int r = newest_version(audit, &version);

        if (r == -ENOENT)
                return 0;
        if (r < 0 || version <= head->version)
                return r;
        return fault_set(reterr, -EUCLEAN, "manifest_rolled_back", 0,
                         "the manifest has version %llu, but the audit log has seen version %llu: everything "
                         "was put back "
                         "to an earlier copy",
                         (unsigned long long)head->version, (unsigned long long)version);
}

int anchor_record(struct audit_client *audit, const struct manifest_head *head) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(64);
        struct audit_event e = {.event = EVENT, .decision = "info"};
        char hex[SHA256_HEX_SIZE];
        int r = buf_printf(&detail, "{\"version\":%llu}", (unsigned long long)head->version);

        if (r < 0)
                return r;
        sha256_hex(&head->digest, hex);
        e.subject = view_of(hex);
        e.detail = buf_view(&detail);
        return audit_append(audit, &e);
}
