/* A chat request from outside: what is accepted is written as strict JSON for the worker, with no member that is not on
 * the list, and reads the same when it comes again. */
#include "inference/chat_request.h"

#define INPUT_MAX ((size_t)1 << 17)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_written(struct view text) {
        static const char *const names[] = {
                "messages",
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "seed",
                "frequency_penalty",
                "presence_penalty",
                "repeat_penalty",
                "stop",
                "stream",
                "stream_options",
                "response_format",
                "max_tokens",
                NULL,
        };
        struct json_document *d = NULL;
        struct chat_request again;
        uint64_t tokens;

        if (json_parse(text, NULL, &d, NULL) < 0 || json_unknown_member(json_root(d), names))
                abort();
        if (json_get_u64(json_root(d), "max_tokens", &tokens) < 0 || tokens == 0 || tokens > 4096)
                abort();
        if (chat_request_read(json_root(d), &again, NULL) < 0 || !again.stream)
                abort();
        json_document_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(16 * INPUT_MAX);
        struct chat_request request;
        struct fault fault;

        if (n > INPUT_MAX || json_parse(view_make(data, n), NULL, &d, NULL) < 0)
                return 0;
        if (chat_request_read(json_root(d), &request, &fault) < 0) {
                if (!fault.rule || fault.text[0] == '\0')
                        abort();
                return 0;
        }
        if (chat_request_write(&request, 4096, &out) < 0)
                abort();
        check_written(buf_view(&out));
        return 0;
}
