#include "securectl/chat_stream.h"

int chat_write_request(const struct chat_request *q, struct buf *out) {
        _cleanup_(buf_donep) struct buf list = BUF_INIT(out->max);
        struct json_writer w = JSON_WRITER(out);
        int r = 0;

        if (q->system)
                r = chat_add_message(&list, "system", view_of(q->system));
        if (r >= 0 && list.n > 0 && q->messages.n > 0)
                r = buf_append_char(&list, ',');
        if (r >= 0)
                r = buf_append_view(&list, q->messages);
        if (r < 0)
                return r;
        json_object_begin(&w);
        if (q->model)
                json_member_string(&w, "model", q->model);
        json_member_bool(&w, "stream", q->stream);
        if (q->temperature) {
                json_key(&w, "temperature");
                json_put_raw(&w, view_of(q->temperature));
        }
        if (q->max_tokens) {
                json_key(&w, "max_tokens");
                json_put_raw(&w, view_of(q->max_tokens));
        }
        if (q->seed) {
                json_key(&w, "seed");
                json_put_raw(&w, view_of(q->seed));
        }
        json_key(&w, "messages");
        json_array_begin(&w);
        if (list.n > 0)
                json_put_raw(&w, buf_view(&list));
        json_array_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}

int chat_add_message(struct buf *history, const char *role, struct view content) {
        size_t before = history->n;
        struct json_writer w = JSON_WRITER(history);
        int r = before > 0 ? buf_append_char(history, ',') : 0;

        json_object_begin(&w);
        json_member_string(&w, "role", role);
        json_member_view(&w, "content", content);
        json_object_end(&w);
        if (r >= 0)
                r = json_write_end(&w);
        if (r < 0) {
                history->n = before;
                if (history->p)
                        history->p[before] = '\0';
        }
        return r;
}

int chat_read_event(struct view data, struct chat_delta *ret) {
        struct chat_delta d = {0};
        const struct json *choices, *error;
        int r;

        if (view_eq(data, VIEW("[DONE]"))) {
                *ret = (struct chat_delta){.is_end = true};
                return 0;
        }
        r = json_parse(data, NULL, &d.doc, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        choices = json_get_typed(json_root(d.doc), "choices", JSON_ARRAY);
        error = json_get_typed(json_root(d.doc), "error", JSON_OBJECT);
        if (choices && choices->child)
                d.content = json_get_view(json_get(choices->child, "delta"), "content", VIEW_NULL);
        if (error)
                d.error = json_get_view(error, "message", VIEW("the answer was cut"));
        *ret = d;
        return 0;
}

void chat_delta_done(struct chat_delta *d) {
        d->doc = json_document_free(d->doc);
        d->content = d->error = VIEW_NULL;
}
