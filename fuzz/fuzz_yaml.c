/* yaml: whatever is accepted is a tree that JSON can write and read back. */
#include "wire/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_nodes(const struct json *v, unsigned depth) {
        uint32_t count = 0;

        if (v->at < 1 || depth > JSON_DEPTH_MAX)
                abort();
        for (const struct json *m = v->child; m; m = m->next, count++)
                check_nodes(m, depth + 1);
        if (count != v->count)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL, *again = NULL;
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 26);
        struct json_writer w = JSON_WRITER(&text);
        struct fault fault = FAULT_NONE;

        if (yaml_parse(view_make(data, n), &doc, &fault) < 0) {
                if (!fault.rule || fault.at < 1 || fault.text[0] == '\0')
                        abort();
                return 0;
        }
        check_nodes(json_root(doc), 0);
        json_put_value(&w, json_root(doc));
        if (json_write_end(&w) < 0 ||
            json_parse(buf_view(&text), &(struct json_limits){.memory = (size_t)1 << 30}, &again, NULL) < 0)
                abort();
        return 0;
}
