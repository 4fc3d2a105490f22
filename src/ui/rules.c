#include "ui/rules.h"

#include "model/catalogue.h"
#include "ui/limits.h"

static void write_rule(struct json_writer *w, const struct model_rule_text *t) {
        json_object_begin(w);
        json_member_string(w, "id", t->id);
        json_member_u64(w, "stage", t->stage);
        json_member_string(w, "severity", finding_severity_name(t->severity));
        json_member_string(w, "title", t->title);
        json_member_string(w, "meaning", t->meaning);
        json_member_string(w, "action", t->action);
        json_object_end(w);
}

int rules_on_list(struct http_request *q, void *userdata) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(UI_RULES_BYTES_MAX);
        struct json_writer w = JSON_WRITER(&body);
        int r;

        json_object_begin(&w);
        json_key(&w, "rules");
        json_array_begin(&w);
        for (size_t i = 0; i < catalogue_count(); i++)
                write_rule(&w, catalogue_at(i));
        json_array_end(&w);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}
