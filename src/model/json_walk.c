#include "model/json_walk.h"

static int on_event(void *userdata, enum json_event e, struct view text, uint64_t length);

int json_walk_init(struct json_walk *w, struct model_report *report, json_walk_fn put, void *userdata) {
        memset(w, 0, sizeof *w);
        w->report = report;
        w->put = put;
        w->userdata = userdata;
        json_stream_init(&w->json, on_event, w);
        w->json.depth_max = JSON_WALK_DEPTH_MAX;
        return hash_set_new(JSON_WALK_KEYS_MAX, &w->keys);
}

void json_walk_done(struct json_walk *w) {
        w->keys = hash_set_free(w->keys);
}

struct view json_walk_key(const struct json_walk *w, unsigned i) {
        if (i >= w->depth)
                return VIEW_NULL;
        return (struct view){w->levels[i].key, w->levels[i].key_n};
}

#define REFUSE(w, rule, ...)                                                                                 \
        ({                                                                                                   \
                report_put((w)->report, rule, (w)->json.at, VIEW_NULL, __VA_ARGS__);                         \
                (w)->refused = true;                                                                         \
                -EBADMSG;                                                                                    \
        })

static void open_level(struct json_walk *w, bool is_object) {
        struct json_walk_level *l = &w->levels[w->depth++];

        l->id = w->objects++;
        l->is_object = is_object;
        l->key_n = 0;
}

/* A key counts once in its object: compared unescaped, with the object's number in front of it. */
static int take_key(struct json_walk *w, struct view key, uint64_t length) {
        struct json_walk_level *l = &w->levels[w->depth - 1];
        int r;

        if (length > JSON_WALK_KEY_MAX)
                return REFUSE(w, RULE_FOLDER_LIMIT, "A key has %llu bytes; at most %u are read.",
                              (unsigned long long)length, JSON_WALK_KEY_MAX);
        memcpy(w->scratch, &l->id, sizeof l->id);
        memcpy(w->scratch + sizeof l->id, key.p, key.n);
        r = hash_set_add(w->keys, (struct view){w->scratch, sizeof l->id + key.n});
        if (r == -E2BIG)
                return REFUSE(w, RULE_FOLDER_LIMIT, "The file has more than %u keys.", JSON_WALK_KEYS_MAX);
        if (r < 0)
                return r;
        if (r == 0)
                return REFUSE(w, RULE_FOLDER_DUPLICATE, "The key \"%s\" is given twice in one object.",
                              report_quote(key).text);
        l->key_n = (uint8_t)MIN_OF(key.n, (size_t)JSON_WALK_NAME_MAX);
        memcpy(l->key, key.p, l->key_n);
        return 0;
}

static int on_event(void *userdata, enum json_event e, struct view text, uint64_t length) {
        struct json_walk *w = userdata;
        int r = 0;

        if (++w->tokens > JSON_WALK_TOKENS_MAX)
                return REFUSE(w, RULE_FOLDER_LIMIT, "The file has more than %u values and keys.",
                              JSON_WALK_TOKENS_MAX);
        if (e == JSON_OBJECT_END || e == JSON_ARRAY_END)
                w->depth--;
        if (e == JSON_KEY)
                r = take_key(w, text, length);
        if (r >= 0)
                r = w->put(w->userdata, w, e, text, length);
        if (r >= 0 && (e == JSON_OBJECT_BEGIN || e == JSON_ARRAY_BEGIN))
                open_level(w, e == JSON_OBJECT_BEGIN);
        return r;
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the outermost value only white space may stand. */
static int take_rest(struct json_walk *w, struct view rest) {
        for (size_t i = 0; i < rest.n; i++)
                if (!is_space(rest.p[i])) {
                        w->json.at += i;
                        return REFUSE(w, RULE_FOLDER_JSON, "Something follows the end of the JSON text.");
                }
        w->json.at += rest.n;
        return 0;
}

int json_walk_feed(struct json_walk *w, struct view bytes) {
        size_t used = 0;
        int r = 0;

        if (w->refused)
                return 0;
        if (!json_stream_is_complete(&w->json))
                r = json_stream_feed(&w->json, bytes, &used);
        if (r == -EBADMSG && !w->refused)
                r = REFUSE(w, RULE_FOLDER_JSON, "This is not strict JSON: %s.", w->json.why);
        if (r >= 0)
                r = take_rest(w, view_sub(bytes, used, SIZE_MAX));
        return r == -EBADMSG ? 0 : r; /* reported */
}

bool json_walk_finish(struct json_walk *w) {
        uint64_t end = w->json.at;

        if (!w->refused && !json_stream_is_complete(&w->json) && json_walk_feed(w, VIEW(" ")) < 0)
                return false; /* the space ends a number that stands alone */
        w->json.at = MIN_OF(w->json.at, end);
        if (!w->refused && !json_stream_is_complete(&w->json))
                (void)REFUSE(w, RULE_FOLDER_JSON, "The JSON text ends in the middle.");
        return !w->refused;
}
