/* A stored verdict: what can be restored is stored again in a form that restores to the same text. */
#include "quarantine/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define TEXT_MAX ((size_t)16 << 20)

static int store(const struct verdict *v, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        verdict_store(&w, v);
        return json_write_end(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(buf_donep) struct buf first = BUF_INIT(TEXT_MAX), second = BUF_INIT(TEXT_MAX);
        _cleanup_(verdict_donep) struct verdict v = {0}, again = {0};

        if (verdict_restore(view_make(data, n), &v) < 0)
                return 0;
        if (store(&v, &first) < 0 || verdict_restore(buf_view(&first), &again) < 0 ||
            store(&again, &second) < 0 || !view_eq(buf_view(&first), buf_view(&second)))
                abort();
        if (verdict_is_reject(&v) && verdict_is_pass(&v))
                abort();
        return 0;
}
