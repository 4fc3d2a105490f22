#include "ui/conversation_routes.h"

#include "ui/conversations.h"
#include "ui/limits.h"

static int reply_failure(struct http_request *q, int error) {
        if (error == -ENOENT)
                return http_reply_error(q, 404, "unknown_conversation", NULL,
                                        "There is no such conversation (any more).");
        if (error == -EDQUOT)
                return http_reply_error(q, 409, "too_many_conversations", NULL,
                                        "%u conversations are kept. Delete some that you do not need.",
                                        UI_CONVERSATIONS_MAX);
        return error;
}

static int read_body(struct http_request *q, const struct json **ret) {
        struct fault fault = FAULT_NONE;
        int r = http_body_json(q, ret);

        if (r < 0)
                return r;
        r = conversation_check(*ret, &fault);
        if (r == 0)
                return 0;
        r = http_reply_error(q, r == -E2BIG ? 413 : 400, r == -E2BIG ? "too_large" : "bad_request", NULL,
                             "This can't be saved: %s.", fault.text);
        return r < 0 ? r : -EBADMSG;
}

static int reply_id(struct http_request *q, unsigned status, struct view id) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(1024);
        struct json_writer w = JSON_WRITER(&body);
        int r;

        json_object_begin(&w);
        json_member_view(&w, "id", id);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, status, buf_view(&body));
}

int conversations_on_list(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(UI_ANSWER_MAX);
        struct app *app = userdata;
        int r = conversation_list(app->db, http_query(q, "q"), &body);

        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

int conversations_on_create(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        char id[CONVERSATION_ID_SIZE];
        const struct json *body;
        int r = read_body(q, &body);

        if (r < 0)
                return r;
        r = conversation_create(app->db, body, id);
        return r < 0 ? reply_failure(q, r) : reply_id(q, 201, view_of(id));
}

int conversations_on_read(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(UI_ANSWER_MAX);
        struct app *app = userdata;
        int r = conversation_read(app->db, http_path_part(q, 0), &body);

        return r < 0 ? reply_failure(q, r) : http_reply_json(q, 200, buf_view(&body));
}

int conversations_on_replace(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        const struct json *body;
        int r = read_body(q, &body);

        if (r < 0)
                return r;
        r = conversation_replace(app->db, http_path_part(q, 0), body);
        return r < 0 ? reply_failure(q, r) : reply_id(q, 200, http_path_part(q, 0));
}

int conversations_on_delete(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        int r = app_audit(app, q, "conversation_deleted", "allow", http_path_part(q, 0), VIEW_NULL);

        if (r == 0)
                r = conversation_delete(app->db, http_path_part(q, 0));
        return r < 0 ? reply_failure(q, r) : http_reply(q, 204, NULL, VIEW_NULL);
}
